import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import snappy from 'snappyjs';
import { SeededRandom } from '../base/index.ts';
import { encodeWriteRequest, wrapSnappy, type WriteSeries } from '../wire/index.ts';
import { loadTestModule } from './test-modules.ts';
import {
  Corrupt,
  type ReferenceBatch,
  referenceRequest,
  referenceSipHash,
  referenceSnappy,
} from './test-wire-reference.ts';
import {
  applyDamage,
  bytesField,
  damage,
  fixed64Field,
  maxMs,
  minMs,
  nowMs,
  varint,
  varintField,
  writeRequest,
} from './test-wire-requests.ts';
import { labelLimits } from './wire-rejections.ts';
import { rejectedReference, unknownReference, type WireBatch, WireKernel, type WireLimits } from './wire.ts';

function createKernel(limits: Partial<WireLimits> = {}, seed = 1): WireKernel {
  const random = new SeededRandom(seed);
  const fill = (target: Uint8Array): void => {
    for (let i = 0; i < target.length; i++) target[i] = random.below(256);
  };
  return new WireKernel(
    loadTestModule('wire'),
    { fill },
    { bodyBytesMax: 1 << 20, decompressedBytesMax: 1 << 20, ...limits },
  );
}

function decodeBody(kernel: WireKernel, body: Uint8Array, from = minMs, to = maxMs): WireBatch {
  kernel.bodyBuffer(body.length).set(body);
  return kernel.decode(body.length, from, to);
}

const decodeSeries = (kernel: WireKernel, ...series: readonly WriteSeries[]): WireBatch =>
  decodeBody(kernel, wrapSnappy(encodeWriteRequest(series)), -Infinity, Infinity);

const oneSample = (...labels: readonly string[]): WriteSeries => ({
  labels,
  timestampsMs: [nowMs],
  values: new Float64Array([1]),
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** A head that gives each label set a reference, and knows it back. */
class FakeHead {
  readonly #references = new Map<string, number>();
  readonly labels: string[] = [];

  register(labels: string): number {
    let reference = this.#references.get(labels);
    if (reference === undefined) {
      reference = this.labels.length;
      this.#references.set(labels, reference);
      this.labels.push(labels);
    }
    return reference;
  }
}

const fingerprintKey = Buffer.from('timbala.series.1', 'ascii');

/** Registers what is new, checks its fingerprint, and gives the batch in the reference's form. */
function readBatch(batch: WireBatch, head: FakeHead): ReferenceBatch {
  for (let i = 0; i < batch.newSeriesCount; i++) {
    const labels = batch.newSeriesLabels(i);
    const fingerprint = batch.newSeriesFingerprint(i);
    const row = batch.newSeriesRow(i);
    assert.equal(hex(fingerprint), referenceSipHash(labels, fingerprintKey));
    assert.equal(batch.references[row], unknownReference);
    batch.setReference(i, head.register(hex(labels)));
  }
  const { references, samplesEnd, partitions, timestampsMs, valueBits } = batch;
  const rows: ReferenceBatch['rows'][number][] = [];
  let first = 0;
  for (let row = 0; row < batch.rowsCount; row++) {
    const end = samplesEnd[row] ?? 0;
    const samples: [bigint, bigint][] = [];
    for (let i = first; i < end; i++) samples.push([timestampsMs[i] ?? 0n, valueBits[i] ?? 0n]);
    first = end;
    const reference = references[row] ?? 0;
    const labels = reference === rejectedReference ? undefined : head.labels[reference];
    rows.push({ labels, samples });
    if (labels === undefined) continue;
    const fingerprint = Buffer.from(referenceSipHash(Buffer.from(labels, 'hex'), fingerprintKey), 'hex');
    assert.equal(partitions[row], fingerprint.readUInt16LE(0));
  }
  assert.equal(first, batch.samplesCount);
  const rejections = new Map(
    batch.rejections.map((entry) => [entry.reason, [entry.seriesCount, entry.samplesCount] as const]),
  );
  return { rows, rejections, metadataCount: batch.metadata.length };
}

const sorted = (batch: ReferenceBatch): object => ({ ...batch, rejections: [...batch.rejections].sort() });

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

test('a decompression bomb, a long body and too many samples are refused with the limit', () => {
  const kernel = createKernel({ bodyBytesMax: 1 << 16, decompressedBytesMax: 1000 });
  assert.throws(
    () => decodeBody(kernel, Buffer.from([0xe9, 0x07, 0])),
    /WIRE_TOO_LARGE: .*1001 bytes decompressed, at most 1000/,
  );
  assert.throws(() => decodeBody(kernel, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0])), { code: 'WIRE_TOO_LARGE' });
  assert.throws(() => kernel.bodyBuffer(65_537), /WIRE_TOO_LARGE: .*65537 bytes, at most 65536/);
  // Two bytes a sample: value and timestamp left out. A sample per 8 bytes of the longest request is the limit.
  const wide = createKernel({ bodyBytesMax: 8 << 20, decompressedBytesMax: 8 << 20 });
  const samples = Buffer.alloc(2 * ((1 << 20) + 1));
  for (let i = 0; i < samples.length; i += 2) samples[i] = 0x12;
  const request = bytesField(1, Buffer.concat([metricField('m'), samples]));
  assert.throws(() => decodeBody(wide, wrapSnappy(request), -1, 1), /WIRE_TOO_LARGE: .*more series or samples/);
  const allowed = bytesField(1, Buffer.concat([metricField('m'), samples.subarray(2)]));
  assert.equal(decodeBody(wide, wrapSnappy(allowed), -1, 1).samplesCount, 1 << 20);
  // Four bytes a series without labels; a series per 32 bytes is the limit.
  const seriesRequest = Buffer.alloc(4 * ((1 << 18) + 1), Uint8Array.of(0x0a, 2, 0x12, 0));
  assert.throws(() => decodeBody(wide, wrapSnappy(seriesRequest), -1, 1), /WIRE_TOO_LARGE: .*more series or samples/);
  assert.equal(decodeBody(wide, wrapSnappy(seriesRequest.subarray(4)), -1, 1).rejections[0]?.seriesCount, 1 << 18);
});

