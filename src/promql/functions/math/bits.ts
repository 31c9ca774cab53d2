// The parts of a float: exponent and fraction. One scratch cell per thread serves all calls.

const cell = new Float64Array(1);
const halves = new Uint32Array(cell.buffer);
/** Little-endian, as every machine that this runs on. */
const high = 1;

/** The high 32 bits of a float: sign, exponent, and the first 20 bits of the fraction. */
export function highBits(value: number): number {
  cell[0] = value;
  return halves[high] as number;
}

export function lowBits(value: number): number {
  cell[0] = value;
  return halves[0] as number;
}

export function fromBits(highHalf: number, lowHalf: number): number {
  halves[high] = highHalf;
  halves[0] = lowHalf;
  return cell[0] as number;
}

/** 2^exponent, for -1022 ≤ exponent ≤ 1023. */
export function powerOfTwo(exponent: number): number {
  return fromBits((exponent + 1023) << 20, 0);
}

/** The exponent e of |value| = fraction × 2^e with 0.5 ≤ fraction < 1; `value` finite and not 0. */
export function exponentOf(value: number): number {
  const exponent = (highBits(value) >>> 20) & 0x7ff;
  if (exponent !== 0) return exponent - 1022;
  return ((highBits(value * 2 ** 54) >>> 20) & 0x7ff) - 1022 - 54;
}

/** The fraction of the same, with the value's sign. */
export function fractionOf(value: number): number {
  const normal = Math.abs(value) < 2 ** -1022 ? value * 2 ** 54 : value;
  return fromBits((highBits(normal) & 0x800fffff) | 0x3fe00000, lowBits(normal));
}

/** value × 2^exponent, rounded once. */
export function scale(value: number, exponent: number): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  const total = exponentOf(value) - 1 + exponent;
  const significand = fractionOf(value) * 2;
  if (total > 1023) return significand * Infinity;
  if (total < -1075) return significand * 0;
  if (total >= -1022) return significand * powerOfTwo(total);
  return significand * powerOfTwo(total + 53) * 2 ** -53;
}
