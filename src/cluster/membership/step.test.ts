// The rules of membership, event by event: what a node believes, says and does.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../../base/index.ts';
import { wireAddressOf } from './address.ts';
import { BroadcastQueue } from './broadcasts.ts';
import { type Alive, decodeMessage, type Message, type NodeReport, type StreamMessage } from './messages.ts';
import { createState, type GossipTiming, type MembershipState, nextWakeMs, ourVersions } from './state.ts';
import { type MembershipEvent, step } from './step.ts';
import { StreamDecoder } from './stream.ts';
import { memberSummary, summaryBytes, summaryOf } from './summary.ts';
import { confirmSuspicion, startSuspicion } from './suspicion.ts';
import type { Effect } from './turn.ts';

const hostOf = (name: string): string => `10.0.0.${name.codePointAt(0) ?? 0}`;
const networkAddress = (name: string) => ({ host: hostOf(name), port: 7946 });
const nothing = new Uint8Array();

function about(node: string, incarnation = 1, more: Partial<Alive> = {}): Omit<Alive, 'kind'> {
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
class Bench {
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

const reportOf = (node: string, state: number, incarnation = 1): NodeReport => ({ ...about(node, incarnation), state });
const streamMessage = (bytes: Uint8Array): StreamMessage | undefined => new StreamDecoder(undefined).push(bytes);

suite('what is believed', () => {
  test('a new member is believed, reported and passed on; old news is not', () => {
    const bench = new Bench('');
    bench.hear({ kind: 'alive', ...about('a', 5) });
    bench.hear(
      { kind: 'alive', ...about('a', 5) },
      { kind: 'alive', ...about('a', 4, { metadata: Uint8Array.of(1) }) },
    );
    bench.pass(1_000);
    assert.deepEqual(bench.changes(), ['joined a']);
    assert.deepEqual(new Set(bench.sentOf('alive').map((m) => (m.kind === 'alive' ? m.incarnation : 0))), new Set([5]));
  });

  test('of one incarnation dead beats suspect beats alive; a higher one of alive beats both', () => {
    const bench = new Bench('abc');
    bench.hear({ kind: 'suspect', node: 'a', incarnation: 1, from: 'b' }, { kind: 'alive', ...about('a', 1) });
    assert.equal(bench.stateOf('a'), 'suspect');
    bench.hear({ kind: 'dead', node: 'a', incarnation: 1, from: 'b' }, { kind: 'alive', ...about('a', 1) });
    bench.hear({ kind: 'suspect', node: 'a', incarnation: 1, from: 'b' });
    assert.equal(bench.stateOf('a'), 'dead');
    bench.hear({ kind: 'alive', ...about('a', 2) }, { kind: 'dead', node: 'a', incarnation: 1, from: 'b' });
    assert.equal(bench.stateOf('a'), 'alive');
    assert.deepEqual(bench.changes(), ['suspected a', 'died a', 'joined a']);
  });

  test('a suspect that refutes has recovered, and its new metadata is reported', () => {
    const bench = new Bench('ab');
    bench.hear({ kind: 'suspect', node: 'a', incarnation: 1, from: 'b' });
    bench.hear({ kind: 'alive', ...about('a', 2, { metadata: Uint8Array.of(7) }) });
    assert.deepEqual(bench.changes(), ['suspected a', 'recovered a', 'updated a']);
    assert.deepEqual([...(bench.state.members.get('a')?.metadata ?? [])], [7]);
  });

  test('only a member itself can say that it left', () => {
    const bench = new Bench('ab');
    bench.hear(
      { kind: 'dead', node: 'a', incarnation: 1, from: 'a' },
      { kind: 'dead', node: 'b', incarnation: 1, from: 'a' },
    );
    assert.deepEqual(bench.changes(), ['left a', 'died b']);
  });

  test('accusations of strangers and of former incarnations count for nothing', () => {
    const bench = new Bench('a');
    bench.hear({ kind: 'alive', ...about('a', 3) });
    bench.hear(
      { kind: 'dead', node: 'x', incarnation: 9, from: 'a' },
      { kind: 'suspect', node: 'a', incarnation: 2, from: 'b' },
    );
    assert.equal(bench.stateOf('a'), 'alive');
    assert.equal(bench.stateOf('x'), undefined);
  });

  test('a name keeps its address until its node has left, or has been dead for some time', () => {
    const moved = about('a', 1, { address: wireAddressOf(networkAddress('z')) });
    const bench = new Bench('ab', { deadNodeReclaimMs: 10_000 });
    const addressIs = (name: string): boolean => bench.state.members.get('a')?.address.ip.join('.') === hostOf(name);
    bench.hear({ kind: 'alive', ...moved, incarnation: 9 });
    assert.deepEqual(bench.notices(), ['member-address-conflict']);
    bench.hear({ kind: 'dead', node: 'a', incarnation: 1, from: 'b' });
    bench.nowMs += 9_999;
    bench.hear({ kind: 'alive', ...moved });
    assert.ok(addressIs('a'));
    bench.nowMs += 1;
    bench.hear({ kind: 'alive', ...moved });
    assert.ok(addressIs('z'));
    bench.hear({ kind: 'dead', node: 'a', incarnation: 1, from: 'a' }, { kind: 'alive', ...about('a', 1) });
    assert.ok(addressIs('a'));
  });

  test('the same IPv4 address in 4 and in 16 bytes is no conflict', () => {
    const bench = new Bench('a');
    const ip = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...wireAddressOf(networkAddress('a')).ip);
    bench.hear({ kind: 'alive', ...about('a', 2, { address: { ip, port: 7946 } }) });
    assert.deepEqual(bench.notices(), []);
    assert.equal(bench.state.members.get('a')?.incarnation, 2);
  });

  test('who speaks no protocol of ours is not taken in', () => {
    const bench = new Bench('');
    for (const versions of [
      [3, 5, 3],
      [1, 1, 1],
      [0, 5, 2],
    ]) {
      bench.hear({ kind: 'alive', ...about('a', 1, { versions: Uint8Array.from(versions) }) });
    }
    assert.equal(bench.state.members.size, 1);
    assert.equal(bench.notices().length, 3);
  });

  test('forged members fill no memory', () => {
    const bench = new Bench('');
    const forged = Array.from({ length: 17_000 }, (_, i): Message => ({
      kind: 'alive',
      ...about('a'),
      node: `forged-${i}`,
    }));
    bench.hear(...forged);
    assert.equal(bench.state.members.size, 16_384);
  });
});

suite('what is said of ourselves', () => {
  test('suspicion and death are refuted with a higher incarnation, and shake our confidence', () => {
    const bench = new Bench('ab');
    bench.hear({ kind: 'suspect', node: 'self', incarnation: 4, from: 'a' });
    assert.equal(bench.state.self.incarnation, 5);
    bench.hear({ kind: 'dead', node: 'self', incarnation: 5, from: 'a' });
    assert.equal(bench.state.self.incarnation, 6);
    assert.equal(bench.stateOf('self'), 'alive');
    assert.equal(bench.state.awareness, 2);
    bench.pass(1_000);
    const incarnations = bench
      .sentOf('alive')
      .map((m) => (m.kind === 'alive' && m.node === 'self' ? m.incarnation : 0));
    assert.ok(incarnations.includes(6));
  });

  test('after a restart, what others remember of us is outbid', () => {
    const bench = new Bench('ab');
    bench.hear({
      kind: 'alive',
      ...about('self', 7, { address: bench.state.self.address, metadata: Uint8Array.of(1) }),
    });
    assert.equal(bench.state.self.incarnation, 8);
    bench.hear({ kind: 'alive', ...about('self', 8, { address: bench.state.self.address }) });
    assert.equal(bench.state.self.incarnation, 8, 'what is right needs no refutation');
  });

  test('another node with our name is reported, not outbid', () => {
    const bench = new Bench('a');
    bench.hear({ kind: 'alive', ...about('self', 7) });
    assert.deepEqual(bench.notices(), ['own-name-taken']);
    assert.equal(bench.state.self.incarnation, 1);
  });

  test('other metadata is spread under a new incarnation', () => {
    const bench = new Bench('a');
    bench.do({ kind: 'metadata', metadata: Uint8Array.of(9) });
    bench.pass(1_000);
    const [news] = bench.sentOf('alive').filter((m) => m.kind === 'alive' && m.node === 'self');
    assert.deepEqual(news, {
      kind: 'alive',
      ...about('self', 2, { address: bench.state.self.address }),
      metadata: Uint8Array.of(9),
    });
    assert.throws(() => bench.do({ kind: 'metadata', metadata: new Uint8Array(513) }), { code: 'GOSSIP_METADATA' });
  });

  test('who leaves tells so, is not taken back, probes nobody, and still answers', () => {
    const bench = new Bench('abc');
    bench.do({ kind: 'leave' });
    bench.pass(5_000);
    assert.deepEqual(bench.changes(), ['left self']);
    assert.deepEqual(
      new Set(bench.sentOf('dead').map((m) => (m.kind === 'dead' ? `${m.node} ${m.from}` : ''))),
      new Set(['self self']),
    );
    assert.equal(bench.effects.filter(({ kind }) => kind === 'leftAnnounced').length, 1);
    bench.hear({ kind: 'alive', ...about('self', 9, { address: bench.state.self.address }) });
    assert.equal(bench.stateOf('self'), 'left');
    assert.equal(bench.sentOf('ping').length, 0);
    bench.hear({ kind: 'ping', sequence: 3, node: 'self', source: undefined });
    assert.equal(bench.sentOf('ack').length, 1);
  });

  test('who is alone has left at once', () => {
    const bench = new Bench('');
    bench.do({ kind: 'leave' });
    assert.equal(bench.effects.filter(({ kind }) => kind === 'leftAnnounced').length, 1);
  });
});

suite('probing', () => {
  test('an answer in time ends it, and heals our confidence', () => {
    const bench = new Bench('a');
    bench.state.awareness = 2;
    bench.hear({ kind: 'ack', sequence: bench.awaitProbe() });
    assert.equal(bench.state.awareness, 1);
    bench.pass(900);
    assert.equal(bench.stateOf('a'), 'alive');
    assert.equal(bench.sentOf('indirectPing').length, 0);
  });

  test('each is probed once a round', () => {
    const bench = new Bench('abcdefgh');
    bench.awaitProbe();
    bench.state.probe = undefined;
    bench.state.probeIndex = bench.state.order.length;
    const probed = Array.from({ length: 8 }, () => {
      const sequence = bench.awaitProbe();
      const [ping] = bench.sentOf('ping');
      bench.hear({ kind: 'ack', sequence });
      return ping?.kind === 'ping' ? ping.node : '';
    });
    assert.deepEqual(probed.sort(), [...'abcdefgh']);
  });

  test('without an answer three others are asked, and the node itself over a stream', () => {
    const bench = new Bench('abcdef');
    const sequence = bench.awaitProbe('a');
    bench.effects.length = 0;
    bench.pass(500);
    const asked = bench.sent().filter(({ message }) => message.kind === 'indirectPing');
    assert.equal(new Set(asked.map(({ to }) => to)).size, 3);
    assert.ok(
      asked.every(
        ({ to, message }) => to !== hostOf('a') && message.kind === 'indirectPing' && message.sequence === sequence,
      ),
    );
    const [stream] = bench.opened();
    assert.equal(stream?.to.host, hostOf('a'));
    assert.deepEqual(stream && streamMessage(stream.message), { kind: 'ping', sequence, node: 'a', source: undefined });
    bench.hear({ kind: 'ack', sequence });
    bench.pass(600);
    assert.notEqual(bench.stateOf('a'), 'suspect');
  });

  test('an answer over the stream alone is enough, and noted', () => {
    const bench = new Bench('a');
    const sequence = bench.awaitProbe();
    bench.pass(500);
    bench.do({ kind: 'answer', exchange: bench.opened()[0]?.exchange ?? 0, message: { kind: 'ack', sequence } });
    bench.pass(400);
    assert.equal(bench.stateOf('a'), 'alive');
    assert.deepEqual(bench.notices(), ['member-datagrams-lost']);
  });

  test('a failed probe raises suspicion, and is our fault where helpers are silent too', () => {
    for (const [nacks, awareness] of [
      [3, 0],
      [1, 2],
      [0, 3],
    ] as const) {
      const bench = new Bench('abcdef');
      const sequence = bench.awaitProbe('a');
      bench.pass(500);
      for (let i = 0; i < nacks; i++) bench.hear({ kind: 'nack', sequence });
      bench.pass(500);
      assert.equal(bench.stateOf('a'), 'suspect');
      assert.equal(bench.state.awareness, awareness, `${nacks} nacks`);
    }
  });

  test('the less we trust ourselves, the longer we wait', () => {
    const bench = new Bench('a');
    bench.state.awareness = 3;
    bench.awaitProbe();
    bench.pass(3_900);
    assert.equal(bench.stateOf('a'), 'alive');
    bench.pass(200);
    assert.equal(bench.stateOf('a'), 'suspect');
  });

  test('who is suspected learns it with the ping', () => {
    const bench = new Bench('ab', { suspicionMultiple: 100 });
    bench.hear({ kind: 'suspect', node: 'a', incarnation: 1, from: 'b' });
    bench.pass(10_000); // the news has been told
    bench.awaitProbe('a');
    const [first] = bench.effects.filter(({ kind }) => kind === 'packet');
    const kinds = first?.kind === 'packet' ? first.messages.map((message) => decodeMessage(message).kind) : [];
    assert.deepEqual(kinds.slice(0, 2), ['ping', 'suspect']);
  });

  test('pings are answered to where they say; those for another name are not', () => {
    const bench = new Bench('a');
    bench.hear({ kind: 'ping', sequence: 5, node: 'self', source: { address: about('a').address, name: 'a' } });
    bench.hear({ kind: 'ping', sequence: 6, node: '', source: undefined });
    bench.hear({ kind: 'ping', sequence: 7, node: 'other', source: undefined });
    assert.deepEqual(
      bench.sent().flatMap(({ to, message }) => (message.kind === 'ack' ? [[to, message.sequence]] : [])),
      [
        [hostOf('a'), 5],
        ['10.0.0.250', 6],
      ],
    );
  });

  test('a probe for another is made, and its answer or silence reported', () => {
    const asker = { address: about('a').address, name: 'a' };
    for (const answers of [true, false]) {
      const bench = new Bench('ab');
      const target = about('b').address;
      bench.hear({ kind: 'indirectPing', sequence: 77, target, node: 'b', wantsNack: true, source: asker });
      const [ping] = bench.sent();
      assert.equal(ping?.to, hostOf('b'));
      assert.ok(ping.message.kind === 'ping' && ping.message.node === 'b');
      if (answers) bench.hear({ kind: 'ack', sequence: ping.message.sequence });
      bench.state.nextProbeMs = 10_000;
      bench.pass(500);
      const answer = bench.sent().filter(({ message }) => message.kind === 'ack' || message.kind === 'nack');
      assert.deepEqual(answer, [{ to: hostOf('a'), message: { kind: answers ? 'ack' : 'nack', sequence: 77 } }]);
    }
  });
});

suite('suspicion', () => {
  const timing = { probeIntervalMs: 1_000, suspicionMultiple: 4, suspicionMaxMultiple: 6 };

  test('lasts from six times the least down to the least, by confirmations of different members', () => {
    const suspicion = startSuspicion(timing, 100, 1, 'a', 0);
    assert.deepEqual([suspicion.leastMs, suspicion.deadlineMs], [8_000, 48_000]);
    assert.equal(confirmSuspicion(suspicion, 'a'), false, 'the first accuser again');
    assert.equal(confirmSuspicion(suspicion, 'b'), true);
    // log(2) / log(3) of the way from 48 s to 8 s.
    assert.equal(suspicion.deadlineMs, 22_762);
    assert.equal(confirmSuspicion(suspicion, 'b'), false);
    assert.equal(confirmSuspicion(suspicion, 'c'), true);
    assert.equal(suspicion.deadlineMs, 8_000);
    assert.equal(confirmSuspicion(suspicion, 'd'), false, 'more change nothing');
  });

  test('is the least at once where nobody could confirm', () => {
    assert.equal(startSuspicion(timing, 3, 1, 'a', 0).deadlineMs, 4_000);
    assert.equal(startSuspicion(timing, 4, 1, 'a', 0).deadlineMs, 24_000);
  });

  test('ends in death when nobody refutes, and confirmations are passed on', () => {
    const bench = new Bench('abcd');
    bench.hear(
      { kind: 'suspect', node: 'a', incarnation: 1, from: 'b' },
      { kind: 'suspect', node: 'a', incarnation: 1, from: 'c' },
    );
    bench.hear({ kind: 'suspect', node: 'a', incarnation: 1, from: 'd' });
    bench.pass(3_990);
    assert.equal(bench.stateOf('a'), 'suspect');
    const said = new Set(bench.sentOf('suspect').map((m) => (m.kind === 'suspect' && m.node === 'a' ? m.from : 'a')));
    assert.ok(said.has('d'));
    bench.pass(10);
    assert.equal(bench.stateOf('a'), 'dead');
    assert.ok(bench.changes().includes('died a'));
  });

  test('starts anew after a recovery: old accusers count for nothing', () => {
    const bench = new Bench('abcd');
    for (const from of ['b', 'c', 'd']) bench.hear({ kind: 'suspect', node: 'a', incarnation: 1, from });
    bench.hear({ kind: 'alive', ...about('a', 2) }, { kind: 'suspect', node: 'a', incarnation: 2, from: 'b' });
    bench.state.nextProbeMs = 60_000;
    bench.pass(10_000);
    assert.equal(bench.stateOf('a'), 'suspect');
    bench.pass(14_000);
    assert.equal(bench.stateOf('a'), 'dead');
  });

  test('the dead are forgotten after a time, but not before', () => {
    const bench = new Bench('ab');
    bench.hear({ kind: 'dead', node: 'a', incarnation: 1, from: 'b' });
    for (let i = 0; i < 29; i++) bench.hear({ kind: 'ack', sequence: bench.awaitProbe() });
    assert.equal(bench.stateOf('a'), 'dead');
    for (let i = 0; i < 5; i++) bench.hear({ kind: 'ack', sequence: bench.awaitProbe() });
    assert.equal(bench.stateOf('a'), undefined);
  });
});

suite('missed news', () => {
  /** Probes anyone, which answers with this; what is then opened. */
  function probe(bench: Bench, payload: Uint8Array | undefined): { to: string; isPushPull: boolean }[] {
    const sequence = bench.awaitProbe();
    bench.effects.length = 0;
    bench.hear({ kind: 'ack', sequence, ...(payload ? { payload } : {}) });
    return bench
      .opened()
      .map(({ to, message }) => ({ to: to.host, isPushPull: streamMessage(message)?.kind === 'pushPull' }));
  }

  test('a summary of the members is the same for all who know the same of them, and of nobody else', () => {
    const order = fc.shuffledSubarray(['a', 'b', 'c', 'd'], { minLength: 4 });
    fc.assert(
      fc.property(order, order, fc.constantFrom('a', 'b', 'c', 'd'), (first, second, name) => {
        const [one, other] = [new Bench(first.join('')), new Bench(second.join(''))];
        assert.equal(memberSummary(one.state), memberSummary(other.state));
        // A suspect may be well; that is no difference.
        one.hear({ kind: 'suspect', node: name, incarnation: 1, from: 'self' });
        assert.equal(memberSummary(one.state), memberSummary(other.state));
        one.hear({ kind: 'alive', ...about(name, 2) });
        assert.notEqual(memberSummary(one.state), memberSummary(other.state));
        other.hear({ kind: 'dead', node: name, incarnation: 1, from: name });
        assert.notEqual(memberSummary(one.state), memberSummary(other.state));
        one.hear({ kind: 'dead', node: name, incarnation: 2, from: name });
        assert.equal(memberSummary(one.state), memberSummary(other.state));
      }),
    );
  });

  test('acks carry the summary once there is no news that others may not have', () => {
    const bench = new Bench('ab');
    const answer = (): Message | undefined => {
      bench.effects.length = 0;
      bench.hear({ kind: 'ping', sequence: 5, node: 'self', source: undefined });
      return bench.sentOf('ack')[0];
    };
    assert.deepEqual(answer(), { kind: 'ack', sequence: 5 });
    bench.pass(5_000);
    assert.deepEqual(answer(), { kind: 'ack', sequence: 5, payload: summaryBytes(bench.state) });
  });

  test('is fetched from a node that knows other members, and less often where that does not mend it', () => {
    const bench = new Bench('abc', {
      pushPullIntervalMs: 1e9,
      reconnectIntervalMs: 1e9,
      aloneReconnectIntervalMs: 1e9,
    });
    const same = (): Uint8Array | undefined => summaryBytes(bench.state);
    const other = Uint8Array.of(0x54, 1, 2, 3, 4);
    assert.deepEqual(probe(bench, other), [], 'our own news may be what it lacks');
    bench.state.broadcasts.take(1e6, 0, 1);
    assert.deepEqual(probe(bench, same()), []);
    assert.deepEqual(probe(bench, undefined), [], 'a plain memberlist node');
    assert.deepEqual(probe(bench, Uint8Array.of(1, 2, 3)), [], 'of another application');
    const opened = Array.from({ length: 40 }, () => probe(bench, other));
    assert.ok(opened.flat().every(({ isPushPull }) => isPushPull));
    const at = opened.flatMap(({ length }, i) => (length > 0 ? [i] : []));
    assert.equal(at[0], 0);
    assert.ok(at.length >= 4 && at.length <= 7, `${at}`);
    // Once mended, the next difference is acted upon at once.
    probe(bench, same());
    bench.nowMs += 1;
    bench.state.reconcileAtMs = bench.nowMs;
    assert.equal(probe(bench, other).length, 1);
    assert.equal(bench.state.reconcileAtMs - bench.nowMs, 1_000);
  });

  test('is none to a newcomer: what it hears first is not passed on', () => {
    const exchange = (bench: Bench): string[] => {
      bench.do({ kind: 'contact', addresses: [networkAddress('z')] });
      const [opened] = bench.opened();
      const nodes = [reportOf('z', 0), reportOf('y', 0)];
      bench.do({ kind: 'answer', exchange: opened?.exchange ?? 0, message: { kind: 'pushPull', isJoin: true, nodes } });
      return ['z', 'y'].filter((name) => bench.state.broadcasts.has(name));
    };
    assert.deepEqual(exchange(new Bench('')), []);
    // Who knows others may be the only link between two clusters.
    assert.deepEqual(exchange(new Bench('a')), ['z', 'y']);
  });
});

test('a pause of our own makes nobody dead', () => {
  const bench = new Bench('abc');
  bench.hear({ kind: 'suspect', node: 'a', incarnation: 1, from: 'b' });
  bench.awaitProbe('b');
  bench.nowMs += 600_000;
  // What came meanwhile is read after the tick.
  bench.do({ kind: 'tick' });
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => bench.stateOf(name)),
    ['suspect', 'alive', 'alive'],
  );
  assert.deepEqual(bench.notices(), ['gossip-paused']);
  assert.equal(bench.state.awareness, 1);
  bench.hear({ kind: 'alive', ...about('a', 2) });
  bench.pass(900);
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => bench.stateOf(name)),
    ['alive', 'alive', 'alive'],
  );
});

