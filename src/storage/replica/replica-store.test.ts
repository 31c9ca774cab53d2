// What the replica store adds to its actors: refusals as the contract tells them, drops done together, positions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimClock } from '../../../sim/clock.ts';
import { hasCode, TimbalaError } from '../../base/index.ts';
import type { SamplesForPeer } from '../contracts.ts';
import type { Extent } from './pair-reader.ts';
import { type ReplicaKeeper, type ReplicaLane, type ReplicaReader, ReplicaStore } from './replica-store.ts';

const extent: Extent = {
  partitions: Uint32Array.of(1),
  startMs: Number.NEGATIVE_INFINITY,
  endMs: Number.POSITIVE_INFINITY,
  range: { first: 0, last: 0xffff_ffff },
};
const payload: SamplesForPeer = {
  dictionary: 1,
  samplesCount: 1,
  seriesRefs: Uint32Array.of(0),
  fingerprintSum: 0n,
  bytes: Uint8Array.of(1),
};

function storeOf(actors: { readonly lane?: Partial<ReplicaLane>; readonly reader?: Partial<ReplicaReader> }) {
  const clock = new SimClock(0);
  const store = new ReplicaStore({
    id: 's1',
    clock,
    lane: (actors.lane ?? {}) as ReplicaLane,
    keeper: { attach: () => undefined } as Partial<ReplicaKeeper> as ReplicaKeeper,
    reader: (actors.reader ?? {}) as ReplicaReader,
    isBusy: () => false,
  });
  return { clock, store };
}

/** A reader that gives two payloads and then fails. */
function failing(code: string) {
  const seen = { closedCount: 0 };
  const reader = {
    async *scan(): AsyncGenerator<SamplesForPeer, void, undefined> {
      try {
        yield payload;
        yield payload;
        throw new TimbalaError(code, 'of the lane');
      } finally {
        seen.closedCount++;
      }
    },
  };
  return { seen, reader };
}

test('a lane that is too busy to encode a payload is a store that is busy: the owner is not to blame', async () => {
  for (const [code, told] of [
    ['LANE_BUSY', 'STORE_BUSY'],
    ['STORAGE_REPLAYING', 'STORE_BUSY'],
    ['PART_CORRUPT', 'PART_CORRUPT'],
  ] as const) {
    const { seen, reader } = failing(code);
    let count = 0;
    const scan = async (): Promise<void> => {
      for await (const each of storeOf({ reader }).store.scan(extent)) count += each.samplesCount;
    };
    await assert.rejects(scan(), (error) => hasCode(error, told));
    assert.deepEqual([count, seen.closedCount], [2, 1]);
  }
});

test('a scan that nobody wants to the end is closed', async () => {
  const { seen, reader } = failing('LANE_BUSY');
  for await (const each of storeOf({ reader }).store.scan(extent)) {
    assert.equal(each, payload);
    break;
  }
  assert.equal(seen.closedCount, 1);
});

test('drops that are asked for within a moment are one, and fail together', async () => {
  const dropped: number[][] = [];
  let isFull = false;
  const lane = {
    dropPartitions: async (partitions: Uint16Array): Promise<void> => {
      if (isFull) throw new TimbalaError('DISK_FULL', 'no space left');
      dropped.push([...partitions]);
    },
  };
  const { clock, store } = storeOf({ lane });
  const both = Promise.all([store.dropPartition(9), store.dropPartition(3)]);
  assert.deepEqual(dropped, []);
  await clock.runUntil(both);
  assert.deepEqual(dropped, [[3, 9]]);
  isFull = true;
  const failed = Promise.allSettled([store.dropPartition(4), store.dropPartition(5)]);
  const outcomes = await clock.runUntil(failed);
  assert.ok(outcomes.every((outcome) => outcome.status === 'rejected' && hasCode(outcome.reason, 'STORE_FULL')));
  isFull = false;
  await clock.runUntil(store.dropPartition(4));
  assert.deepEqual(dropped, [[3, 9], [4]]);
});

test('a position never goes back, whichever append is answered first', async () => {
  const waiting: ((position: number) => void)[] = [];
  const lane = {
    appendReceived: () =>
      new Promise<{ pairs: Float64Array<ArrayBuffer>; position: number }>((resolve) =>
        waiting.push((position) => resolve({ pairs: new Float64Array(0), position })),
      ),
  };
  const { store } = storeOf({ lane });
  const samples = { ...payload, ownRefs: Uint32Array.of(0) };
  const [first, second] = [store.append(samples, 'copied'), store.append(samples, 'written')];
  waiting[1]?.(8);
  await second;
  assert.equal(store.position, 8);
  waiting[0]?.(7);
  await first;
  assert.equal(store.position, 8);
});
