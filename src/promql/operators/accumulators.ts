// Aggregations as accumulators: one per group, all steps at once. Rows are added in the order of the input, which is that of
// Prometheus, so that sums round alike; a row is gone once it is added.
import type { Row } from './operator.ts';

export interface Accumulator {
  add(row: Row): void;
  /** Writes the result; no row may be added afterwards. */
  finish(into: Row): void;
  /** Memory it holds now. */
  readonly bytes: number;
}

/** How many values each step has had. Rows without gaps (the rule) only note where they begin and end. */
class StepCounts {
  /** By how much the count of a step differs from that of the step before. */
  readonly #changes: Int32Array;
  /** Of rows with gaps. */
  readonly #scattered: Uint32Array;

  constructor(stepsCount: number) {
    this.#changes = new Int32Array(stepsCount + 1);
    this.#scattered = new Uint32Array(stepsCount);
  }

  add(row: Row, first: number, end: number): void {
    if (end - first === row.presentCount) {
      this.#changes[first] = (this.#changes[first] as number) + 1;
      this.#changes[end] = (this.#changes[end] as number) - 1;
      return;
    }
    for (let step = first; step < end; step++) {
      this.#scattered[step] = (this.#scattered[step] as number) + (row.presence[step] as number);
    }
  }

  /** Writes the counts as values, and marks the steps with a count as present. */
  finish(into: Row): void {
    let count = 0;
    into.presentCount = 0;
    for (let step = 0; step < into.stepsCount; step++) {
      count += this.#changes[step] as number;
      const total = count + (this.#scattered[step] as number);
      const present = total > 0 ? 1 : 0;
      into.values[step] = total;
      into.presence[step] = present;
      into.presentCount += present;
    }
  }
}

/**
 * Neumaier's compensated sum (Zeitschrift für Angewandte Mathematik und Mechanik 54, 1974), in Prometheus's order. Starting
 * from −0 makes the first value come out as itself, −0 included.
 */
export class SumAccumulator implements Accumulator {
  readonly #sums: Float64Array;
  readonly #compensations: Float64Array;
  readonly #counts: StepCounts;

  constructor(stepsCount: number) {
    this.#sums = new Float64Array(stepsCount).fill(-0);
    this.#compensations = new Float64Array(stepsCount);
    this.#counts = new StepCounts(stepsCount);
  }

  get bytes(): number {
    return 24 * this.#sums.length;
  }

  add(row: Row): void {
    const first = row.firstPresent;
    const end = row.endPresent;
    this.#counts.add(row, first, end);
    if (end - first === row.presentCount) this.#addSpan(row.values, first, end);
    else this.#addScattered(row);
  }

  #addSpan(values: Float64Array, first: number, end: number): void {
    const sums = this.#sums;
    const compensations = this.#compensations;
    for (let step = first; step < end; step++) {
      const value = values[step] as number;
      const sum = sums[step] as number;
      const total = sum + value;
      const error = Math.abs(sum) >= Math.abs(value) ? sum - total + value : value - total + sum;
      // An infinite total has nothing left to compensate.
      compensations[step] = total === Infinity || total === -Infinity ? 0 : (compensations[step] as number) + error;
      sums[step] = total;
    }
  }

  #addScattered(row: Row): void {
    for (let step = 0; step < row.stepsCount; step++) {
      if (row.presence[step] === 1) this.#addSpan(row.values, step, step + 1);
    }
  }

  finish(into: Row): void {
    this.#counts.finish(into);
    for (let step = 0; step < into.stepsCount; step++) {
      into.values[step] = (this.#sums[step] as number) + (this.#compensations[step] as number);
    }
  }
}

/**
 * The mean: a compensated sum divided at the end, unless the sum overflows; from there on an incremental mean, step by step, as
 * Prometheus has it.
 */
export class AverageAccumulator implements Accumulator {
  readonly #sums: Float64Array;
  readonly #compensations: Float64Array;
  readonly #counts: Uint32Array;
  readonly #isIncremental: Uint8Array;

  constructor(stepsCount: number) {
    this.#sums = new Float64Array(stepsCount);
    this.#compensations = new Float64Array(stepsCount);
    this.#counts = new Uint32Array(stepsCount);
    this.#isIncremental = new Uint8Array(stepsCount);
  }

  get bytes(): number {
    return 21 * this.#sums.length;
  }

  add(row: Row): void {
    const sums = this.#sums;
    const compensations = this.#compensations;
    const counts = this.#counts;
    for (let step = 0; step < row.stepsCount; step++) {
      if (row.presence[step] === 0) continue;
      const value = row.values[step] as number;
      const count = (counts[step] as number) + 1;
      counts[step] = count;
      if (count === 1) {
        sums[step] = value;
        continue;
      }
      const sum = sums[step] as number;
      const total = sum + value;
      if (this.#isIncremental[step] === 1 || total === Infinity || total === -Infinity) {
        this.#addIncrementally(step, value, count);
        continue;
      }
      const error = Math.abs(sum) >= Math.abs(value) ? sum - total + value : value - total + sum;
      compensations[step] = (compensations[step] as number) + error;
      sums[step] = total;
    }
  }

