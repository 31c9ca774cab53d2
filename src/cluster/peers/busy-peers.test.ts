// Peers that are slow, stuck or gone while work is under way for them: what is given up, what is refused, what is bounded.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hasCode, mib, secondMs, TimbalaError } from '../../base/index.ts';
import { SimNetwork } from '../../../sim/network.ts';
import { SimWorld } from '../../../sim/world.ts';
import type { PeerFrame, PeerWork } from '../contracts.ts';
import { classLimits, connectionClasses, limitsAmong } from './classes.ts';
import { hello, pair, pass, rejectsWith, settled, simulatedNode, text, textOf, write } from './test-peers.ts';

suite('work that nobody waits for', () => {
  /** b works on each request until its signal says otherwise; gives what it has in hand. */
  async function slowPair() {
    const { world, network, a, b } = await pair();
    const inHand: PeerWork[] = [];
    b.peers.onRequest = (_from, frame, work) => {
      inHand.push(work);
      return new Promise((resolve) => {
        work.signal.addEventListener('abort', () => resolve({ kind: frame.kind, body: text('in vain') }));
      });
    };
    return { world, network, a, b, inHand };
  }

  test('ends when the asker cancels', async () => {
    const { world, a, b, inHand } = await slowPair();
    const query = new AbortController();
    const asked = a.peers.request('b', { kind: 'read', body: text('?') }, 60 * secondMs, query.signal);
    const failed = assert.rejects(asked, rejectsWith('PEER_CANCELLED'));
    await pass(world, 50);
    query.abort();
    await failed;
    await pass(world, 50);
    assert.equal(inHand[0]?.signal.aborted, true);
    const { requestsAbandoned, framesSent } = b.peers.counters.read;
    // The opening only: no answer was sent.
    assert.deepEqual([requestsAbandoned, framesSent, a.peers.counters.read.requestsCancelled], [1, 1, 1]);
    await assert.rejects(
      a.peers.request('b', hello(), secondMs, query.signal),
      rejectsWith('PEER_CANCELLED'),
      'one that was cancelled before',
    );
  });

  test('ends with the asker’s time, though the asker can’t say so', async () => {
    const { world, network, a, inHand } = await slowPair();
    const asked = a.peers.request('b', { kind: 'read', body: text('?') }, 2 * secondMs).catch((error) => error);
    await pass(world, 100);
    network.cut('a', 'b');
    await pass(world, 1_850);
    assert.equal(inHand[0]?.signal.aborted, false);
    await pass(world, 100);
    assert.equal(inHand[0]?.signal.aborted, true);
    assert.ok(hasCode(await asked, 'PEER_TIMEOUT'));
  });

  test('ends with the connection', async () => {
    const { world, a, inHand } = await slowPair();
    const asked = a.peers.request('b', { kind: 'read', body: text('?') }, 60 * secondMs).catch((error) => error);
    await pass(world, 50);
    a.peers.close();
    await pass(world, 50);
    assert.equal(inHand[0]?.signal.aborted, true);
    assert.ok(hasCode(await asked, 'PEER_UNREACHABLE'));
  });

  test('is not begun', async () => {
    const { world, a, b } = await pair();
    const gate = Promise.withResolvers<void>();
    b.store.beforeRegister = () => gate.promise;
    const query = new AbortController();
    const asked = a.peers.request('b', write(a, 'up'), 60 * secondMs, query.signal).catch((error) => error);
    await pass(world, 50);
    query.abort();
    await pass(world, 50);
    gate.resolve();
    await pass(world, 50);
    assert.ok(hasCode(await asked, 'PEER_CANCELLED'));
    assert.deepEqual([b.requests.length, b.peers.counters.write.requestsAbandoned], [0, 1]);
  });

  test('leaves the queue at once', async () => {
    const { world, a, b } = await pair();
    b.peers.onRequest = () => new Promise<PeerFrame>(() => undefined);
    const query = new AbortController();
    const ask = (body: Uint8Array): Promise<unknown> =>
      a.peers.request('b', { kind: 'read', body }, 60 * secondMs, query.signal).catch((error) => error);
    const first = ask(new Uint8Array(classLimits.read.windowBytes));
    await pass(world, 50);
    const second = ask(text('behind'));
    assert.equal(a.peers.states()[0]?.queuedBytes, 6);
    query.abort();
    await Promise.all([first, second]);
    assert.equal(a.peers.states()[0]?.queuedBytes, 0);
  });
});

