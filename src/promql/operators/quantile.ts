// The φ-quantile over the series of a group. It needs all values of a step at once, so all rows are kept.
import { quantileOf } from '../functions/index.ts';
import type { QueryControl } from '../queryable.ts';
import type { Accumulator } from './accumulators.ts';
import { Row } from './operator.ts';

export class QuantileAccumulator implements Accumulator {
  readonly #quantiles: Float64Array;
  readonly #rows: readonly Row[][];
  readonly #control: QueryControl;

  /** `quantiles`: φ at each step. */
  constructor(groupsCount: number, quantiles: Float64Array, control: QueryControl) {
    this.#quantiles = quantiles;
    this.#rows = Array.from({ length: groupsCount }, () => []);
    this.#control = control;
  }

  add(group: number, row: Row): void {
    this.#control.addBytes(Row.bytes(row.stepsCount));
    const copy = new Row(row.stepsCount);
    copy.copyFrom(row);
    this.#rows[group]?.push(copy);
  }

  read(group: number, into: Row): void {
    into.clear();
    const rows = this.#rows[group] ?? [];
    const values = new Float64Array(rows.length);
    for (let step = 0; step < into.stepsCount; step++) {
      let count = 0;
      for (const row of rows) if (row.presence[step] === 1) values[count++] = row.values[step] as number;
      if (count === 0) continue;
      into.values[step] = quantileOf(this.#quantiles[step] as number, values.subarray(0, count));
      into.presence[step] = 1;
      into.presentCount++;
    }
  }
}
