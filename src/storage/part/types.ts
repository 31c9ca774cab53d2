// What parts take and give: the series a writer is fed, what a part says of itself, and its digests. The directory that
// they describe is docs/formats/part.md.
import type { Labels, SampleBuffer } from '../../model/index.ts';

/** One series on its way into a part. The producer owns everything in it; it is valid until the next call of `next`. */
export interface PartSeries {
  /** Canonical label bytes (docs/formats/labels.md). */
  readonly labelBytes: Uint8Array;
  /** 16 bytes: the series' fingerprint (docs/formats/labels.md). */
  readonly fingerprint: Uint8Array;
  /** In time order, one per timestamp, at least one, all within the part's window. */
  readonly samples: SampleBuffer;
}

/** A pull iterator of series in label order (`Labels.compare`), no label set twice. */
export interface SeriesSource {
  next(): PartSeries | undefined;
}

/** What the caller decides about a new part. */
export interface PartOptions {
  /** The window, half-open, ms, aligned to UTC (storage/windows.ts). */
  readonly startMs: number;
  readonly endMs: number;
  /** Compaction level: 0 for what was flushed, rising with each merge. Only passed through. */
  readonly level: number;
  /** The last tombstone that was applied to the part's samples. Only passed through. */
  readonly tombstoneSeq: number;
  /** The generation that was flushed into the part; absent for merged ones. Only passed through. */
  readonly generation?: number;
  /**
   * 16 random bytes, never stored: the key of the hash that finds equal pages of values. Nobody who sends samples may know
   * it, since pages with equal hashes are taken to be equal.
   */
  readonly contentHashKey: Uint8Array;
  /** zstd's level for pages and index; 1 is quick, 3 the default, 6 to 9 suits large parts that are seldom rewritten. */
  readonly compressionLevel?: number;
}

/** What a part says of itself (meta.json). */
export interface PartMeta {
  /** Version of the directory's format. */
  readonly format: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly level: number;
  readonly tombstoneSeq: number;
  readonly generation?: number;
  readonly seriesCount: number;
  readonly samplesCount: number;
  /** Of the samples in it; inclusive. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  /** Sizes of the files, and what they are made of. */
  readonly pagesBytes: number;
  readonly indexBytes: number;
  /** The share of `pagesBytes` that holds timestamps. */
  readonly timestampsBytes: number;
}

/** What a finished writer answers; the directory is complete and synced, but still bears the name it was written under. */
export interface PartSummary {
  readonly meta: PartMeta;
  /** All files together. */
  readonly sizeBytes: number;
}

/** Count and 128-bit sum of the sample hashes of one partition (docs/formats/digests.md), sums modulo 2¹²⁸. */
export interface PartitionDigest {
  readonly partition: number;
  readonly count: number;
  readonly sum: bigint;
}

/** An interval of time, inclusive on both sides, ms. */
export interface TimeInterval {
  readonly startMs: number;
  readonly endMs: number;
}

/** What a merge does besides uniting its inputs. */
export interface MergeOptions {
  /** Samples before this are dropped (retention). */
  readonly horizonMs?: number;
  /** Intervals of a series that are deleted (tombstones), in any order. Called once a series. */
  readonly deletedIntervals?: (labels: () => Labels, fingerprint: Uint8Array) => readonly TimeInterval[];
  /** What an input that applied tombstones up to `tombstoneSeq` no longer shows of a series: all or nothing (drops). */
  readonly isDropped?: (fingerprint: Uint8Array, tombstoneSeq: number) => boolean;
}