suite('a peer that is busy', () => {
  async function busyPair() {
    const { world, network, a, b } = await pair();
    b.peers.onRequest = async (_from, frame) => {
      if (frame.kind !== 'write') return { kind: frame.kind, body: text('!') };
      return new Promise<PeerFrame>(() => undefined);
    };
    const writes = (count: number): Promise<unknown>[] =>
      Array.from({ length: count }, () =>
        a.peers.request('b', { kind: 'write', body: new Uint8Array(4 * mib) }, 10 * secondMs).catch((error) => error),
      );
    return { world, network, a, writes };
  }

  test('is known to be so long before the deadline', async () => {
    const { world, a, writes } = await busyPair();
    const inHand = writes(2);
    await pass(world, 100);
    // It says so itself where it can; here what it has taken is all that it takes, and it lives.
    const waiting = writes(3);
    await pass(world, 520);
    assert.deepEqual(
      (await Promise.all(waiting)).map((error) => hasCode(error, 'PEER_BUSY')),
      [true, true, true],
    );
    assert.equal(a.peers.counters.write.requestsHeldBack, 3);
    await pass(world, 10 * secondMs);
    for (const error of await Promise.all(inHand)) assert.ok(hasCode(error, 'PEER_TIMEOUT'));
  });

  test('with new series is no reason to end the connection: they are defined when it has room again', async () => {
    const { world, a, b } = await pair();
    const writeOf = (name: string) => settled(world, a.peers.request('b', write(a, name), secondMs));
    await writeOf('known');
    for (const code of ['STORE_BUSY', 'STORE_FULL']) {
      b.store.beforeRegister = async () => {
        throw new TimbalaError(code, 'not now');
      };
      const names = ['known', `${code} 1`, `${code} 2`, 'known'];
      const outcomes = await Promise.allSettled(names.map(writeOf));
      assert.deepEqual(
        outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'done')),
        ['done', code, code, code],
      );
      b.store.beforeRegister = async () => undefined;
      for (const name of names) assert.equal(textOf((await writeOf(name)).body), `w: ${name}`);
    }
    assert.deepEqual([b.peers.counters.write.connectionsEnded, a.store.definitionsCount], [0, 5]);
  });

  test('is not mistaken for one that is away', async () => {
    const { world, network, writes } = await busyPair();
    writes(2);
    await pass(world, 100);
    network.cut('b', 'a');
    await pass(world, 2 * secondMs);
    const waiting = writes(1);
    await pass(world, 2 * secondMs);
    const state = await Promise.race([...waiting, 'still waits']);
    assert.equal(state, 'still waits');
    const [error] = await settled(world, Promise.all(waiting));
    assert.ok(hasCode(error, 'PEER_TIMEOUT'));
  });

  test('and does not take its answers gets no further ones made', async () => {
    const { world, network, a, b } = await pair();
    let madeCount = 0;
    b.peers.onRequest = async () => {
      madeCount++;
      return { kind: 'read', body: new Uint8Array(mib) };
    };
    const ask = (): Promise<unknown> => a.peers.request('b', { kind: 'read', body: text('?') }, 8 * secondMs);
    await settled(world, ask());
    madeCount = 0;
    network.cut('b', 'a');
    const asked = Array.from({ length: 200 }, () => ask().catch((error) => error));
    await pass(world, secondMs);
    // What has gone, and what was worked on when the room for more was full.
    const { windowBytes, answersBytesMax, workMax } = classLimits.read;
    assert.ok(madeCount <= (windowBytes + answersBytesMax) / mib + workMax - 1, `${madeCount}`);
    network.heal();
    await settled(world, Promise.all(asked));
    assert.equal(madeCount, 200);
  });

  test('is one of many: all together make a node hold no more than sixteen', () => {
    for (const connectionClass of connectionClasses) {
      const { windowBytes, queuedBytesMax, answersBytesMax } = classLimits[connectionClass];
      assert.deepEqual(limitsAmong(16, connectionClass), classLimits[connectionClass]);
      for (const peersCount of [17, 30, 60]) {
        const limits = limitsAmong(peersCount, connectionClass);
        const among = (bytes: number): boolean => bytes * peersCount <= 16 * mib;
        assert.ok(limits.windowBytes * peersCount <= windowBytes * 16 || among(limits.windowBytes));
        assert.ok(limits.queuedBytesMax * peersCount <= queuedBytesMax * 16);
        assert.ok(limits.answersBytesMax * peersCount <= answersBytesMax * 16 || among(limits.answersBytesMax));
      }
    }
    assert.equal(limitsAmong(32, 'write').windowBytes, 4 * mib);
  });
});

