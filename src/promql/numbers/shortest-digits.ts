// The shortest digits of a float in plain arithmetic, several times faster than through a string: most values of a rate or a
// quantile have 16 or 17 digits, and a wide answer has millions of them.
//
// A float stands for all reals nearer to it than to its neighbours: an interval of half a unit in the last place to either
// side. Scaled by a power of ten so that it has 17 digits before the point, the interval holds at least one integer; the
// shortest decimal is the multiple of the highest power of ten within it, and of those the nearest. The scaled value is kept as
// a sum of two floats (T. J. Dekker, "A floating-point technique for extending the available precision", 1971), whose error is
// some 1e-13 units of the 17th digit. Wherever a decision is closer than `doubt`, there is no answer, and the caller falls
// back on the exact algorithm of the runtime; so speed never costs a digit.

/** Values from this on … */
export const shortestMin = 1e-6;
/** … and below this have their digits found here: those that are printed without exponent. */
export const shortestMax = 1e21;

/** The decimal digits of |value| = digits × 10^-decimals, as 9 and 8 digits: high × 10^8 + low; trailing zeros included. */
export interface Digits {
  high: number;
  low: number;
  /** May be negative: zeros before the point then. */
  decimals: number;
}

const highScale = 1e8;
/** Far above all rounding errors below, far below the digits that matter. */
const doubt = 1e-6;

const exponentMin = -4;
const exponentMax = 22;

/** 10^e as the sum of two floats, the first of them cut in two halves of 26 bits, so that products of halves are exact. */
interface PowerOfTen {
  readonly high: Float64Array;
  readonly highUpper: Float64Array;
  readonly highLower: Float64Array;
  readonly low: Float64Array;
}

const splitter = 2 ** 27 + 1;

function powersOfTen(): PowerOfTen {
  const count = exponentMax - exponentMin + 1;
  const powers: PowerOfTen = {
    high: new Float64Array(count),
    highUpper: new Float64Array(count),
    highLower: new Float64Array(count),
    low: new Float64Array(count),
  };
  const fractionBits = 256n;
  for (let i = 0; i < count; i++) {
    const exponent = BigInt(i + exponentMin);
    const scaled = exponent < 0n ? (1n << fractionBits) / 10n ** -exponent : (10n ** exponent) << fractionBits;
    const high = Number(scaled) / 2 ** 256;
    const upper = splitter * high - (splitter * high - high);
    powers.high[i] = high;
    powers.highUpper[i] = upper;
    powers.highLower[i] = high - upper;
    powers.low[i] = Number(scaled - BigInt(high * 2 ** 256)) / 2 ** 256;
  }
  return powers;
}

const powers = powersOfTen();
const thresholds = Float64Array.from({ length: 22 }, (_, i) => Number(`1e${i}`));
const smallThresholds = Float64Array.from({ length: 7 }, (_, i) => Number(`1e-${i}`));

const cell = new Float64Array(1);
const halves = new Uint32Array(cell.buffer);

/** floor(log10(value)) within [shortestMin, shortestMax). */
function decimalExponent(value: number): number {
  if (value >= 1) {
    let exponent = value >= 1e10 ? 10 : 0;
    while (exponent < 20 && value >= (thresholds[exponent + 1] as number)) exponent++;
    return exponent;
  }
  let exponent = 1;
  while (value < (smallThresholds[exponent] as number)) exponent++;
  return -exponent;
}

/** Finds the digits of a value within [shortestMin, shortestMax); false where it is too close to call. */
export function findShortestDigits(value: number, into: Digits): boolean {
  cell[0] = value;
  const highBits = halves[1] as number;
  // At a power of two the interval is lopsided.
  if (halves[0] === 0 && (highBits & 0xfffff) === 0) return false;
  // Half a unit in the last place.
  halves[0] = 0;
  halves[1] = (highBits & 0x7ff00000) - (53 << 20);
  const halfUnit = cell[0];

  const decimals = 16 - decimalExponent(value);
  const power = decimals - exponentMin;
  const powerHigh = powers.high[power] as number;
  const powerUpper = powers.highUpper[power] as number;
  const powerLower = powers.highLower[power] as number;
  const radius = halfUnit * powerHigh;

  const upper = splitter * value - (splitter * value - value);
  const lower = value - upper;
  const product = value * powerHigh;
  const error = upper * powerUpper - product + upper * powerLower + lower * powerUpper + lower * powerLower;
  const rest = error + value * (powers.low[power] as number);

  const high = Math.floor(product / highScale);
  const low = product - high * highScale + rest;

  // The highest power of ten of which a multiple lies within the interval; 1 always does.
  let best = Math.round(low);
  if (Math.abs(Math.abs(low - best) - 0.5) < doubt) return false;
  for (let unit = 10; unit <= highScale; unit *= 10) {
    const nearest = Math.round(low / unit) * unit;
    const distance = Math.abs(nearest - low);
    if (distance > radius + doubt) break;
    // On the edge, or half-way between two multiples.
    if (distance > radius - doubt || Math.abs(distance - unit / 2) < doubt) return false;
    best = nearest;
  }
  into.decimals = decimals;
  const carry = best >= highScale ? 1 : best < 0 ? -1 : 0;
  into.high = high + carry;
  into.low = best - carry * highScale;
  return true;
}
