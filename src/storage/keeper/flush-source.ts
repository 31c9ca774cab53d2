// The series of a frozen generation within one window, in label order, as a part writer takes them. Deleted samples are
// left out. Memory: one series' samples at a time.
import { decodeLabels, type Labels, SampleBuffer } from '../../model/index.ts';
import type { HeadReader } from '../../wasm/index.ts';
import type { PartSeries, SeriesSource } from '../part/index.ts';
import { maskSamples, type TombstoneIndex } from '../tombstones.ts';

export interface FlushRange {
  /** Inclusive on both sides. */
  readonly startMs: number;
  readonly endMs: number;
}

export class FlushSource implements SeriesSource {
  readonly #reader: HeadReader;
  readonly #slot: number;
  readonly #refs: Uint32Array;
  readonly #range: FlushRange;
  readonly #tombstones: TombstoneIndex;
  readonly #samples = new SampleBuffer();
  #next = 0;

  /** `refs`: the generation's series in label order. */
  constructor(reader: HeadReader, slot: number, refs: Uint32Array, range: FlushRange, tombstones: TombstoneIndex) {
    this.#reader = reader;
    this.#slot = slot;
    this.#refs = refs;
    this.#range = range;
    this.#tombstones = tombstones;
  }

  next(): PartSeries | undefined {
    const { startMs, endMs } = this.#range;
    const samples = this.#samples;
    while (this.#next < this.#refs.length) {
      const ref = this.#refs[this.#next++] as number;
      samples.clear();
      if (this.#reader.readSeries(this.#slot, ref, startMs, endMs, samples) === 0) continue;
      const fingerprint = this.#reader.fingerprint(ref);
      const labels = (): Labels => decodeLabels(this.#reader.labelBytes(ref));
      maskSamples(samples, 0, this.#tombstones.intervals(fingerprint, labels));
      if (samples.count > 0) return { labelBytes: this.#reader.labelBytes(ref), fingerprint, samples };
    }
    return undefined;
  }
}
