// `topk` and `bottomk` of fragments: each gives its best k + 1 series at every step, so the best k of all are among them. Of equal
// values the order of the series and the history of a heap decide; where that could show, samples have to be read after all.
import { TimbalaError } from '../../base/index.ts';
import { groupSeries } from '../operators/grouping.ts';
import { Row, RowsOperator, type SourcedSeries, type VectorOperator } from '../operators/operator.ts';
import type { AggregationNode } from '../plan/plan-node.ts';
import { type PartialSeries, sortByFirst } from './partials.ts';

/** All candidates, in the order of the storage. */
export function candidatesOf(fragments: Iterable<readonly PartialSeries[]>): VectorOperator<SourcedSeries> {
  const all = sortByFirst([...fragments].flat());
  const rows = all.map(({ presence, columns: [values] }) => {
    const row = new Row(presence.length);
    row.presence.set(presence);
    if (values) row.values.set(values);
    row.presentCount = presence.reduce((count, present) => count + present, 0);
    return row;
  });
  return new RowsOperator(
    all.map(({ labels, first }) => ({ labels, first, dropsName: false })),
    rows,
  );
}

/** Throws PARTIAL_INEXACT where equal values compete for a place, or, where the order is shown (at a single step), share one. */
export function demandUntied(
  { operator, grouping, without }: AggregationNode,
  candidates: VectorOperator<SourcedSeries>,
  limits: Float64Array,
): void {
  const { groups, groupOf } = groupSeries(candidates.series, grouping, without);
  const membersOf: number[][] = groups.map(() => []);
  for (const [index, group] of groupOf.entries()) membersOf[group]?.push(index);
  const stepsCount = limits.length;
  for (const members of membersOf) {
    const rows = members.map((index) => {
      const row = new Row(stepsCount);
      candidates.read(index, row);
      return row;
    });
    for (let step = 0; step < stepsCount; step++) {
      const values = rows.filter(({ presence }) => presence[step] === 1).map((row) => row.values[step] as number);
      values.sort(operator === 'topk' ? higherFirst : lowerFirst);
      const limit = Math.trunc(limits[step] as number);
      for (let rank = stepsCount === 1 ? 1 : limit; rank <= limit && rank < values.length; rank++) {
        if (rank > 0 && isTie(values[rank - 1] as number, values[rank] as number)) {
          throw new TimbalaError('PARTIAL_INEXACT', 'of equal values the order of the series decides');
        }
      }
    }
  }
}

/** NaN is the last in both orders. */
function higherFirst(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return b > a ? 1 : -Number(a > b);
}

function lowerFirst(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a > b ? 1 : -Number(b > a);
}

function isTie(a: number, b: number): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}
