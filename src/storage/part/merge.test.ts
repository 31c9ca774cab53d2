import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SimDisk } from '../../../sim/disk.ts';
import { dayMs, hourMs } from '../../base/index.ts';
import { compareValueBits, Labels } from '../../model/index.ts';
import { mergeParts, openPart, type Part, PartCaches } from './index.ts';
import { bitsOf, kernel, plainPart, type PlainSeries, sourceOf, staleMarker, writeTestPart } from './test-support.ts';

const startMs = Date.UTC(2026, 0, 5);
const oneDay = { startMs, endMs: startMs + dayMs };

/** Samples as (series, minute, value): few of each, so that they meet. */
const someBits = fc.constantFrom(bitsOf(1), bitsOf(2), bitsOf(-0), bitsOf(0), staleMarker, bitsOf(NaN));
const someSample = fc.tuple(fc.nat(6), fc.nat(300), someBits);
type Sample = readonly [series: number, minute: number, bits: bigint];

const labelsOf = (n: number): Labels => Labels.of({ __name__: n % 2 ? 'odd' : 'even', n: String(n) });
const timeOf = (minute: number): number => startMs + minute * 60_000;
const halves = (bits: bigint): [number, number] => [Number(bits >> 32n), Number(bits & 0xffffffffn)];

/** The definition: a map from (series, time) to the greatest value. */
function model(samples: readonly Sample[], keep: (series: number, timeMs: number) => boolean): PlainSeries[] {
  const series = new Map<number, Map<number, bigint>>();
  for (const [n, minute, bits] of samples) {
    const timeMs = timeOf(minute);
    if (!keep(n, timeMs)) continue;
    let values = series.get(n);
    if (!values) series.set(n, (values = new Map()));
    const present = values.get(timeMs);
    if (present === undefined || compareValueBits(...halves(bits), ...halves(present)) > 0) values.set(timeMs, bits);
  }
  return [...series]
    .map(([n, values]) => ({ labels: labelsOf(n), samples: [...values].sort((a, b) => a[0] - b[0]) }))
    .sort((a, b) => Labels.compare(a.labels, b.labels));
}

function open(disk: SimDisk, name: string): Part {
  return openPart(disk, name, kernel, new PartCaches());
}

test('a merge is the union by the merge order, whatever the inputs and their order', () => {
  const someParts = fc.array(fc.array(someSample, { minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(
      someParts,
      fc.option(fc.nat(300)),
      fc.option(fc.tuple(fc.nat(6), fc.nat(300), fc.nat(100))),
      (all, horizon, deleted) => {
        const disk = new SimDisk();
        const names = all.map((samples, n) => {
          writeTestPart(disk, `in-${n}`, oneDay, sourceOf(model(samples, () => true)));
          return `in-${n}`;
        });
        const horizonMs = horizon === null ? -Infinity : timeOf(horizon);
        const isDeleted = (n: number, timeMs: number) =>
          deleted !== null &&
          n === deleted[0] &&
          timeMs >= timeOf(deleted[1]) &&
          timeMs <= timeOf(deleted[1] + deleted[2]);
        const expected = model(all.flat(), (n, timeMs) => timeMs >= horizonMs && !isDeleted(n, timeMs));
        const deletedIntervals = (labels: () => Labels) =>
          deleted !== null && labels().equals(labelsOf(deleted[0]))
            ? [{ startMs: timeOf(deleted[1]), endMs: timeOf(deleted[1] + deleted[2]) }]
            : [];
        for (const order of [names, [...names].reverse()]) {
          const inputs = order.map((name) => open(disk, name));
          const source = mergeParts(inputs, { horizonMs, deletedIntervals });
          const summary = writeTestPart(disk, `out-${order[0]}-${order.length}`, oneDay, source);
          assert.equal(summary === undefined, expected.length === 0);
          if (!summary) continue;
          const merged = open(disk, `out-${order[0]}-${order.length}`);
          assert.deepEqual(plainPart(merged), expected);
          merged.verify();
          assert.deepEqual(merged.digests(), merged.recomputeDigests().digests);
          if (names.length === 1) break;
          disk.removeTree(`out-${order[0]}-${order.length}`);
        }
      },
    ),
    { numRuns: 40 },
  );
});

test('merging in one step or in several gives the same bytes', () => {
  const disk = new SimDisk();
  const names: string[] = [];
  for (let n = 0; n < 12; n++) {
    const window = { startMs: startMs + n * 2 * hourMs, endMs: startMs + (n + 1) * 2 * hourMs };
    const series = Array.from({ length: 30 }, (_, k) => ({
      labels: Labels.of({ __name__: `m${k % 3}`, k: String(k) }),
      samples: Array.from({ length: 480 }, (_, i) => [window.startMs + i * 15_000, bitsOf((i * k) % 23)] as const),
    }));
    writeTestPart(disk, `two-${n}`, window, sourceOf(series));
    names.push(`two-${n}`);
  }
  const merge = (inputs: readonly string[], output: string) =>
    writeTestPart(disk, output, oneDay, mergeParts(inputs.map((name) => open(disk, name))));
  merge(names, 'once');
  merge(names.slice(0, 5), 'first');
  merge(names.slice(5), 'second');
  merge(['first', 'second'], 'twice');
  for (const file of ['pages', 'index', 'meta.json']) {
    const [a, b] = ['once', 'twice'].map((name) => {
      const handle = disk.open(`${name}/${file}`, 'read');
      const bytes = new Uint8Array(handle.sizeBytes());
      handle.read(bytes, 0);
      return bytes;
    });
    assert.deepEqual(a, b);
  }
});
