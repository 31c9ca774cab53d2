import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { AnswerEncoder, chooseEncoding } from './answer-encoder.ts';

test('what is accepted chooses the encoding, gzip before deflate where both are as welcome', () => {
  const cases: [string | undefined, string][] = [
    [undefined, 'identity'],
    ['', 'identity'],
    ['br, zstd', 'identity'],
    ['gzip', 'gzip'],
    ['deflate', 'deflate'],
    ['gzip, deflate, br, zstd', 'gzip'],
    ['deflate, gzip', 'gzip'],
    ['deflate;q=1, gzip;q=0.5', 'deflate'],
    ['GZIP;q=0', 'identity'],
    ['*', 'gzip'],
    ['gzip;q=nonsense', 'identity'],
  ];
  for (const [header, expected] of cases) assert.equal(chooseEncoding(header), expected, String(header));
});

test('chunks of any size and number decompress to what went in', () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 5000 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(chunks, fc.constantFrom('gzip' as const, 'deflate' as const), (parts, encoding) => {
      const encoder = new AnswerEncoder(encoding, 1024, false);
      const encoded = parts.map((part, index) => encoder.encode(new Uint8Array(part), index === parts.length - 1));
      const decode = encoding === 'gzip' ? gunzipSync : inflateSync;
      assert.deepEqual(decode(Buffer.concat(encoded)), Buffer.concat(parts));
    }),
    { numRuns: 50 },
  );
});

test('a long answer of the largest bytes keeps its checksum', () => {
  const chunk = new Uint8Array(100_000).fill(255);
  const encoder = new AnswerEncoder('deflate', chunk.length, false);
  const encoded = [encoder.encode(chunk, false), encoder.encode(chunk, true)];
  assert.equal(inflateSync(Buffer.concat(encoded)).length, 200_000);
});

test('a small answer is not compressed, a chunk of a longer one is', () => {
  assert.equal(new AnswerEncoder('gzip', 100, true).encoding, 'identity');
  assert.equal(new AnswerEncoder('gzip', 100, false).encoding, 'gzip');
  assert.equal(new AnswerEncoder('gzip', 5000, true).encoding, 'gzip');
});

test('compressed chunks own their memory, so that they can be transferred', () => {
  const encoded = new AnswerEncoder('gzip', 5000, true).encode(new Uint8Array(5000), true);
  assert.equal(encoded.byteLength, encoded.buffer.byteLength);
});