test('limits that no memory can hold are refused when the kernel is made', () => {
  const gib = 1 << 30;
  assert.throws(() => createKernel({ bodyBytesMax: 3 * gib, decompressedBytesMax: 3 * gib }), {
    code: 'WIRE_MEMORY_EXHAUSTED',
  });
});

test('rejections name the series and say why, and the rest of the request goes on', () => {
  const kernel = createKernel();
  const long = 'x'.repeat(1025);
  const cases: [string, Buffer[], RegExp][] = [
    ['METRIC_NAME_MISSING', [labelField('job', 'a')], /^series \{job="a"\}: the metric name is missing$/],
    ['METRIC_NAME_MISSING', [metricField(''), labelField('job', 'a')], /the metric name is missing/],
    ['LABEL_NAME_EMPTY', [metricField('m'), labelField('', 'a')], /^series m\{""="a"\}: a label name is empty$/],
    [
      'LABEL_NAME_INVALID',
      [metricField('m'), labelField(Buffer.from([0xc0, 0x80]), 'a')],
      /label name "\ufffd\ufffd" is not valid UTF-8/,
    ],
    [
      'LABEL_VALUE_INVALID',
      [metricField('m'), labelField('a', Buffer.from([0xed, 0xa0, 0x80]))],
      /the value of label "a" is not valid UTF-8/,
    ],
    [
      'LABEL_NAME_DUPLICATE',
      [metricField('m'), labelField('b', 'x'), labelField('a', 'x'), labelField('b', '')],
      /label name "b" is there twice/,
    ],
    ['LABEL_NAME_TOO_LONG', [metricField('m'), labelField(long, 'a')], /label name "x+" is longer than 1024 bytes/],
    [
      'LABEL_VALUE_TOO_LONG',
      [metricField('m'), labelField('a', 'x'.repeat(65_537))],
      /the value of label "a" is longer than 65536 bytes/,
    ],
    [
      'LABELS_TOO_MANY',
      [metricField('m'), ...Array.from({ length: 256 }, (_, i) => labelField(`l${i}`, 'v'))],
      /m\{l0="v", .*…\}: more than 256 labels/,
    ],
    [
      'LABELS_TOO_LONG',
      [metricField('m'), ...['a', 'b', 'c'].map((name) => labelField(name, 'x'.repeat(50_000)))],
      /longer than 131072 bytes in all/,
    ],
  ];
  for (const [reason, fields, text] of cases) {
    const bad = bytesField(1, Buffer.concat([...fields, sampleField(nowMs), sampleField(nowMs + 1)]));
    const good = bytesField(1, Buffer.concat([metricField('good'), sampleField(nowMs)]));
    for (let i = 0; i < 2; i++) {
      const batch = decodeBody(kernel, wrapSnappy(Buffer.concat([good, bad, bad, good])));
      assert.equal(batch.rejections.length, 1, reason);
      assert.equal(batch.rejections[0]?.reason, reason);
      assert.match(batch.rejections[0]?.text ?? '', text);
      assert.equal(batch.rejections[0]?.seriesCount, 2);
      assert.equal(batch.rejections[0]?.samplesCount, 4);
      assert.deepEqual(
        [...batch.references].map((reference) => reference === rejectedReference),
        [false, true, true, false],
      );
    }
  }
});

