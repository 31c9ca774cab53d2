// Optimizer rule: operators between numbers, and functions of numbers alone, become numbers. Worth it for what it lets others
// do: a constant operand is filled once, and a constant subtree is step-invariant without being wrapped.
import { scalarFunction } from '../operators/scalar-functions.ts';
import { binaryNumber, isSetOperator } from '../operators/binary-kernels.ts';
import { mapChildren, type NumberNode, type PlanNode } from './plan-node.ts';

export function foldConstants(node: PlanNode): PlanNode {
  const folded = mapChildren(node, foldConstants);
  const value = constantValue(folded);
  return value === undefined ? folded : { kind: 'number', value, position: folded.position };
}

function constantValue(node: PlanNode): number | undefined {
  switch (node.kind) {
    case 'negation':
      return node.expression.kind === 'number' ? -node.expression.value : undefined;
    case 'binary': {
      const { left, right, operator } = node;
      if (left.kind !== 'number' || right.kind !== 'number' || isSetOperator(operator)) return undefined;
      return binaryNumber(operator, left.value, right.value);
    }
    case 'call': {
      const compute = scalarFunction(node.function);
      if (!compute || !node.arguments.every((argument): argument is NumberNode => argument.kind === 'number'))
        return undefined;
      return compute(...node.arguments.map((argument) => argument.value));
    }
    default:
      return undefined;
  }
}
