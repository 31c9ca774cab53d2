// The raw hash is trusted without comparing labels, so a slip that merely weakens it must not pass unseen: the kernel's
// result is compared, bit for bit, with the two published constructions written out on bigints.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { wrapSnappy } from '../wire/index.ts';
import { loadTestModule } from './test-modules.ts';
import { bytesField, nowMs, varintField } from './test-wire-requests.ts';

interface Exports {
  initialize(bodyBytesMax: number, decompressedBytesMax: number, cacheBytesMax: number): number;
  decode(bodyBytes: number, minMs: number, maxMs: number): number;
}

const memory = new WebAssembly.Memory({ initial: 64 });
const kernel = new WebAssembly.Instance(loadTestModule('wire'), { env: { memory } }).exports as unknown as Exports;
assert.equal(kernel.initialize(1 << 16, 1 << 16, 1), 1);

// Words of the header, as in wire.ts.
const [newSeriesCountWord, bodyAddressWord, keyAddressWord, newSeriesAddressWord] = [2, 6, 7, 14];
const word = (index: number): number => new DataView(memory.buffer).getUint32(1024 + 4 * index, true);

function setKey(key: Uint8Array): void {
  new Uint8Array(memory.buffer).set(key, word(keyAddressWord));
}

/** The kernel's hash of a series' label fields, as a number of 128 bits. */
function kernelHash(labels: Uint8Array): bigint {
  const sample = bytesField(2, varintField(2, nowMs));
  const body = wrapSnappy(bytesField(1, Buffer.concat([labels, sample])));
  new Uint8Array(memory.buffer).set(body, word(bodyAddressWord));
  assert.equal(kernel.decode(body.length, 0, Infinity), 0);
  assert.equal(word(newSeriesCountWord), 1);
  const view = new DataView(memory.buffer, word(newSeriesAddressWord) + 32, 16);
  return view.getBigUint64(0, true) | (view.getBigUint64(8, true) << 64n);
}

const low = (value: bigint, bits: number): bigint => BigInt.asUintN(bits, value);

/** NH on words of 32 bits, pairs four words apart, the key moved on by a pair (32 bytes) for each of three sums. */
function nhSums(input: Uint8Array, key: DataView): bigint[] {
  const padded = Buffer.alloc(Math.ceil(input.length / 32) * 32);
  padded.set(input);
  const term = (at: number, shift: number): bigint =>
    low(BigInt(padded.readUInt32LE(at)) + BigInt(key.getUint32(at + shift, true)), 32);
  return [0, 32, 64].map((shift) => {
    let sum = 0n;
    for (let block = 0; block < padded.length; block += 32) {
      for (let lane = 0; lane < 16; lane += 4) sum += term(block + lane, shift) * term(block + lane + 16, shift);
    }
    return low(sum, 64);
  });
}

/** Multilinear-HM of the sums and the length: four results of 32 bits, nine key words each. */
function referenceHash(input: Uint8Array, keyBytes: Uint8Array): bigint {
  const key = new DataView(keyBytes.buffer, keyBytes.byteOffset, keyBytes.length);
  const words = nhSums(input, key).flatMap((sum) => [low(sum, 32), sum >> 32n]);
  words.push(BigInt(input.length), 0n);
  let result = 0n;
  for (let quarter = 0; quarter < 4; quarter++) {
    const keyWord = (index: number): bigint => key.getBigUint64(4160 + 72 * quarter + 8 * index, true);
    let sum = keyWord(0);
    for (let i = 0; i < words.length; i += 2) {
      sum += low(keyWord(i + 1) + (words[i] ?? 0n), 64) * low(keyWord(i + 2) + (words[i + 1] ?? 0n), 64);
    }
    result |= (low(sum, 64) >> 32n) << BigInt(32 * quarter);
  }
  return result;
}

const label = (name: string, value: string): Buffer =>
  bytesField(1, Buffer.concat([bytesField(1, Buffer.from(name)), bytesField(2, Buffer.from(value))]));

test('the raw hash is NH three times, then Multilinear-HM four times, under the key given', () => {
  const keys = fc.uint8Array({ minLength: 4160 + 288, maxLength: 4160 + 288 });
  fc.assert(
    fc.property(keys, fc.string({ unit: 'grapheme', maxLength: 300 }), (key, value) => {
      setKey(key);
      const labels = Buffer.concat([label('__name__', 'm'), label('a', value)]);
      assert.equal(kernelHash(labels), referenceHash(labels, key));
    }),
    { numRuns: 200 },
  );
});

test('inputs of every length up to the longest that is hashed', () => {
  const key = Uint8Array.from({ length: 4160 + 288 }, (_, i) => (i * 151 + (i >> 8) * 17 + 5) & 255);
  setKey(key);
  for (let length = 1; length < 4070; length += length < 200 ? 1 : 97) {
    const labels = Buffer.concat([label('__name__', 'm'), label('a', 'v'.repeat(length))]);
    assert.equal(kernelHash(labels), referenceHash(labels, key));
  }
});
