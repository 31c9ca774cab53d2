// Members for tests: active, of the usual weight, in no zone, with whatever a test changes.
import type { Member } from './index.ts';

export function testMember(name: string, change: Partial<Member> = {}): Member {
  return {
    name,
    store: `${name}-s1`,
    state: 'active',
    version: 1,
    address: name,
    zone: '',
    weight: 1000,
    format: 1,
    alone: 0,
    floorMs: 0,
    losses: [],
    cleared: [],
    rest: new Uint8Array(0),
    ...change,
  };
}
