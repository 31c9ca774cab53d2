// Functions of one sample at a time: number in, number out.
import * as dates from './dates.ts';
import * as mathematics from './math/index.ts';

/**
 * `parameters`: the function's scalar arguments at this step, in their order; empty where optional ones were left out.
 * clamp with a maximum below its minimum has no result at all, which is for callers to see to.
 */
export type FloatFunction = (value: number, parameters: Float64Array) => number;

/** Go's math.Max and math.Min: as JavaScript's, but an infinity wins over NaN. */
function goMax(a: number, b: number): number {
  return a === Infinity || b === Infinity ? Infinity : Math.max(a, b);
}

function goMin(a: number, b: number): number {
  return a === -Infinity || b === -Infinity ? -Infinity : Math.min(a, b);
}

function clamp(value: number, min: number, max: number): number {
  return goMax(min, goMin(max, value));
}

/** Half-way cases go up; dividing by the inverse is what Prometheus does. */
function round(value: number, parameters: Float64Array): number {
  const inverse = 1 / (parameters[0] ?? 1);
  return Math.floor(value * inverse + 0.5) / inverse;
}

function sgn(value: number): number {
  if (value < 0) return -1;
  return value > 0 ? 1 : value;
}

export const maxOf = goMax;
export const minOf = goMin;

/** The implementations by the function's name. */
export const floatFunctions: ReadonlyMap<string, FloatFunction> = new Map<string, FloatFunction>([
  ['abs', Math.abs],
  ['ceil', Math.ceil],
  ['floor', Math.floor],
  ['sqrt', Math.sqrt],
  ['sgn', sgn],
  ['round', round],
  ['clamp', (value, parameters) => clamp(value, parameters[0] as number, parameters[1] as number)],
  ['clamp_min', (value, parameters) => clamp(value, parameters[0] as number, Infinity)],
  ['clamp_max', (value, parameters) => clamp(value, -Infinity, parameters[0] as number)],
  ['exp', mathematics.exp],
  ['ln', mathematics.log],
  ['log2', mathematics.log2],
  ['log10', mathematics.log10],
  ['sin', mathematics.sin],
  ['cos', mathematics.cos],
  ['tan', mathematics.tan],
  ['asin', mathematics.asin],
  ['acos', mathematics.acos],
  ['atan', mathematics.atan],
  ['sinh', mathematics.sinh],
  ['cosh', mathematics.cosh],
  ['tanh', mathematics.tanh],
  ['asinh', mathematics.asinh],
  ['acosh', mathematics.acosh],
  ['atanh', mathematics.atanh],
  ['deg', (value) => value * (180 / Math.PI)],
  ['rad', (value) => value * (Math.PI / 180)],
  ['year', dates.year],
  ['month', dates.month],
  ['day_of_month', dates.dayOfMonth],
  ['day_of_week', dates.dayOfWeek],
  ['day_of_year', dates.dayOfYear],
  ['days_in_month', dates.daysInMonth],
  ['hour', dates.hour],
  ['minute', dates.minute],
]);
