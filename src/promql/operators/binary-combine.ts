// Applies one binary operator to two rows: arithmetic gives new values, a comparison filters the left values, and with `bool`
// it gives 1 or 0. A step has a result where both rows have a value.
import type { BinaryNode } from '../plan/plan-node.ts';
import { arithmeticKernels, comparisonKernels, isComparison, isSetOperator } from './binary-kernels.ts';
import { Row } from './operator.ts';
import { executionError } from './errors.ts';

/**
 * Writes `left operator right` to `out`, which may be one of them. `kept`: whose values a filtering comparison lets through
 * (those of the vector, where the other operand is a scalar).
 */
export type Combine = (left: Row, right: Row, out: Row, kept: 'left' | 'right') => void;

export function combiner(node: BinaryNode, stepsCount: number): Combine {
  const { operator, returnsBool } = node;
  if (isSetOperator(operator)) throw executionError(`set operator ${JSON.stringify(operator)} does not combine values`);
  if (!isComparison(operator)) {
    const compute = arithmeticKernels[operator];
    return (left, right, out) => {
      compute(left.values, right.values, out.values);
      intersectPresence(left, right, out);
    };
  }
  const compare = comparisonKernels[operator];
  const outcome = new Uint8Array(stepsCount);
  if (returnsBool) {
    return (left, right, out) => {
      compare(left.values, right.values, outcome);
      out.values.set(outcome);
      intersectPresence(left, right, out);
    };
  }
  return (left, right, out, kept) => {
    compare(left.values, right.values, outcome);
    const source = kept === 'left' ? left : right;
    if (out !== source) out.values.set(source.values);
    intersectPresence(left, right, out);
    keepWhere(outcome, out);
  };
}

function intersectPresence(left: Row, right: Row, out: Row): void {
  if (left.isFull && right.isFull) {
    out.markFull();
    return;
  }
  let presentCount = 0;
  for (let step = 0; step < out.stepsCount; step++) {
    const present = (left.presence[step] as number) & (right.presence[step] as number);
    out.presence[step] = present;
    presentCount += present;
  }
  out.presentCount = presentCount;
}

/** Takes away the steps where `outcome` is 0. */
export function keepWhere(outcome: Uint8Array, row: Row): void {
  let presentCount = 0;
  for (let step = 0; step < row.stepsCount; step++) {
    const present = (row.presence[step] as number) & (outcome[step] as number);
    row.presence[step] = present;
    presentCount += present;
  }
  row.presentCount = presentCount;
}
