// Gossip through the worker role, its protocol and main's end of it: real sockets on this machine, in one test a real thread.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, test } from 'node:test';
import { RpcPeer } from '../base/index.ts';
import type { GossipPeer, MemberChange, MemberView, NodeMetadata } from '../cluster/index.ts';
import { NodeAesGcm, NodeNetwork, SystemClock, SystemRandom } from '../node/index.ts';
import { GossipClient, type GossipClientOptions, type GossipMember, goneShownMax } from './gossip-client.ts';
import type { GossipListener } from './gossip-protocol.ts';
import { InlineWorkers } from './inline-workers.ts';
import type { ThreadPorts } from './roles/role.ts';
import { TestLog } from './test-node.ts';

const clusterId = 'c'.repeat(32);
const metadataOf = (fields: Partial<NodeMetadata> = {}): NodeMetadata => ({
  clusterId,
  recordHash: '',
  peerAddress: '127.0.0.1:1',
  formats: { frame: 1 },
  ...fields,
});

interface TestGossip {
  readonly client: GossipClient;
  readonly address: GossipPeer;
  readonly log: TestLog;
  readonly changes: string[];
  /** Resolves with the member when this is heard. */
  heard(change: MemberChange, name: string): Promise<GossipMember>;
}

const portsOf = (log: TestLog): ThreadPorts => ({
  clock: new SystemClock(),
  log,
  random: new SystemRandom(),
  network: new NodeNetwork(),
  cipher: new NodeAesGcm(),
  openDisk: () => assert.fail('gossip has no disk'),
  lowerThreadPriority: () => {},
});
const nowhere = { host: '127.0.0.1', port: 0 };

const running: GossipClient[] = [];
afterEach(() => Promise.all(running.splice(0).map((client) => client.close())));

async function start(name: string, options: Partial<GossipClientOptions> = {}): Promise<TestGossip> {
  const clock = new SystemClock();
  const log = new TestLog();
  const workers = new InlineWorkers(portsOf(log));
  const changes: string[] = [];
  const heard: { readonly change: string; readonly member: GossipMember }[] = [];
  const waiters = new Set<() => void>();
  const client = await GossipClient.start(
    { workers, clock, log },
    {
      logLevel: 'info',
      name,
      bind: { host: '127.0.0.1', port: 0 },
      advertise: { host: '127.0.0.1', port: 0 },
      peers: [],
      keys: [],
      metadata: metadataOf(),
      ...options,
    },
    (change, member) => {
      changes.push(`${change} ${member.name}`);
      heard.push({ change, member });
      for (const check of waiters) check();
    },
  );
  running.push(client);
  return {
    client,
    address: client.address,
    log,
    changes,
    heard: (change, of) =>
      new Promise((resolve) => {
        const check = (): void => {
          const found = heard.find((each) => each.change === change && each.member.name === of);
          if (!found) return;
          waiters.delete(check);
          resolve(found.member);
        };
        waiters.add(check);
        check();
      }),
  };
}

test('members hear of each other, of what they say of themselves, and of a leave', async () => {
  const a = await start('a');
  const b = await start('b', { peers: [a.address], metadata: metadataOf({ peerAddress: '127.0.0.1:4711' }) });
  const seen = await a.heard('joined', 'b');
  assert.equal(seen.metadata?.peerAddress, '127.0.0.1:4711');
  assert.equal(seen.isAlive, true);
  assert.equal((await b.heard('joined', 'a')).address, `127.0.0.1:${a.address.port}`);
  assert.equal(a.client.isAlive('b'), true);
  assert.equal(a.client.isAlive('c'), undefined);
  const recordHash = 'd'.repeat(32);
  b.client.setMetadata(metadataOf({ recordHash }));
  assert.equal((await a.heard('updated', 'b')).metadata?.recordHash, recordHash);
  await b.client.leave(2_000);
  await a.heard('left', 'b');
  assert.equal(a.client.isAlive('b'), false);
  const { counters, members } = await a.client.status();
  assert.ok(counters.packetsReceived > 0);
  assert.equal(members.left, 1);
});

test('without seeds, members are found where the record says that they are', async () => {
  const a = await start('a');
  const b = await start('b');
  b.client.remember([{ host: 'localhost', port: a.address.port }]);
  await Promise.all([a.heard('joined', 'b'), b.heard('joined', 'a')]);
});

