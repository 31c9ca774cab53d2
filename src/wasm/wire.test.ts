// The wire kernel reads what the reference decoder reads, byte by byte, whatever comes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import snappy from 'snappyjs';
import { encodeWriteRequest, wrapSnappy } from '../wire/index.ts';
import { Corrupt, referenceRequest, referenceSipHash, referenceSnappy } from './test-wire-reference.ts';
import {
  applyDamage,
  bytesField,
  damage,
  maxMs,
  minMs,
  nowMs,
  varint,
  writeRequest,
  labelField,
  metricField,
  sampleField,
} from './test-wire-requests.ts';
import { rejectedReference, type WireBatch, WireKernel } from './wire.ts';
import {
  createKernel,
  decodeBody,
  decodeSeries,
  oneSample,
  hex,
  FakeHead,
  readBatch,
  sorted,
} from './test-wire-kernel.ts';

test('the reference SipHash gives the published vector', () => {
  const key = Uint8Array.from({ length: 16 }, (_, i) => i);
  assert.equal(referenceSipHash(new Uint8Array(0), key), 'a3817f04ba25a8e66df67214c7550293');
});

test('the examples of docs/formats/labels.md', () => {
  const kernel = createKernel();
  const batch = decodeSeries(
    kernel,
    oneSample('job', 'a', '__name__', 'up'),
    oneSample('zone', '', '__name__', 'up', 'job', 'prometheus', 'ä', '\u{1f600}', 'instance', 'localhost:9090'),
  );
  assert.equal(hex(batch.newSeriesLabels(0)), '085f5f6e616d655f5f027570036a6f620161');
  assert.equal(
    hex(batch.newSeriesLabels(1)),
    '085f5f6e616d655f5f02757008696e7374616e63650e6c6f63616c686f73743a39303930036a6f620a70726f6d65746865757302c3a404f09f9880',
  );
  assert.equal(hex(batch.newSeriesFingerprint(0)), '038046c1b00cf38a720eb9c278853e85');
  assert.equal(hex(batch.newSeriesFingerprint(1)), '9ae77580d3f6968ae3dfd1985d7aedb2');
  assert.deepEqual([...batch.partitions], [32_771, 59_290]);
});

