// What the wire kernel leaves out or refuses, and says so: limits, rejections, samples out of bounds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeWriteRequest, wrapSnappy } from '../wire/index.ts';
import { referenceRequest } from './test-wire-reference.ts';
import { bytesField, maxMs, minMs, nowMs, labelField, metricField, sampleField } from './test-wire-requests.ts';
import { labelLimits } from './wire-rejections.ts';
import { rejectedReference } from './wire.ts';
import { createKernel, decodeBody, hex } from './test-wire-kernel.ts';

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