test('what is exactly at a limit is taken', () => {
  const kernel = createKernel();
  const { countMax, nameBytesMax, valueBytesMax, seriesBytesMax } = labelLimits;
  const many = Array.from({ length: countMax - 1 }, (_, i) => labelField(`l${i}`, 'v'));
  // Each label counts with six bytes more; m and its name take 15.
  const rest = seriesBytesMax - 15 - (1 + valueBytesMax + 6) - (1 + 6);
  const cases = [
    [labelField('n'.repeat(nameBytesMax), 'v'.repeat(valueBytesMax))],
    many,
    [labelField('a', 'v'.repeat(valueBytesMax)), labelField('b', 'v'.repeat(rest))],
  ];
  for (const fields of cases) {
    const request = bytesField(1, Buffer.concat([metricField('m'), ...fields, sampleField(nowMs)]));
    const batch = decodeBody(kernel, wrapSnappy(request));
    assert.deepEqual([batch.newSeriesCount, batch.rejections], [1, []]);
    assert.equal(hex(batch.newSeriesLabels(0)), referenceRequest(request, 0n, BigInt(maxMs)).rows[0]?.labels);
  }
  const over = [labelField('a', 'v'.repeat(valueBytesMax)), labelField('b', 'v'.repeat(rest + 1))];
  const request = bytesField(1, Buffer.concat([metricField('m'), ...over, sampleField(nowMs)]));
  assert.equal(decodeBody(kernel, wrapSnappy(request)).rejections[0]?.reason, 'LABELS_TOO_LONG');
});

test('samples out of bounds are left out and counted, the bounds themselves are in', () => {
  const kernel = createKernel();
  const times = [minMs - 1, minMs, nowMs, maxMs, maxMs + 1, maxMs + 2];
  const series = { labels: ['__name__', 'up'], timestampsMs: times, values: new Float64Array(times.length).fill(1) };
  const batch = decodeBody(kernel, wrapSnappy(encodeWriteRequest([series])));
  assert.deepEqual([...batch.timestampsMs], [minMs, nowMs, maxMs].map(BigInt));
  const [old, future] = batch.rejections;
  assert.deepEqual(
    [old?.reason, old?.samplesCount, future?.reason, future?.samplesCount],
    ['OUT_OF_BOUNDS_OLD', 1, 'OUT_OF_BOUNDS_FUTURE', 2],
  );
  assert.match(old?.text ?? '', new RegExp(`^series up: timestamp ${minMs - 1} ms is before`));
  assert.match(future?.text ?? '', new RegExp(`timestamp ${maxMs + 1} ms is too far in the future`));
  const gone = { ...series, timestampsMs: [0], values: new Float64Array(1) };
  assert.equal(
    decodeBody(kernel, wrapSnappy(encodeWriteRequest([gone]))).rowsCount,
    0,
    'a series without samples in bounds has no row',
  );
});

test('histograms are refused by name, floats beside them are taken', () => {
  const histogram = bytesField(4, Buffer.from([8, 1]));
  const request = bytesField(1, Buffer.concat([metricField('h'), sampleField(nowMs), histogram, histogram]));
  const batch = decodeBody(createKernel(), wrapSnappy(request));
  assert.deepEqual([batch.rowsCount, batch.samplesCount], [1, 1]);
  assert.equal(batch.rejections[0]?.reason, 'HISTOGRAM_UNSUPPORTED');
  assert.equal(batch.rejections[0]?.samplesCount, 2);
  assert.match(batch.rejections[0]?.text ?? '', /^series h: native histograms are not supported yet$/);
});

