// Repeats the only row of a tree that was evaluated at the first step alone.
import { type OutputSeries, Row, type VectorOperator } from './operator.ts';

export class StepInvariantOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects: boolean;
  readonly #inner: VectorOperator;
  readonly #row = new Row(1);

  /** `inner` must have been made for the first step of the grid, as its only one. */
  constructor(inner: VectorOperator) {
    this.series = inner.series;
    this.hasEffects = inner.hasEffects;
    this.#inner = inner;
  }

  read(index: number, row: Row): void {
    this.#inner.read(index, this.#row);
    if (this.#row.presentCount === 0) row.clear();
    else row.fill(this.#row.values[0] as number);
  }
}