test('any legal request gives what the reference decoder gives, cached or not, however it is compressed', () => {
  const kernel = createKernel();
  const head = new FakeHead();
  fc.assert(
    fc.property(writeRequest, (request) => {
      const expected = sorted(referenceRequest(request, BigInt(minMs), BigInt(maxMs)));
      for (const body of [wrapSnappy(request), snappy.compress(request), snappy.compress(request)]) {
        assert.deepEqual(sorted(readBatch(decodeBody(kernel, body), head)), expected);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a damaged request is refused, or read as the reference decoder reads it', () => {
  const kernel = createKernel();
  const head = new FakeHead();
  let [refused, read] = [0, 0];
  fc.assert(
    fc.property(writeRequest, damage, fc.boolean(), (request, steps, beforeCompression) => {
      const body = beforeCompression
        ? snappy.compress(applyDamage(request, steps))
        : applyDamage(snappy.compress(request), steps);
      let expected: object | undefined;
      try {
        expected = sorted(referenceRequest(referenceSnappy(body), BigInt(minMs), BigInt(maxMs)));
      } catch (error) {
        if (!(error instanceof Corrupt)) throw error;
      }
      if (expected) {
        // Malformed metadata is left out; the reference counts it all the same.
        const actual = sorted(readBatch(decodeBody(kernel, body), head));
        assert.deepEqual({ ...actual, metadataCount: 0 }, { ...expected, metadataCount: 0 });
        read++;
      } else {
        assert.throws(() => decodeBody(kernel, body), { code: /^WIRE_(CORRUPT|TOO_LARGE)$/ });
        refused++;
      }
    }),
    { numRuns: 4000 },
  );
  assert.ok(refused > 200 && read > 200, `both happen: ${refused} refused, ${read} read`);
});

test('bytes of no meaning at all are refused or read as the reference does', () => {
  const kernel = createKernel();
  const head = new FakeHead();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      let expected: object | undefined;
      try {
        expected = sorted(referenceRequest(bytes, BigInt(minMs), BigInt(maxMs)));
      } catch (error) {
        if (!(error instanceof Corrupt)) throw error;
      }
      if (expected)
        assert.deepEqual(
          { ...sorted(readBatch(decodeBody(kernel, wrapSnappy(bytes)), head)), metadataCount: 0 },
          { ...expected, metadataCount: 0 },
        );
      else assert.throws(() => decodeBody(kernel, wrapSnappy(bytes)), { code: 'WIRE_CORRUPT' });
      try {
        decodeBody(kernel, bytes);
      } catch (error) {
        assert.match(String((error as { code: string }).code), /^WIRE_(CORRUPT|TOO_LARGE)$/);
      }
    }),
    { numRuns: 2000 },
  );
});

test('snappy: every copy length and offset gives the right bytes', () => {
  const kernel = createKernel();
  const head = new FakeHead();
  const prefix = Array.from({ length: 200 }, (_, i) => 97 + ((i * 7) % 26));
  for (let offset = 1; offset <= 80; offset++) {
    for (let count = 1; count <= 64; count++) {
      const value = [...prefix];
      for (let i = 0; i < count; i++) value.push(value[value.length - offset] ?? 0);
      // The copy makes the last bytes of the request, the end of a label's value.
      const request = bytesField(
        1,
        Buffer.concat([sampleField(nowMs), metricField('m'), labelField('v', Buffer.from(value))]),
      );
      const literal = request.subarray(0, request.length - count);
      const literalTag = Buffer.from([61 << 2, (literal.length - 1) & 255, (literal.length - 1) >> 8]);
      const block = Buffer.concat([
        varint(request.length),
        literalTag,
        literal,
        Buffer.from([((count - 1) << 2) | 2, offset, 0]),
      ]);
      const expected = referenceRequest(request, BigInt(minMs), BigInt(maxMs));
      assert.deepEqual(readBatch(decodeBody(kernel, block), head).rows, expected.rows);
    }
  }
});

test('snappy: a copy or literal that reaches beyond the input, the declared length or the start is refused', () => {
  // Each would fill its declared length exactly, were it not for the mistake.
  const blocks: [string, number[]][] = [
    ['no length', []],
    ['length cut off', [0x80]],
    ['longer than declared', [1, 4, 97, 97]],
    ['shorter than declared', [3, 4, 97, 97]],
    ['literal longer than the input', [200, 1, 60 << 2, 199, 97]],
    ['literal of 2³² bytes', [0, 63 << 2, 255, 255, 255, 255]],
    ['literal whose length is cut off', [1, 63 << 2, 0, 0, 0]],
    ['copy of nothing', [5, 0, 97, 0x01, 0]],
    ['copy from before the start', [6, 0, 97, 0x05, 2]],
    ['copy with a far offset', [5, 0, 97, 0x0f, 255, 255, 255, 255]],
    ['copy beyond the declared length', [4, 0, 97, 0x0d, 1]],
    ['copy cut off', [2, 0, 97, 0x02, 1]],
  ];
  for (const [what, block] of blocks) {
    // A new kernel each, so that zeros lie behind the block.
    const decode = (): WireBatch => decodeBody(createKernel(), Uint8Array.from(block));
    assert.throws(decode, /^TimbalaError: WIRE_CORRUPT: snappy: invalid/, what);
  }
});

test('protobuf: lengths that wrap around 32 or 64 bits are refused', () => {
  const kernel = createKernel();
  const series = Buffer.concat([metricField('m'), sampleField(nowMs)]);
  for (const wrap of [2n ** 32n, 2n ** 32n - 64n, 2n ** 63n, 2n ** 64n - 64n]) {
    const request = Buffer.concat([
      varint(10),
      varint(wrap + (wrap === 2n ** 32n ? BigInt(series.length) : 0n)),
      series,
    ]);
    assert.throws(
      () => decodeBody(kernel, wrapSnappy(request)),
      /WIRE_CORRUPT: protobuf: invalid WriteRequest at byte 0 /,
    );
    const inner = bytesField(1, Buffer.concat([series, varint(9 * 8 + 2), varint(wrap), Buffer.alloc(70)]));
    assert.throws(() => decodeBody(kernel, wrapSnappy(inner)), { code: 'WIRE_CORRUPT' });
  }
});

test('protobuf: timestamps of six bytes and around them, values absent or there', () => {
  const kernel = createKernel();
  const times = [
    2n ** 35n - 1n,
    2n ** 35n,
    2n ** 41n + 12_345n,
    2n ** 42n - 1n,
    2n ** 42n,
    2n ** 63n - 1n,
    -(2n ** 63n),
  ];
  for (const time of times) {
    for (const bits of [0n, 5n]) {
      const request = bytesField(1, Buffer.concat([metricField('m'), sampleField(time, bits)]));
      const batch = decodeBody(kernel, wrapSnappy(request), -Infinity, Infinity);
      assert.deepEqual([[...batch.timestampsMs], [...batch.valueBits]], [[time], [bits]]);
    }
  }
});

test('names and values of every length around the varint borders come out whole', () => {
  const kernel = createKernel();
  for (const length of [1, 15, 16, 17, 126, 127, 128, 129, 255, 256, 1023, 1024]) {
    const fields = [metricField('m'), labelField('n'.repeat(length), 'v'.repeat(16 * length)), sampleField(nowMs)];
    const request = bytesField(1, Buffer.concat(fields));
    const batch = decodeBody(kernel, wrapSnappy(request));
    assert.equal(hex(batch.newSeriesLabels(0)), referenceRequest(request, 0n, BigInt(maxMs)).rows[0]?.labels);
  }
});

test('UTF-8 is valid exactly where TextDecoder says so', () => {
  const kernel = createKernel();
  const strict = new TextDecoder('utf-8', { fatal: true });
  const isValid = (bytes: Uint8Array): boolean => {
    try {
      return strict.decode(bytes).length > 0;
    } catch {
      return false;
    }
  };
  const leads = [
    0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8,
    0xff,
  ];
  const followers = [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0];
  const sequences = leads.map((lead) => [lead]);
  for (const sequence of sequences) {
    if (sequence.length < 4) sequences.push(...followers.map((byte) => [...sequence, byte]));
  }
  const values = sequences.map((sequence) => Buffer.from([0x61, ...sequence]));
  for (let first = 0; first < values.length; first += 5000) {
    const some = values.slice(first, first + 5000);
    const series = some.map((value) =>
      bytesField(1, Buffer.concat([metricField('m'), labelField('v', value), sampleField(nowMs)])),
    );
    const { references } = decodeBody(kernel, wrapSnappy(Buffer.concat(series)));
    for (const [i, value] of some.entries())
      assert.equal(references[i] !== rejectedReference, isValid(value), hex(value));
  }
});

test('metadata comes with the batch', () => {
  const entries = [
    { metric: 'up', type: 'gauge', help: 'Whether it is up.', unit: '' },
    { metric: 'x', type: 'stateset', help: '', unit: 'seconds' },
  ];
  const request = Buffer.concat([encodeWriteRequest([], entries), bytesField(3, Buffer.from([0xff]))]);
  const batch = decodeBody(createKernel(), wrapSnappy(request));
  assert.deepEqual([...batch.metadata], entries);
  assert.equal(batch.rowsCount, 0);
});

test('after a trap the instance is rebuilt, and the request is answered with an error', () => {
  const kernel = new WireKernel(trappingModule(), { fill: () => undefined });
  assert.throws(() => kernel.decode(0, 0, 1), { code: 'WIRE_KERNEL_FAILED' });
  assert.throws(() => kernel.decode(0, 0, 1), { code: 'WIRE_KERNEL_FAILED' });
});

/** A kernel whose `decode` traps: initialize(i32, i32, i32) gives 1, decode(i32, f64, f64) is unreachable. */
function trappingModule(): WebAssembly.Module {
  const section = (id: number, ...content: number[]): number[] => [id, content.length, ...content];
  const name = (text: string): number[] => [text.length, ...Buffer.from(text)];
  const [i32, f64] = [0x7f, 0x7c];
  return new WebAssembly.Module(
    Uint8Array.from([
      ...Buffer.from('\0asm\x01\0\0\0'),
      ...section(1, 2, 0x60, 3, i32, i32, i32, 1, i32, 0x60, 3, i32, f64, f64, 1, i32),
      ...section(2, 1, ...name('env'), ...name('memory'), 2, 0, 1),
      ...section(3, 2, 0, 1),
      ...section(7, 2, ...name('initialize'), 0, 0, ...name('decode'), 0, 1),
      ...section(10, 2, 4, 0, 0x41, 1, 0x0b, 3, 0, 0x00, 0x0b),
    ]),
  );
}
