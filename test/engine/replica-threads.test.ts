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
