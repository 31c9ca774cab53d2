import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClusterRecord, type Member } from '../../cluster/index.ts';
import type { Log, LogFields } from '../../ports/index.ts';
import { RecordLog } from './record-log.ts';

const member: Member = {
  name: 'a',
  store: 's1',
  state: 'joining',
  version: 1,
  address: 'a:7947',
  zone: '',
  weight: 1_000,
  format: 1,
  alone: 0,
  losses: [],
  floorMs: 0,
  cleared: [],
  rest: new Uint8Array(),
};

function noted(...records: ClusterRecord[]): string[] {
  const lines: string[] = [];
  const add = (event: string, fields: LogFields = {}): void => {
    lines.push(`${event} ${fields['member'] ?? fields['store'] ?? ''} ${fields['state'] ?? ''}`.trim());
  };
  const log: Log = { debug: add, info: add, warn: add, error: add, child: () => log };
  const recordLog = new RecordLog(log);
  for (const record of records) recordLog.note(record);
  return lines;
}

test('a change of a member is told once', () => {
  const first = ClusterRecord.empty('c').with(member);
  const second = first.withOwn('a', { state: 'active' });
  assert.deepEqual(noted(first, first, second, second), ['cluster-member a joining', 'cluster-member a active']);
});

test('a lost store is told when it is lost and when all have made up for it', () => {
  const both = ClusterRecord.empty('c')
    .with({ ...member, state: 'active' })
    .with({ ...member, name: 'b', store: 's2', state: 'active' });
  const lost = both.withRemoved('b');
  const healed = lost.withOwn('a', { cleared: ['s2'] });
  assert.deepEqual(noted(both, lost, healed).slice(2), [
    'cluster-member b removed',
    'cluster-loss s2',
    'cluster-loss-healed s2',
  ]);
  assert.deepEqual(noted(healed), ['cluster-member a active', 'cluster-member b removed'], 'old news is none');
});
