// Aggregations that give one series per group. The input streams through: what stays in memory is the groups.
import { unreachable } from '../../base/index.ts';
import type { AggregationOperator as Operator } from '../parse/ast.ts';
import type { AggregationNode } from '../plan/plan-node.ts';
import {
  type Accumulator,
  accumulatorBytes,
  AverageAccumulator,
  CountAccumulator,
  ExtremeAccumulator,
  SumAccumulator,
  VarianceAccumulator,
} from './accumulators.ts';
import { groupSeries } from './grouping.ts';
import { type Evaluation, Row, type VectorOperator } from './operator.ts';
import { QuantileAccumulator } from './quantile.ts';

/** Those that pick series instead of folding them are elsewhere (select-k.ts, count-values.ts). */
export type FoldingOperator = Exclude<Operator, 'topk' | 'bottomk' | 'limitk' | 'limit_ratio' | 'count_values'>;

/** `quantiles`: φ at each step, for `quantile` alone. */
export function aggregate(
  node: AggregationNode & { operator: FoldingOperator },
  input: VectorOperator,
  quantiles: Float64Array | undefined,
  stepsCount: number,
  evaluation: Evaluation,
): VectorOperator {
  const { groups, groupOf } = groupSeries(input.series, node.grouping, node.without);
  evaluation.control.addBytes(accumulatorBytes * groups.length * stepsCount);
  const accumulator = makeAccumulator(node.operator, groups.length, stepsCount, quantiles, evaluation);
  const dropsName = new Uint8Array(groups.length);
  const row = new Row(stepsCount);
  for (const [index, series] of input.series.entries()) {
    input.read(index, row);
    if (row.presentCount === 0) continue;
    const group = groupOf[index] as number;
    accumulator.add(group, row);
    if (series.dropsName) dropsName[group] = 1;
  }
  return {
    series: groups.map((labels, group) => ({ labels, dropsName: dropsName[group] === 1 })),
    hasEffects: false,
    read: (index, into) => accumulator.read(index, into),
  };
}

function makeAccumulator(
  operator: FoldingOperator,
  groupsCount: number,
  stepsCount: number,
  quantiles: Float64Array | undefined,
  { control }: Evaluation,
): Accumulator {
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
    case 'stddev':
    case 'stdvar':
      return new VarianceAccumulator(groupsCount, stepsCount, operator === 'stddev');
    case 'quantile':
      return new QuantileAccumulator(groupsCount, quantiles ?? new Float64Array(stepsCount).fill(NaN), control);
    default:
      return unreachable(operator);
  }
}
