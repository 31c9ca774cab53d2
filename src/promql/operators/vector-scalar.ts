// A binary operator between a vector and a scalar.
import type { BinaryNode } from '../plan/plan-node.ts';
import { type Combine, combiner } from './binary-combine.ts';
import { isComparison } from './binary-kernels.ts';
import { type Evaluation, type OutputSeries, Row, type VectorOperator } from './operator.ts';
import { dropNames } from './series-naming.ts';

export class VectorScalarOperator implements VectorOperator {
  readonly series: readonly OutputSeries[];
  readonly hasEffects: boolean;
  readonly #vector: VectorOperator;
  readonly #scalar: Row;
  readonly #scalarIsLeft: boolean;
  readonly #combine: Combine;

  constructor(
    node: BinaryNode,
    operands: { vector: VectorOperator; scalar: Float64Array; scalarIsLeft: boolean },
    evaluation: Evaluation,
  ) {
    const keepsNames = isComparison(node.operator) && !node.returnsBool;
    this.series = keepsNames ? operands.vector.series : dropNames(operands.vector.series, evaluation);
    this.hasEffects = operands.vector.hasEffects;
    this.#vector = operands.vector;
    this.#scalar = new Row(operands.scalar.length);
    this.#scalar.values.set(operands.scalar);
    this.#scalar.markFull();
    this.#scalarIsLeft = operands.scalarIsLeft;
    this.#combine = combiner(node, operands.scalar.length);
  }

  read(index: number, row: Row): void {
    this.#vector.read(index, row);
    if (this.#scalarIsLeft) this.#combine(this.#scalar, row, row, 'right');
    else this.#combine(row, this.#scalar, row, 'left');
  }
}
