// Quantiles of samples by their definition, and of classic histograms against the results of Prometheus 3.16's own engine.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { bucketFraction, bucketQuantile, MonotonicityReport, quantileOf } from './index.ts';

const cell = new DataView(new ArrayBuffer(8));

function fromHex(hex: string): number {
  cell.setBigUint64(0, BigInt(`0x${hex}`));
  return cell.getFloat64(0);
}

test('a quantile lies between its neighbours, weighted by distance', () => {
  assert.equal(quantileOf(0.5, Float64Array.of(3, 1, 2)), 2);
  assert.equal(quantileOf(0.25, Float64Array.of(4, 0)), 1);
  assert.equal(quantileOf(0, Float64Array.of(4, 1)), 1);
  assert.equal(quantileOf(1, Float64Array.of(4, 1)), 4);
});

test('φ outside [0, 1] gives infinities, NaN and no samples give NaN', () => {
  assert.equal(quantileOf(-0.1, Float64Array.of(1)), -Infinity);
  assert.equal(quantileOf(1.1, Float64Array.of(1)), Infinity);
  assert.ok(Number.isNaN(quantileOf(NaN, Float64Array.of(1))));
  assert.ok(Number.isNaN(quantileOf(0.5, new Float64Array(0))));
});

test('NaN counts as smaller than everything, however many samples there are', () => {
  for (const count of [3, 30]) {
    const values = Float64Array.from({ length: count }, (_, i) => (i === 1 ? NaN : i));
    assert.ok(Number.isNaN(quantileOf(0, values)));
    assert.equal(quantileOf(1, values), count - 1);
  }
});

test('sorting by insertion and by the library give the same quantiles', () => {
  const samples = fc.array(fc.double({ noDefaultInfinity: true }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(samples, fc.double({ min: 0, max: 1, noNaN: true }), (values, quantile) => {
      const sorted = values.toSorted((a, b) => {
        if (Number.isNaN(a)) return -1;
        return Number.isNaN(b) ? 1 : a - b;
      });
      const rank = quantile * (values.length - 1);
      const got = quantileOf(quantile, Float64Array.from(values));
      const lower = sorted[Math.floor(rank)] as number;
      if (rank === Math.floor(rank)) assert.ok(Object.is(got + 0, lower + 0));
      else if (!Number.isNaN(lower))
        assert.ok(got >= lower || Number.isNaN(got) || got - lower > -1e-9 * Math.abs(lower));
    }),
  );
});

interface HistogramCase {
  bounds: string[];
  counts: string[];
  quantile: string;
  lower: string;
  upper: string;
  histogram_quantile: string;
  histogram_fraction: string;
}

const golden = new URL('../../../test/golden/functions/classic-histograms.jsonl', import.meta.url);
const cases = readFileSync(process.env['CLASSIC_HISTOGRAMS_GOLDEN'] ?? golden, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as HistogramCase);

test('histogram_quantile and histogram_fraction equal Prometheus in every bit', () => {
  for (const item of cases) {
    const columns = (): [Float64Array, Float64Array, number] => [
      Float64Array.from(item.bounds.map(fromHex)),
      Float64Array.from(item.counts.map(fromHex)),
      item.bounds.length,
    ];
    const quantile = bucketQuantile(fromHex(item.quantile), ...columns(), new MonotonicityReport());
    const fraction = bucketFraction(fromHex(item.lower), fromHex(item.upper), ...columns());
    const message = JSON.stringify(item);
    assert.ok(Object.is(quantile, fromHex(item.histogram_quantile)), `quantile ${quantile}: ${message}`);
    assert.ok(Object.is(fraction, fromHex(item.histogram_fraction)), `fraction ${fraction}: ${message}`);
  }
});

test('falling bucket counts are raised and reported, rounding errors only raised', () => {
  const report = new MonotonicityReport();
  const bounds = Float64Array.of(1, 2, 3, Infinity);
  bucketQuantile(0.5, bounds, Float64Array.of(10, 4, 7, 20), 4, report);
  assert.deepEqual({ ...report }, { forced: true, bucketMin: 2, bucketMax: 3, differenceMax: 6 });
  bucketQuantile(0.5, bounds, Float64Array.of(10, 10 - 1e-13, 12, 20), 4, report);
  assert.equal(report.forced, false);
});

test('buckets of equal bounds are added up', () => {
  const report = new MonotonicityReport();
  assert.equal(bucketQuantile(0.5, Float64Array.of(1, 1, Infinity), Float64Array.of(2, 2, 4), 3, report), 0.5);
});