  /** From the first overflow on, `sums` holds the mean of the values so far. */
  #addIncrementally(step: number, value: number, count: number): void {
    let mean = this.#sums[step] as number;
    let compensation = this.#compensations[step] as number;
    if (this.#isIncremental[step] === 0) {
      this.#isIncremental[step] = 1;
      mean /= count - 1;
      compensation /= count - 1;
    }
    const weight = (count - 1) / count;
    const addition = value / count;
    const scaled = weight * mean;
    const total = scaled + addition;
    if (total === Infinity || total === -Infinity) compensation = 0;
    else if (Math.abs(scaled) >= Math.abs(addition)) compensation = weight * compensation + (scaled - total + addition);
    else compensation = weight * compensation + (addition - total + scaled);
    this.#sums[step] = total;
    this.#compensations[step] = compensation;
  }

  finish(into: Row): void {
    into.clear();
    for (let step = 0; step < into.stepsCount; step++) {
      const count = this.#counts[step] as number;
      if (count === 0) continue;
      const sum = this.#sums[step] as number;
      const compensation = this.#compensations[step] as number;
      into.values[step] = this.#isIncremental[step] === 1 ? sum + compensation : sum / count + compensation / count;
      into.presence[step] = 1;
      into.presentCount++;
    }
  }
}

/** `count`, and `group`, which is 1 where there is anything. */
export class CountAccumulator implements Accumulator {
  readonly #counts: StepCounts;
  readonly #stepsCount: number;
  readonly #isGroup: boolean;

  constructor(stepsCount: number, isGroup: boolean) {
    this.#counts = new StepCounts(stepsCount);
    this.#stepsCount = stepsCount;
    this.#isGroup = isGroup;
  }

  get bytes(): number {
    return 8 * this.#stepsCount;
  }

  add(row: Row): void {
    this.#counts.add(row, row.firstPresent, row.endPresent);
  }

  finish(into: Row): void {
    this.#counts.finish(into);
    if (this.#isGroup) into.values.fill(1);
  }
}

/** `min` and `max`: the first of equal values stays (±0), and NaN gives way to any number. */
export class ExtremeAccumulator implements Accumulator {
  readonly #values: Float64Array;
  readonly #presence: Uint8Array;
  readonly #isMax: boolean;

  constructor(stepsCount: number, isMax: boolean) {
    this.#values = new Float64Array(stepsCount).fill(NaN);
    this.#presence = new Uint8Array(stepsCount);
    this.#isMax = isMax;
  }

  get bytes(): number {
    return 9 * this.#values.length;
  }

  add(row: Row): void {
    if (this.#isMax) this.#addMax(row);
    else this.#addMin(row);
  }

  #addMax(row: Row): void {
    const values = this.#values;
    for (let step = 0; step < row.stepsCount; step++) {
      if (row.presence[step] === 0) continue;
      this.#presence[step] = 1;
      const value = row.values[step] as number;
      const held = values[step] as number;
      if (held < value || Number.isNaN(held)) values[step] = value;
    }
  }

  #addMin(row: Row): void {
    const values = this.#values;
    for (let step = 0; step < row.stepsCount; step++) {
      if (row.presence[step] === 0) continue;
      this.#presence[step] = 1;
      const value = row.values[step] as number;
      const held = values[step] as number;
      if (held > value || Number.isNaN(held)) values[step] = value;
    }
  }

  finish(into: Row): void {
    into.values.set(this.#values);
    into.presence.set(this.#presence);
    into.presentCount = this.#presence.reduce((count, present) => count + present, 0);
  }
}

/** `stdvar` and `stddev` by Welford's method, uncompensated, as Prometheus has it. */
export class VarianceAccumulator implements Accumulator {
  readonly #means: Float64Array;
  readonly #squares: Float64Array;
  readonly #counts: Uint32Array;
  readonly #isDeviation: boolean;

  constructor(stepsCount: number, isDeviation: boolean) {
    this.#means = new Float64Array(stepsCount);
    this.#squares = new Float64Array(stepsCount);
    this.#counts = new Uint32Array(stepsCount);
    this.#isDeviation = isDeviation;
  }

  get bytes(): number {
    return 20 * this.#means.length;
  }

  add(row: Row): void {
    for (let step = 0; step < row.stepsCount; step++) {
      if (row.presence[step] === 0) continue;
      const value = row.values[step] as number;
      const count = (this.#counts[step] as number) + 1;
      this.#counts[step] = count;
      if (count === 1) {
        this.#means[step] = value;
        this.#squares[step] = Number.isFinite(value) ? 0 : NaN;
        continue;
      }
      const delta = value - (this.#means[step] as number);
      const mean = (this.#means[step] as number) + delta / count;
      this.#means[step] = mean;
      this.#squares[step] = (this.#squares[step] as number) + delta * (value - mean);
    }
  }

  finish(into: Row): void {
    into.clear();
    for (let step = 0; step < into.stepsCount; step++) {
      const count = this.#counts[step] as number;
      if (count === 0) continue;
      const variance = (this.#squares[step] as number) / count;
      into.values[step] = this.#isDeviation ? Math.sqrt(variance) : variance;
      into.presence[step] = 1;
      into.presentCount++;
    }
  }
}
