// States of aggregations, each over some of the series, put together. What comes out is what one aggregation over all series would
// have given: to the bit for count, group, min and max; for sum and avg as far as compensated sums go (docs/promql.md). Where
// the order of the series could show, PARTIAL_INEXACT is thrown, and the samples have to be read after all.
import { TimbalaError, unreachable } from '../../base/index.ts';
import { Labels } from '../../model/index.ts';
import type { PartialState } from '../operators/accumulators.ts';
import type { PartialOperator } from '../operators/aggregation.ts';
import type { Row, SourcedSeries, VectorOperator } from '../operators/operator.ts';

/** One group (or, of topk and bottomk, one series that may be chosen) over the steps of a fragment. */
export interface PartialSeries extends PartialState {
  readonly labels: Labels;
  /** The labels, as stored, of the first of its input series that has a value: groups are in their order. */
  readonly first: Labels;
}

/** How many columns a state has. */
export function columnsCount(operator: PartialOperator | 'topk' | 'bottomk'): number {
  switch (operator) {
    case 'avg':
      return 3;
    case 'sum':
      return 2;
    case 'group':
      return 0;
    default:
      return 1;
  }
}

/** The union of fragments: groups of equal labels are merged, and all are sorted by their first series. Writes to the states. */
export function mergePartials(
  operator: PartialOperator,
  fragments: Iterable<readonly PartialSeries[]>,
): PartialSeries[] {
  const byKey = new Map<string, PartialSeries>();
  for (const fragment of fragments) {
    for (const addition of fragment) {
      demandFinite(operator, addition);
      const key = addition.labels.key();
      const held = byKey.get(key);
      if (!held) {
        byKey.set(key, addition);
        continue;
      }
      addState(operator, held, addition);
      demandFinite(operator, held);
      const first = Labels.compare(held.first, addition.first) <= 0 ? held.first : addition.first;
      byKey.set(key, { ...held, first });
    }
  }
  return sortByFirst([...byKey.values()]);
}

export function sortByFirst<T extends { readonly first: Labels }>(series: T[]): T[] {
  return series.sort((a, b) => Labels.compare(a.first, b.first));
}

/** A sum that overflows does so, or does not, by the order of its terms. */
function demandFinite(operator: PartialOperator, { presence, columns: [sums] }: PartialState): void {
  if (operator !== 'sum' && operator !== 'avg') return;
  for (let step = 0; step < presence.length; step++) {
    if (presence[step] === 1 && Math.abs(sums?.[step] as number) === Infinity) {
      throw new TimbalaError('PARTIAL_INEXACT', 'a sum has left the range of finite numbers');
    }
  }
}

function addState(operator: PartialOperator, held: PartialState, addition: PartialState): void {
  const { presence, columns } = addition;
  for (let step = 0; step < presence.length; step++) {
    if (presence[step] === 0) continue;
    if (held.presence[step] === 1) addAtStep(operator, held.columns, columns, step);
    else for (const [i, column] of columns.entries()) (held.columns[i] as Float64Array)[step] = column[step] as number;
    held.presence[step] = 1;
  }
}

type Columns = readonly Float64Array[];

function addAtStep(operator: PartialOperator, held: Columns, addition: Columns, step: number): void {
  switch (operator) {
    case 'group':
      return;
    case 'count':
      return replaceAt(held, addition, step, 0, (a, b) => a + b);
    case 'max':
    case 'min':
      return replaceAt(held, addition, step, 0, (a, b) => extreme(a, b, operator === 'max'));
    case 'sum':
      return addSums(held, addition, step);
    case 'avg':
      addSums(held, addition, step);
      return replaceAt(held, addition, step, 2, (a, b) => a + b);
    default:
      unreachable(operator);
  }
}

function replaceAt(
  held: Columns,
  addition: Columns,
  step: number,
  column: number,
  combine: (a: number, b: number) => number,
): void {
  const values = held[column] as Float64Array;
  values[step] = combine(values[step] as number, addition[column]?.[step] as number);
}

/** Neumaier's step with the other sum as the term; what the two have lost adds up. */
function addSums(held: Columns, addition: Columns, step: number): void {
  const [sums, compensations] = held as [Float64Array, Float64Array];
  const [value, compensation] = [addition[0]?.[step] as number, addition[1]?.[step] as number];
  const sum = sums[step] as number;
  const total = sum + value;
  const error = Math.abs(sum) >= Math.abs(value) ? sum - total + value : value - total + sum;
  sums[step] = total;
  compensations[step] = (compensations[step] as number) + compensation + error;
}

function extreme(a: number, b: number, isMax: boolean): number {
  if (a === b && !Object.is(a, b)) {
    throw new TimbalaError('PARTIAL_INEXACT', 'of 0 and -0 the one of the first series counts');
  }
  if (Number.isNaN(a)) return b;
  return (isMax ? b > a : b < a) ? b : a;
}

/** The results of merged states. */
export class PartialsOperator implements VectorOperator<SourcedSeries> {
  readonly series: readonly SourcedSeries[];
  readonly hasEffects = false;
  readonly #operator: PartialOperator;
  readonly #states: readonly PartialSeries[];

  constructor(operator: PartialOperator, states: readonly PartialSeries[]) {
    this.series = states.map(({ labels, first }) => ({ labels, first, dropsName: false }));
    this.#operator = operator;
    this.#states = states;
  }

  read(index: number, row: Row): void {
    const { presence, columns } = this.#states[index] as PartialSeries;
    row.clear();
    for (let step = 0; step < presence.length; step++) {
      if (presence[step] === 0) continue;
      row.values[step] = resultOf(this.#operator, columns, step);
      row.presence[step] = 1;
      row.presentCount++;
    }
  }
}

function resultOf(operator: PartialOperator, [values, compensations, counts]: Columns, step: number): number {
  const value = values?.[step] as number;
  switch (operator) {
    case 'group':
      return 1;
    case 'sum':
      return value + (compensations?.[step] as number);
    case 'avg': {
      const count = counts?.[step] as number;
      return value / count + (compensations?.[step] as number) / count;
    }
    default:
      return value;
  }
}
