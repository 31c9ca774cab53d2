// Aggregations that give one series per group. The input streams through: what stays in memory is the groups.
import { unreachable } from '../../base/index.ts';
import type { AggregationOperator as Operator } from '../parse/ast.ts';
import type { AggregationNode } from '../plan/plan-node.ts';
import {
  type Accumulator,
  AverageAccumulator,
  CountAccumulator,
  ExtremeAccumulator,
  SumAccumulator,
  VarianceAccumulator,
} from './accumulators.ts';
import { groupSeries } from './grouping.ts';
import { type Evaluation, type OutputSeries, Row, RowsOperator, type VectorOperator } from './operator.ts';
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
  const accumulators: (Accumulator | undefined)[] = groups.map(() => undefined);
  const dropsName = groups.map(() => false);
  const row = new Row(stepsCount);
  for (const [index, series] of input.series.entries()) {
    input.read(index, row);
    if (row.presentCount === 0) continue;
    const group = groupOf[index] as number;
    const bytesBefore = accumulators[group]?.bytes ?? 0;
    const accumulator = (accumulators[group] ??= makeAccumulator(node.operator, stepsCount, quantiles));
    accumulator.add(row);
    evaluation.control.addBytes(accumulator.bytes - bytesBefore);
    dropsName[group] ||= series.dropsName;
  }
  const series: OutputSeries[] = [];
  const rows: Row[] = [];
  for (const [group, accumulator] of accumulators.entries()) {
    if (!accumulator) continue;
    const result = new Row(stepsCount);
    evaluation.control.addBytes(Row.bytes(stepsCount) - accumulator.bytes);
    accumulator.finish(result);
    accumulators[group] = undefined;
    rows.push(result);
    series.push({ labels: groups[group] as OutputSeries['labels'], dropsName: dropsName[group] as boolean });
  }
  return new RowsOperator(series, rows);
}

function makeAccumulator(
  operator: FoldingOperator,
  stepsCount: number,
  quantiles: Float64Array | undefined,
): Accumulator {
  switch (operator) {
    case 'sum':
      return new SumAccumulator(stepsCount);
    case 'avg':
      return new AverageAccumulator(stepsCount);
    case 'count':
    case 'group':
      return new CountAccumulator(stepsCount, operator === 'group');
    case 'min':
    case 'max':
      return new ExtremeAccumulator(stepsCount, operator === 'max');
    case 'stddev':
    case 'stdvar':
      return new VarianceAccumulator(stepsCount, operator === 'stddev');
    case 'quantile':
      return new QuantileAccumulator(quantiles ?? new Float64Array(stepsCount).fill(NaN));
    default:
      return unreachable(operator);
  }
}
