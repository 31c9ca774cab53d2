// Three whole nodes in one process, with nothing simulated: real storage on disk, peer connections on sockets, the real clock.
// The promises are the simulator's to prove; this shows that the real parts fit together.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, kib, mib, secondMs, yearMs } from '../../src/base/index.ts';
import {
  allOf,
  ClusterNode,
  partitionsCount,
  PeerConnections,
  type Place,
  Placement,
  windowMs,
} from '../../src/cluster/index.ts';
import { Matcher, SampleBuffer } from '../../src/model/index.ts';
import { NodeDisk, NodeNetwork, SystemClock, SystemRandom } from '../../src/node/index.ts';
import type { Log } from '../../src/ports/index.ts';
import { AnswerUnion, encodeWanted, openReplicaStorage } from '../../src/storage/index.ts';
import { loadTestModule } from '../../src/wasm/test-modules.ts';
import { encodeWriteRequest, wrapSnappy } from '../../src/wire/index.ts';

const seriesCount = 60;
const names = ['a', 'b', 'c'];
const intervalMs = 1_000;
// In a window that has ended, so that its replicas are compared.
const startMs = Math.floor(Date.now() / windowMs) * windowMs - 1.5 * windowMs;
const root = mkdtempSync(join(tmpdir(), 'timbala-cluster-'));
const clock = new SystemClock();
const random = new SystemRandom();
const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => log };
const modules = { wire: loadTestModule('wire'), head: loadTestModule('head'), pages: loadTestModule('pages') };
const limits = {
  headBytesMax: 16 * mib,
  wire: { bodyBytesMax: 64 * kib, decompressedBytesMax: 64 * kib, cacheBytesMax: 64 * kib },
};
const timing = {
  lateWritePauseMs: 0,
  recordIntervalMs: 100,
  repairIntervalMs: 20,
  repairBackoffMs: 200,
  standInAfterMs: 300,
};

async function start(name: string, port: number, peers: readonly string[]) {
  const directory = join(root, name);
  const disk = new NodeDisk(directory);
  const { storage, store } = await openReplicaStorage({
    disk,
    clock,
    random,
    log,
    modules,
    limits,
    retention: { timeMs: yearMs },
  });
  const identity = {
    clusterId: '0'.repeat(32),
    node: name,
    store: store.id,
    recordHash: '0'.repeat(32),
    formats: new Map([['samples', 1]]),
  };
  const links = await PeerConnections.start(
    { clock, network: new NodeNetwork(), random, log },
    { bind: { host: '127.0.0.1', port }, store, identity: () => identity },
  );
  const place: Place = (members, previous) =>
    previous instanceof Placement ? previous.change(members) : Placement.build(members);
  const address = `127.0.0.1:${port}`;
  const options = { name, address, zone: '', weight: 1_000, peers, partitionsCount, place, timing };
  const found = async (): Promise<ClusterNode> => {
    // What the node holds is known only then.
    await store.ready();
    for (;;) {
      try {
        return await ClusterNode.start(options, { store, links, clock, random, log });
      } catch (error) {
        if (!hasCode(error, 'CLUSTER_NOT_FOUND')) throw error;
        await sleep(50);
      }
    }
  };
  return {
    name,
    address,
    links,
    store,
    found,
    stop: async (node: ClusterNode): Promise<void> => {
      node.stop();
      links.close();
      await storage.close();
    },
  };
}

async function until(condition: () => boolean, what: () => string): Promise<void> {
  const endMs = clock.monotonicMs() + 20 * secondMs;
  while (!condition()) {
    assert.ok(clock.monotonicMs() < endMs, what());
    await sleep(20);
  }
}

/** One sample of each series. */
function bodyAt(step: number): Uint8Array {
  const series = Array.from({ length: seriesCount }, (_, i) => ({
    labels: ['__name__', 'sample', 'series', `${i}`],
    timestampsMs: [startMs + step * intervalMs],
    values: Float64Array.of(step * 1_000 + i),
  }));
  return wrapSnappy(encodeWriteRequest(series));
}

