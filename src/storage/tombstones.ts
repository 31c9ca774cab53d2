// Tombstones as they are looked up: which intervals of a series are deleted. A tombstone masks its range whenever a sample
// of it arrives, so deletes and unions commute: every place that reads samples out (queries, flush, compaction) masks, and
// writes into a deleted range are refused.
import type { SampleBuffer } from '../model/index.ts';
import type { Tombstone } from './manifest/manifest-edit.ts';
import type { TimeInterval } from './part/index.ts';

const none: readonly TimeInterval[] = [];

export class TombstoneIndex {
  /** By fingerprint, as a string of its bytes. */
  readonly #intervals = new Map<string, TimeInterval[]>();
  readonly newestSeq: number;

  /** Only tombstones after `afterSeq`: those before have been applied to what is to be masked. */
  constructor(tombstones: Iterable<Tombstone>, afterSeq = 0) {
    let newestSeq = afterSeq;
    for (const { seq, startMs, endMs, fingerprints } of tombstones) {
      if (seq <= afterSeq) continue;
      newestSeq = Math.max(newestSeq, seq);
      for (let at = 0; at < fingerprints.length; at += 16) {
        const key = fingerprintKey(fingerprints.subarray(at, at + 16));
        const intervals = this.#intervals.get(key);
        if (intervals) intervals.push({ startMs, endMs });
        else this.#intervals.set(key, [{ startMs, endMs }]);
      }
    }
    this.newestSeq = newestSeq;
  }

  get isEmpty(): boolean {
    return this.#intervals.size === 0;
  }

  intervals(fingerprint: Uint8Array): readonly TimeInterval[] {
    return this.isEmpty ? none : (this.#intervals.get(fingerprintKey(fingerprint)) ?? none);
  }
}

function fingerprintKey(fingerprint: Uint8Array): string {
  return String.fromCharCode(...fingerprint);
}

export function isDeleted(timestampMs: number, intervals: readonly TimeInterval[]): boolean {
  return intervals.some(({ startMs, endMs }) => startMs <= timestampMs && timestampMs <= endMs);
}

/** Removes the deleted samples at or after index `from`, in place. */
export function maskSamples(samples: SampleBuffer, from: number, intervals: readonly TimeInterval[]): void {
  if (intervals.length === 0) return;
  const { timestampsMs, values, count } = samples;
  let kept = from;
  for (let i = from; i < count; i++) {
    if (isDeleted(timestampsMs[i] as number, intervals)) continue;
    if (kept !== i) {
      // copyWithin keeps the bits, an assignment through a number might not.
      timestampsMs.copyWithin(kept, i, i + 1);
      values.copyWithin(kept, i, i + 1);
    }
    kept++;
  }
  if (kept === count) return;
  samples.count = kept;
  samples.timestampsKey = undefined;
}