test('several encodings of one series alias it, each remembered', () => {
  const kernel = createKernel();
  const encodings = [
    ['__name__', 'm', 'a', '1', 'b', '2'],
    ['b', '2', '__name__', 'm', 'a', '1'],
    ['__name__', 'm', 'a', '1', 'b', '2', 'c', ''],
  ];
  const canonical = new Set<string>();
  for (const labels of encodings) {
    const batch = decodeSeries(kernel, oneSample(...labels));
    assert.equal(batch.newSeriesCount, 1);
    canonical.add(hex(batch.newSeriesLabels(0)));
    batch.setReference(0, 7);
  }
  assert.equal(canonical.size, 1);
  assert.equal(kernel.cacheEntriesCount, encodings.length);
  const batch = decodeSeries(kernel, ...encodings.map((labels) => oneSample(...labels)));
  assert.deepEqual([...batch.references], [7, 7, 7]);
  kernel.clearReferences();
  assert.equal(decodeSeries(kernel, oneSample('__name__', 'm', 'a', '1', 'b', '2')).newSeriesCount, 1);
});

test('a series that a request repeats is remembered once', () => {
  const kernel = createKernel();
  const batch = decodeSeries(kernel, oneSample('__name__', 'm'), oneSample('__name__', 'm'));
  assert.equal(batch.newSeriesCount, 2);
  batch.setReference(0, 3);
  batch.setReference(1, 4);
  assert.deepEqual([...batch.references], [3, 4]);
  assert.equal(kernel.cacheEntriesCount, 1);
  assert.deepEqual([...decodeSeries(kernel, oneSample('__name__', 'm')).references], [4]);
});

test('the cache grows page by page and keeps 50,000 series with structured names apart', () => {
  const kernel = createKernel();
  const seriesCount = 50_000;
  const perRequest = 2000;
  const labelsOf = (i: number): string[] => [
    '__name__',
    `metric_${i % 10}`,
    'id',
    String(i),
    'pad',
    'y'.repeat(i % 40),
  ];
  for (const round of [0, 1]) {
    for (let first = 0; first < seriesCount; first += perRequest) {
      const series = Array.from({ length: perRequest }, (_, i) => oneSample(...labelsOf(first + i)));
      const batch = decodeSeries(kernel, ...series);
      if (round === 0) {
        assert.equal(batch.newSeriesCount, perRequest, 'no two series collide');
        for (let i = 0; i < perRequest; i++) batch.setReference(i, first + batch.newSeriesRow(i));
      }
      const { references } = batch;
      for (let i = 0; i < perRequest; i++) assert.equal(references[i], first + i);
    }
  }
  assert.equal(kernel.cacheEntriesCount, seriesCount);
  assert.ok(kernel.cacheBytes / seriesCount < 40, `${kernel.cacheBytes / seriesCount} bytes an entry`);
  kernel.clearReferences();
  assert.equal(kernel.cacheEntriesCount, 0);
  for (let first = 0; first < seriesCount; first += perRequest) {
    const batch = decodeSeries(
      kernel,
      ...Array.from({ length: perRequest }, (_, i) => oneSample(...labelsOf(first + i))),
    );
    assert.equal(batch.newSeriesCount, perRequest, 'nothing is left of what was cleared');
    for (let i = 0; i < perRequest; i++) batch.setReference(i, 1);
  }
});

test('a full cache drops entries, never mixes them up', () => {
  const kernel = createKernel({ cacheBytesMax: 1 });
  const seriesCount = 20_000;
  let known = 0;
  for (let round = 0; round < 3; round++) {
    for (let first = 0; first < seriesCount; first += 1000) {
      const series = Array.from({ length: 1000 }, (_, i) => oneSample('__name__', 'm', 'id', String(first + i)));
      const batch = decodeSeries(kernel, ...series);
      const { references } = batch;
      for (const [i, reference] of references.entries()) {
        if (reference === unknownReference) continue;
        assert.equal(reference, first + i);
        known++;
      }
      for (let i = 0; i < batch.newSeriesCount; i++) batch.setReference(i, first + batch.newSeriesRow(i));
    }
  }
  assert.ok(known > 1000, 'what is in the cache is found');
  assert.ok(kernel.cacheEntriesCount > 4000 && kernel.cacheEntriesCount <= 5120, `${kernel.cacheEntriesCount} entries`);
});