test('a member of another cluster is not alive, and is warned of', async () => {
  const a = await start('a');
  const b = await start('b', { peers: [a.address], metadata: metadataOf({ clusterId: 'e'.repeat(32) }) });
  const stranger = await a.heard('joined', 'b');
  assert.deepEqual([stranger.isForeign, stranger.isAlive, a.client.isAlive('b')], [true, false, false]);
  assert.ok(a.log.lines.some(({ event }) => event === 'member-of-other-cluster'));
  // It yields, and is one of ours.
  b.client.setMetadata(metadataOf());
  assert.equal((await a.heard('updated', 'b')).isAlive, true);
});

test('with keys, only who has one of them is heard; new ones take the place of old without a pause', async () => {
  const [old, other, later] = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill));
  assert.ok(old && other && later);
  const a = await start('a', { keys: [old] });
  await start('plain', { peers: [a.address] });
  await start('other', { peers: [a.address], keys: [other] });
  const b = await start('b', { peers: [a.address], keys: [old] });
  await Promise.all([a.heard('joined', 'b'), b.heard('joined', 'a')]);
  for (const keys of [[old, later], [later, old], [later]]) {
    await a.client.setKeys(keys);
    await b.client.setKeys(keys);
  }
  b.client.setMetadata(metadataOf({ recordHash: 'd'.repeat(32) }));
  await a.heard('updated', 'b');
  await assert.rejects(a.client.setKeys([]), /GOSSIP_KEY/);
  await assert.rejects(a.client.setKeys([new Uint8Array(5)]), /GOSSIP_KEY/);
  assert.deepEqual(
    a.client.members().map(({ name }) => name),
    ['b'],
  );
});

test('of those that are gone so many are kept, the last ones, whatever is said of whom', async () => {
  const workers = new InlineWorkers(portsOf(new TestLog()));
  const [near, far] = workers.createChannel();
  const main = new RpcPeer<GossipListener>(far, {
    started: async () => ({ host: '', port: 0 }),
    close: () => undefined,
  });
  const handle = { channel: near, ended: new Promise<unknown>(() => undefined), terminate: async () => undefined };
  const stub = { spawn: () => handle, createChannel: () => workers.createChannel() };
  const options = { name: 'a', bind: nowhere, advertise: nowhere, peers: [], keys: [], metadata: metadataOf() };
  const heard = Promise.withResolvers<void>();
  const client = await GossipClient.start(
    { workers: stub, clock: new SystemClock(), log: new TestLog() },
    { ...options, logLevel: 'info' },
    (_change, { name }) => name === 'last' && heard.resolve(),
  );
  const say = (name: string, state: MemberView['state']): void =>
    main.notify('memberChanged', {
      change: state === 'alive' ? 'joined' : 'died',
      member: { name, state, address: nowhere, metadata: new Uint8Array(), incarnation: 1 },
    });
  for (let i = 0; i < 20_000; i++) {
    say(`forged-${i}`, 'alive');
    say(`forged-${i}`, 'dead');
  }
  say('last', 'alive');
  await heard.promise;
  assert.equal(client.members().length, goneShownMax + 1);
  assert.equal(client.isAlive('forged-19999'), false);
  assert.equal(client.isAlive('forged-0'), undefined);
  await client.close();
});

test('a port that is taken is a typed error', async () => {
  const a = await start('a');
  await assert.rejects(start('b', { bind: a.address }), /NETWORK_BIND_FAILED/);
});

test('a node whose main thread is busy for long is not taken for dead', async () => {
  const observer = await start('observer');
  const busy = fork(new URL('test-gossip-process.ts', import.meta.url), ['busy', `${observer.address.port}`], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  try {
    await once(busy, 'message');
    await observer.heard('joined', 'busy');
    // With nobody to confirm it, a suspicion of a second ago makes dead after four.
    busy.send(8_000);
    await once(busy, 'message');
    assert.equal(observer.client.isAlive('busy'), true);
    assert.ok(!observer.changes.includes('died busy'), observer.changes.join(', '));
  } finally {
    busy.kill('SIGKILL');
  }
});