test('a node that has left a question unanswered and says nothing is not waited for again, but greeted and written to', async () => {
  const { world, network, a, ask } = await pair();
  const marks = { kind: 'marks', body: text('?') } as const;
  const outcome = async (asked: Promise<unknown>): Promise<unknown> =>
    asked.then(
      () => 'answered',
      (error) => error.code,
    );
  await settled(world, a.peers.request('b', write(a, 'up'), secondMs));
  await ask(marks);
  network.cut('b', 'a');
  assert.equal(await settled(world, outcome(a.peers.request('b', marks, 2 * secondMs))), 'PEER_TIMEOUT');
  const startMs = world.nowMs;
  const impatient = (['marks', 'compare', 'read'] as const).map((kind) =>
    outcome(a.peers.request('b', { ...marks, kind }, 60 * secondMs)),
  );
  assert.deepEqual(await Promise.all(impatient), ['PEER_UNREACHABLE', 'PEER_UNREACHABLE', 'PEER_UNREACHABLE']);
  assert.equal(world.nowMs, startMs, 'at once');
  const patient = [hello(), write(a, 'up')].map((frame) => outcome(a.peers.request('b', frame, 10 * secondMs)));
  await pass(world, secondMs);
  network.heal();
  assert.deepEqual(await settled(world, Promise.all(patient)), ['answered', 'answered']);
  assert.equal((await ask(marks)).kind, 'marks');
});

test('a connection that is silent ends sooner where gossip too finds its node dead', async () => {
  const world = new SimWorld(1);
  const network = new SimNetwork(world);
  const alive: { b: boolean | undefined } = { b: true };
  const a = await simulatedNode(world, network.at('a'), 'a', { isAlive: () => alive.b });
  await simulatedNode(world, network.at('b'), 'b');
  a.peers.setAddresses(new Map([['b', 'b:9095']]));
  await settled(world, a.peers.request('b', hello(), secondMs));
  alive.b = false;
  await pass(world, 20 * secondMs);
  // It is gossip that is wrong: heartbeats come.
  await settled(world, a.peers.request('b', hello(), secondMs));
  network.cut('b', 'a');
  const waiting = a.peers.request('b', hello(), 60 * secondMs).catch((error) => error);
  await pass(world, 11 * secondMs);
  assert.ok(hasCode(await Promise.race([waiting, undefined]), 'PEER_UNREACHABLE'));
  assert.equal(a.peers.states()[0]?.isOpen, false);
});

test('nodes that gossip finds dead are not waited for, and tried all the same', async () => {
  const world = new SimWorld(1);
  const network = new SimNetwork(world);
  const alive: { b: boolean | undefined } = { b: false };
  const a = await simulatedNode(world, network.at('a'), 'a', { isAlive: () => alive.b });
  await simulatedNode(world, network.at('b'), 'b');
  a.peers.setAddresses(new Map([['b', 'b:9095']]));
  await assert.rejects(a.peers.request('b', hello(), secondMs), /PEER_UNREACHABLE.*gossip/);
  await pass(world, 100);
  // Gossip was wrong: the connection that was tried behind is there.
  await settled(world, a.peers.request('b', hello(), secondMs));
  assert.equal(a.peers.counters.control.requestsUnreachable, 1);
});

test('a node that does not serve yet says so, and not that it is busy: others stand in for it', async () => {
  const { world, a, b } = await pair();
  b.peers.onRequest = undefined;
  const asked = a.peers.request('b', { kind: 'write', body: text('!') }, secondMs);
  await settled(world, assert.rejects(asked, rejectsWith('PEER_STARTING')));
});
