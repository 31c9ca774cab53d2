// Membership event by event: missed news, exchanges of all that is known, pauses, and whatever comes.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../../base/index.ts';
import { wireAddressOf } from './address.ts';
import { type Alive, type Message, type StreamMessage } from './messages.ts';
import { nextWakeMs } from './state.ts';
import { memberSummary, summaryBytes, summaryOf } from './summary.ts';
import { hostOf, networkAddress, nothing, about, Bench, reportOf, streamMessage } from './test-membership.ts';

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

  test('one that is named is tried soon, wherever members have died meanwhile', () => {
    const former = 'cdefghijklmnopqrstuvw';
    const bench = new Bench(`ab${former}`, { pushPullIntervalMs: 1e12 });
    for (const node of former) bench.hear({ kind: 'dead', node, incarnation: 1, from: 'b' });
    bench.do({ kind: 'addresses', addresses: [networkAddress('x')] });
    bench.effects.length = 0;
    for (let i = 0; i < 20; i++) {
      bench.state.reconnectAtMs = bench.nowMs;
      bench.do({ kind: 'tick' });
    }
    const triesCount = bench.opened().filter(({ to }) => to.host === hostOf('x')).length;
    assert.ok(triesCount > 5 && triesCount < 15, `${triesCount} of 20`);
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
