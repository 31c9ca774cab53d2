import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mib } from '../../base/index.ts';
import type { ReplicaLane, SampleOrigin, SamplesFromPeer } from '../../storage/index.ts';
import { peerAppendBytesMax } from '../limits.ts';
import { LaneGate } from './lane-gate.ts';

type AppendedPairs = Awaited<ReturnType<ReplicaLane['appendReceived']>>;

const appended: AppendedPairs = { pairs: Float64Array.of(1), position: 1 };

/** A lane that appends when it is told to. */
function gated() {
  const waiting: (() => void)[] = [];
  const lane = {
    appendReceived: () => new Promise<AppendedPairs>((resolve) => waiting.push(() => resolve(appended))),
  } as Partial<ReplicaLane> as ReplicaLane;
  const gate = new LaneGate(lane);
  const append = (bytesCount: number, origin: SampleOrigin): Promise<AppendedPairs> =>
    gate.lane.appendReceived({ bytes: new Uint8Array(bytesCount) } as SamplesFromPeer, origin);
  return { gate, append, finish: () => waiting.shift()?.() };
}

test('what waits for the disk on behalf of peers is bounded, and room comes back', async () => {
  const { gate, append, finish } = gated();
  const first = append(peerAppendBytesMax - mib, 'written');
  await assert.rejects(append(2 * mib, 'written'), /LANE_BUSY/);
  assert.deepEqual([gate.waitingBytes, gate.refusedCount], [peerAppendBytesMax - mib, 1]);
  finish();
  await first;
  assert.equal(gate.waitingBytes, 0);
  const next = append(2 * mib, 'written');
  finish();
  await next;
});

test('copies give way to what clients write: they may fill half', async () => {
  const { gate, append, finish } = gated();
  const first = append(peerAppendBytesMax / 2, 'written');
  assert.equal(gate.isOverHalf, false);
  await assert.rejects(append(1, 'copied'), /LANE_BUSY/);
  const second = append(1, 'written');
  assert.equal(gate.isOverHalf, true);
  finish();
  finish();
  await Promise.all([first, second]);
});

test('a payload larger than the bound gets its chance when nothing waits', async () => {
  const { append, finish } = gated();
  const large = append(peerAppendBytesMax + 1, 'copied');
  await assert.rejects(append(1, 'written'), /LANE_BUSY/);
  finish();
  assert.equal(await large, appended);
});
