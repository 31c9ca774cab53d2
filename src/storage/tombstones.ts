// Tombstones as they are looked up: which intervals of a series are deleted. A tombstone masks its range whenever a sample
// of it arrives, so deletes and unions commute: every place that reads samples out (queries, flush, compaction) masks, and
// writes into a deleted range are refused. Drops of partitions are other things: they hide what a part held before them.
import type { Labels, Matcher, SampleBuffer } from '../model/index.ts';
import type { PartitionDrop, Tombstone } from './manifest/manifest-edit.ts';
import type { TimeInterval } from './part/index.ts';
import { decodeSelectors, isSelected } from './selectors.ts';

const none: readonly TimeInterval[] = [];

interface Rule extends TimeInterval {
  readonly selectors: readonly (readonly Matcher[])[];
}

export class TombstoneIndex {
  /** By fingerprint, as a string of its bytes. */
  readonly #intervals = new Map<string, TimeInterval[]>();
  readonly #rules: Rule[] = [];
  /** Nothing outside is deleted. */
  readonly minMs: number;
  readonly maxMs: number;

  /** Only tombstones after `afterSeq`: those before have been applied to what is to be masked. */
  constructor(tombstones: Iterable<Tombstone>, afterSeq = 0) {
    let minMs = Number.POSITIVE_INFINITY;
    let maxMs = Number.NEGATIVE_INFINITY;
    for (const { seq, startMs, endMs, fingerprints, rule } of tombstones) {
      if (seq <= afterSeq) continue;
      minMs = Math.min(minMs, startMs);
      maxMs = Math.max(maxMs, endMs);
      if (rule) this.#rules.push({ startMs, endMs, selectors: decodeSelectors(rule.selectors) });
      for (let at = 0; at < fingerprints.length; at += 16) {
        const key = fingerprintKey(fingerprints.subarray(at, at + 16));
        const intervals = this.#intervals.get(key);
        if (intervals) intervals.push({ startMs, endMs });
        else this.#intervals.set(key, [{ startMs, endMs }]);
      }
    }
    this.minMs = minMs;
    this.maxMs = maxMs;
  }

  get isEmpty(): boolean {
    return this.#intervals.size === 0 && this.#rules.length === 0;
  }

  /** `labels` is called where there are rules to be asked. */
  intervals(fingerprint: Uint8Array, labels: () => Labels): readonly TimeInterval[] {
    if (this.isEmpty) return none;
    const known = this.#intervals.get(fingerprintKey(fingerprint)) ?? none;
    if (this.#rules.length === 0) return known;
    const own = labels();
    const ruled = this.#rules.filter(({ selectors }) => isSelected(selectors, own));
    return ruled.length === 0 ? known : [...known, ...ruled];
  }
}

/** Whether a part that applied tombstones and drops up to `afterSeq` no longer shows a partition. */
export class DropIndex {
  /** A bit each, little-endian; undefined where there are none. */
  readonly #bitmap: Uint8Array | undefined;

  constructor(drops: Iterable<PartitionDrop>, afterSeq: number) {
    let bitmap: Uint8Array | undefined;
    for (const { seq, partitions } of drops) {
      if (seq <= afterSeq) continue;
      bitmap ??= new Uint8Array(65_536 / 8);
      for (const partition of partitions) {
        bitmap[partition >> 3] = (bitmap[partition >> 3] as number) | (1 << (partition & 7));
      }
    }
    this.#bitmap = bitmap;
  }

  get isEmpty(): boolean {
    return this.#bitmap === undefined;
  }

  has(partition: number): boolean {
    return this.#bitmap !== undefined && (((this.#bitmap[partition >> 3] as number) >> (partition & 7)) & 1) === 1;
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
