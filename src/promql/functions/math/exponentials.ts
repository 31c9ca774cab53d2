// exp and pow. exp: N. Shibata, "Efficient evaluation methods of elementary functions suitable for SIMD computation" (ISC'10),
// with the steps of Go on amd64 processors that have fused multiply-add (all servers since 2013). pow: repeated squaring, as Go.
// Both are equal to Go's in every bit.
import { exponentOf, fractionOf, scale } from './bits.ts';
import { fma } from './fma.ts';
import { log } from './logarithms.ts';

const ln2Upper = 0.693147180559663;
const ln2Lower = 2.8235290563031577e-13;
const overflow = 7.09782712893384e2;

export function exp(x: number): number {
  if (Number.isNaN(x) || x === Infinity) return x;
  if (x > overflow) return Infinity;
  if (x < -745.2) return 0;
  const exponent = roundHalfEven(x * Math.LOG2E);
  // Go's assembly counts on the exponent alone to see an overflow.
  if (exponent >= 1024) return Infinity;
  // A sixteenth of the rest, so that a short Taylor series is enough; squared four times at the end.
  const r = fma(-exponent, ln2Lower, fma(-exponent, ln2Upper, x)) * 0.0625;
  let series = 1 / 40_320;
  series = fma(series, r, 1 / 5040);
  series = fma(series, r, 1 / 720);
  series = fma(series, r, 1 / 120);
  series = fma(series, r, 1 / 24);
  series = fma(series, r, 1 / 6);
  series = fma(series, r, 0.5);
  series = fma(series, r, 1);
  // e^2r - 1 = (e^r - 1)(e^r - 1 + 2) keeps what is near 1 precise.
  let less1 = r * series;
  for (let i = 0; i < 3; i++) less1 *= less1 + 2;
  return scale(fma(less1, less1 + 2, 1), exponent);
}

function roundHalfEven(value: number): number {
  // Adding and taking away 1.5 × 2^52 leaves the nearest integer, ties to even.
  return value + 6755399441055744 - 6755399441055744;
}

const smallestNormal = 2 ** -1022;

/** x^y. */
export function pow(x: number, y: number): number {
  if (y === 0 || x === 1) return 1;
  if (y === 1) return x;
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  if (x === 0 || Math.abs(x) === Infinity) return powOfLimit(x, y);
  if (Math.abs(y) === Infinity) {
    if (x === -1) return 1;
    return Math.abs(x) < 1 === y > 0 ? 0 : Infinity;
  }
  if (y === 0.5) return Math.sqrt(x);
  if (y === -0.5) return 1 / Math.sqrt(x);
  const magnitude = Math.abs(y);
  const whole = Math.floor(magnitude);
  if (whole !== magnitude) return x < 0 ? NaN : powWithFraction(x, y, whole, magnitude - whole);
  if (magnitude >= 2 ** 63) {
    // An even integer, so large that nothing but ±1 stays finite or above 0.
    if (x === -1) return 1;
    return Math.abs(x) < 1 === y > 0 ? 0 : Infinity;
  }
  return powOfInteger(x, y, whole);
}

/** x is 0 or an infinity. */
function powOfLimit(x: number, y: number): number {
  const isNegative = Object.is(x, -0) || x === -Infinity;
  const isOdd = Math.abs(y) < 2 ** 53 && y % 2 !== 0 && Number.isInteger(y);
  const magnitude = (x === 0) === y > 0 ? 0 : Infinity;
  return isNegative && isOdd ? -magnitude : magnitude;
}

function powOfInteger(x: number, y: number, whole: number): number {
  let power = 1;
  let square = x;
  for (let rest = whole; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) power *= square;
    square *= square;
  }
  const result = y < 0 ? 1 / power : power;
  // Where nothing over- or underflowed on the way, scaling would have changed nothing.
  const isNormal = (value: number): boolean => Math.abs(value) >= smallestNormal && Math.abs(value) < Infinity;
  return isNormal(x) && isNormal(power) && isNormal(result) ? result : powScaled(x, y, whole, 1);
}

function powWithFraction(x: number, y: number, whole: number, fraction: number): number {
  const isUpper = fraction > 0.5;
  const start = exp((isUpper ? fraction - 1 : fraction) * log(x));
  return powScaled(x, y, isUpper ? whole + 1 : whole, start);
}

/** start × x^whole (its inverse where y < 0), with the powers of two counted apart. */
function powScaled(x: number, y: number, whole: number, start: number): number {
  let power = start;
  let powerExponent = 0;
  let square = fractionOf(x);
  let squareExponent = exponentOf(x);
  for (let rest = whole; rest > 0; rest = Math.floor(rest / 2)) {
    if (Math.abs(squareExponent) > 4096) {
      // The result is 0 or an infinity already.
      powerExponent += squareExponent;
      break;
    }
    if (rest % 2 === 1) {
      power *= square;
      powerExponent += squareExponent;
    }
    square *= square;
    squareExponent *= 2;
    if (square < 0.5) {
      square += square;
      squareExponent--;
    }
  }
  return y < 0 ? scale(1 / power, -powerExponent) : scale(power, powerExponent);
}
