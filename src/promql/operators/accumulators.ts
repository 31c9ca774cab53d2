// Aggregations as accumulators: all groups and steps of one aggregation in flat columns, group by group. Rows are added in the order
// of the input, which is that of Prometheus, so that sums round alike; a row is gone once it is added.
import { TimbalaError } from '../../base/index.ts';
import { Row } from './operator.ts';

export interface Accumulator {
  /** `row` must hold at least one value. */
  add(group: number, row: Row): void;
  /** Writes a group's result, which is empty where nothing was added; as often as wanted. */
  read(group: number, into: Row): void;
}

/**
 * The state of one group, from which states of other series can be added to it (partials.ts). The arrays may be views of
 * the accumulator's own. Where `presence` is 0 the columns mean nothing.
 */
export interface PartialState {
  readonly presence: Uint8Array;
  readonly columns: readonly Float64Array[];
}

export interface PartialAccumulator extends Accumulator {
  /** Throws PARTIAL_INEXACT where the state depends on the order of the values. */
  partial(group: number): PartialState;
}

/** Memory of an accumulator for one group and step, at most. */
export const accumulatorBytes = 24;

/** How many values each step has had. Rows without gaps (the rule) only note where they begin and end. */
class StepCounts {
  readonly #groupsCount: number;
  readonly #stepsCount: number;
  /** By how much the count of a step differs from that of the step before; a group takes one entry more than steps. */
  readonly #changes: Int32Array;
  /** Of rows with gaps, once there is one. */
  #scattered: Uint32Array | undefined;

  constructor(groupsCount: number, stepsCount: number) {
    this.#groupsCount = groupsCount;
    this.#stepsCount = stepsCount;
    this.#changes = new Int32Array(groupsCount * (stepsCount + 1));
  }

