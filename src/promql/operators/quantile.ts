// The φ-quantile over the series of a group. It needs all values of a step at once, so the group's rows are kept until the end.
import type { Accumulator } from './accumulators.ts';
import { Row } from './operator.ts';
import { quantileOf } from '../functions/index.ts';

export class QuantileAccumulator implements Accumulator {
  readonly #quantiles: Float64Array;
  readonly #rows: Row[] = [];

  /** `quantiles`: φ at each step. */
  constructor(quantiles: Float64Array) {
    this.#quantiles = quantiles;
  }

  get bytes(): number {
    return this.#rows.length * Row.bytes(this.#quantiles.length);
  }

  add(row: Row): void {
    const copy = new Row(row.stepsCount);
    copy.copyFrom(row);
    this.#rows.push(copy);
  }

  finish(into: Row): void {
    into.clear();
    const values = new Float64Array(this.#rows.length);
    for (let step = 0; step < into.stepsCount; step++) {
      let count = 0;
      for (const row of this.#rows) if (row.presence[step] === 1) values[count++] = row.values[step] as number;
      if (count === 0) continue;
      into.values[step] = quantileOf(this.#quantiles[step] as number, values.subarray(0, count));
      into.presence[step] = 1;
      into.presentCount++;
    }
    this.#rows.length = 0;
  }
}
