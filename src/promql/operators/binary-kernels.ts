// Binary operators over whole rows: one loop per operator, the choice made outside. Steps without a value are computed too
// (their values mean nothing, and a test per step costs more than the arithmetic). Scalars come as rows of equal values.
import { unreachable } from '../../base/index.ts';
import { atan2, pow } from '../functions/math/index.ts';
import type { ArithmeticOperator, BinaryOperator, ComparisonOperator, SetOperator } from '../parse/ast.ts';

type Values = Float64Array;

/** Writes `left[i] operator right[i]` to `out[i]`, which may be either operand. */
export type ArithmeticKernel = (left: Values, right: Values, out: Values) => void;

/** Writes 1 to `out[i]` where the comparison holds, otherwise 0. */
export type ComparisonKernel = (left: Values, right: Values, out: Uint8Array) => void;

export function isComparison(operator: BinaryOperator): operator is ComparisonOperator {
  return operator in comparisonKernels;
}

export function isSetOperator(operator: BinaryOperator): operator is SetOperator {
  return operator === 'and' || operator === 'or' || operator === 'unless';
}

export const arithmeticKernels: Readonly<Record<ArithmeticOperator, ArithmeticKernel>> = {
  '+': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = (left[i] as number) + (right[i] as number);
  },
  '-': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = (left[i] as number) - (right[i] as number);
  },
  '*': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = (left[i] as number) * (right[i] as number);
  },
  '/': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = (left[i] as number) / (right[i] as number);
  },
  '%': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = (left[i] as number) % (right[i] as number);
  },
  '^': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = pow(left[i] as number, right[i] as number);
  },
  atan2: (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = atan2(left[i] as number, right[i] as number);
  },
};

export const comparisonKernels: Readonly<Record<ComparisonOperator, ComparisonKernel>> = {
  '==': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = left[i] === right[i] ? 1 : 0;
  },
  '!=': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = left[i] === right[i] ? 0 : 1;
  },
  '>': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = (left[i] as number) > (right[i] as number) ? 1 : 0;
  },
  '<': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = (left[i] as number) < (right[i] as number) ? 1 : 0;
  },
  '>=': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = (left[i] as number) >= (right[i] as number) ? 1 : 0;
  },
  '<=': (left, right, out) => {
    for (let i = 0; i < out.length; i++) out[i] = (left[i] as number) <= (right[i] as number) ? 1 : 0;
  },
};

/** The operator between two scalars; comparisons give 1 or 0. */
export function binaryNumber(operator: ArithmeticOperator | ComparisonOperator, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    case '%':
      return left % right;
    case '^':
      return pow(left, right);
    case 'atan2':
      return atan2(left, right);
    case '==':
      return left === right ? 1 : 0;
    case '!=':
      return left === right ? 0 : 1;
    case '>':
      return left > right ? 1 : 0;
    case '<':
      return left < right ? 1 : 0;
    case '>=':
      return left >= right ? 1 : 0;
    case '<=':
      return left <= right ? 1 : 0;
    default:
      return unreachable(operator);
  }
}
