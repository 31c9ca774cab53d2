import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../base/index.ts';
import { PagesKernel, pageFlagBase, pageKind, pageKindMask } from './pages.ts';
import { loadTestModule } from './test-modules.ts';

const kernel = new PagesKernel(loadTestModule('pages'));
const bitsOf = (values: Float64Array, count: number): bigint[] => [
  ...new BigUint64Array(values.buffer, values.byteOffset, count),
];
const fromBits = (bits: readonly bigint[]): Float64Array<ArrayBuffer> =>
  new Float64Array(BigUint64Array.from(bits).buffer);
const numbers = (values: readonly number[]): Float64Array<ArrayBuffer> => Float64Array.from(values);

/** Encodes, decodes, compares bit for bit; returns the page. */
function roundTrip(values: Float64Array<ArrayBuffer>): Uint8Array {
  const count = values.length;
  kernel.setValues(values, 0, count);
  const page = kernel.encodeValues(count, undefined).slice();
  kernel.values.fill(7);
  kernel.decodeValues(page, count, -1, -1);
  assert.deepEqual(bitsOf(kernel.values, count), bitsOf(values, count));
  return page;
}

const staleMarker = 0x7ff0000000000002n;
const oddBits = [
  0n,
  1n << 63n, // −0
  staleMarker,
  0x7ff8000000000001n,
  0xfff0000000000001n,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0xffffffffffffffffn,
  1n,
  0x433fffffffffffffn,
  0x4340000000000000n, // 2⁵³
  0xc340000000000000n,
];
const anyBits = fc.oneof(
  fc.constantFrom(...oddBits),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.integer().map((n) => bitsOf(numbers([n]), 1)[0] as bigint),
  fc
    .tuple(fc.integer(), fc.integer({ min: 0, max: 22 }))
    .map(([m, e]) => bitsOf(numbers([m / 10 ** e]), 1)[0] as bigint),
  fc.double().map((n) => bitsOf(numbers([n]), 1)[0] as bigint),
);

test('every pattern of bits comes back', () => {
  fc.assert(
    fc.property(fc.array(anyBits, { minLength: 1, maxLength: 300 }), (bits) => {
      roundTrip(fromBits(bits));
    }),
    { numRuns: 400 },
  );
  for (const bits of oddBits) {
    roundTrip(fromBits([bits]));
    roundTrip(fromBits(Array.from({ length: 2048 }, () => bits)));
    roundTrip(fromBits([bits, 0x3ff0000000000000n, bits]));
  }
});

test('a page takes the cheapest codec', () => {
  const range = (count: number, value: (i: number) => number) =>
    numbers(Array.from({ length: count }, (_, i) => value(i)));
  const kindOf = (values: Float64Array<ArrayBuffer>) => (roundTrip(values)[0] as number) & pageKindMask;
  assert.equal(kindOf(range(100, () => Number.NaN)), pageKind.same);
  assert.equal(kindOf(range(100, () => 12.5)), pageKind.line);
  assert.equal(kindOf(range(100, (i) => 5 + 3 * i)), pageKind.line);
  assert.equal(kindOf(range(100, (i) => (i * i * 7919) % 31)), pageKind.delta);
  assert.equal(kindOf(range(100, (i) => 1000 * i + ((i * 7919) % 3))), pageKind.slope);
  assert.equal(kindOf(range(100, (i) => Math.sin(i))), pageKind.planes);
  assert.equal(roundTrip(range(2048, () => 0.1)).length, 4);
});

test('exceptions keep a page of decimals from the raw codec', () => {
  const values = numbers(Array.from({ length: 500 }, (_, i) => Math.round(i * 12.7) / 10));
  new BigUint64Array(values.buffer)[0] = staleMarker;
  new BigUint64Array(values.buffer)[250] = staleMarker;
  values[499] = Number.POSITIVE_INFINITY;
  const page = roundTrip(values);
  assert.ok(page.length < 600 + 40, `${page.length} bytes`);
});

test('multiples of a power of two are stored without their zeros', () => {
  const count = 500;
  const kibs = Array.from({ length: count }, (_, i) => 100_000 + ((i * i * 7919) % 61));
  const page = roundTrip(numbers(kibs.map((kib) => kib * 4096)));
  assert.ok(page.length < roundTrip(numbers(kibs)).length + 10, `${page.length} bytes`);
  const base = numbers(kibs.map((kib) => kib * 4096 + 7));
  kernel.setValues(base, 0, count);
  const pageA = kernel.encodeValues(count, undefined).slice();
  kernel.keepBase(9, count, {});
  pageA[0] = (pageA[0] as number) | pageFlagBase;
  const b = numbers(kibs.map((kib, i) => kib * 4096 + 7 + 1024 * (i % 2)));
  kernel.setValues(b, 0, count);
  const pageB = kernel.encodeValues(count, { slot: 9, exponent: 0, distance: 1 }).slice();
  assert.ok(((pageB[0] as number) & pageKindMask) >= pageKind.differenceDelta);
  kernel.decodeValues(pageA, count, -1, 9, pageA);
  kernel.decodeValues(pageB, count, 9, -1);
  assert.deepEqual(bitsOf(kernel.values, count), bitsOf(b, count));
});

