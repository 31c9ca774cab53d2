// Probing, and how long who did not answer is suspected.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { decodeMessage } from './messages.ts';
import { confirmSuspicion, startSuspicion } from './suspicion.ts';
import { hostOf, about, Bench, streamMessage } from './test-membership.ts';

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