suite('exchanges of all that is known', () => {
  test('the answer is what we know, the merge takes the dead for suspects', () => {
    const bench = new Bench('abc');
    const nodes = [reportOf('a', 2), reportOf('b', 3), reportOf('c', 0), reportOf('d', 0), reportOf('e', 2)];
    const [reply] = bench.do({ kind: 'request', stream: 4, message: { kind: 'pushPull', isJoin: true, nodes } });
    assert.ok(reply?.kind === 'reply' && reply.stream === 4);
    const answer = streamMessage(reply.message);
    assert.deepEqual(answer?.kind === 'pushPull' && answer.nodes.map(({ node, state }) => `${node} ${state}`).sort(), [
      'a 0',
      'b 0',
      'c 0',
      'self 0',
    ]);
    assert.deepEqual(
      ['a', 'b', 'c', 'd', 'e'].map((name) => bench.stateOf(name)),
      ['suspect', 'left', 'alive', 'alive', undefined],
    );
  });

  test('known addresses are tried until a member is found there', () => {
    const bench = new Bench('');
    bench.do({ kind: 'addresses', addresses: [networkAddress('a'), { host: '10.0.0.1', port: 7946 }] });
    bench.pass(0);
    const tries = bench.opened();
    assert.deepEqual(
      tries.map(({ to }) => to.host),
      [hostOf('a')],
      'at once, and never ourselves',
    );
    bench.do({ kind: 'failure', exchange: tries[0]?.exchange ?? 0, reason: 'refused' });
    bench.pass(1_600);
    assert.ok(bench.opened().length >= 2, 'and again');
    const message: StreamMessage = { kind: 'pushPull', isJoin: true, nodes: [reportOf('a', 0)] };
    bench.do({ kind: 'answer', exchange: bench.opened().at(-1)?.exchange ?? 0, message });
    assert.equal(bench.stateOf('a'), 'alive');
    const contacted = bench.effects.filter((effect) => effect.kind === 'contacted').map(({ error }) => error);
    assert.deepEqual(contacted, ['refused', undefined]);
    bench.effects.length = 0;
    bench.state.reconnectAtMs = bench.nowMs;
    bench.do({ kind: 'tick' });
    assert.deepEqual(bench.opened(), [], 'no more');
  });

  test('only addresses that are still named are tried, and those of the dead for a day', () => {
    const bench = new Bench('ab', { pushPullIntervalMs: 1e12 });
    const tried = (): string[] => {
      bench.effects.length = 0;
      for (let i = 0; i < 20; i++) {
        bench.state.reconnectAtMs = bench.nowMs;
        bench.do({ kind: 'tick' });
      }
      return [...new Set(bench.opened().map(({ to }) => to.host))].toSorted();
    };
    bench.hear({ kind: 'dead', node: 'a', incarnation: 1, from: 'b' });
    bench.do({ kind: 'addresses', addresses: [networkAddress('x'), networkAddress('b')] });
    assert.deepEqual(tried(), [hostOf('x'), hostOf('a')]);
    bench.do({ kind: 'addresses', addresses: [networkAddress('y')] });
    assert.deepEqual(tried(), [hostOf('y'), hostOf('a')]);
    bench.nowMs += 24 * 3_600_000 + 1;
    assert.deepEqual(tried(), [hostOf('y')]);
  });

  test('the dead are tried again, so that a healed split is one cluster', () => {
    const bench = new Bench('ab');
    bench.hear({ kind: 'dead', node: 'a', incarnation: 1, from: 'b' });
    bench.pass(30_000);
    assert.ok(bench.opened().some(({ to }) => to.host === hostOf('a')));
  });

  test('an answer of another kind is a failure, an error is told', () => {
    for (const [message, error] of [
      [{ kind: 'error', text: 'no' }, 'no'],
      [{ kind: 'user' }, 'unexpected message: user'],
    ] as const) {
      const bench = new Bench('');
      const [open] = bench.do({ kind: 'contact', addresses: [networkAddress('a')] });
      assert.ok(open?.kind === 'open');
      const [effect] = bench.do({ kind: 'answer', exchange: open.exchange, message });
      assert.ok(effect?.kind === 'contacted');
      assert.equal(effect.error, error);
    }
  });
});

