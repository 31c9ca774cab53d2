// One node’s membership in virtual time, to which a test plays all the others. Test-only.
import assert from 'node:assert/strict';
import { SeededRandom } from '../../base/index.ts';
import { wireAddressOf } from './address.ts';
import { type Alive, decodeMessage, type Message, type NodeReport, type StreamMessage } from './messages.ts';
import { createState, type GossipTiming, type MembershipState, nextWakeMs, ourVersions } from './state.ts';
import { type MembershipEvent, step } from './step.ts';
import { StreamDecoder } from './stream.ts';
import type { Effect } from './turn.ts';

export const hostOf = (name: string): string => `10.0.0.${name.codePointAt(0) ?? 0}`;
export const networkAddress = (name: string) => ({ host: hostOf(name), port: 7946 });
export const nothing = new Uint8Array();

export function about(node: string, incarnation = 1, more: Partial<Alive> = {}): Omit<Alive, 'kind'> {
  return {
    incarnation,
    node,
    address: wireAddressOf(networkAddress(node)),
    metadata: nothing,
    versions: ourVersions,
    ...more,
  };
}

/** One node, `self`, in virtual time, to which a test plays all the others (one-letter names). */
export class Bench {
  nowMs = 0;
  readonly state: MembershipState;
  readonly effects: Effect[] = [];
  readonly #random = new SeededRandom(1);

  constructor(others: string, timing: Partial<GossipTiming> = {}) {
    const identity = { name: 'self', advertised: { host: '10.0.0.1', port: 7946 }, metadata: nothing };
    this.state = createState(identity, 0, this.#random, timing);
    for (const name of others) this.hear({ kind: 'alive', ...about(name) });
    this.effects.length = 0;
  }

  do(event: MembershipEvent): Effect[] {
    const effects = step(this.state, event, this.nowMs, this.#random);
    this.effects.push(...effects);
    return effects;
  }

  hear(...messages: Message[]): Effect[] {
    return this.do({ kind: 'packet', from: { host: '10.0.0.250', port: 9 }, messages });
  }

  /** Lets time pass, tick by tick. */
  pass(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (let dueMs = nextWakeMs(this.state); dueMs <= endMs; dueMs = nextWakeMs(this.state)) {
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.do({ kind: 'tick' });
    }
    this.nowMs = endMs;
  }

  /** Passes time until a probe of this member (any, where undefined) goes out; its sequence. */
  awaitProbe(node?: string): number {
    for (let i = 0; i < 200; i++) {
      this.effects.length = 0;
      this.nowMs = Math.max(this.nowMs, nextWakeMs(this.state));
      this.do({ kind: 'tick' });
      const ping = this.sent().find(({ message }) => message.kind === 'ping');
      if (ping?.message.kind !== 'ping') continue;
      if (node === undefined || ping.message.node === node) return ping.message.sequence;
      this.hear({ kind: 'ack', sequence: ping.message.sequence });
    }
    return assert.fail(`no probe of ${node}`);
  }

  sent(): { to: string; message: Message }[] {
    return this.effects.flatMap((effect) =>
      effect.kind === 'packet'
        ? effect.messages.map((message) => ({ to: effect.to.host, message: decodeMessage(message) }))
        : [],
    );
  }

  sentOf(kind: Message['kind']): Message[] {
    return this.sent()
      .map(({ message }) => message)
      .filter((message) => message.kind === kind);
  }

  changes(): string[] {
    return this.effects.flatMap((effect) =>
      effect.kind === 'member' ? [`${effect.change} ${effect.member.name}`] : [],
    );
  }

  notices(): string[] {
    return this.effects.flatMap((effect) => (effect.kind === 'notice' ? [effect.event] : []));
  }

  opened(): Extract<Effect, { kind: 'open' }>[] {
    return this.effects.filter((effect) => effect.kind === 'open');
  }

  stateOf(name: string): string | undefined {
    return this.state.members.get(name)?.state;
  }
}

export const reportOf = (node: string, state: number, incarnation = 1): NodeReport => ({
  ...about(node, incarnation),
  state,
});
export const streamMessage = (bytes: Uint8Array): StreamMessage | undefined => new StreamDecoder(undefined).push(bytes);
