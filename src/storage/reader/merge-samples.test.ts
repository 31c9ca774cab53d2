import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareValueBits, SampleBuffer } from '../../model/index.ts';
import { mergeSamples } from './merge-samples.ts';

const bitsChoices = [
  0n,
  1n << 63n,
  0x3ff0000000000000n,
  0x7ff0000000000002n,
  0x7ff8000000000000n,
  0x7ff0000000000001n,
  0xfff0000000000000n,
];

function bufferOf(samples: ReadonlyMap<number, bigint>): SampleBuffer {
  const buffer = new SampleBuffer(1);
  for (const [timestampMs, bits] of [...samples].sort(([a], [b]) => a - b)) {
    buffer.reserve(1);
    buffer.timestampsMs[buffer.count] = timestampMs;
    new BigUint64Array(buffer.values.buffer)[buffer.count] = bits;
    buffer.count++;
  }
  return buffer;
}

const halves = (bits: bigint): [number, number] => [Number(bits >> 32n), Number(bits & 0xffffffffn)];

test('merging is the union, and of two values the merge order decides, bit for bit', () => {
  const samples = fc.array(fc.tuple(fc.nat(40), fc.constantFrom(...bitsChoices)), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(samples, samples, (left, right) => {
      const [a, b] = [new Map(left), new Map(right)];
      const expected = new Map(a);
      for (const [timestampMs, bits] of b) {
        const other = expected.get(timestampMs);
        if (other === undefined || compareValueBits(...halves(bits), ...halves(other)) > 0)
          expected.set(timestampMs, bits);
      }
      const into = bufferOf(a);
      mergeSamples(into, bufferOf(b), new SampleBuffer(1));
      const bits = new BigUint64Array(into.values.buffer);
      const found = Array.from({ length: into.count }, (_, i) => [into.timestampsMs[i], bits[i]]);
      assert.deepEqual(
        found,
        [...expected].sort(([x], [y]) => x - y),
      );
    }),
  );
});
