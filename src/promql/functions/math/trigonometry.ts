// Trigonometric functions: the algorithms of the Cephes library (sin.c, tan.c, atan.c; S. L. Moshier, 1984 to 2000) with the
// steps in the order of Go's math package, so that results are equal to the bit. Large arguments are reduced after M. H. Payne
// and R. N. Hanek, "Radian reduction for trigonometric functions" (1983).
import { highBits, lowBits } from './bits.ts';

// π/4 in three parts; products of the first two with small integers are exact.
const quarterPiA = 0.7853981256484985;
const quarterPiB = 3.774894707930798e-8;
const quarterPiC = 2.6951514290790595e-15;

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
    ((((1.5896230157654656e-10 * zz + -2.5050747762857807e-8) * zz + 2.7557313621385722e-6) * zz +
      -0.0001984126982958954) *
      zz +
      0.008333333333322118) *
      zz +
    -0.1666666666666663;
  return z + z * zz * series;
}

function cosSeries(z: number): number {
  const zz = z * z;
  const series =
    ((((-1.1358536521387682e-11 * zz + 2.087570084197473e-9) * zz + -2.755731417929674e-7) * zz +
      2.4801587288851704e-5) *
      zz +
      -0.0013888888888873056) *
      zz +
    0.041666666666666595;
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
    const numerator = (-13093.693918138379 * zz + 1153516.6483858742) * zz + -17956525.197648488;
    const denominator =
      (((zz + 13681.296347069296) * zz + -1320892.3444021097) * zz + 25008380.18233579) * zz + -53869575.592945464;
    value = z + z * ((zz * numerator) / denominator);
  }
  if (octant % 4 === 2) value = -1 / value;
  return x < 0 ? -value : value;
}

/** atan on [0, 0.66]. */
function atanSeries(x: number): number {
  const z = x * x;
  const numerator =
    (((-0.8750608600031904 * z + -16.157537187333652) * z + -75.00855792314705) * z + -122.88666844901361) * z +
    -64.85021904942025;
  const denominator =
    ((((z + 24.858464901423062) * z + 165.02700983169885) * z + 432.88106049129027) * z + 485.3903996359137) * z +
    194.5506571482614;
  return x * ((z * numerator) / denominator) + x;
}

const halfPiLow = 6.123233995736766e-17;
const tanOf3Pi8 = 2.414213562373095;

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