test('near decimals: noise in the last places costs a byte or two a sample, not eight', () => {
  let sum = 0;
  const values = numbers(Array.from({ length: 1000 }, (_, i) => (sum += ((i % 7) + 1) / 1000)));
  const page = roundTrip(values);
  assert.notEqual((page[0] as number) & pageKindMask, pageKind.planes);
  assert.ok(page.length < 3500, `${page.length} bytes`);
});

test('no page is longer than its values, however unlucky the codec', () => {
  const random = new SeededRandom(99);
  // Near decimals whose residuals just need another byte: 7 for the integers, 2 for the distances.
  const unlucky = numbers(
    Array.from({ length: 2048 }, (_, i) => ((i % 2 ? -1 : 1) * Math.round(2 ** 40 + random.float() * 2 ** 38)) / 1000),
  );
  const words = new BigUint64Array(unlucky.buffer);
  for (let i = 0; i < words.length; i++) words[i] = (words[i] as bigint) + (i % 2 ? -40n : 40n);
  const large = () => Math.round(random.float() * 2 ** 53) * (random.float() < 0.5 ? 1 : -1);
  const mixed = () => (random.float() < 0.4 ? random.float() : Math.round(random.float() * 2 ** 50));
  for (const values of [unlucky, ...[large, mixed].map((value) => numbers(Array.from({ length: 2048 }, value)))]) {
    const page = roundTrip(values);
    assert.ok(page.length <= 1 + 2048 * 8, `${page.length} bytes`);
  }
});

test('a difference from another page is smaller where the two go together, and comes back', () => {
  const count = 400;
  let state = 12345;
  const next = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  const first: number[] = [];
  let total = 0;
  for (let i = 0; i < count; i++) first.push((total += Math.floor(next() * 1000)));
  const a = numbers(first);
  const b = numbers(first.map((value, i) => value + Math.floor(i / 10)));
  kernel.setValues(a, 0, count);
  const pageA = kernel.encodeValues(count, undefined).slice();
  kernel.keepBase(3, count, {});
  pageA[0] = (pageA[0] as number) | pageFlagBase;
  kernel.setValues(b, 0, count);
  const pageB = kernel.encodeValues(count, { slot: 3, exponent: 0, distance: 1 }).slice();
  assert.equal((pageB[0] as number) & pageKindMask, pageKind.differenceDelta);
  assert.ok(pageB.length < pageA.length);
  kernel.decodeValues(pageA, count, -1, 5, pageA);
  assert.equal(kernel.baseOwner(5), pageA);
  kernel.decodeValues(pageB, count, 5, -1);
  assert.deepEqual(bitsOf(kernel.values, count), bitsOf(b, count));
  assert.throws(
    () => kernel.decodeValues(pageB, count, -1, -1),
    /PAGE_CORRUPT: value page: the page it is a difference/,
  );
});

test('timestamps come back, and regular ones cost a few bytes', () => {
  const trip = (times: number[], slotStartMs: number) => {
    kernel.setTimes(numbers(times), 0, times.length);
    const page = kernel.encodeTimes(times.length, slotStartMs).slice();
    kernel.times.fill(0);
    kernel.decodeTimes(page, times.length, slotStartMs);
    assert.deepEqual([...kernel.times.subarray(0, times.length)], times);
    return page.length;
  };
  const start = 1_700_000_000_000;
  assert.ok(
    trip(
      Array.from({ length: 2048 }, (_, i) => start + 4321 + i * 15_000),
      start,
    ) <= 7,
  );
  // Jitter around a grid: the line's residuals, one byte each.
  assert.ok(
    trip(
      Array.from({ length: 1000 }, (_, i) => start + i * 15_000 + ((i * 7919) % 40)),
      start,
    ) < 1020,
  );
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 1e9 }), { minLength: 1, maxLength: 300 }),
      fc.integer({ min: -1e12, max: 4e12 }),
      (gaps, slotStartMs) => {
        let at = slotStartMs;
        trip(
          gaps.map((gap) => (at += gap)),
          slotStartMs,
        );
      },
    ),
  );
});

test('a hostile page is an error or some values, never a fault or an endless loop', () => {
  const values = numbers(Array.from({ length: 200 }, (_, i) => Math.round(i * 12.7) / 10));
  values[5] = Number.NaN;
  kernel.setValues(values, 0, 200);
  const page = kernel.encodeValues(200, undefined).slice();
  const attempt = (bytes: Uint8Array, count: number) => {
    for (const decode of [() => kernel.decodeValues(bytes, count, 1, 2), () => kernel.decodeTimes(bytes, count, 0)]) {
      try {
        decode();
      } catch (error) {
        assert.match(String(error), /PAGE_CORRUPT/);
      }
    }
  };
  for (let length = 0; length < page.length; length++) {
    assert.throws(() => kernel.decodeValues(page.subarray(0, length), 200, -1, -1), /PAGE_CORRUPT/);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 0, max: 3000 }), (bytes, count) => {
      attempt(bytes, count);
    }),
  );
  fc.assert(
    fc.property(fc.nat(page.length - 1), fc.nat(255), (at, byte) => {
      const damaged = page.slice();
      damaged[at] = byte;
      attempt(damaged, 200);
    }),
  );
});

