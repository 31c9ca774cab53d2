// Timestamps and sample values written straight into the bytes of an answer. Formatting is the floor of a wide answer's time,
// so values are written digit by digit; only those with exponents, and a few that are too close to call, go through a string.
import { formatSampleValue } from './float-text.ts';
import { type Digits, findShortestDigits, shortestMax, shortestMin } from './shortest-digits.ts';

/**
 * Make this much room before writing a value. The longest is "-2.2250738585072014e-308" (24 bytes), but zeros at the end of 17
 * digits are written before they are dropped.
 */
export const sampleValueBytesMax = 25;
/** "-9007199254740.991" is the longest. */
export const timestampBytesMax = 20;

const zeroCode = 48;
const pointCode = 46;
const minusCode = 45;

/** Two decimals of at most 15 digits are never the same float, so that what gives the value back has the fewest digits. */
const uniqueDigitsMax = 1e15;
/** Below 1e-6 values have exponents. */
const decimalsMax = 6;
const powersOfTen = Float64Array.from({ length: decimalsMax + 1 }, (_, exponent) => 10 ** exponent);

/** Writes as formatSampleValue, ASCII; returns the index after the last byte. */
export function writeSampleValue(target: Uint8Array, at: number, value: number): number {
  const magnitude = Math.abs(value);
  if (!(magnitude < uniqueDigitsMax) || Object.is(value, -0)) return writeText(target, at, formatSampleValue(value));
  if (magnitude === Math.floor(magnitude)) return writeInteger(target, writeSign(target, at, value), magnitude);
  for (let decimals = 1; decimals <= decimalsMax; decimals++) {
    const scale = powersOfTen[decimals] as number;
    const scaled = Math.round(magnitude * scale);
    if (scaled >= uniqueDigitsMax) break;
    if (scaled / scale === magnitude) {
      return writeDecimal(target, writeSign(target, at, value), scaled, scale, decimals);
    }
  }
  return writeLongValue(target, at, value);
}

/** Reused, so that no value allocates. */
const digits: Digits = { high: 0, low: 0, decimals: 0 };

/** A value of about as many digits as a float can have. */
function writeLongValue(target: Uint8Array, at: number, value: number): number {
  const magnitude = Math.abs(value);
  const isPlain = magnitude >= shortestMin && magnitude < shortestMax;
  if (!isPlain || !findShortestDigits(magnitude, digits)) return writeText(target, at, formatSampleValue(value));
  let start = writeSign(target, at, value);
  const { high, low, decimals } = digits;
  // Seventeen digits, of which `whole` stand before the point.
  const whole = 17 - decimals;
  if (whole <= 0) {
    target[start] = zeroCode;
    target[start + 1] = pointCode;
    for (let i = 0; i < -whole; i++) target[start + 2 + i] = zeroCode;
    start += 2 - whole;
    writeDigits(target, start + 8, high, 9);
    writeDigits(target, start + 16, low, 8);
    return endWithoutZeros(target, start + 17);
  }
  writeDigits(target, start + 8, high, 9);
  writeDigits(target, start + 16, low, 8);
  if (whole >= 17) {
    for (let i = 17; i < whole; i++) target[start + i] = zeroCode;
    return start + whole;
  }
  target.copyWithin(start + whole + 1, start + whole, start + 17);
  target[start + whole] = pointCode;
  return endWithoutZeros(target, start + 18);
}

/** The end of a decimal without the zeros at its end, and without a point that nothing follows. */
function endWithoutZeros(target: Uint8Array, end: number): number {
  let last = end - 1;
  while (target[last] === zeroCode) last--;
  return target[last] === pointCode ? last : last + 1;
}

/**
 * Writes a timestamp in ms as seconds, as Prometheus does: three decimals or none (`1.500`, `2`). Returns the index after the
 * last byte.
 */
export function writeTimestamp(target: Uint8Array, at: number, timestampMs: number): number {
  const magnitudeMs = Math.abs(timestampMs);
  const start = writeSign(target, at, timestampMs);
  if (magnitudeMs % 1000 === 0) return writeInteger(target, start, magnitudeMs / 1000);
  return writeDecimal(target, start, magnitudeMs, 1000, 3);
}

function writeSign(target: Uint8Array, at: number, value: number): number {
  if (value >= 0) return at;
  target[at] = minusCode;
  return at + 1;
}

/** Writes scaled / scale with `decimals` digits behind the point. */
function writeDecimal(target: Uint8Array, at: number, scaled: number, scale: number, decimals: number): number {
  const whole = Math.floor(scaled / scale);
  const point = writeInteger(target, at, whole);
  target[point] = pointCode;
  writeDigits(target, point + decimals, scaled - whole * scale, decimals);
  return point + 1 + decimals;
}

/** `value`: an integer from 0 to below 2^53. */
function writeInteger(target: Uint8Array, at: number, value: number): number {
  if (value < 10) {
    target[at] = zeroCode + value;
    return at + 1;
  }
  if (value >= 1e9) {
    // Two halves that fit 32-bit integers: their divisions are much cheaper than those of floats.
    const high = Math.floor(value / 1e9);
    const middle = writeInteger(target, at, high);
    writeDigits(target, middle + 8, value - high * 1e9, 9);
    return middle + 9;
  }
  const count = digitsCount(value);
  writeDigits(target, at + count - 1, value, count);
  return at + count;
}

function digitsCount(value: number): number {
  if (value < 1e5) return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : value < 1e4 ? 4 : 5;
  return value < 1e7 ? (value < 1e6 ? 6 : 7) : value < 1e8 ? 8 : value < 1e9 ? 9 : 10;
}

/** Writes `count` digits of an integer below 2^31, zeros in front, ending with the index `last`. */
function writeDigits(target: Uint8Array, last: number, value: number, count: number): void {
  let rest = value | 0;
  for (let at = last; at > last - count; at--) {
    const quotient = (rest / 10) | 0;
    target[at] = zeroCode + rest - quotient * 10;
    rest = quotient;
  }
}

function writeText(target: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i);
  return at + text.length;
}
