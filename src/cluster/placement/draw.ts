// The random draw of rendezvous hashing (docs/formats/placement.md): for a node's name and a partition, an exponentially
// distributed cost. All nodes of a cluster must agree on it to the last bit, for ever: so it is integer arithmetic
// (Threefry-2x32-20, Salmon et al. 2011; FNV-1a for names) and a logarithm made of +, −, × and ÷ only, whose results
// IEEE 754 fixes. Math.log is not fixed: a newer engine may round another way.

const fnvOffset = 0xcbf29ce484222325n;
const fnvPrime = 0x100000001b3n;
const mask64 = 0xffffffffffffffffn;
const parity = 0x1bd11bda;
const textEncoder = new TextEncoder();

/** The two 32-bit halves of a key, the low one first. */
export interface DrawKey {
  readonly low: number;
  readonly high: number;
}

/** A name's key: FNV-1a, 64 bits, of its UTF-8. Threefry does the mixing; this only has to tell names apart. */
export function drawKey(name: string): DrawKey {
  let hash = fnvOffset;
  for (const byte of textEncoder.encode(name)) hash = ((hash ^ BigInt(byte)) * fnvPrime) & mask64;
  return { low: Number(hash & 0xffffffffn), high: Number(hash >> 32n) };
}

const rotate = (value: number, count: number): number => (value << count) | (value >>> (32 - count));

/**
 * Threefry-2x32 with 20 rounds: writes the two output words, as unsigned numbers, to `output`. Two words of 32 bits and no
 * multiplication: a draw takes some 40 ns in plain JavaScript.
 */
export function threefry(key: DrawKey, counter0: number, counter1: number, output: Uint32Array): void {
  const key0 = key.low | 0;
  const key1 = key.high | 0;
  const key2 = parity ^ key0 ^ key1;
  let a = (counter0 + key0) | 0;
  let b = (counter1 + key1) | 0;
  for (let group = 0; group < 5; group++) {
    // Groups alternate between two sets of four rotations, and each ends by adding the next two key words.
    const isEven = (group & 1) === 0;
    a = (a + b) | 0;
    b = rotate(b, isEven ? 13 : 17) ^ a;
    a = (a + b) | 0;
    b = rotate(b, isEven ? 15 : 29) ^ a;
    a = (a + b) | 0;
    b = rotate(b, isEven ? 26 : 16) ^ a;
    a = (a + b) | 0;
    b = rotate(b, isEven ? 6 : 24) ^ a;
    const first = group % 3;
    a = (a + (first === 0 ? key1 : first === 1 ? key2 : key0)) | 0;
    b = (b + (first === 0 ? key2 : first === 1 ? key0 : key1) + group + 1) | 0;
  }
  output[0] = a;
  output[1] = b;
}

const ln2 = 0.6931471805599453;

/** −ln(u) for u in (0, 1), the same bits on every machine; off by a few units in the last place. */
export function negativeLogarithm(u: number): number {
  let mantissa = u;
  let exponent = 0;
  // Scaling by powers of two is exact. u is at least 2⁻⁵³, so this is short, and for half of all draws does nothing.
  while (mantissa < 0.7071067811865476) {
    mantissa *= 2;
    exponent++;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  const t = s * s;
  let sum = 1 / 23;
  for (let divisor = 21; divisor >= 1; divisor -= 2) sum = sum * t + 1 / divisor;
  return exponent * ln2 - 2 * s * sum;
}

const words = new Uint32Array(2);

/** The cost of a node for a partition: exponentially distributed with rate `weight`, so that the least of several falls on a
 * node with a chance in proportion to its weight. */
export function drawCost(key: DrawKey, partition: number, weight: number): number {
  threefry(key, partition, 0, words);
  // 52 bits and a half: exact in a double, never 0 and never 1.
  const high = (words[0] ?? 0) >>> 6;
  const low = (words[1] ?? 0) >>> 6;
  return negativeLogarithm((high * 67108864 + low + 0.5) / 4503599627370496) / weight;
}
