// Where the steps of a grid fall among the timestamps of a series: by walking both once. Series of one target share their
// timestamps (SampleBuffer.timestampsKey), so the answer is kept by that key and a series costs one gather per step.
import type { SampleBuffer } from '../../model/index.ts';
import { type Grid, referenceMs, type Reference } from '../plan/grid.ts';

/** What is kept by timestamps key stays below this; beyond it, the oldest half of a long query's targets is worked out anew. */
const keptBytesMax = 32 * 1024 * 1024;

/** One Int32Array per timestamps key; an operator's own. */
class StepIndexes {
  readonly #byKey = new Map<object, Int32Array>();
  #bytes = 0;

  get(key: object | undefined): Int32Array | undefined {
    return key && this.#byKey.get(key);
  }

  keep(key: object | undefined, indexes: Int32Array): void {
    if (!key) return;
    if (this.#bytes + indexes.byteLength > keptBytesMax) {
      this.#byKey.clear();
      this.#bytes = 0;
    }
    this.#byKey.set(key, indexes);
    this.#bytes += indexes.byteLength;
  }
}

/** For instant selectors: the newest sample at each step that is younger than the lookback. */
export class InstantLookup {
  readonly #references: Float64Array;
  readonly #lookbackDeltaMs: number;
  readonly #kept = new StepIndexes();
  readonly #scratch: Int32Array;

  constructor(reference: Reference, grid: Grid, lookbackDeltaMs: number) {
    this.#references = stepReferences(reference, grid);
    this.#lookbackDeltaMs = lookbackDeltaMs;
    this.#scratch = new Int32Array(grid.stepsCount);
  }

  /** By step: an index into `samples`, or -1. Valid until the next call. */
  indexes(samples: SampleBuffer): Int32Array {
    const kept = this.#kept.get(samples.timestampsKey);
    if (kept) return kept;
    const indexes = samples.timestampsKey ? new Int32Array(this.#scratch.length) : this.#scratch;
    fillInstantIndexes(indexes, samples, this.#references, this.#lookbackDeltaMs);
    this.#kept.keep(samples.timestampsKey, indexes);
    return indexes;
  }
}

/** For range selectors: the samples inside the window (reference − range, reference] of each step. */
export class WindowLookup {
  readonly references: Float64Array;
  readonly #rangeMs: number;
  readonly #kept = new StepIndexes();
  readonly #scratch: Int32Array;

  constructor(reference: Reference, grid: Grid, rangeMs: number) {
    this.references = stepReferences(reference, grid);
    this.#rangeMs = rangeMs;
    this.#scratch = new Int32Array(2 * grid.stepsCount);
  }

  /** By step: the first index at 2 × step, the exclusive end at 2 × step + 1. Valid until the next call. */
  bounds(samples: SampleBuffer): Int32Array {
    const kept = this.#kept.get(samples.timestampsKey);
    if (kept) return kept;
    const bounds = samples.timestampsKey ? new Int32Array(this.#scratch.length) : this.#scratch;
    fillWindowBounds(bounds, samples, this.references, this.#rangeMs);
    this.#kept.keep(samples.timestampsKey, bounds);
    return bounds;
  }
}

function stepReferences(reference: Reference, grid: Grid): Float64Array {
  return Float64Array.from({ length: grid.stepsCount }, (_, step) => referenceMs(reference, grid.timeMs(step)));
}

function fillInstantIndexes(
  into: Int32Array,
  samples: SampleBuffer,
  references: Float64Array,
  lookbackMs: number,
): void {
  const { timestampsMs, count } = samples;
  let next = 0;
  for (let step = 0; step < references.length; step++) {
    const reference = references[step] as number;
    while (next < count && (timestampsMs[next] as number) <= reference) next++;
    const found = next > 0 && (timestampsMs[next - 1] as number) > reference - lookbackMs;
    into[step] = found ? next - 1 : -1;
  }
}

function fillWindowBounds(into: Int32Array, samples: SampleBuffer, references: Float64Array, rangeMs: number): void {
  const { timestampsMs, count } = samples;
  let first = 0;
  let end = 0;
  for (let step = 0; step < references.length; step++) {
    const endMs = references[step] as number;
    const startMs = endMs - rangeMs;
    while (end < count && (timestampsMs[end] as number) <= endMs) end++;
    while (first < end && (timestampsMs[first] as number) <= startMs) first++;
    into[2 * step] = first;
    into[2 * step + 1] = end;
  }
}