test('whatever comes in whatever order, the step goes on, asks to be woken later, and never gives itself up', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = new SeededRandom(seed);
    const bench = new Bench('');
    const one = <Item>(items: readonly Item[]): Item => items[random.below(items.length)] as Item;
    const name = (): string => one(['self', 'a', 'b', 'c', 'd', 'e', 'f']);
    const incarnation = (): number => random.below(6);
    const alive = (): Omit<Alive, 'kind'> =>
      about(name(), incarnation(), random.below(4) === 0 ? { address: wireAddressOf(networkAddress(name())) } : {});
    const accusation = () => ({ incarnation: incarnation(), node: name(), from: name() });
    const message = (): Message =>
      one<() => Message>([
        () => ({ kind: 'alive', ...alive() }),
        () => ({ kind: 'suspect', ...accusation() }),
        () => ({ kind: 'dead', ...accusation() }),
        () => ({ kind: 'ack', sequence: bench.state.lastSequence }),
        () => ({ kind: 'nack', sequence: bench.state.lastSequence }),
        () => ({ kind: 'ping', sequence: 1, node: name(), source: undefined }),
        () => ({
          kind: 'indirectPing',
          sequence: 1,
          target: alive().address,
          node: name(),
          wantsNack: true,
          source: undefined,
        }),
      ])();
    const pushPull = (): StreamMessage => ({
      kind: 'pushPull',
      isJoin: random.below(2) === 0,
      nodes: Array.from({ length: random.below(6) }, () => ({ ...alive(), state: random.below(4) })),
    });
    for (let i = 0; i < 3_000; i++) {
      one<() => unknown>([
        () => bench.hear(...Array.from({ length: random.below(3) }, message)),
        () => bench.pass(random.below(2_000)),
        () => bench.do({ kind: 'request', stream: i, message: pushPull() }),
        () => bench.do({ kind: 'answer', exchange: random.below(bench.state.lastExchange + 2), message: pushPull() }),
        () => bench.do({ kind: 'failure', exchange: bench.state.lastExchange, reason: 'x' }),
        () => bench.do({ kind: 'addresses', addresses: [networkAddress(name())] }),
      ])();
      bench.do({ kind: 'tick' });
      assert.ok(nextWakeMs(bench.state) > bench.nowMs, `seed ${seed}, event ${i}: it would be woken at once for ever`);
      assert.equal(bench.stateOf('self'), 'alive');
      assert.equal(memberSummary(bench.state), summaryOf(bench.state.order));
      assert.equal(bench.state.order.length, bench.state.members.size);
      assert.deepEqual(new Set(bench.state.order), new Set(bench.state.members.values()));
      for (const [suspect] of bench.state.suspicions) assert.equal(bench.stateOf(suspect), 'suspect');
      bench.effects.length = 0;
    }
  }
});

