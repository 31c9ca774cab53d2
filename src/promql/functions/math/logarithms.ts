// Logarithms: the algorithm of FreeBSD's msun (e_log.c, s_log1p.c; copyright 1993 Sun Microsystems, freely distributable),
// with the steps in the order of Go's math package on amd64, so that results are equal to the bit. V8's own differ in the last
// place in a sixth of all cases.
import { exponentOf, fractionOf, fromBits, highBits, lowBits } from './bits.ts';

const ln2High = 0.6931471803691238;
const ln2Low = 1.9082149292705877e-10;
const coefficients = [
  0.6666666666666735, 0.3999999999940942, 0.2857142874366239, 0.22222198432149784, 0.1818357216161805,
  0.15313837699209373, 0.14798198605116586,
] as const;
const [l1, l2, l3, l4, l5, l6, l7] = coefficients;

/** The natural logarithm. */
export function log(x: number): number {
  if (Number.isNaN(x) || x === Infinity) return x;
  if (x < 0) return NaN;
  if (x === 0) return -Infinity;
  // As the assembly has it, the bits of a subnormal are taken for those of a normal number.
  const high = highBits(x);
  let fraction = fromBits((high & 0xfffff) | 0x3fe00000, lowBits(x));
  let exponent = (high >>> 20) - 1022;
  if (fraction < Math.SQRT1_2) {
    fraction *= 2;
    exponent--;
  }
  const f = fraction - 1;
  const s = f / (2 + f);
  const s2 = s * s;
  const s4 = s2 * s2;
  const t1 = s2 * (l1 + s4 * (l3 + s4 * (l5 + s4 * l7)));
  const t2 = s4 * (l2 + s4 * (l4 + s4 * l6));
  const r = t1 + t2;
  const halfSquare = 0.5 * f * f;
  return exponent * ln2High - (halfSquare - (s * (halfSquare + r) + exponent * ln2Low) - f);
}

/** The logarithm to base 2, exact for powers of two. */
export function log2(x: number): number {
  if (!(x > 0) || x === Infinity) return log(x);
  const fraction = fractionOf(x);
  const exponent = exponentOf(x);
  return fraction === 0.5 ? exponent - 1 : log(fraction) * Math.LOG2E + exponent;
}

export function log10(x: number): number {
  return log(x) * Math.LOG10E;
}

const sqrt2Less1 = 0.41421356237309503;
const sqrtHalfLess1 = -0.2928932188134525;

/** log(1 + x), precise near 0. */
export function log1p(x: number): number {
  if (x < -1 || Number.isNaN(x)) return NaN;
  if (x === -1) return -Infinity;
  if (x === Infinity) return x;
  const magnitude = Math.abs(x);
  if (magnitude < 2 ** -54) return x;
  if (magnitude < 2 ** -29) return x - x * x * 0.5;
  if (magnitude < sqrt2Less1 && x > sqrtHalfLess1) return log1pOfFraction(x, false, 0, 0);

  const isLarge = magnitude >= 2 ** 53;
  const u = isLarge ? x : 1 + x;
  let exponent = (highBits(u) >>> 20) - 1023;
  let correction = 0;
  if (!isLarge) correction = (exponent > 0 ? 1 - (u - x) : x - (u - 1)) / u;
  // The significand is halved from √2 on.
  const high = highBits(u) & 0xfffff;
  const low = lowBits(u);
  const isBelowSqrt2 = high < 0x6a09e || (high === 0x6a09e && low < 0x667f3bcd);
  if (!isBelowSqrt2) exponent++;
  const normalized = fromBits(high | (isBelowSqrt2 ? 0x3ff00000 : 0x3fe00000), low);
  // Zero here: a difference from 1 below 2^-52, whose logarithm needs no series.
  const isOne = isBelowSqrt2 ? high === 0 && low === 0 : high === 0xfffff && low >= 0xfffffffd;
  return log1pOfFraction(normalized - 1, isOne, exponent, correction);
}

function log1pOfFraction(f: number, isOne: boolean, k: number, correction: number): number {
  const halfSquare = 0.5 * f * f;
  if (isOne) {
    if (f === 0) return k === 0 ? 0 : k * ln2High + (correction + k * ln2Low);
    const r = halfSquare * (1 - 0.6666666666666666 * f);
    return k === 0 ? f - r : k * ln2High - (r - (k * ln2Low + correction) - f);
  }
  const s = f / (2 + f);
  const z = s * s;
  const r = z * (l1 + z * (l2 + z * (l3 + z * (l4 + z * (l5 + z * (l6 + z * l7))))));
  if (k === 0) return f - (halfSquare - s * (halfSquare + r));
  return k * ln2High - (halfSquare - (s * (halfSquare + r) + (k * ln2Low + correction)) - f);
}