  add(group: number, row: Row, first: number, end: number): void {
    if (end - first === row.presentCount) {
      const base = group * (this.#stepsCount + 1);
      this.#changes[base + first] = (this.#changes[base + first] as number) + 1;
      this.#changes[base + end] = (this.#changes[base + end] as number) - 1;
      return;
    }
    const scattered = (this.#scattered ??= new Uint32Array(this.#groupsCount * this.#stepsCount));
    const base = group * this.#stepsCount;
    for (let step = first; step < end; step++) {
      scattered[base + step] = (scattered[base + step] as number) + (row.presence[step] as number);
    }
  }

  /** Writes the counts as values, and marks the steps with a count as present. */
  read(group: number, into: Row): void {
    const changesBase = group * (this.#stepsCount + 1);
    const scatteredBase = group * this.#stepsCount;
    let count = 0;
    let presentCount = 0;
    for (let step = 0; step < into.stepsCount; step++) {
      count += this.#changes[changesBase + step] as number;
      const total = count + (this.#scattered?.[scatteredBase + step] ?? 0);
      const present = total > 0 ? 1 : 0;
      into.values[step] = total;
      into.presence[step] = present;
      presentCount += present;
    }
    into.presentCount = presentCount;
  }

  row(group: number): Row {
    const row = new Row(this.#stepsCount);
    this.read(group, row);
    return row;
  }
}

/**
 * Neumaier's compensated sum (Zeitschrift für Angewandte Mathematik und Mechanik 54, 1974), in Prometheus's order. Starting
 * from −0 makes the first value come out as itself, −0 included.
 */
export class SumAccumulator implements PartialAccumulator {
  readonly #stepsCount: number;
  readonly #sums: Float64Array;
  readonly #compensations: Float64Array;
  readonly #counts: StepCounts;

  constructor(groupsCount: number, stepsCount: number) {
    this.#stepsCount = stepsCount;
    this.#sums = new Float64Array(groupsCount * stepsCount).fill(-0);
    this.#compensations = new Float64Array(groupsCount * stepsCount);
    this.#counts = new StepCounts(groupsCount, stepsCount);
  }

  add(group: number, row: Row): void {
    const first = row.firstPresent;
    const end = row.endPresent;
    this.#counts.add(group, row, first, end);
    const base = group * this.#stepsCount;
    if (end - first === row.presentCount) {
      this.#addSpan(base, row.values, first, end);
      return;
    }
    for (let step = first; step < end; step++) {
      if (row.presence[step] === 1) this.#addSpan(base, row.values, step, step + 1);
    }
  }

  #addSpan(base: number, values: Float64Array, first: number, end: number): void {
    const sums = this.#sums;
    const compensations = this.#compensations;
    for (let step = first; step < end; step++) {
      const at = base + step;
      const value = values[step] as number;
      const sum = sums[at] as number;
      const total = sum + value;
      const error = Math.abs(sum) >= Math.abs(value) ? sum - total + value : value - total + sum;
      // An infinite total has nothing left to compensate.
      compensations[at] = total === Infinity || total === -Infinity ? 0 : (compensations[at] as number) + error;
      sums[at] = total;
    }
  }

  read(group: number, into: Row): void {
    this.#counts.read(group, into);
    const base = group * this.#stepsCount;
    for (let step = 0; step < into.stepsCount; step++) {
      into.values[step] = (this.#sums[base + step] as number) + (this.#compensations[base + step] as number);
    }
  }

  /** Sums and compensations. */
  partial(group: number): PartialState {
    const [from, to] = [group * this.#stepsCount, (group + 1) * this.#stepsCount];
    return {
      presence: this.#counts.row(group).presence,
      columns: [this.#sums.subarray(from, to), this.#compensations.subarray(from, to)],
    };
  }
}

/**
 * The mean: a compensated sum divided at the end, unless the sum overflows; from there on an incremental mean, step by step, as
 * Prometheus has it.
 */
export class AverageAccumulator implements PartialAccumulator {
  readonly #stepsCount: number;
  readonly #sums: Float64Array;
  readonly #compensations: Float64Array;
  readonly #counts: Uint32Array;
  readonly #isIncremental: Uint8Array;

  constructor(groupsCount: number, stepsCount: number) {
    this.#stepsCount = stepsCount;
    this.#sums = new Float64Array(groupsCount * stepsCount);
    this.#compensations = new Float64Array(groupsCount * stepsCount);
    this.#counts = new Uint32Array(groupsCount * stepsCount);
    this.#isIncremental = new Uint8Array(groupsCount * stepsCount);
  }

  add(group: number, row: Row): void {
    const sums = this.#sums;
    const compensations = this.#compensations;
    const counts = this.#counts;
    const base = group * this.#stepsCount;
    for (let step = 0; step < row.stepsCount; step++) {
      if (row.presence[step] === 0) continue;
      const at = base + step;
      const value = row.values[step] as number;
      const count = (counts[at] as number) + 1;
      counts[at] = count;
      if (count === 1) {
        sums[at] = value;
        continue;
      }
      const sum = sums[at] as number;
      const total = sum + value;
      if (this.#isIncremental[at] === 1 || total === Infinity || total === -Infinity) {
        this.#addIncrementally(at, value, count);
        continue;
      }
      const error = Math.abs(sum) >= Math.abs(value) ? sum - total + value : value - total + sum;
      compensations[at] = (compensations[at] as number) + error;
      sums[at] = total;
    }
  }

  /** From the first overflow on, `sums` holds the mean of the values so far. */
  #addIncrementally(at: number, value: number, count: number): void {
    let mean = this.#sums[at] as number;
    let compensation = this.#compensations[at] as number;
    if (this.#isIncremental[at] === 0) {
      this.#isIncremental[at] = 1;
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
    this.#sums[at] = total;
    this.#compensations[at] = compensation;
  }

  read(group: number, into: Row): void {
    into.clear();
    const base = group * this.#stepsCount;
    for (let step = 0; step < into.stepsCount; step++) {
      const count = this.#counts[base + step] as number;
      if (count === 0) continue;
      const sum = this.#sums[base + step] as number;
      const compensation = this.#compensations[base + step] as number;
      into.values[step] =
        this.#isIncremental[base + step] === 1 ? sum + compensation : sum / count + compensation / count;
      into.presence[step] = 1;
      into.presentCount++;
    }
  }

  /** Sums, compensations and counts. */
  partial(group: number): PartialState {
    const [from, to] = [group * this.#stepsCount, (group + 1) * this.#stepsCount];
    if (this.#isIncremental.subarray(from, to).includes(1)) {
      throw new TimbalaError('PARTIAL_INEXACT', 'a sum has left the range of finite numbers');
    }
    const counts = Float64Array.from(this.#counts.subarray(from, to));
    return {
      presence: Uint8Array.from(counts, (count) => (count > 0 ? 1 : 0)),
      columns: [this.#sums.subarray(from, to), this.#compensations.subarray(from, to), counts],
    };
  }
}

/** `count`, and `group`, which is 1 where there is anything. */
export class CountAccumulator implements PartialAccumulator {
  readonly #counts: StepCounts;
  readonly #isGroup: boolean;

  constructor(groupsCount: number, stepsCount: number, isGroup: boolean) {
    this.#counts = new StepCounts(groupsCount, stepsCount);
    this.#isGroup = isGroup;
  }

  add(group: number, row: Row): void {
    this.#counts.add(group, row, row.firstPresent, row.endPresent);
  }

  read(group: number, into: Row): void {
    this.#counts.read(group, into);
    if (this.#isGroup) into.values.fill(1);
  }

  /** The counts; of `group`, nothing but presence. */
  partial(group: number): PartialState {
    const { presence, values } = this.#counts.row(group);
    return { presence, columns: this.#isGroup ? [] : [values] };
  }
}

/** `min` and `max`: the first of equal values stays (±0), and NaN gives way to any number. */
export class ExtremeAccumulator implements PartialAccumulator {
  readonly #stepsCount: number;
  readonly #values: Float64Array;
  readonly #presence: Uint8Array;
  readonly #isMax: boolean;

  constructor(groupsCount: number, stepsCount: number, isMax: boolean) {
    this.#stepsCount = stepsCount;
    this.#values = new Float64Array(groupsCount * stepsCount).fill(NaN);
    this.#presence = new Uint8Array(groupsCount * stepsCount);
    this.#isMax = isMax;
  }

  add(group: number, row: Row): void {
    if (this.#isMax) this.#addMax(group * this.#stepsCount, row);
    else this.#addMin(group * this.#stepsCount, row);
  }

  #addMax(base: number, row: Row): void {
    const values = this.#values;
    for (let step = 0; step < row.stepsCount; step++) {
      if (row.presence[step] === 0) continue;
      this.#presence[base + step] = 1;
      const value = row.values[step] as number;
      const held = values[base + step] as number;
      if (held < value || Number.isNaN(held)) values[base + step] = value;
    }
  }

  #addMin(base: number, row: Row): void {
    const values = this.#values;
    for (let step = 0; step < row.stepsCount; step++) {
      if (row.presence[step] === 0) continue;
      this.#presence[base + step] = 1;
      const value = row.values[step] as number;
      const held = values[base + step] as number;
      if (held > value || Number.isNaN(held)) values[base + step] = value;
    }
  }

  read(group: number, into: Row): void {
    const base = group * this.#stepsCount;
    into.clear();
    for (let step = 0; step < into.stepsCount; step++) {
      if (this.#presence[base + step] === 0) continue;
      into.values[step] = this.#values[base + step] as number;
      into.presence[step] = 1;
      into.presentCount++;
    }
  }

  /** The extremes. */
  partial(group: number): PartialState {
    const [from, to] = [group * this.#stepsCount, (group + 1) * this.#stepsCount];
    return { presence: this.#presence.subarray(from, to), columns: [this.#values.subarray(from, to)] };
  }
}

/** `stdvar` and `stddev` by Welford's method, uncompensated, as Prometheus has it. */
export class VarianceAccumulator implements Accumulator {
  readonly #stepsCount: number;
  readonly #means: Float64Array;
  readonly #squares: Float64Array;
  readonly #counts: Uint32Array;
  readonly #isDeviation: boolean;

  constructor(groupsCount: number, stepsCount: number, isDeviation: boolean) {
    this.#stepsCount = stepsCount;
    this.#means = new Float64Array(groupsCount * stepsCount);
    this.#squares = new Float64Array(groupsCount * stepsCount);
    this.#counts = new Uint32Array(groupsCount * stepsCount);
    this.#isDeviation = isDeviation;
  }

  add(group: number, row: Row): void {
    const base = group * this.#stepsCount;
    for (let step = 0; step < row.stepsCount; step++) {
      if (row.presence[step] === 0) continue;
      const at = base + step;
      const value = row.values[step] as number;
      const count = (this.#counts[at] as number) + 1;
      this.#counts[at] = count;
      if (count === 1) {
        this.#means[at] = value;
        this.#squares[at] = Number.isFinite(value) ? 0 : NaN;
        continue;
      }
      const delta = value - (this.#means[at] as number);
      const mean = (this.#means[at] as number) + delta / count;
      this.#means[at] = mean;
      this.#squares[at] = (this.#squares[at] as number) + delta * (value - mean);
    }
  }

  read(group: number, into: Row): void {
    const base = group * this.#stepsCount;
    into.clear();
    for (let step = 0; step < into.stepsCount; step++) {
      const count = this.#counts[base + step] as number;
      if (count === 0) continue;
      const variance = (this.#squares[base + step] as number) / count;
      into.values[step] = this.#isDeviation ? Math.sqrt(variance) : variance;
      into.presence[step] = 1;
      into.presentCount++;
    }
  }
}
