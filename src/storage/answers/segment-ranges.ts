// Which times of which partitions a read takes from one node, looked up by partition.
import type { SampleBuffer } from '../../model/index.ts';
import type { TimeInterval } from '../part/index.ts';
import { holdsPartition } from '../reader/partition-index.ts';

/** Partitions (a bit each, little-endian) that are read within a closed range. */
export interface ReadSegment {
  readonly fromMs: number;
  readonly toMs: number;
  readonly partitions: Uint8Array;
}

export class SegmentRanges {
  readonly #segments: readonly ReadSegment[];
  readonly #known = new Map<number, readonly TimeInterval[]>();

  constructor(segments: readonly ReadSegment[]) {
    this.#segments = [...segments].sort((a, b) => a.fromMs - b.fromMs);
  }

  /** The least range that holds all; one without any time where there is nothing. */
  get extent(): TimeInterval {
    return {
      startMs: this.#segments[0]?.fromMs ?? 0,
      endMs: this.#segments.reduce((endMs, { toMs }) => Math.max(endMs, toMs), -1),
    };
  }

  /** Ascending; those that touch are joined. */
  of(partition: number): readonly TimeInterval[] {
    let ranges = this.#known.get(partition);
    if (!ranges) this.#known.set(partition, (ranges = this.#join(partition)));
    return ranges;
  }

  #join(partition: number): TimeInterval[] {
    const joined: { startMs: number; endMs: number }[] = [];
    for (const { fromMs, toMs, partitions } of this.#segments) {
      if (!holdsPartition(partitions, partition)) continue;
      const last = joined.at(-1);
      if (last && fromMs <= last.endMs + 1) last.endMs = Math.max(last.endMs, toMs);
      else joined.push({ startMs: fromMs, endMs: toMs });
    }
    return joined;
  }
}

/** Keeps the samples that lie in one of the ranges, in place. */
export function keepRanges(samples: SampleBuffer, ranges: readonly TimeInterval[]): void {
  const { timestampsMs, values, count } = samples;
  const [first] = ranges;
  if (count === 0) return;
  if (first && first.startMs <= (timestampsMs[0] as number) && (timestampsMs[count - 1] as number) <= first.endMs)
    return;
  let kept = 0;
  for (const { startMs, endMs } of ranges) {
    const from = firstAtLeast(timestampsMs, startMs, count);
    const to = firstAtLeast(timestampsMs, endMs + 1, count);
    // copyWithin keeps the bits, an assignment through a number might not.
    timestampsMs.copyWithin(kept, from, to);
    values.copyWithin(kept, from, to);
    kept += to - from;
  }
  if (kept === count) return;
  samples.count = kept;
  samples.timestampsKey = undefined;
}

function firstAtLeast(timestampsMs: Float64Array, timeMs: number, count: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((timestampsMs[middle] as number) < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
