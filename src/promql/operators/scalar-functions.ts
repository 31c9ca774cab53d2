// Functions that take nothing but scalars and give a scalar, and so fold into numbers where their arguments are numbers.
// (`time` asks for the step and `scalar` for a vector; build-scalar.ts has those.)
import { maxOf, minOf } from '../functions/index.ts';

export type ScalarFunction = (...values: readonly number[]) => number;

const scalarFunctions: ReadonlyMap<string, ScalarFunction> = new Map<string, ScalarFunction>([
  ['pi', () => Math.PI],
  ['max_of', (a = NaN, b = NaN) => maxOf(a, b)],
  ['min_of', (a = NaN, b = NaN) => minOf(a, b)],
]);

export function scalarFunction(name: string): ScalarFunction | undefined {
  return scalarFunctions.get(name);
}
