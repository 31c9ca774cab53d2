// Trigonometric functions: the algorithms of the Cephes library (sin.c, tan.c, atan.c; S. L. Moshier, 1984 to 2000) with the
// steps in the order of Go's math package, so that results are equal to the bit. Large arguments are reduced after M. H. Payne
// and R. N. Hanek, "Radian reduction for trigonometric functions" (1983).
import { highBits, lowBits } from './bits.ts';

// π/4 in three parts; products of the first two with small integers are exact.
const quarterPiA = 7.85398125648498535156e-1;
const quarterPiB = 3.77489470793079817668e-8;
const quarterPiC = 2.69515142907905952645e-15;

/** From here on three parts of π/4 are too few. */
const reductionThreshold = 2 ** 29;

// The octant and rest of the last reduction, so that none allocates.
let octant = 0;
let rest = 0;

/** x ≥ 0 as (octant, rest): x = octant × π/4 + rest, the octant even and modulo 8, |rest| ≤ π/4. */
function reduce(x: number): void {
  if (x >= reductionThreshold) {
    reduceLarge(x);
    return;
  }
  let quarters = Math.floor(x * (4 / Math.PI));
  if (quarters % 2 === 1) quarters++;
  octant = quarters % 8;
  rest = x - quarters * quarterPiA - quarters * quarterPiB - quarters * quarterPiC;
}

/** 4/π: 1 before the point, then 1216 bits behind it. */
const fourOverPi = BigInt(
  '0x145f306dc9c882a53f84eafa3ea69bb81b6c52b3278872083fca2c757bd778ac36e48dc74849ba5c00c925dd413a32439fc3bd63962534e7d' +
    'd1046bea5d768909d338e04d68befc827323ac7306a673e93908bf177bf250763ff12fffbc0b301fde5e2316b414da3eda6cfd9e4f96136e' +
    '9e8c7ecd3cbfd45aea4f758fd7cbe2f67a0e73ef14a525d4d7f6bf623f1aba10ac06608df8f6d757',
);
const fourOverPiWords = 20;

function reduceLarge(x: number): void {
  const high = highBits(x);
  const exponent = ((high >>> 20) & 0x7ff) - 1023 - 52;
  const significand = (BigInt((high & 0xfffff) | 0x100000) << 32n) | BigInt(lowBits(x));
  // Only 192 bits of 4/π matter: higher ones give whole turns, lower ones less than is kept.
  const shift = 64 * fourOverPiWords - (exponent + 61) - 192;
  const digits = BigInt.asUintN(192, fourOverPi >> BigInt(shift));
  const word0 = digits >> 128n;
  const word1 = BigInt.asUintN(64, digits >> 64n);
  const word2 = BigInt.asUintN(64, digits);
  const product =
    (BigInt.asUintN(64, word0 * significand) << 64n) + word1 * significand + ((word2 * significand) >> 64n);
  const turns = BigInt.asUintN(128, product);
  octant = Number(turns >> 125n);
  rest = truncatedFraction(BigInt.asUintN(64, turns >> 61n), BigInt.asUintN(64, turns));
  if (octant % 2 === 1) {
    octant = (octant + 1) % 8;
    rest -= 1;
  }
  rest *= Math.PI / 4;
}

/**
 * fraction / 2^64, cut to 53 significant bits. Where leading zeros make room for more, Go fills up from the top of `low`, of
 * which three bits have been in `fraction` already: an error far below the last place of any result, kept to be equal.
 */
function truncatedFraction(fraction: bigint, low: bigint): number {
  const zeros = 64 - fraction.toString(2).length;
  const significand = BigInt.asUintN(64, fraction << BigInt(zeros + 1)) | (low >> BigInt(63 - zeros));
  return (1 + Number(significand >> 12n) * 2 ** -52) * 2 ** -(zeros + 1);
}

function sinSeries(z: number): number {
  const zz = z * z;
  const series =
    ((((1.5896230157654656806e-10 * zz + -2.50507477628578072866e-8) * zz + 2.75573136213857245213e-6) * zz +
      -1.98412698295895385996e-4) *
      zz +
      8.33333333332211858878e-3) *
      zz +
    -1.66666666666666307295e-1;
  return z + z * zz * series;
}

