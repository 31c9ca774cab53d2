// What a node believes of what it hears, of others and of itself.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { wireAddressOf } from './address.ts';
import { type Message } from './messages.ts';
import { hostOf, networkAddress, about, Bench } from './test-membership.ts';

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
