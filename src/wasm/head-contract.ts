// What the bindings of the head kernel give and take, apart from the classes themselves (head.ts: the one writer of a
// head; head-reader.ts: its readers). The kernel's memory is shared: a Head lives in the lane's thread, and any thread
// that got its `memory` may attach a HeadReader. Series are known by `ref`, a dense number in order of registration,
// valid for the life of the head; label pairs likewise by `pairId`; generations by `slot` (0 to 3).

/** A row that the wire kernel does not know; and one that it rejected. Neither is appended, encoded or counted. */
export const unknownRef = 0xffffffff;
export const rejectedRef = 0xfffffffe;

/**
 * The columns of the staged batch, in kernel memory: to be filled by the caller after `stage`, or as `decodeSamples` left
 * them. Row r holds the samples [samplesEnd[r - 1] (0 for r = 0), samplesEnd[r]). Valid until the next `stage` or
 * `decodeSamples` of the same head.
 */
export interface StagedBatch {
  readonly rowsCount: number;
  readonly samplesCount: number;
  readonly refs: Uint32Array;
  readonly samplesEnd: Uint32Array;
  /** Of each row with samples, once `groupRows` has been asked. */
  readonly groups: Uint16Array;
  readonly timestampsMs: BigInt64Array;
  readonly valueBits: BigUint64Array;
}

export interface AppendOutcome {
  /** Samples stored. Those with another value at the same timestamp as one before are stored too; reading decides. */
  readonly appended: number;
  /** Samples with the same timestamp and the same bits as one stored before, where that was cheap to see. */
  readonly duplicates: number;
  /** References that this append used first in the generation, in row order: their series records are not logged yet. A copy. */
  readonly firstUsed: Uint32Array;
}

export interface GenerationStats {
  readonly state: 'free' | 'active' | 'frozen';
  /** Kernel memory of this generation. */
  readonly bytes: number;
  readonly seriesCount: number;
  /** Samples stored, duplicates that reading will drop included. */
  readonly samplesCount: number;
  /** Over all its samples; NaN where it has none. */
  readonly minMs: number;
  readonly maxMs: number;
}

export interface HeadStats {
  /** Series registered, dead ones included. */
  readonly seriesCount: number;
  readonly pairsCount: number;
  readonly symbolsCount: number;
  /** Kernel memory of the registry and of live generations. */
  readonly bytes: number;
  /** The limit of `bytes` that was given. */
  readonly bytesMax: number;
  /** Scratch of the writer and of all readers, beside `bytes`. */
  readonly scratchBytes: number;
  /** Registry (symbols, pairs, series, postings, tables): what only a new head gives back. */
  readonly registryBytes: number;
}

/** Where samples are read to; model's SampleBuffer is one. `readInto` appends after `count`, in time order. */
export interface SampleSink {
  count: number;
  timestampsMs: Float64Array<ArrayBuffer>;
  values: Float64Array<ArrayBuffer>;
  mayHoldStale: boolean;
  timestampsKey: object | undefined;
  reserve(additional: number): void;
}
