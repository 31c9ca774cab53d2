// The sort functions. They order the series of an instant query's result; a range query's result is ordered by labels whatever
// the query says, so there they do nothing (and warn).
import { Labels } from '../../model/index.ts';
import { naturalCompare } from '../functions/index.ts';
import {
  type Evaluation,
  type OutputSeries,
  readAll,
  type Row,
  RowsOperator,
  type VectorOperator,
} from './operator.ts';

/** By value, NaN last in both directions; equal values keep their order. For a grid of one step. */
export function sortByValue(input: VectorOperator, descending: boolean, evaluation: Evaluation): VectorOperator {
  const rows = readAll(input, 1, evaluation);
  const order = [...rows.keys()].filter((index) => (rows[index] as Row).presentCount > 0);
  const value = (index: number): number => (rows[index] as Row).values[0] as number;
  order.sort((a, b) => compareValues(value(a), value(b), descending));
  return new RowsOperator(
    order.map((index) => input.series[index] as OutputSeries),
    order.map((index) => rows[index] as Row),
  );
}

function compareValues(a: number, b: number, descending: boolean): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  if (a === b) return 0;
  return a < b === descending ? 1 : -1;
}

/** By these labels in natural order (digits as numbers), then by all labels. */
export function sortByLabels(input: VectorOperator, names: readonly string[], descending: boolean): VectorOperator {
  const sign = descending ? -1 : 1;
  const order = [...input.series.keys()];
  const labels = (index: number): Labels => (input.series[index] as OutputSeries).labels;
  order.sort((a, b) => sign * compareByLabels(labels(a), labels(b), names));
  return {
    series: order.map((index) => input.series[index] as OutputSeries),
    hasEffects: input.hasEffects,
    read: (index, row) => input.read(order[index] as number, row),
  };
}

function compareByLabels(a: Labels, b: Labels, names: readonly string[]): number {
  for (const name of names) {
    const left = a.get(name);
    const right = b.get(name);
    if (left !== right) return naturalCompare(left, right);
  }
  return Labels.compare(a, b);
}