/** The definition of docs/formats/digests.md, in plain big integers. */
function sampleHash(fingerprint: Uint8Array, timeMs: number, bits: bigint): bigint {
  const mask = (1n << 64n) - 1n;
  const mix = (input: bigint): bigint => {
    let x = input & mask;
    x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & mask;
    return x ^ (x >> 31n);
  };
  const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & mask;
  const view = new DataView(fingerprint.buffer);
  const a = mix(view.getBigUint64(0, true) + BigInt.asUintN(64, BigInt(timeMs)));
  const b = mix(view.getBigUint64(8, true) + bits);
  return (mix(b + rotate(a, 21n)) << 64n) | mix(a ^ rotate(b, 32n));
}

test('a digest is the sum of the hashes of its samples', () => {
  const fingerprint = Uint8Array.from({ length: 16 }, (_, i) => i * 17);
  const values = fromBits(Array.from({ length: 300 }, (_, i) => BigInt(i) * 0x123456789abcdefn));
  const times = numbers(Array.from({ length: 300 }, (_, i) => i * 1000 - 5000));
  kernel.beginDigest(fingerprint);
  let expected = 0n;
  for (const [from, to] of [
    [0, 100],
    [100, 300],
  ] as const) {
    kernel.setValues(values, from, to);
    kernel.setTimes(times, from, to);
    kernel.addDigest(to - from);
  }
  for (const [i, bits] of bitsOf(values, 300).entries()) expected += sampleHash(fingerprint, times[i] as number, bits);
  assert.equal(kernel.endDigest(), expected & ((1n << 128n) - 1n));
});

/** SipHash-2-4 with 128 bits of output, in plain big integers. */
function sipHash128(key: Uint8Array, input: Uint8Array): string {
  const mask = (1n << 64n) - 1n;
  const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & mask;
  const keyView = new DataView(key.buffer);
  const [k0, k1] = [keyView.getBigUint64(0, true), keyView.getBigUint64(8, true)];
  let v0 = 0x736f6d6570736575n ^ k0;
  let v1 = 0x646f72616e646f6dn ^ k1 ^ 0xeen;
  let v2 = 0x6c7967656e657261n ^ k0;
  let v3 = 0x7465646279746573n ^ k1;
  const rounds = (count: number) => {
    for (let i = 0; i < count; i++) {
      v0 = (v0 + v1) & mask;
      v1 = rotate(v1, 13n) ^ v0;
      v0 = rotate(v0, 32n);
      v2 = (v2 + v3) & mask;
      v3 = rotate(v3, 16n) ^ v2;
      v0 = (v0 + v3) & mask;
      v3 = rotate(v3, 21n) ^ v0;
      v2 = (v2 + v1) & mask;
      v1 = rotate(v1, 17n) ^ v2;
      v2 = rotate(v2, 32n);
    }
  };
  const padded = new Uint8Array((input.length & ~7) + 8);
  padded.set(input);
  padded[padded.length - 1] = input.length & 255;
  const words = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 8) {
    const word = words.getBigUint64(at, true);
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  const output = new DataView(new ArrayBuffer(16));
  v2 ^= 0xeen;
  rounds(4);
  output.setBigUint64(0, v0 ^ v1 ^ v2 ^ v3, true);
  v1 ^= 0xddn;
  rounds(4);
  output.setBigUint64(8, v0 ^ v1 ^ v2 ^ v3, true);
  return Buffer.from(output.buffer).toString('hex');
}

test('fingerprints and content hashes are SipHash-2-4-128', () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  const key = Uint8Array.from({ length: 16 }, (_, i) => i);
  // The reference implementation's vector for an empty input.
  assert.equal(sipHash128(key, new Uint8Array()), 'a3817f04ba25a8e66df67214c7550293');
  const values = numbers([1.5, -2.25, 1e300]);
  kernel.setValues(values, 0, 3);
  assert.equal(hex(kernel.hashValues(key, 3)), sipHash128(key, new Uint8Array(values.buffer)));
  const fixedKey = new Uint8Array(Buffer.from('timbala.series.1'));
  for (let length = 0; length < 40; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => i * 7);
    assert.equal(hex(kernel.fingerprint(bytes)), sipHash128(new Uint8Array(fixedKey), bytes));
  }
});

test('label bytes longer than the memory make it grow', () => {
  const long = new Uint8Array(5_000_000).fill(1);
  const before = kernel.fingerprint(long).slice();
  long[4_999_999] = 2;
  assert.notDeepEqual(kernel.fingerprint(long).slice(), before);
  roundTrip(numbers([1, 2, 3]));
});