test('labels longer than the hash key covers are read each time, and labels in pieces too', () => {
  const kernel = createKernel();
  const long = labelField('long', 'x'.repeat(5000));
  const inPieces = [metricField('m'), sampleField(nowMs), labelField('a', '1')];
  for (const fields of [[metricField('m'), long, sampleField(nowMs)], inPieces]) {
    const request = bytesField(1, Buffer.concat(fields));
    for (let i = 0; i < 2; i++) {
      const batch = decodeBody(kernel, wrapSnappy(request));
      assert.equal(batch.newSeriesCount, 1);
      const expected = referenceRequest(request, BigInt(minMs), BigInt(maxMs));
      assert.equal(hex(batch.newSeriesLabels(0)), expected.rows[0]?.labels);
      batch.setReference(0, 1);
      assert.equal(batch.references[0], 1);
    }
  }
  assert.equal(kernel.cacheEntriesCount, 0);
});

test('a label value that looks like a sample is not taken for one', () => {
  const kernel = createKernel();
  const head = new FakeHead();
  const disguised = labelField('a', sampleField(nowMs));
  // Even after the series without the disguised label, whose labels are its prefix, is known.
  const requests = [
    [metricField('m'), sampleField(nowMs)],
    [metricField('m'), disguised],
    [metricField('m'), disguised, sampleField(nowMs)],
    [metricField('m'), disguised, disguised, sampleField(nowMs + 1)],
    [sampleField(nowMs), metricField('m'), disguised],
    [metricField('m'), sampleField(nowMs, 0n), bytesField(2, Buffer.alloc(0)), sampleField(nowMs)],
  ].map((fields) => bytesField(1, Buffer.concat(fields)));
  for (const request of [...requests, ...requests, Buffer.concat(requests)]) {
    const expected = referenceRequest(request, 0n, BigInt(maxMs));
    assert.deepEqual(sorted(readBatch(decodeBody(kernel, wrapSnappy(request), 0), head)), sorted(expected));
  }
});

test('what only looks like a sample behind the labels of a known series is read as what it is', () => {
  const kernel = createKernel();
  const labels = metricField('m');
  const decode = (sample: Buffer): WireBatch =>
    decodeBody(kernel, wrapSnappy(bytesField(1, Buffer.concat([labels, sample]))), -Infinity, Infinity);
  decode(sampleField(nowMs)).setReference(0, 1);
  const timestamp = varintField(2, nowMs);
  // Each has the length, and all but one of the bytes, of a sample that is guessed.
  const otherField = bytesField(2, Buffer.concat([fixed64Field(9, 5n), timestamp]));
  assert.deepEqual([...decode(otherField).valueBits], [0n], 'a fixed64 of another number is not the value');
  const otherTimestamp = bytesField(2, Buffer.concat([fixed64Field(1, 5n), varintField(3, nowMs)]));
  assert.deepEqual([...decode(otherTimestamp).timestampsMs], [0n], 'a varint of another number is not the timestamp');
  assert.equal(decode(bytesField(5, otherField.subarray(2))).rowsCount, 0, 'another field is not a sample');
  const cutOff = sampleField(nowMs, 0n);
  cutOff[1] = 8;
  assert.throws(() => decode(cutOff), { code: 'WIRE_CORRUPT' }, 'a sample that is longer than its series');
  for (let position = 0; position < 6; position++) {
    const sample = sampleField(nowMs);
    const at = sample.length - 6 + position;
    sample[at] = (sample[at] ?? 0) ^ 0x80;
    assert.throws(() => decode(sample), { code: 'WIRE_CORRUPT' }, 'a timestamp that ends early or not at all');
  }
});

test('zeros after the labels of a known series are not taken for labels', () => {
  const kernel = createKernel();
  const labels = Buffer.concat([metricField('m'), labelField('a', '1')]);
  decodeBody(kernel, wrapSnappy(bytesField(1, Buffer.concat([labels, sampleField(nowMs)])))).setReference(0, 1);
  for (let count = 1; count < 8; count++) {
    const request = bytesField(1, Buffer.concat([labels, Buffer.alloc(count), sampleField(nowMs)]));
    assert.throws(() => decodeBody(kernel, wrapSnappy(request)), { code: 'WIRE_CORRUPT' });
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

function labelField(name: string | Buffer, value: string | Buffer): Buffer {
  return bytesField(1, Buffer.concat([bytesField(1, Buffer.from(name)), bytesField(2, Buffer.from(value))]));
}

function metricField(name: string): Buffer {
  return labelField('__name__', name);
}

function sampleField(timestampMs: number | bigint, bits = 0x3ff0000000000000n): Buffer {
  const value = bits === 0n ? Buffer.alloc(0) : fixed64Field(1, bits);
  return bytesField(2, Buffer.concat([value, varintField(2, timestampMs)]));
}
