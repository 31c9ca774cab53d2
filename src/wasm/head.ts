// The head's one writer: registry, generations, appending, the log's sample records. See head-contract.ts for the words.
import { TimbalaError } from '../base/index.ts';
import type { AppendOutcome, GenerationStats, HeadStats, StagedBatch } from './head-contract.ts';

const missing = (): never => {
  throw new TimbalaError('NOT_BUILT', 'the head kernel is being built');
};

export class Head {
  /** To be posted to other threads, for HeadReader.attach. */
  declare readonly memory: WebAssembly.Memory;

  /** `bytesMax`: limit of kernel memory (at most 4 GiB); over it, calls that need more fail with HEAD_MEMORY_FULL. */
  static create(_module: WebAssembly.Module, _options: { readonly bytesMax: number }): Head {
    return missing();
  }

  /**
   * Finds or creates a series. `labels`: canonical label bytes (docs/formats/labels.md); `fingerprint`: its 16 bytes.
   * Throws HEAD_MEMORY_FULL (nothing changed) or HEAD_BAD_LABELS (bytes that are no canonical label set, or beyond limits).
   */
  register(_labels: Uint8Array, _fingerprint: Uint8Array): number {
    return missing();
  }

  /** Opens a generation in a free slot. Throws HEAD_NO_SLOT where four are live. */
  openGeneration(): number {
    return missing();
  }

  /** No append may follow. From here on, readers may read the slot in place. */
  freezeGeneration(_slot: number): void {
    return missing();
  }

  /** Gives the slot's memory back. The caller has made sure that nobody reads it any more. */
  dropGeneration(_slot: number): void {
    return missing();
  }

  /** Makes room for a batch; the caller then fills the columns. Throws HEAD_MEMORY_FULL. */
  stage(_rowsCount: number, _samplesCount: number): StagedBatch {
    return missing();
  }

  /**
   * Appends the staged batch to an active generation: all of it, or (HEAD_MEMORY_FULL, thrown before anything changed)
   * nothing. The staged columns stay as they are, so `encodeSamples` may come before or after.
   */
  append(_slot: number): AppendOutcome {
    return missing();
  }

  /**
   * The staged batch as the payload of a log sample record (docs/formats/log-samples.md). A view of kernel memory, valid
   * until the next call on this head: copy it before any asynchronous I/O.
   */
  encodeSamples(): Uint8Array {
    return missing();
  }

  /**
   * Decodes such a payload into the staged columns. Its refs are the writer's of that time: the caller replaces them in
   * `refs` by its own (unknownRef skips the row) and then appends. Throws LOG_SAMPLES_CORRUPT; never reads past `payload`.
   */
  decodeSamples(_payload: Uint8Array): StagedBatch {
    return missing();
  }

  /**
   * Copies the chunks that overlap [startMs, endMs] of these series (whether or not they have any) out of a generation:
   * how another thread reads the active one. `HeadReader.openFrame` reads it. At most about 1 µs a series: slice long lists.
   */
  copySeries(_slot: number, _refs: Uint32Array, _startMs: number, _endMs: number): Uint8Array<ArrayBuffer> {
    return missing();
  }

  stats(): HeadStats {
    return missing();
  }

  generationStats(_slot: number): GenerationStats {
    return missing();
  }

  /** Registered series without a sample in any live generation, as a share of all (0 to 1): over 1/3, start a new head. */
  deadSeriesShare(): number {
    return missing();
  }
}
