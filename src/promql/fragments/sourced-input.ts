// The input of an aggregation that may be evaluated in parts, its series together with those of the storage that they come of:
// the order of the latter is that of the results.
import type { PartialOperator } from '../operators/aggregation.ts';
import { type BuildContext, buildVector } from '../operators/build.ts';
import type { SourcedSeries, VectorOperator } from '../operators/operator.ts';
import { renamed } from '../operators/series-naming.ts';
import type { Grid } from '../plan/grid.ts';
import type { Pushable, PushableOperator } from './pushable.ts';

export function sourcedInput(
  { aggregation, selector }: Pushable,
  grid: Grid,
  context: BuildContext,
): VectorOperator<SourcedSeries> {
  const input = buildVector(aggregation.expression, grid, context);
  const stored = context.selectionOf(selector).series;
  // Fewer come out where names were taken away and series merged; those keep the order that they have.
  const isOneToOne = input.series.length === stored.length;
  const series = input.series.map((each, index) => ({
    ...each,
    first: (isOneToOne ? stored[index]?.labels : undefined) ?? each.labels,
  }));
  return renamed(input, series);
}

export function isFolding(operator: PushableOperator): operator is PartialOperator {
  return operator !== 'topk' && operator !== 'bottomk';
}