test('checksums go to those who understand them', () => {
  for (const [most, withCrc] of [
    [5, true],
    [4, false],
  ] as const) {
    const bench = new Bench('');
    bench.hear({ kind: 'alive', ...about('a', 1, { versions: Uint8Array.of(1, most, 2, 0, 0, 0) }) });
    bench.pass(300);
    bench.awaitProbe();
    bench.do({ kind: 'metadata', metadata: nothing });
    bench.pass(300);
    const packets = bench.effects.filter((effect) => effect.kind === 'packet');
    assert.ok(packets.length >= 2, 'a ping and news');
    assert.ok(packets.every((packet) => packet.withCrc === withCrc));
  }
});

suite('the queue of news', () => {
  const message = (size: number, fill: number): Uint8Array => new Uint8Array(size).fill(fill);

  test('sends what was sent least first, each so many times, and newer news instead of older', () => {
    const queue = new BroadcastQueue();
    queue.add('a', message(10, 1));
    queue.add('b', message(10, 2));
    const fills = (bytes: number): (number | undefined)[] => queue.take(bytes, 2, 2).map(([first]) => first);
    assert.deepEqual(fills(12), [1]);
    queue.add('c', message(10, 3));
    assert.deepEqual(fills(24), [2, 3]);
    queue.add('a', message(10, 4));
    assert.deepEqual(fills(12), [4], 'the newer of the two about a');
    assert.deepEqual(fills(100), [2, 3, 4]);
    assert.equal(queue.length, 0);
    assert.deepEqual(fills(100), []);
  });

  test('sends nothing that does not fit', () => {
    const queue = new BroadcastQueue();
    queue.add('a', message(100, 1));
    assert.deepEqual(queue.take(101, 2, 4), []);
    assert.equal(queue.take(102, 2, 4).length, 1);
  });
});
