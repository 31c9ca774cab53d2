import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeMetadata, encodeMetadata, type NodeMetadata } from './metadata.ts';

const digits = '0123456789abcdef';
const id = fc.oneof(
  fc.constant(''),
  fc.array(fc.constantFrom(...digits), { minLength: 31, maxLength: 31 }).map((rest) => `1${rest.join('')}`),
);
const metadata: fc.Arbitrary<NodeMetadata> = fc.record({
  clusterId: id,
  recordHash: id,
  peerAddress: fc.string({ maxLength: 60 }),
  formats: fc.dictionary(fc.string({ minLength: 1, maxLength: 10 }), fc.nat(), { maxKeys: 8 }),
});

test('metadata comes back as it was, and what a later program appends does not hurt', () => {
  fc.assert(
    fc.property(metadata, fc.uint8Array({ maxLength: 50 }), (given, later) => {
      const encoded = encodeMetadata(given);
      const extended = Uint8Array.of(...encoded, ...later);
      for (const bytes of [encoded, extended]) {
        const { formats, ...rest } = decodeMetadata(bytes) ?? assert.fail('not understood');
        assert.deepEqual({ ...rest, formats: { ...formats } }, { ...given, formats: { ...given.formats } });
      }
    }),
  );
});

test('metadata that is not ours is nobody’s, whatever its bytes', () => {
  const encoded = encodeMetadata({ clusterId: '', recordHash: '', peerAddress: 'a:1', formats: { frame: 1 } });
  for (let length = 0; length < encoded.length; length++) {
    assert.equal(decodeMetadata(encoded.subarray(0, length)), undefined);
  }
  const newer = encoded.slice();
  newer[5] = 2;
  assert.equal(decodeMetadata(newer), undefined);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 512 }), (bytes) => decodeMetadata(bytes) === undefined));
});

test('metadata that does not fit is refused', () => {
  const tooLong = { clusterId: '', recordHash: '', peerAddress: 'x'.repeat(500), formats: {} };
  assert.throws(() => encodeMetadata(tooLong), /GOSSIP_METADATA/);
});
