// The replica store over real threads and a real disk: what crosses between them arrives whole and in order, and whenever the
// threads end, log and saved marks imply every mark of what was acknowledged.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { hourMs, RpcPeer } from '../../src/base/index.ts';
import { SystemClock, ThreadWorkers } from '../../src/node/index.ts';
import { openReplicaStore } from '../../src/server/cluster/store.ts';
import type { CompactorHandlers, LaneHandlers } from '../../src/server/lane-protocol.ts';
import type { StorageStart } from '../../src/server/roles/index.ts';
import type { ReplicaStore } from '../../src/storage/index.ts';
import { body, modules } from '../crash/world.ts';

const workers = new ThreadWorkers(new URL('../../src/cli/worker.ts', import.meta.url));
const clock = new SystemClock();
const nowMs = Date.now();

interface Node {
  readonly store: ReplicaStore;
  readonly lane: RpcPeer<LaneHandlers>;
  kill(): Promise<void>;
}

async function open(dataDirectory: string): Promise<Node> {
  const start: StorageStart = { dataDirectory, retention: { timeMs: 365 * 24 * hourMs }, modules, logLevel: 'error' };
  const [laneToKeeper, keeperToLane] = workers.createChannel();
  const [replicaLane, laneToReplica] = workers.createChannel();
  const [replicaKeeper, keeperToReplica] = workers.createChannel();
  const keeperWorker = workers.spawn('compactor', start, { lane: keeperToLane, replica: keeperToReplica });
  const laneWorker = workers.spawn('lane', start, { keeper: laneToKeeper, replica: laneToReplica });
  const lane = new RpcPeer<LaneHandlers>(laneWorker.channel);
  const compactor = new RpcPeer<CompactorHandlers>(keeperWorker.channel);
  const hasClientsWaiting = (): boolean => false;
  const actors = { lane, compactor, replicaLane, replicaKeeper, hasClientsWaiting };
  const opened = await openReplicaStore(actors, start, workers, clock);
  const kill = async (): Promise<void> => {
    await Promise.all([laneWorker, keeperWorker, opened.reader].map((worker) => worker.terminate()));
  };
  return { store: opened.store, lane, kill };
}

test(
  'marks are saved before the log that implies them goes, whenever the threads end',
  { timeout: 60_000 },
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'timbala-threads-'));
    const acknowledged = new Set<number>();
    let samplesCount = 0;
    try {
      for (let life = 0; life < 3; life++) {
        const node = await open(directory);
        const { store } = node;
        const marks = new Set(await store.ready());
        const saved = await store.loadState('marks');
        for (const pair of new Float64Array(saved?.slice().buffer ?? new ArrayBuffer(0))) marks.add(pair);
        for (const pair of acknowledged) assert.ok(marks.has(pair), `life ${life}: pair ${pair} is marked no more`);
        store.onLogCut = () => new Uint8Array(Float64Array.from(marks).buffer);
        const held = await store.heldPartitions();
        const totals = await store.digestsOf(held, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
        const found = totals.reduce((sum, total) => sum + total.samplesCount, 0);
        assert.ok(found >= samplesCount, `${found} of ${samplesCount} samples`);
        const write = async (round: number): Promise<void> => {
          const samples = Array.from({ length: 20 }, (_, i) => ({
            series: 20 * round + i,
            timestampMs: nowMs - (life * 100 + (round % 7)) * 60_000,
            bits: BigInt(round),
          }));
          const decoded = await store.decode(body(samples));
          const all = new Set(decoded.partitions);
          const payload = await decoded.payloadFor(all);
          assert.equal(payload.seriesRefs.length, 20);
          assert.ok(payload.bytes.length > 40);
          for (const pair of await decoded.append(all)) {
            marks.add(pair);
            acknowledged.add(pair);
          }
          samplesCount += decoded.samplesCount;
          decoded.release();
        };
        const position = store.position;
        for (let round = 0; round < 36; round += 6) {
          const flushed = node.lane.call('flush', undefined);
          await Promise.all(Array.from({ length: 6 }, (_, i) => write(round + i)));
          // The last life ends in the middle of a flush.
          if (round < 30) await flushed;
          else flushed.catch(() => undefined);
          await setImmediate();
        }
        assert.ok(store.position > position && store.recoveredPosition <= position);
        await node.kill();
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

test('what a peer sent goes to the lane and comes back, to be appended again; where it fails it is gone', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'timbala-threads-'));
  try {
    const { store, kill } = await open(directory);
    await store.ready();
    const decoded = await store.decode(body([{ series: 3, timestampMs: nowMs, bits: 7n }]));
    const { samplesCount, dictionary, seriesRefs, fingerprintSum, bytes } = await decoded.payloadFor(
      new Set(decoded.partitions),
    );
    decoded.release();
    const registered = await store.register(await store.definitionsOf(dictionary, seriesRefs));
    // The sender's references are this store's own.
    const ownRefs = new Uint32Array(new SharedArrayBuffer(4 * (Math.max(...registered.senderRefs) + 1)));
    for (const [at, ref] of registered.senderRefs.entries()) ownRefs[ref] = registered.ownRefs[at] ?? 0;
    // As it comes: in the middle of its message.
    const message = new Uint8Array(bytes.length + 9);
    message.set(bytes, 5);
    const samples = {
      samplesCount,
      dictionary: registered.dictionary,
      ownRefs,
      fingerprintSum,
      bytes: message.subarray(5, 5 + bytes.length),
    };
    for (let times = 0; times < 3; times++) {
      const appending = store.append(samples, 'written');
      assert.equal(message.length, 0, 'it is not copied');
      assert.equal((await appending).length, 1);
      assert.deepEqual(samples.bytes, bytes);
    }
    const damaged = { ...samples, samplesCount: samplesCount + 1 };
    await assert.rejects(store.append(damaged, 'written'), /PEER_PAYLOAD/);
    assert.equal(damaged.bytes.length, 0);
    await kill();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
