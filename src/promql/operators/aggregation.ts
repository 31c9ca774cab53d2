// Aggregations that give one series per group. The input streams through: what stays in memory is the groups.
import { present, unreachable } from '../../base/index.ts';
import type { Labels } from '../../model/index.ts';
import type { AggregationOperator as Operator } from '../parse/ast.ts';
import type { AggregationNode } from '../plan/plan-node.ts';
import {
  type Accumulator,
  accumulatorBytes,
  AverageAccumulator,
  CountAccumulator,
  ExtremeAccumulator,
  type PartialAccumulator,
  SumAccumulator,
  VarianceAccumulator,
} from './accumulators.ts';
import { type Grouping, groupSeries } from './grouping.ts';
import { type Evaluation, type OutputSeries, Row, type VectorOperator } from './operator.ts';
import { QuantileAccumulator } from './quantile.ts';

/** Those that pick series instead of folding them are elsewhere (select-k.ts, count-values.ts). */
export type FoldingOperator = Exclude<Operator, 'topk' | 'bottomk' | 'limitk' | 'limit_ratio' | 'count_values'>;

/** Those whose states can be added up: each over some of the series, then all together. */
export type PartialOperator = 'sum' | 'avg' | 'count' | 'group' | 'min' | 'max';

/** A group that has a value at some step. */
export interface FoldedGroup<S extends OutputSeries> {
  readonly labels: Labels;
  readonly dropsName: boolean;
  /** Its number in the accumulator. */
  readonly group: number;
  /** The first of its input series that has a value. */
  readonly firstSeries: S;
}

export interface Folded<A extends Accumulator, S extends OutputSeries> {
  /** By their first series: the order of Prometheus. */
  readonly groups: readonly FoldedGroup<S>[];
  readonly accumulator: A;
}

/** Folds an input series by series, into the accumulator that is made for the number of groups. */
export class Folding<A extends Accumulator, S extends OutputSeries> {
  readonly #input: VectorOperator<S>;
  readonly #groups: Grouping;
  readonly #accumulator: A;
  readonly #dropsName: Uint8Array;
  readonly #firstOf = new Map<number, S>();
  readonly #row: Row;

  constructor(
    node: AggregationNode,
    input: VectorOperator<S>,
    makeAccumulator: (groupsCount: number) => A,
    stepsCount: number,
    evaluation: Evaluation,
  ) {
    this.#input = input;
    this.#groups = groupSeries(input.series, node.grouping, node.without);
    const { length } = this.#groups.groups;
    evaluation.control.addBytes(accumulatorBytes * length * stepsCount);
    this.#accumulator = makeAccumulator(length);
    this.#dropsName = new Uint8Array(length);
    this.#row = new Row(stepsCount);
  }

  /** Once for each series of the input, in their order. */
  add(index: number): void {
    const row = this.#row;
    this.#input.read(index, row);
    if (row.presentCount === 0) return;
    const group = this.#groups.groupOf[index] as number;
    const series = this.#input.series[index] as S;
    this.#accumulator.add(group, row);
    if (!this.#firstOf.has(group)) this.#firstOf.set(group, series);
    if (series.dropsName) this.#dropsName[group] = 1;
  }

  finish(): Folded<A, S> {
    const groups = Array.from(this.#firstOf, ([group, firstSeries]) => ({
      labels: this.#groups.groups[group] as Labels,
      dropsName: this.#dropsName[group] === 1,
      group,
      firstSeries,
    }));
    return { groups, accumulator: this.#accumulator };
  }
}

export function fold<A extends Accumulator, S extends OutputSeries>(
  node: AggregationNode,
  input: VectorOperator<S>,
  makeAccumulator: (groupsCount: number) => A,
  stepsCount: number,
  evaluation: Evaluation,
): Folded<A, S> {
  const folding = new Folding(node, input, makeAccumulator, stepsCount, evaluation);
  for (const index of input.series.keys()) folding.add(index);
  return folding.finish();
}

/** `quantiles`: φ at each step, for `quantile` alone. */
export function aggregate(
  node: AggregationNode & { operator: FoldingOperator },
  input: VectorOperator,
  quantiles: Float64Array | undefined,
  stepsCount: number,
  evaluation: Evaluation,
): VectorOperator {
  const make = (groupsCount: number): Accumulator =>
    accumulatorOf(node.operator, groupsCount, stepsCount, quantiles, evaluation);
  const { groups, accumulator } = fold(node, input, make, stepsCount, evaluation);
  return {
    series: groups,
    hasEffects: false,
    read: (index, into) => accumulator.read(present(groups[index], 'group').group, into),
  };
}

function accumulatorOf(
  operator: FoldingOperator,
  groupsCount: number,
  stepsCount: number,
  quantiles: Float64Array | undefined,
  { control }: Evaluation,
): Accumulator {
  switch (operator) {
    case 'stddev':
    case 'stdvar':
      return new VarianceAccumulator(groupsCount, stepsCount, operator === 'stddev');
    case 'quantile':
      return new QuantileAccumulator(groupsCount, quantiles ?? new Float64Array(stepsCount).fill(NaN), control);
    default:
      return partialAccumulatorOf(operator, groupsCount, stepsCount);
  }
}

export function partialAccumulatorOf(
  operator: PartialOperator,
  groupsCount: number,
  stepsCount: number,
): PartialAccumulator {
  switch (operator) {
    case 'sum':
      return new SumAccumulator(groupsCount, stepsCount);
    case 'avg':
      return new AverageAccumulator(groupsCount, stepsCount);
    case 'count':
    case 'group':
      return new CountAccumulator(groupsCount, stepsCount, operator === 'group');
    case 'min':
    case 'max':
      return new ExtremeAccumulator(groupsCount, stepsCount, operator === 'max');
    default:
      return unreachable(operator);
  }
}