function cosSeries(z: number): number {
  const zz = z * z;
  const series =
    ((((-1.135853652138768173e-11 * zz + 2.08757008419747316778e-9) * zz + -2.75573141792967388112e-7) * zz +
      2.48015872888517045348e-5) *
      zz +
      -1.38888888888730564116e-3) *
      zz +
    4.16666666666665929218e-2;
  return 1 - 0.5 * zz + zz * zz * series;
}

export function sin(x: number): number {
  if (x === 0 || Number.isNaN(x)) return x;
  if (Math.abs(x) === Infinity) return NaN;
  reduce(Math.abs(x));
  const isNegative = x < 0 !== octant > 3;
  const value = octant % 4 === 2 ? cosSeries(rest) : sinSeries(rest);
  return isNegative ? -value : value;
}

export function cos(x: number): number {
  if (!Number.isFinite(x)) return NaN;
  reduce(Math.abs(x));
  const value = octant % 4 === 2 ? sinSeries(rest) : cosSeries(rest);
  return octant === 2 || octant === 4 ? -value : value;
}

export function tan(x: number): number {
  if (x === 0 || Number.isNaN(x)) return x;
  if (Math.abs(x) === Infinity) return NaN;
  reduce(Math.abs(x));
  const z = rest;
  const zz = z * z;
  let value = z;
  if (zz > 1e-14) {
    const numerator = (-1.30936939181383777646e4 * zz + 1.1535166483858741614e6) * zz + -1.79565251976484877988e7;
    const denominator =
      (((zz + 1.36812963470692954678e4) * zz + -1.32089234440210967447e6) * zz + 2.50083801823357915839e7) * zz +
      -5.38695755929454629881e7;
    value = z + z * ((zz * numerator) / denominator);
  }
  if (octant % 4 === 2) value = -1 / value;
  return x < 0 ? -value : value;
}

/** atan on [0, 0.66]. */
function atanSeries(x: number): number {
  const z = x * x;
  const numerator =
    (((-8.750608600031904122785e-1 * z + -1.615753718733365076637e1) * z + -7.50085579231470466734e1) * z +
      -1.22886668449013617341e2) *
      z +
    -6.485021904942025371773e1;
  const denominator =
    ((((z + 2.485846490142306297962e1) * z + 1.650270098316988542046e2) * z + 4.328810604912902668951e2) * z +
      4.853903996359136964868e2) *
      z +
    1.945506571482613964425e2;
  return x * ((z * numerator) / denominator) + x;
}

const halfPiLow = 6.12323399573676588613e-17;
const tanOf3Pi8 = 2.4142135623730950488;

/** atan of x ≥ 0. */
function atanPositive(x: number): number {
  if (x <= 0.66) return atanSeries(x);
  if (x > tanOf3Pi8) return Math.PI / 2 - atanSeries(1 / x) + halfPiLow;
  return Math.PI / 4 + atanSeries((x - 1) / (x + 1)) + 0.5 * halfPiLow;
}

export function atan(x: number): number {
  if (x === 0) return x;
  return x > 0 ? atanPositive(x) : -atanPositive(-x);
}

export function asin(x: number): number {
  if (x === 0) return x;
  const magnitude = Math.abs(x);
  if (!(magnitude <= 1)) return NaN;
  const cosine = Math.sqrt(1 - magnitude * magnitude);
  const value = magnitude > 0.7 ? Math.PI / 2 - atanPositive(cosine / magnitude) : atanPositive(magnitude / cosine);
  return x < 0 ? -value : value;
}

export function acos(x: number): number {
  return Math.PI / 2 - asin(x);
}

/** The angle of the point (x, y). */
export function atan2(y: number, x: number): number {
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  // At the axes and infinities every implementation gives the same multiples of π/4.
  if (y === 0 || x === 0 || !Number.isFinite(x) || !Number.isFinite(y)) return Math.atan2(y, x);
  const angle = atan(y / x);
  if (x > 0) return angle;
  return angle <= 0 ? angle + Math.PI : angle - Math.PI;
}