async function write(node: ClusterNode, step: number): Promise<void> {
  const decoded = await node.state.store.decode(bodyAt(step));
  try {
    await node.write(decoded);
  } finally {
    decoded.release();
  }
}

/** How many samples of these steps a query at the node sees; all of them must be right, and nothing may be missing. */
async function samplesSeen(node: ClusterNode, stepsCount: number): Promise<number> {
  const fromMs = startMs;
  const toMs = startMs + stepsCount * intervalMs;
  const matchers = [new Matcher('__name__', '=', 'sample')];
  const wanted = encodeWanted({ kind: 'samples', requests: [{ matchers, startMs: fromMs, endMs: toMs }] });
  const { frames, warnings } = await node.read({ fromMs, toMs, wanted });
  assert.deepEqual(warnings, []);
  let count = 0;
  const union = new AnswerUnion(1);
  for (const { from, isShared, frame } of frames) union.add(`${from} ${isShared}`, frame);
  for (const series of union.series(0, [])) {
    const buffer = new SampleBuffer();
    series.read(buffer);
    const index = Number(series.labels.get('series'));
    for (let i = 0; i < buffer.count; i++) {
      const step = ((buffer.timestampsMs[i] ?? 0) - startMs) / intervalMs;
      assert.equal(buffer.values[i], step * 1_000 + index);
    }
    count += buffer.count;
  }
  return count;
}

test('three nodes replicate, do without one, and fill it in when it comes back', async () => {
  const ports = [28_731, 28_732, 28_733];
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  const startAll = names.map((name, i) => start(name, ports[i] ?? 0, addresses));
  const machines = new Map((await Promise.all(startAll)).map((machine) => [machine.name, machine]));
  const keepAlive = setInterval(() => undefined, 100); // the clock's timers do not keep a process alive
  after(() => {
    clearInterval(keepAlive);
    for (const { links } of machines.values()) links.close();
    rmSync(root, { recursive: true });
  });
  const nodes = new Map(
    await Promise.all([...machines.values()].map(async ({ name, found }) => [name, await found()] as const)),
  );
  const nodeOf = (name: string): ClusterNode => {
    const node = nodes.get(name);
    assert.ok(node);
    return node;
  };
  const actives = (): number[] => [...nodes.values()].map(({ state }) => state.record.actives.length);
  await until(
    () => actives().every((count) => count === 3),
    () => `active members: ${actives().join()}`,
  );

  for (let step = 0; step < 12; step++) await write(nodeOf(names[step % 3] ?? ''), step);
  for (const node of nodes.values()) assert.equal(await samplesSeen(node, 12), 12 * seriesCount);

  await machines.get('c')?.stop(nodeOf('c'));
  for (let step = 12; step < 20; step++) await write(nodeOf(names[step % 2] ?? ''), step);
  for (const name of ['a', 'b']) assert.equal(await samplesSeen(nodeOf(name), 20), 20 * seriesCount);

  machines.set('c', await start('c', 28_733, addresses));
  nodes.set('c', (await machines.get('c')?.found()) ?? assert.fail());
  const marks = (): number[] => [...nodes.values()].map(({ state }) => state.marks.count);
  await until(
    () => marks().every((count) => count === 0),
    () => `marked pairs: ${marks().join()}`,
  );
  const held = await Promise.all(
    [...nodes.values()].map(async ({ state: { store } }) => {
      const partitions = await store.heldPartitions();
      const digests = await store.digests(allOf(partitions));
      return digests.flat().reduce((sum, { samplesCount }) => sum + samplesCount, 0);
    }),
  );
  assert.deepEqual(
    held,
    [20, 20, 20].map((steps) => steps * seriesCount),
  );
  assert.equal(await samplesSeen(nodeOf('c'), 20), 20 * seriesCount);
  for (const { name, stop } of machines.values()) await stop(nodeOf(name));
});
