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
import { groupSeries } from './grouping.ts';
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

/** Reads every series of the input once, into the accumulator that is made for the number of groups. */
export function fold<A extends Accumulator, S extends OutputSeries>(
  node: AggregationNode,
  input: VectorOperator<S>,
  makeAccumulator: (groupsCount: number) => A,
  stepsCount: number,
  evaluation: Evaluation,
): Folded<A, S> {
  const { groups, groupOf } = groupSeries(input.series, node.grouping, node.without);
  evaluation.control.addBytes(accumulatorBytes * groups.length * stepsCount);
  const accumulator = makeAccumulator(groups.length);
  const dropsName = new Uint8Array(groups.length);
  const firstOf = new Map<number, S>();
  const row = new Row(stepsCount);
  for (const [index, series] of input.series.entries()) {
    input.read(index, row);
    if (row.presentCount === 0) continue;
    const group = groupOf[index] as number;
    accumulator.add(group, row);
    if (!firstOf.has(group)) firstOf.set(group, series);
    if (series.dropsName) dropsName[group] = 1;
  }
  const folded = Array.from(firstOf, ([group, firstSeries]) => ({
    labels: groups[group] as Labels,
    dropsName: dropsName[group] === 1,
    group,
    firstSeries,
  }));
  return { groups: folded, accumulator };
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
