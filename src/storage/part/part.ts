// Reads a part. Opening reads the footer and the pinned fences only; everything else comes through the shared block cache.
import { TimbalaError } from '../../base/index.ts';
import type { Labels, Matcher, SampleBuffer } from '../../model/index.ts';
import type { Disk } from '../../ports/index.ts';
import type { PagesKernel } from '../../wasm/index.ts';
import type { PartCaches } from './caches.ts';
import type { PartitionDigest, PartMeta } from './types.ts';

const pending = (): never => {
  throw new TimbalaError('NOT_IMPLEMENTED', 'parts');
};

/**
 * Opens the part in `directory`. Throws PART_CORRUPT, naming the file and offset, and DISK_NOT_FOUND. All calls are
 * synchronous and belong to one thread; files are opened when needed and closed by `caches` when too many are open.
 */
export function openPart(_disk: Disk, _directory: string, _kernel: PagesKernel, _caches: PartCaches): Part {
  return pending();
}

/** An open, immutable part. A series' *position* is its rank in label order: 0 to seriesCount − 1. */
export interface Part {
  readonly directory: string;
  readonly meta: PartMeta;
  /** All files together. */
  readonly sizeBytes: number;

  /** Positions, ascending (so in label order), of the series that satisfy every matcher. */
  select(matchers: readonly Matcher[]): Uint32Array;
  /** The same object for repeated calls while it is cached. */
  labels(position: number): Labels;
  /** The canonical bytes of the same labels: a copy. */
  labelBytes(position: number): Uint8Array;
  /**
   * Appends the series' samples within [startMs, endMs] to `into`, whose samples must all be older. Sets or keeps
   * `mayHoldStale`; sets `timestampsKey` where all of `into` came from parts, so that equal timestamps have equal keys.
   */
  read(position: number, startMs: number, endMs: number, into: SampleBuffer): void;
  /** First and last timestamp of a series without decoding its values. */
  timeRange(position: number): { readonly minTimeMs: number; readonly maxTimeMs: number };

  /** Names of labels of the series that satisfy every matcher, sorted by UTF-8 bytes. */
  labelNames(matchers?: readonly Matcher[]): string[];
  /** Values of one label, likewise. */
  labelValues(name: string, matchers?: readonly Matcher[]): string[];
  /** Per value of a label, how many series bear it: for cardinality statistics. */
  labelValueCounts(name: string): Map<string, number>;

  /** Per partition that has samples here, ascending. */
  digests(): PartitionDigest[];
  /** Reads every byte and checks every checksum, every page and the digests; throws PART_CORRUPT. */
  verify(): void;
  /** Gives the cached blocks and the open files back. */
  close(): void;
}
