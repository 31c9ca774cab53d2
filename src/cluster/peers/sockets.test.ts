// Peer connections on real sockets and the real clock: what the simulated network can't show.
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { hasCode, mib } from '../../base/index.ts';
import { NodeNetwork, SystemClock, SystemRandom } from '../../node/index.ts';
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
});
