// Floats as text, as Go's strconv reads and writes them. JavaScript's own shortest digits are Go's too; what differs is the
// layout (exponents, the sign of zero, the names of the infinities) and what is accepted.

const special: ReadonlyMap<string, number> = new Map([
  ['inf', Infinity],
  ['infinity', Infinity],
  ['nan', NaN],
]);

const decimalPattern = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const hexadecimalPattern = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?[0-9]+)$/;

function syntaxError(call: string, text: string): SyntaxError {
  return new SyntaxError(`strconv.${call}: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function rangeError(call: string, text: string): RangeError {
  return new RangeError(`strconv.${call}: parsing ${JSON.stringify(text)}: value out of range`);
}

/**
 * The number that Go's ParseFloat reads: decimal or hexadecimal floats with underscores between digits, inf and nan in any
 * case. Throws SyntaxError or RangeError with Go's text.
 */
export function parseGoFloat(text: string): number {
  const word = /^([+-]?)([a-z]+)$/i.exec(text);
  if (word) {
    const value = special.get((word[2] ?? '').toLowerCase());
    if (value === undefined || (Number.isNaN(value) && word[1] !== '')) throw syntaxError('ParseFloat', text);
    return word[1] === '-' ? -value : value;
  }
  const plain = text.includes('_') ? removeUnderscores(text) : text;
  const value = plain === undefined ? undefined : parsePlainFloat(plain);
  if (value === undefined) throw syntaxError('ParseFloat', text);
  if (!Number.isFinite(value)) throw rangeError('ParseFloat', text);
  return value;
}

/** Undefined where an underscore does not stand between digits (a base prefix counts as one). */
function removeUnderscores(text: string): string | undefined {
  const isHexadecimal = /^[+-]?0x/i.test(text);
  const misplaced = isHexadecimal
    ? /(?<![0-9a-fA-FxX])_|_(?![0-9a-fA-F])/.test(text)
    : /(?<![0-9])_|_(?![0-9])/.test(text);
  return misplaced ? undefined : text.replaceAll('_', '');
}

function parsePlainFloat(text: string): number | undefined {
  if (decimalPattern.test(text)) return Number(text);
  const parts = hexadecimalPattern.exec(text);
  if (!parts) return undefined;
  const [, sign, whole = '', fraction = '', exponent = '0'] = parts;
  if (whole === '' && fraction === '') return undefined;
  const magnitude = scaleByPowerOfTwo(BigInt(`0x0${whole}${fraction}`), Number(exponent) - 4 * fraction.length);
  return sign === '-' ? -magnitude : magnitude;
}

/** mantissa × 2^exponent, rounded once, to even. */
function scaleByPowerOfTwo(mantissa: bigint, exponent: number): number {
  if (mantissa === 0n) return 0;
  const bits = mantissa.toString(2).length;
  const top = bits + exponent;
  if (top > 1100) return Infinity;
  if (top < -1100) return 0;
  // The result's lowest bit weighs 2^lowest; all below is rounded away here, so that the multiplication is exact.
  const lowest = Math.max(top - 53, -1074);
  const shift = lowest - exponent;
  if (shift <= 0)
    return Number(mantissa << BigInt(-shift)) * 2 ** Math.max(lowest, -1022) * 2 ** Math.min(lowest + 1022, 0);
  const kept = mantissa >> BigInt(shift);
  const dropped = mantissa - (kept << BigInt(shift));
  const half = 1n << BigInt(shift - 1);
  const roundsUp = dropped > half || (dropped === half && (kept & 1n) === 1n);
  const rounded = Number(roundsUp ? kept + 1n : kept);
  return rounded * 2 ** Math.max(lowest, -1022) * 2 ** Math.min(lowest + 1022, 0);
}

/**
 * A number in a query: an integer in Go's notation (0x1f, 0b1, 0o17 or 017 octal) where it is one that fits 64 bits, otherwise
 * a float. Throws as parseGoFloat.
 */
export function parseQueryNumber(text: string): number {
  return parseGoInteger(text) ?? parseGoFloat(text);
}

function parseGoInteger(text: string): number | undefined {
  if (text.includes('_') && removeUnderscores(text) === undefined) return undefined;
  const digits = text.replaceAll('_', '');
  let literal: string | undefined;
  if (/^(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0|[1-9][0-9]*)$/.test(digits)) literal = digits;
  else if (/^0[0-7]+$/.test(digits)) literal = `0o${digits}`;
  if (literal === undefined) return undefined;
  const value = BigInt(literal);
  return value < 1n << 63n ? Number(value) : undefined;
}

/** As Go's FormatFloat(value, 'f', -1, 64): the fewest digits that give the value back, never an exponent. */
export function formatFloat(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  if (!Number.isFinite(value)) return formatSpecial(value);
  const text = String(value);
  const exponentAt = text.indexOf('e');
  return exponentAt < 0 ? text : expandExponent(text.slice(0, exponentAt), Number(text.slice(exponentAt + 1)));
}

function formatSpecial(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? '+Inf' : '-Inf';
}

function expandExponent(mantissa: string, exponent: number): string {
  const sign = mantissa.startsWith('-') ? '-' : '';
  const [whole = '', fraction = ''] = mantissa.slice(sign.length).split('.');
  const digits = whole + fraction;
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  return sign + digits.padEnd(whole.length + exponent, '0');
}

/**
 * A sample's value in a JSON answer: as formatFloat, but with an exponent of at least two digits below 1e-6 and from 1e21 on
 * (`1e-07`, `1e+21`).
 */
export function formatSampleValue(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  if (!Number.isFinite(value)) return formatSpecial(value);
  return padExponent(String(value));
}

// JavaScript changes to exponents at the same two bounds.
function padExponent(text: string): string {
  const { length } = text;
  const oneDigit = /e[+-]$/.test(text.slice(length - 3, length - 1));
  return oneDigit ? `${text.slice(0, length - 1)}0${text.slice(length - 1)}` : text;
}

/** As Go's FormatFloat(value, 'f', digits, 64), what fmt prints for %f (6 digits) and %.3f. */
export function formatFixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return formatSpecial(value);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const magnitude = Math.abs(value);
  // toFixed is exact below 1e21 but rounds ties away from zero; ties only exist where few binary digits are left.
  if (magnitude >= 1e21) return `${sign}${BigInt(magnitude)}${digits > 0 ? `.${'0'.repeat(digits)}` : ''}`;
  const text = magnitude.toFixed(digits);
  return sign + (isTie(magnitude, digits) && isOddDigit(text) ? magnitudeBelow(text, digits) : text);
}

/** True where value × 10^digits is exactly half-way between two integers. */
function isTie(value: number, digits: number): boolean {
  if (value >= 2 ** 52) return false;
  // A tie has a denominator of 2^(digits + 1) at most, so that this product is exact.
  const scaled = value * 2 ** (digits + 1);
  if (!Number.isInteger(scaled)) return false;
  return (BigInt(scaled) * 5n ** BigInt(digits)) % 2n === 1n;
}

function isOddDigit(text: string): boolean {
  return Number(text.at(-1)) % 2 === 1;
}

function magnitudeBelow(text: string, digits: number): string {
  const below = (BigInt(text.replace('.', '')) - 1n).toString().padStart(digits + 1, '0');
  return digits === 0 ? below : `${below.slice(0, -digits)}.${below.slice(-digits)}`;
}
