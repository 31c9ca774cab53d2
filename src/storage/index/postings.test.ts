import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteReader, ByteWriter } from '../../base/index.ts';
import { decodePostings, encodePostings } from './postings.ts';
import { expand } from './runs.ts';

function encode(positions: readonly number[]): Uint8Array {
  const writer = new ByteWriter();
  encodePostings(Uint32Array.from(positions), 0, positions.length, writer);
  return writer.copy();
}

test('posting lists come back, and runs of series cost next to nothing', () => {
  const steps = fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 100_000 })), {
    minLength: 1,
    maxLength: 300,
  });
  fc.assert(
    fc.property(steps, fc.nat(10), (gaps, first) => {
      let position = first - 1;
      const positions = gaps.map((gap) => (position += gap));
      const decoded = decodePostings(new ByteReader(encode(positions)), positions.length, position + 1);
      assert.deepEqual([...expand(decoded)], positions);
    }),
  );
  assert.ok(encode(Array.from({ length: 100_000 }, (_, i) => i + 5)).length <= 6);
});

test('a malformed posting list is refused', () => {
  const bytes = encode([3, 4, 5, 9]);
  assert.throws(() => decodePostings(new ByteReader(bytes), 4, 9), /DECODE_POSTINGS/);
  assert.throws(() => decodePostings(new ByteReader(bytes.subarray(0, -1)), 4, 10), /DECODE_/);
  assert.throws(() => decodePostings(new ByteReader(Uint8Array.of(0, 3, 0)), 2, 10), /do not ascend/);
  assert.throws(() => decodePostings(new ByteReader(Uint8Array.of(7, 3, 0)), 2, 10), /mode 7/);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(50), (hostile, count) => {
      try {
        const positions = expand(decodePostings(new ByteReader(hostile), count, 1000));
        assert.equal(positions.length, count);
      } catch (error) {
        assert.match(String(error), /DECODE_/);
      }
    }),
  );
});
