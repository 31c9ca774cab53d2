// The part in test/golden/part/v1 was written by the first version of format 1, v1-partitions by the first that says which
// series lie in which partition; every later version reads both. Written anew (only for a new format, under a new name) by:
// TIMBALA_WRITE_GOLDEN=1 node --test src/storage/part/golden.test.ts
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hourMs } from '../../base/index.ts';
import { Labels } from '../../model/index.ts';
import { NodeDisk } from '../../node/index.ts';
import { pageKind, pageKindMask } from '../../wasm/index.ts';
import { openPart, PartCaches, writePart } from './index.ts';
import {
  bitsOf,
  fillBuffer,
  kernel,
  plainPart,
  type PlainSeries,
  sourceOf,
  staleMarker,
  testOptions,
} from './test-support.ts';

const golden = join(import.meta.dirname, '../../../test/golden/part');
const startMs = 1_700_000_000_000 - (1_700_000_000_000 % (24 * hourMs));
const window = { startMs, endMs: startMs + 24 * hourMs };
const count = 240;

type Shape = (i: number) => bigint;
const steps = (i: number): number => (i * (i % 7)) % 90;
const total = (i: number): number => Array.from({ length: i }, (_, k) => steps(k)).reduce((a, b) => a + b, 0);
let sum = 0;
const noisy = Array.from({ length: count }, (_, i) => (sum += ((i % 7) + 1) / 1000));

/** One series for each kind of page, and what may stand in one. */
const shapes: Readonly<Record<string, Shape>> = {
  same: () => bitsOf(Number.NaN) + 5n,
  line: (i) => bitsOf(100 + 3 * i),
  constant: () => bitsOf(0.1),
  delta: (i) => bitsOf(((i * i * 7919) % 31) / 10),
  slope: (i) => bitsOf(1000 * i + (i % 3)),
  memory: (i) => bitsOf(4096 * (10_000 + steps(i))),
  planes: (i) => bitsOf(1 / (i + 3)),
  near: (i) => bitsOf(noisy[i] as number),
  stale: (i) => (i === 100 ? staleMarker : bitsOf(steps(i))),
  odd: (i) => [bitsOf(-0), bitsOf(Infinity), bitsOf(-Infinity), bitsOf(0)][i % 4] as bigint,
  h_bucket_1: (i) => bitsOf(total(i)),
  h_bucket_2: (i) => bitsOf(total(i) + Math.floor(i / 5)),
  h_count: (i) => bitsOf(total(i) + Math.floor(i / 5)),
};

function goldenSeries(): PlainSeries[] {
  const series = Object.entries(shapes).map(([name, shape]) => ({
    labels: Labels.of({ __name__: name, instance: 'a:1', Zone: 'é' }),
    samples: Array.from({ length: count }, (_, i) => [startMs + 250 + i * 300_000, shape(i)] as const),
  }));
  const jittered = Array.from(
    { length: count },
    (_, i) => [startMs + i * 300_000 + ((i * 7919) % 90), bitsOf(i % 5)] as const,
  );
  const gaps = jittered.filter((_, i) => i % 50 < 30);
  return [
    ...series,
    { labels: Labels.of({ __name__: 'up', instance: 'b:1' }), samples: jittered },
    { labels: Labels.of({ __name__: 'up', instance: 'c:1' }), samples: gaps },
    { labels: Labels.of({ __name__: 'up' }), samples: [[startMs, bitsOf(1)] as const] },
  ].sort((a, b) => Labels.compare(a.labels, b.labels));
}

const digestsFile = join(golden, 'v1-digests.txt');

function digestLines(): string {
  const part = openPart(new NodeDisk(golden), 'v1', kernel, new PartCaches());
  const lines = part.digests().map(({ partition, count, sum }) => `${partition} ${count} ${sum.toString(16)}\n`);
  part.close();
  return lines.join('');
}

if (process.env['TIMBALA_WRITE_GOLDEN'] === '1') {
  rmSync(join(golden, 'v1-partitions'), { recursive: true, force: true });
  writePart(new NodeDisk(golden), 'v1-partitions', { ...testOptions, ...window }, sourceOf(goldenSeries()), kernel);
  writeFileSync(digestsFile, digestLines());
}

for (const name of ['v1', 'v1-partitions']) {
  test(`format 1: the golden part ${name} is read as it was written`, () => {
    const part = openPart(new NodeDisk(golden), name, kernel, new PartCaches());
    assert.equal(part.meta.format, 1);
    assert.deepEqual(plainPart(part), goldenSeries());
    assert.deepEqual(part.labelNames(), ['Zone', '__name__', 'instance']);
    assert.deepEqual(part.digests(), part.recomputeDigests().digests);
    const partitions = part.digests().map(({ partition }) => partition);
    const positions = part.positionsOf(Uint32Array.from(partitions));
    if (name === 'v1') assert.equal(positions, undefined);
    else
      assert.deepEqual(
        positions,
        Uint32Array.from({ length: part.meta.seriesCount }, (_, position) => position),
      );
    part.verify();
    part.close();
  });
}

test('the digests of the golden part have not changed', () => {
  assert.equal(digestLines(), readFileSync(digestsFile, 'utf8'));
});

test('the golden series make pages of the kinds they are named after', () => {
  const kinds = Object.entries(shapes).map(([name, shape]) => {
    const buffer = fillBuffer({
      labels: Labels.empty,
      samples: Array.from({ length: count }, (_, i) => [i, shape(i)]),
    });
    kernel.setValues(buffer.values, 0, count);
    return [name, (kernel.encodeValues(count, undefined)[0] as number) & pageKindMask];
  });
  const expected = {
    same: 'same',
    line: 'line',
    constant: 'line',
    delta: 'delta',
    slope: 'slope',
    planes: 'planes',
  } as const;
  const found = Object.fromEntries(kinds);
  for (const [name, kind] of Object.entries(expected)) assert.equal(found[name], pageKind[kind], name);
});
