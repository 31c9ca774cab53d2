// Functions that take nothing but scalars and give a scalar, and so fold into numbers where their arguments are numbers.
// (`time` asks for the step and `scalar` for a vector; build-scalar.ts has those.)

export type ScalarFunction = (...values: readonly number[]) => number;

const scalarFunctions: ReadonlyMap<string, ScalarFunction> = new Map<string, ScalarFunction>([
  ['pi', () => Math.PI],
  ['max_of', (a = NaN, b = NaN) => maxOf(a, b)],
  ['min_of', (a = NaN, b = NaN) => -maxOf(-a, -b)],
]);

export function scalarFunction(name: string): ScalarFunction | undefined {
  return scalarFunctions.get(name);
}

/** Go's math.Max: an infinity wins even over NaN. */
function maxOf(a: number, b: number): number {
  return a === Infinity || b === Infinity ? Infinity : Math.max(a, b);
}
