// Where the steps of a grid fall among the timestamps of a series: by walking both once. Series of one target share their
// timestamps (SampleBuffer.timestampsKey), so the answer is kept by that key and a series costs one gather per step.
import type { SampleBuffer } from '../../model/index.ts';
import { type Grid, referenceMs, type Reference } from '../plan/grid.ts';

/** What an operator keeps by timestamps key stays below this; beyond it all is forgotten, and worked out anew where it is met. */
const keptBytesMax = 32 * 1024 * 1024;

/** Indexes into samples by step. */
interface StepIndexes {
  readonly indexes: Int32Array<ArrayBuffer>;
  /** The steps from `first` to before `end` are found, none before or after; in between there may be gaps. */
  first: number;
  end: number;
  hasGaps: boolean;
}

/** What an operator keeps by timestamps key. */
class KeptIndexes {
  readonly #byKey = new Map<object, StepIndexes>();
  #bytes = 0;

  get(key: object | undefined): StepIndexes | undefined {
    return key && this.#byKey.get(key);
  }

  keep(key: object | undefined, kept: StepIndexes): void {
    if (!key) return;
    const { byteLength } = kept.indexes;
    if (this.#bytes + byteLength > keptBytesMax) {
      this.#byKey.clear();
      this.#bytes = 0;
    }
    this.#byKey.set(key, kept);
    this.#bytes += byteLength;
  }
}

/** For instant selectors: the newest sample at each step that is younger than the lookback. */
export class InstantLookup {
  readonly #references: Float64Array;
  readonly #lookbackDeltaMs: number;
  readonly #kept = new KeptIndexes();
  readonly #scratch: StepIndexes;

  constructor(reference: Reference, grid: Grid, lookbackDeltaMs: number) {
    this.#references = stepReferences(reference, grid);
    this.#lookbackDeltaMs = lookbackDeltaMs;
    this.#scratch = makeIndexes(grid.stepsCount);
  }

  /** By step: an index into `samples`, or -1. Valid until the next call. */
  find(samples: SampleBuffer): StepIndexes {
    const kept = this.#kept.get(samples.timestampsKey);
    if (kept) return kept;
    const found = samples.timestampsKey ? makeIndexes(this.#references.length) : this.#scratch;
    fillInstantIndexes(found, samples, this.#references, this.#lookbackDeltaMs);
    this.#kept.keep(samples.timestampsKey, found);
    return found;
  }
}

/** For range selectors: the samples inside the window (reference − range, reference] of each step. */
export class WindowLookup {
  readonly references: Float64Array;
  readonly #rangeMs: number;
  readonly #kept = new KeptIndexes();
  readonly #scratch: StepIndexes;

  constructor(reference: Reference, grid: Grid, rangeMs: number) {
    this.references = stepReferences(reference, grid);
    this.#rangeMs = rangeMs;
    this.#scratch = makeIndexes(2 * grid.stepsCount);
  }

  /** By step: the first index at 2 × step, the exclusive end at 2 × step + 1. Valid until the next call. */
  bounds(samples: SampleBuffer): Int32Array {
    const kept = this.#kept.get(samples.timestampsKey);
    if (kept) return kept.indexes;
    const found = samples.timestampsKey ? makeIndexes(2 * this.references.length) : this.#scratch;
    fillWindowBounds(found.indexes, samples, this.references, this.#rangeMs);
    this.#kept.keep(samples.timestampsKey, found);
    return found.indexes;
  }
}

function makeIndexes(count: number): StepIndexes {
  return { indexes: new Int32Array(count), first: 0, end: 0, hasGaps: false };
}

function stepReferences(reference: Reference, grid: Grid): Float64Array {
  return grid.map((timeMs) => referenceMs(reference, timeMs));
}

function fillInstantIndexes(
  into: StepIndexes,
  samples: SampleBuffer,
  references: Float64Array,
  lookbackMs: number,
): void {
  const { timestampsMs, count } = samples;
  const { indexes } = into;
  let next = 0;
  let foundCount = 0;
  into.first = 0;
  into.end = 0;
  for (let step = 0; step < references.length; step++) {
    const reference = references[step] as number;
    while (next < count && (timestampsMs[next] as number) <= reference) next++;
    if (next === 0 || (timestampsMs[next - 1] as number) <= reference - lookbackMs) {
      indexes[step] = -1;
      continue;
    }
    indexes[step] = next - 1;
    if (foundCount === 0) into.first = step;
    into.end = step + 1;
    foundCount++;
  }
  into.hasGaps = foundCount < into.end - into.first;
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
