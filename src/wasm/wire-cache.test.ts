// The cache of raw labels: it spares work, and never takes one series for another.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wrapSnappy } from '../wire/index.ts';
import { referenceRequest } from './test-wire-reference.ts';
import {
  bytesField,
  fixed64Field,
  maxMs,
  minMs,
  nowMs,
  varintField,
  labelField,
  metricField,
  sampleField,
} from './test-wire-requests.ts';
import { unknownReference, type WireBatch } from './wire.ts';
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
