// A reader of a head, in any thread: the registry (append-only, safe to read while the writer adds to it), postings, and the
// samples of frozen generations in place. Active generations are read from frames (Head.copySeries).
import { TimbalaError } from '../base/index.ts';
import type { GenerationStats, HeadStats, SampleSink } from './head-contract.ts';

const missing = (): never => {
  throw new TimbalaError('NOT_BUILT', 'the head kernel is being built');
};

/** A set of references in kernel memory, built by set operations on postings. Held until `release`. */
export interface RefSet {
  /** Adds every series that has one of these pairs. */
  addPairs(pairIds: Uint32Array): void;
  intersect(other: RefSet): void;
  subtract(other: RefSet): void;
  /** Keeps series that have samples in any of these generations. */
  keepSlots(slots: readonly number[]): void;
  count(): number;
  /** Ascending. A copy. */
  refs(): Uint32Array<ArrayBuffer>;
  /** The distinct pairs of a label name (by its symbol text) among these series. A copy. */
  pairsOfName(name: Uint8Array): Uint32Array<ArrayBuffer>;
  release(): void;
}

export class HeadReader {
  static attach(_module: WebAssembly.Module, _memory: WebAssembly.Memory): HeadReader {
    return missing();
  }

  stats(): HeadStats {
    return missing();
  }

  generationStats(_slot: number): GenerationStats {
    return missing();
  }

  /** Canonical label bytes. A copy. */
  labelBytes(_ref: number): Uint8Array<ArrayBuffer> {
    return missing();
  }

  /** The 16 bytes. A copy. */
  fingerprint(_ref: number): Uint8Array<ArrayBuffer> {
    return missing();
  }

  /** The pair of a name and a value, or undefined where no series has it. UTF-8 bytes. */
  findPair(_name: Uint8Array, _value: Uint8Array): number | undefined {
    return missing();
  }

  /** Label names in use, as UTF-8 (copies), in no order. */
  labelNames(): Uint8Array<ArrayBuffer>[] {
    return missing();
  }

  /** All pairs of a label name, newest first; empty for an unknown name. A copy. */
  pairsOfName(_name: Uint8Array): Uint32Array<ArrayBuffer> {
    return missing();
  }

  /** The value of a pair, UTF-8. A copy. */
  pairValue(_pairId: number): Uint8Array<ArrayBuffer> {
    return missing();
  }

  /** How many series have the pair. */
  pairSeriesCount(_pairId: number): number {
    return missing();
  }

  /** Every series registered by now, or (`empty`) none. */
  refSet(_start: 'all' | 'empty'): RefSet {
    return missing();
  }

  /** The series of a frozen generation, in label order (Labels.compare): for the flush. A copy. */
  sortedRefs(_slot: number): Uint32Array<ArrayBuffer> {
    return missing();
  }

  /**
   * Appends a series' samples within [startMs, endMs] of a *frozen* generation to `into`: in time order, merged, one per
   * timestamp. Returns how many. Sets `into.mayHoldStale` where one is a stale marker, and clears `into.timestampsKey`.
   */
  readSeries(_slot: number, _ref: number, _startMs: number, _endMs: number, _into: SampleSink): number {
    return missing();
  }

  /** Opens what Head.copySeries gave; `bytes` must stay unchanged while the frame is in use. Throws HEAD_FRAME_CORRUPT. */
  openFrame(_bytes: Uint8Array): HeadFrame {
    return missing();
  }

  /** Gives this reader's scratch memory back to the head. */
  close(): void {
    return missing();
  }
}

export interface HeadFrame {
  readonly seriesCount: number;
  /** As HeadReader.readSeries, for the i-th of the references that the frame was made for. */
  read(index: number, startMs: number, endMs: number, into: SampleSink): number;
}
