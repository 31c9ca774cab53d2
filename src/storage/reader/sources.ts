// Where one selection's samples lie: parts, frozen generations read in place, and copies of the active generation. A source
// knows the series it holds by an index of its own, and appends their samples in time order.
import type { Labels, SampleBuffer } from '../../model/index.ts';
import type { HeadFrame, HeadReader } from '../../wasm/index.ts';
import type { HeadIndex } from '../head/head-postings.ts';
import type { Part, TimeInterval } from '../part/index.ts';
import type { DeletedIntervals } from './deletions.ts';

export interface Source {
  /** Every sample of the source lies within; inclusive. */
  readonly minMs: number;
  readonly maxMs: number;
  readonly seriesCount: number;
  /** True where labels(i) rise with i. */
  readonly inLabelOrder: boolean;
  labels(index: number): Labels;
  /** 16 bytes: a copy. */
  fingerprint(index: number): Uint8Array;
  /** The canonical bytes of the labels: a copy. */
  labelBytes(index: number): Uint8Array;
  /**
   * Appends the samples within [startMs, endMs] after `into.count`. Unless `appendsAnywhere`, those already in `into` must
   * be older.
   */
  read(index: number, startMs: number, endMs: number, into: SampleBuffer): void;
  readonly appendsAnywhere: boolean;
  /** True where `read` leaves a key of the timestamps, or keeps one. */
  readonly keepsTimestampsKey: boolean;
  /** What is deleted of a series in this source. */
  deletedIntervals(index: number): readonly TimeInterval[];
}

const noIntervals: readonly TimeInterval[] = [];

export class PartSource implements Source {
  readonly minMs: number;
  readonly maxMs: number;
  readonly inLabelOrder = true;
  readonly appendsAnywhere = false;
  readonly keepsTimestampsKey = true;
  readonly #part: Part;
  readonly #positions: Uint32Array;
  readonly #deleted: DeletedIntervals;

  constructor(part: Part, positions: Uint32Array, deleted: DeletedIntervals) {
    this.#part = part;
    this.#positions = positions;
    this.#deleted = deleted;
    this.minMs = part.meta.minTimeMs;
    this.maxMs = part.meta.maxTimeMs;
  }

  get seriesCount(): number {
    return this.#positions.length;
  }

  labels(index: number): Labels {
    return this.#part.labels(this.#positions[index] as number);
  }

  fingerprint(index: number): Uint8Array {
    return this.#part.fingerprint(this.#positions[index] as number);
  }

  labelBytes(index: number): Uint8Array {
    return this.#part.labelBytes(this.#positions[index] as number);
  }

  read(index: number, startMs: number, endMs: number, into: SampleBuffer): void {
    this.#part.read(this.#positions[index] as number, startMs, endMs, into);
  }

  deletedIntervals(index: number): readonly TimeInterval[] {
    return this.#deleted ? this.#deleted(this.fingerprint(index), () => this.labels(index)) : noIntervals;
  }
}

/** What a generation's two kinds of source share. */
abstract class HeadSource implements Source {
  readonly minMs: number;
  readonly maxMs: number;
  readonly inLabelOrder = false;
  readonly appendsAnywhere = true;
  readonly keepsTimestampsKey = false;
  readonly refs: Uint32Array<ArrayBuffer>;
  protected readonly reader: HeadReader;
  readonly #index: HeadIndex;
  readonly #deleted: DeletedIntervals;

  constructor({ reader, index, refs, range, deleted }: HeadSourceOptions) {
    this.reader = reader;
    this.#index = index;
    this.refs = refs;
    this.#deleted = deleted;
    this.minMs = range.minMs;
    this.maxMs = range.maxMs;
  }

  get seriesCount(): number {
    return this.refs.length;
  }

  labels(index: number): Labels {
    return this.#index.labels(this.refs[index] as number);
  }

  fingerprint(index: number): Uint8Array {
    return this.reader.fingerprint(this.refs[index] as number);
  }

  labelBytes(index: number): Uint8Array {
    return this.reader.labelBytes(this.refs[index] as number);
  }

  deletedIntervals(index: number): readonly TimeInterval[] {
    return this.#deleted ? this.#deleted(this.fingerprint(index), () => this.labels(index)) : noIntervals;
  }

  abstract read(index: number, startMs: number, endMs: number, into: SampleBuffer): void;
}

export interface HeadSourceOptions {
  readonly reader: HeadReader;
  readonly index: HeadIndex;
  readonly refs: Uint32Array<ArrayBuffer>;
  readonly range: { readonly minMs: number; readonly maxMs: number };
  readonly deleted: DeletedIntervals;
}

export class FrozenSource extends HeadSource {
  readonly #slot: number;

  constructor(options: HeadSourceOptions, slot: number) {
    super(options);
    this.#slot = slot;
  }

  read(index: number, startMs: number, endMs: number, into: SampleBuffer): void {
    this.reader.readSeries(this.#slot, this.refs[index] as number, startMs, endMs, into);
  }
}

/** Series per frame: a copy of so many holds the lane up for about a millisecond. */
export const seriesPerFrame = 1024;

export class ActiveSource extends HeadSource {
  readonly #frames: readonly HeadFrame[];

  /** `frames`: one per `seriesPerFrame` references, in their order. */
  constructor(options: HeadSourceOptions, frames: readonly HeadFrame[]) {
    super(options);
    this.#frames = frames;
  }

  read(index: number, startMs: number, endMs: number, into: SampleBuffer): void {
    const frame = this.#frames[Math.floor(index / seriesPerFrame)] as HeadFrame;
    frame.read(index % seriesPerFrame, startMs, endMs, into);
  }
}
