// Functions from value to value, step by step: abs, clamp, round, sin, hour, … and negation.
import type { FloatFunction } from '../functions/index.ts';
import { type Evaluation, type OutputSeries, type Row, type VectorOperator } from './operator.ts';
import { keepWhere } from './binary-combine.ts';
import { dropNames } from './series-naming.ts';

export interface FloatFunctionOptions {
  readonly compute: FloatFunction;
  /** The scalar arguments: one array per argument, one value per step. */
  readonly parameters: readonly Float64Array[];
  /** 0 where the function has no result, whatever the value. */
  readonly mask?: Uint8Array | undefined;
}

export class FloatFunctionOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects: boolean;
  readonly #input: VectorOperator;
  readonly #options: FloatFunctionOptions;

  constructor(input: VectorOperator, options: FloatFunctionOptions, evaluation: Evaluation) {
    this.series = dropNames(input.series, evaluation);
    this.hasEffects = input.hasEffects;
    this.#input = input;
    this.#options = options;
  }

  read(index: number, row: Row): void {
    this.#input.read(index, row);
    const { compute, parameters, mask } = this.#options;
    const { values, presence, stepsCount } = row;
    const parametersAtStep = new Float64Array(parameters.length);
    for (let step = 0; step < stepsCount; step++) {
      if (presence[step] === 0) continue;
      for (let i = 0; i < parameters.length; i++) parametersAtStep[i] = parameters[i]?.[step] as number;
      values[step] = compute(values[step] as number, parametersAtStep);
    }
    if (mask) keepWhere(mask, row);
  }
}

export class NegationOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects: boolean;
  readonly #input: VectorOperator;

  constructor(input: VectorOperator, evaluation: Evaluation) {
    this.series = dropNames(input.series, evaluation);
    this.hasEffects = input.hasEffects;
    this.#input = input;
  }

  read(index: number, row: Row): void {
    this.#input.read(index, row);
    for (let step = 0; step < row.stepsCount; step++) row.values[step] = -(row.values[step] as number);
  }
}

/** Replaces present values by the same row of numbers: `timestamp()` of anything but a selector. */
export class ReplacedValuesOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects: boolean;
  readonly #input: VectorOperator;
  readonly #values: Float64Array;

  constructor(input: VectorOperator, values: Float64Array, evaluation: Evaluation) {
    this.series = dropNames(input.series, evaluation);
    this.hasEffects = input.hasEffects;
    this.#input = input;
    this.#values = values;
  }

  read(index: number, row: Row): void {
    this.#input.read(index, row);
    row.values.set(this.#values);
  }
}
