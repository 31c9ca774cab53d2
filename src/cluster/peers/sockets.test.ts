// Peer connections on real sockets and the real clock: what the simulated network can't show.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { after, suite, test } from 'node:test';
import { hasCode, mib } from '../../base/index.ts';
import { NodeNetwork, SystemClock, SystemRandom } from '../../node/index.ts';
import { controlFrame, encodePeerFrame, encodePeerOpening, peerFrameTypes } from '../../wire/index.ts';
import type { PeerHandler } from '../contracts.ts';
import { classLimits } from './classes.ts';
import { PeerConnections } from './index.ts';
import { echoOf, identityOf, silentLog, TestStore, text, textOf } from './test-peers.ts';

suite('peer connections on sockets', () => {
  const opened: PeerConnections[] = [];
  after(() => opened.forEach((peers) => peers.close()));

  async function node(name: string, first: number) {
    const store = new TestStore(first);
    const ports = { clock: new SystemClock(), network: new NodeNetwork(), random: new SystemRandom(), log: silentLog };
    const bind = { host: '127.0.0.1', port: 0 };
    const peers = await PeerConnections.start(ports, { bind, store, identity: () => identityOf(name) });
    peers.onRequest = async (_from, frame) => echoOf(store, frame);
    opened.push(peers);
    return { store, peers, address: `127.0.0.1:${peers.address.port}` };
  }

  test('carry samples, large messages and questions beside them', async () => {
    const a = await node('a', 1_000);
    const b = await node('b', 2_000);
    a.peers.setAddresses(new Map([['b', b.address]]));
    const large = a.peers.request('b', { kind: 'read', body: new Uint8Array(40 * mib).fill(3) }, 20_000);
    const writes = Array.from({ length: 50 }, async (_, i) => {
      const samples = a.store.payload('up', `series-${i % 7}`);
      const { body } = await a.peers.request('b', { kind: 'write', body: text(`${i}`), samples }, 20_000);
      assert.equal(textOf(body), `${i}: up series-${i % 7}`);
    });
    const question = await a.peers.request('b', { kind: 'hello', body: text('?') }, 20_000);
    assert.equal(textOf(question.body), '?');
    await Promise.all(writes);
    const { body } = await large;
    assert.ok(body.length === 40 * mib && body.every((byte) => byte === 3));
    assert.equal(a.store.definitionsCount, 8);
  });

  test('fail what waits when the other side goes, and find it again at its new address', async () => {
    const a = await node('a', 1_000);
    const b = await node('b', 2_000);
    a.peers.setAddresses(new Map([['b', b.address]]));
    b.peers.onRequest = () => new Promise(() => undefined);
    const waiting = a.peers.request('b', { kind: 'hello', body: text('?') }, 20_000);
    const failed = assert.rejects(waiting, (error) => hasCode(error, 'PEER_UNREACHABLE'));
    while (a.peers.counters.control.framesSent < 2) await new Promise((resolve) => setTimeout(resolve, 2));
    b.peers.close();
    await failed;
    await assert.rejects(a.peers.request('b', { kind: 'hello', body: text('?') }, 1_000), (error) =>
      hasCode(error, 'PEER_UNREACHABLE'),
    );
    const again = await node('b', 2_000);
    a.peers.setAddresses(new Map([['b', again.address]]));
    const { body } = await a.peers.request('b', { kind: 'hello', body: text('again') }, 20_000);
    assert.equal(textOf(body), 'again');
  });

  test('a process that is stopped holds up nobody else, takes no memory, and is found again when it goes on', async () => {
    const a = await node('a', 1_000);
    const b = await node('b', 2_000);
    const stuck = fork(new URL('test-peer-process.ts', import.meta.url), ['stuck'], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    try {
      const [port] = await once(stuck, 'message');
      a.peers.setAddresses(
        new Map([
          ['b', b.address],
          ['stuck', `127.0.0.1:${port}`],
        ]),
      );
      const write = (to: string, sizeBytes: number): Promise<string> =>
        a.peers.request(to, { kind: 'write', body: new Uint8Array(sizeBytes) }, 2_000).then(
          () => 'done',
          (error: Error) => ('code' in error ? `${error.code}` : error.message),
        );
      assert.deepEqual(await Promise.all([write('b', 1), write('stuck', 1)]), ['done', 'done']);
      stuck.kill('SIGSTOP');
      const rssBefore = process.memoryUsage.rss();
      const body = 1 * mib;
      const toStuck = Array.from({ length: 300 }, () => write('stuck', body));
      // More than two seconds of writes to the other one, each of which must pass.
      const tookMs: number[] = [];
      for (let i = 0; i < 100; i++) {
        const startMs = performance.now();
        assert.equal(await write('b', body), 'done');
        tookMs.push(performance.now() - startMs);
        const queued = a.peers.states().find(({ node: name }) => name === 'stuck')?.queuedBytes ?? 0;
        assert.ok(queued <= classLimits.write.queuedBytesMax, `${queued} bytes wait`);
        await delay(20);
      }
      tookMs.sort((x, y) => x - y);
      assert.ok((tookMs[50] ?? Infinity) < 200, `median ${tookMs[50]} ms`);
      const outcomes = await Promise.all(toStuck);
      assert.ok(outcomes.every((outcome) => outcome === 'PEER_BUSY' || outcome === 'PEER_TIMEOUT'));
      // All queues and windows for two peers, and what the collector has not come to.
      const grownMib = (process.memoryUsage.rss() - rssBefore) / mib;
      assert.ok(grownMib < 200, `${grownMib.toFixed(0)} MiB more`);
      const { queuedBytes } = a.peers.states().find(({ node: name }) => name === 'stuck') ?? assert.fail();
      assert.equal(queuedBytes, 0, 'nobody waits any more, nothing is kept');
      stuck.kill('SIGCONT');
      const dueMs = performance.now() + 15_000;
      while ((await write('stuck', 1)) !== 'done') {
        assert.ok(performance.now() < dueMs, 'found again');
        await delay(50);
      }
    } finally {
      stuck.kill('SIGKILL');
    }
  });

  /** A peer asks and asks, and reads nothing. */
  async function flood(handler: PeerHandler): Promise<void> {
    const b = await node('b', 2_000);
    b.peers.onRequest = handler;
    const socket = connect(b.peers.address.port, '127.0.0.1');
    const ended = new Promise<void>((resolve) => {
      socket.on('error', () => resolve()).on('close', () => resolve());
    });
    const opening = { ...identityOf('deaf'), versionMin: 1, versionMax: 1, to: 'b', connectionClass: 0 };
    // It grants without end what it never takes.
    const encoded = encodePeerOpening({ ...opening, windowBytes: 0xffff_ffff });
    socket.write(encodePeerFrame(controlFrame(peerFrameTypes.opening), [encoded]));
    const rssBefore = process.memoryUsage.rss();
    const asking = setInterval(() => {
      for (let i = 0; i < 500; i++) {
        const header = { ...controlFrame(peerFrameTypes.request, nextId++), patienceMs: 60_000 };
        socket.write(encodePeerFrame(header, []));
      }
    }, 5);
    let nextId = 1;
    try {
      await Promise.race([
        ended,
        delay(20_000, undefined, { ref: false }).then(() => assert.fail('it is still served')),
      ]);
    } finally {
      clearInterval(asking);
      socket.destroy();
    }
    const grownMib = (process.memoryUsage.rss() - rssBefore) / mib;
    assert.ok(grownMib < 300, `${grownMib.toFixed(0)} MiB more`);
  }

  test('of a peer that reads nothing are ended before its answers fill memory', () =>
    flood(async (_from, { kind }) => ({ kind, body: new Uint8Array(4_096) })));

  test('of a peer that reads nothing are ended before refusals of its requests do', () =>
    flood(() => new Promise(() => undefined)));
});
