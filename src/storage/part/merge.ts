// Unites parts: series in label order, samples by time, two values at one timestamp by the merge order. What tombstones
// mask and what is older than the horizon is left out.
import { present } from '../../base/index.ts';
import { compareValueBits, type Labels, SampleBuffer } from '../../model/index.ts';
import { compareLabelBytes } from '../index/label-rows.ts';
import type { Part } from './part.ts';
import { lowerBound } from './slots.ts';
import type { MergeOptions, PartSeries, SeriesSource, TimeInterval } from './types.ts';

/**
 * The union of `inputs`, to be written by `writePart` or a PartWriter. Inputs may overlap in time. The series that it
 * yields are valid until the next call; those that are left without samples are not yielded.
 */
export function mergeParts(inputs: readonly Part[], options: MergeOptions = {}): SeriesSource {
  return new PartMerger(inputs, options);
}

/** Where one input stands. */
interface Cursor {
  readonly part: Part;
  position: number;
  labelBytes: Uint8Array;
}

class PartMerger implements SeriesSource {
  readonly #options: MergeOptions;
  /** In time order of their parts, so that inputs without overlap are simply read one after another. */
  #cursors: Cursor[] = [];
  #samples = new SampleBuffer();
  #other = new SampleBuffer();
  #merged = new SampleBuffer();

  constructor(inputs: readonly Part[], options: MergeOptions) {
    this.#options = options;
    for (const part of [...inputs].sort((a, b) => a.meta.minTimeMs - b.meta.minTimeMs)) {
      if (part.meta.seriesCount > 0) this.#cursors.push({ part, position: 0, labelBytes: part.labelBytes(0) });
    }
  }

  next(): PartSeries | undefined {
    for (;;) {
      const least = this.#least();
      if (!least) return undefined;
      const { part, position, labelBytes } = least;
      const fingerprint = part.fingerprint(position);
      const labels = (): Labels => part.labels(position);
      this.#samples.clear();
      this.#takeSamples(labelBytes, fingerprint);
      const intervals = this.#options.deletedIntervals?.(labels, fingerprint) ?? [];
      for (const interval of intervals) removeInterval(this.#samples, interval);
      if (this.#samples.count > 0) return { labelBytes, fingerprint, samples: this.#samples };
    }
  }

  /** A copy of the cursor of the first series in label order. */
  #least(): Cursor | undefined {
    let least: Cursor | undefined;
    for (const cursor of this.#cursors) {
      if (!least || compareCursors(cursor, least) < 0) least = cursor;
    }
    return least && { ...least };
  }

  /** Reads the series from every input that has it, and moves those on. */
  #takeSamples(labelBytes: Uint8Array, fingerprint: Uint8Array): void {
    const { isDropped } = this.#options;
    const horizonMs = this.#options.horizonMs ?? Number.NEGATIVE_INFINITY;
    let anyEnded = false;
    for (const cursor of this.#cursors) {
      if (Buffer.compare(cursor.labelBytes, labelBytes) !== 0) continue;
      if (!isDropped?.(fingerprint, cursor.part.meta.tombstoneSeq)) this.#append(cursor, horizonMs);
      cursor.position++;
      if (cursor.position < cursor.part.meta.seriesCount) cursor.labelBytes = cursor.part.labelBytes(cursor.position);
      else anyEnded = true;
    }
    if (anyEnded) {
      this.#cursors = this.#cursors.filter((cursor) => cursor.position < cursor.part.meta.seriesCount);
    }
  }

  #append({ part, position }: Cursor, horizonMs: number): void {
    const samples = this.#samples;
    const lastMs = samples.count > 0 ? present(samples.timestampsMs[samples.count - 1], 'sample') : -Infinity;
    if (lastMs < part.timeRange(position).minTimeMs) {
      part.read(position, horizonMs, Number.POSITIVE_INFINITY, samples);
      return;
    }
    this.#other.clear();
    part.read(position, horizonMs, Number.POSITIVE_INFINITY, this.#other);
    unite(samples, this.#other, this.#merged);
    [this.#samples, this.#merged] = [this.#merged, samples];
  }
}

/** Inputs mostly stand at the same series, which a comparison of all bytes tells fastest. */
function compareCursors(a: Cursor, b: Cursor): number {
  return Buffer.compare(a.labelBytes, b.labelBytes) === 0 ? 0 : compareLabelBytes(a.labelBytes, b.labelBytes);
}

/** The union of two buffers; of two values at one timestamp the greater in the merge order stays. */
export function unite(a: SampleBuffer, b: SampleBuffer, into: SampleBuffer): void {
  into.clear();
  into.reserve(a.count + b.count);
  let i = 0;
  let j = 0;
  while (i < a.count && j < b.count) {
    const aMs = present(a.timestampsMs[i], 'sample');
    const bMs = present(b.timestampsMs[j], 'sample');
    if (aMs < bMs) copySample(a, i++, into);
    else if (bMs < aMs) copySample(b, j++, into);
    else {
      if (compareSamples(a, i, b, j) >= 0) copySample(a, i, into);
      else copySample(b, j, into);
      i++;
      j++;
    }
  }
  while (i < a.count) copySample(a, i++, into);
  while (j < b.count) copySample(b, j++, into);
  into.mayHoldStale = a.mayHoldStale || b.mayHoldStale;
}

function compareSamples(a: SampleBuffer, i: number, b: SampleBuffer, j: number): number {
  const aHalves = a.valueHalves;
  const bHalves = b.valueHalves;
  return compareValueBits(
    aHalves[2 * i + 1] as number,
    aHalves[2 * i] as number,
    bHalves[2 * j + 1] as number,
    bHalves[2 * j] as number,
  );
}

function copySample(from: SampleBuffer, index: number, into: SampleBuffer): void {
  const at = into.count++;
  into.timestampsMs[at] = from.timestampsMs[index] as number;
  into.valueHalves[2 * at] = from.valueHalves[2 * index] as number;
  into.valueHalves[2 * at + 1] = from.valueHalves[2 * index + 1] as number;
}

/** Takes the samples of an interval out. */
function removeInterval(samples: SampleBuffer, { startMs, endMs }: TimeInterval): void {
  const { timestampsMs, values, count } = samples;
  const from = lowerBound(timestampsMs, 0, count, startMs);
  const to = lowerBound(timestampsMs, from, count, endMs + 1);
  if (from === to) return;
  timestampsMs.copyWithin(from, to, count);
  values.copyWithin(from, to, count);
  samples.count = count - (to - from);
  samples.timestampsKey = undefined;
}
