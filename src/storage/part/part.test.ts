import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SimDisk } from '../../../sim/disk.ts';
import { dayMs, hasCode, hourMs, mib, secondMs } from '../../base/index.ts';
import { Labels, Matcher, SampleBuffer } from '../../model/index.ts';
import { openPart, PartCaches, PartWriter } from './index.ts';
import {
  bitsOf,
  kernel,
  partOf,
  plainPart,
  type PlainSeries,
  plainSamples,
  readPlain,
  sourceOf,
  staleMarker,
  testOptions,
  writeTestPart,
} from './test-support.ts';

const startMs = Date.UTC(2026, 0, 5);
const twoHours = { startMs, endMs: startMs + 2 * hourMs };
const oneDay = { startMs, endMs: startMs + dayMs };

/** Series as a few targets would send them: shared timestamps, counters, gauges, constants, doubles, gaps, oddities. */
function someSeries(window: { startMs: number; endMs: number }, count: number, intervalMs: number): PlainSeries[] {
  let state = 42;
  const random = () => (state = (state * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  const shapes: ((i: number, before: number) => number)[] = [
    (_, before) => before + Math.floor(random() * 50),
    () => Math.round(random() * 1000) / 10,
    () => 1,
    (_, before) => before + random(),
    (i) => Math.sin(i),
    (_, before) => before + 0.001 * Math.ceil(random() * 9),
    (i) => (i % 100 === 99 ? Number.NaN : i % 50),
    (i) => (i % 2 === 0 ? 0 : -0),
  ];
  return Array.from({ length: count }, (_, n) => {
    const target = n % 5;
    const shape = shapes[Math.floor(n / 5) % shapes.length] as (i: number, before: number) => number;
    const samples: [number, bigint][] = [];
    let value = 0;
    let i = 0;
    for (let timeMs = window.startMs + target * 137; timeMs < window.endMs; timeMs += intervalMs) {
      value = shape(i++, value);
      if (n % 17 !== 3 || i % 40 < 30)
        samples.push([timeMs, i % 97 === 96 && n % 3 === 0 ? staleMarker : bitsOf(value)]);
    }
    return { labels: Labels.of({ __name__: `metric_${Math.floor(n / 5)}`, instance: `host-${target}` }), samples };
  }).sort((a, b) => Labels.compare(a.labels, b.labels));
}

test('what was written is read, bit for bit, from parts of every shape', () => {
  for (const [window, intervalMs, count] of [
    [twoHours, 15 * secondMs, 200],
    [oneDay, 15 * secondMs, 40],
    [oneDay, 3 * secondMs, 8],
    [
      {
        startMs: Math.floor(startMs / (32 * dayMs)) * 32 * dayMs,
        endMs: (Math.floor(startMs / (32 * dayMs)) + 1) * 32 * dayMs,
      },
      300 * secondMs,
      40,
    ],
    [{ startMs: -2 * hourMs, endMs: 0 }, 10 * secondMs, 20],
    [{ startMs, endMs: startMs + 60 * secondMs }, 1, 2],
  ] as const) {
    const series = someSeries(window, count, intervalMs);
    const part = partOf(series, window);
    assert.equal(part.meta.seriesCount, count);
    assert.equal(
      part.meta.samplesCount,
      series.reduce((sum, { samples }) => sum + samples.length, 0),
    );
    for (const [position, { labels, samples }] of series.entries()) {
      assert.deepEqual(part.labels(position).pairs, labels.pairs);
      const read = readPlain(part, position);
      assert.ok(sameSamples(read, samples), `series ${position} of ${count} at ${intervalMs} ms`);
    }
    part.verify();
    part.close();
  }
});

/** deepEqual takes seconds for millions of samples. */
function sameSamples(a: PlainSeries['samples'], b: PlainSeries['samples']): boolean {
  return a.length === b.length && a.every(([timeMs, bits], i) => timeMs === b[i]?.[0] && bits === b[i]?.[1]);
}

const anyBits = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.constantFrom(0n, 1n << 63n, staleMarker, bitsOf(NaN), bitsOf(Infinity), bitsOf(-Infinity)),
  fc.integer({ min: -1000, max: 1000 }).map(bitsOf),
  fc.integer({ min: -1000, max: 1000 }).map((n) => bitsOf(n / 100)),
);
const anySeries = fc.array(
  fc.array(fc.tuple(fc.integer({ min: 1, max: 200_000 }), anyBits), { minLength: 1, maxLength: 80 }),
  { minLength: 1, maxLength: 12 },
);

test('any series and any range: exactly the samples between the two ends', () => {
  fc.assert(
    fc.property(
      anySeries,
      fc.array(fc.tuple(fc.nat(16_000_000), fc.nat(16_000_000)), { minLength: 1 }),
      (all, ranges) => {
        const series = all.map((steps, n) => {
          let timeMs = startMs;
          const samples = steps.map(([gap, bits]) => [(timeMs += gap), bits] as const);
          return { labels: Labels.of({ __name__: 'x', n: String(n).padStart(3, '0') }), samples };
        });
        const part = partOf(series, oneDay);
        for (const [position, { samples }] of series.entries()) {
          for (const [from, to] of ranges) {
            const expected = samples.filter(([timeMs]) => timeMs >= startMs + from && timeMs <= startMs + to);
            assert.deepEqual(readPlain(part, position, startMs + from, startMs + to), expected);
          }
          assert.deepEqual(part.timeRange(position), { minTimeMs: samples[0]?.[0], maxTimeMs: samples.at(-1)?.[0] });
        }
        part.close();
      },
    ),
    { numRuns: 100 },
  );
});

test('series of one target share a timestamps key, also across parts; others do not', () => {
  const parts = [0, 1].map((n) => {
    const window = { startMs: startMs + n * 2 * hourMs, endMs: startMs + (n + 1) * 2 * hourMs };
    return {
      part: partOf(
        someSeries(window, 60, 15 * secondMs).filter((_, i) => i % 17 !== 3),
        window,
      ),
      window,
    };
  });
  const keys = new Map<object, string>();
  const buffer = new SampleBuffer();
  const first = parts[0]?.part;
  assert.ok(first);
  for (let position = 0; position < first.meta.seriesCount; position++) {
    buffer.clear();
    for (const { part } of parts) part.read(position, startMs + hourMs, startMs + 3 * hourMs, buffer);
    assert.ok(buffer.timestampsKey);
    const times = plainSamples(buffer)
      .map(([timeMs]) => timeMs)
      .join();
    assert.equal(keys.get(buffer.timestampsKey) ?? times, times);
    keys.set(buffer.timestampsKey, times);
  }
  assert.ok(keys.size <= 8, `${keys.size} keys`);
  // A buffer that held samples of unknown origin keeps having no key.
  buffer.clear();
  buffer.timestampsMs[0] = 0;
  buffer.count = 1;
  first.read(0, startMs, startMs + hourMs, buffer);
  assert.equal(buffer.timestampsKey, undefined);
});

test('a buffer that may hold stale markers says so; one without, does not', () => {
  const plain = (i: number): [number, bigint] => [startMs + i * 15_000, bitsOf(i)];
  const samples = Array.from({ length: 100 }, (_, i) => plain(i));
  const withStale = samples.map(([timeMs, bits], i) => [timeMs, i === 50 ? staleMarker : bits] as const);
  const constant = samples.map(([timeMs]) => [timeMs, staleMarker] as const);
  const series = [samples, withStale, withStale, constant].map((list, n) => ({
    labels: Labels.of({ __name__: 'm', n: String(n) }),
    samples: list,
  }));
  const part = partOf(series, twoHours);
  const flags = series.map((_, position) => {
    const buffer = new SampleBuffer();
    part.read(position, -Infinity, Infinity, buffer);
    return buffer.mayHoldStale;
  });
  assert.deepEqual(flags, [false, true, true, true]);
});

test('equal values are stored once, and histogram buckets as differences', () => {
  const series: PlainSeries[] = [];
  let state = 7;
  const random = () => (state = (state * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  const counts = Array.from({ length: 12 }, () => 0);
  const buckets: [number, bigint][][] = counts.map(() => []);
  for (let i = 0; i < 480; i++) {
    const observed = Math.floor(random() * 1000);
    for (let le = 0; le < 12; le++) {
      counts[le] = (counts[le] as number) + Math.floor((observed * (le + 1)) / 12 + random());
      buckets[le]?.push([startMs + i * 15_000, bitsOf(counts[le] as number)]);
    }
  }
  for (const [le, samples] of buckets.entries()) {
    series.push({ labels: Labels.of({ __name__: 'h_bucket', le: String(100 + le) }), samples });
  }
  series.push({ labels: Labels.of({ __name__: 'h_count' }), samples: buckets[11] as [number, bigint][] });
  const disk = new SimDisk();
  const writer = new PartWriter(disk, 'part', { ...testOptions, ...twoHours }, kernel);
  const source = sourceOf(series);
  for (let one = source.next(); one; one = source.next()) writer.add(one);
  assert.deepEqual(writer.pageStatistics, { pages: 13, references: 1, differences: 11 });
  writer.finish();
  const part = openPart(disk, 'part', kernel, new PartCaches());
  // In any order: a difference must find its base again after others were read.
  for (const position of [12, 11, 0, 5, 4, 11, 12, 1]) {
    assert.deepEqual(readPlain(part, position), series[position]?.samples);
  }
});

test('two parts and a writer may share one kernel and interleave', () => {
  const series = someSeries(twoHours, 80, 15 * secondMs);
  const [a, b] = [partOf(series, twoHours), partOf(series, twoHours)];
  const writer = new PartWriter(new SimDisk(), 'c', { ...testOptions, ...twoHours }, kernel);
  const source = sourceOf(series);
  for (const [position, { samples }] of series.entries()) {
    const one = source.next();
    if (one) writer.add(one);
    assert.ok(sameSamples(readPlain(a, position), samples));
    assert.ok(
      sameSamples(readPlain(b, series.length - 1 - position), series[series.length - 1 - position]?.samples ?? []),
    );
  }
  writer.finish();
});

test('a small cache and few open files change nothing but speed', () => {
  const series = someSeries(oneDay, 100, 60 * secondMs);
  const caches = new PartCaches({ bytesMax: 1, openFilesMax: 1 });
  const part = partOf(series, oneDay, caches);
  for (const [position, { samples }] of series.entries()) assert.ok(sameSamples(readPlain(part, position), samples));
  assert.equal(part.select([new Matcher('instance', '=~', 'host-[12]')]).length, 40);
  assert.equal(caches.openFilesCount, 1);
  assert.equal(caches.sizeBytes, 0);
  part.close();
  assert.equal(caches.openFilesCount, 0);
});

test('opening reads the ends of the files, not the index', () => {
  const series = Array.from({ length: 20_000 }, (_, n) => ({
    labels: Labels.of({ __name__: 'm', pod: `pod-${(n * 2654435761) % 4294967296}`, n: String(n) }),
    samples: [[startMs, 0n]] as const,
  }));
  const caches = new PartCaches();
  const part = partOf(series, twoHours, caches);
  assert.ok(part.meta.indexBytes > 128 * 1024);
  assert.equal(caches.sizeBytes, 0);
  part.labels(12_345);
  assert.ok(caches.sizeBytes < mib, `${caches.sizeBytes} bytes for one series`);
});

test('digests are those of the samples; some are found among many', () => {
  const series = someSeries(twoHours, 50, 60 * secondMs);
  const disk = new SimDisk();
  writeTestPart(disk, 'plain', twoHours, sourceOf(series));
  const plain = openPart(disk, 'plain', kernel, new PartCaches());
  const digests = plain.digests();
  assert.deepEqual(digests, plain.recomputeDigests().digests);
  assert.equal(
    digests.reduce((sum, { count }) => sum + count, 0),
    plain.meta.samplesCount,
  );
  const partitions = digests.map(({ partition }) => partition);
  for (const wanted of [
    partitions,
    partitions.filter((_, index) => index % 3 === 0),
    partitions.slice(0, 5).map((partition) => (partition + 1) % 65_536),
    [0, ...partitions.slice(-2), 65_535],
    [],
  ]) {
    const asked = Uint32Array.from(new Set(wanted)).sort();
    const expected = digests.filter(({ partition }) => asked.includes(partition));
    assert.deepEqual(plain.digestsOf(asked), expected);
  }
});

test('the same series give the same bytes', () => {
  const series = someSeries(twoHours, 50, 60 * secondMs);
  const disk = new SimDisk();
  for (const name of ['a', 'b']) writeTestPart(disk, name, twoHours, sourceOf(series));
  for (const file of ['pages', 'index', 'meta.json']) {
    assert.deepEqual(contents(disk, `a/${file}`), contents(disk, `b/${file}`));
  }
});

function contents(disk: SimDisk, path: string): Uint8Array {
  const file = disk.open(path, 'read');
  const bytes = new Uint8Array(file.sizeBytes());
  file.read(bytes, 0);
  return bytes;
}

test('a part without samples is not written', () => {
  const disk = new SimDisk();
  assert.equal(writeTestPart(disk, 'part', twoHours, sourceOf([])), undefined);
  assert.equal(disk.exists('part'), false);
});

test('a failing disk leaves no part behind, whichever operation fails', () => {
  const series = someSeries(twoHours, 30, 60 * secondMs);
  let failures = 0;
  for (let operation = 1; ; operation++) {
    const disk = new SimDisk();
    disk.fault = { atOperation: operation, kind: 'full' };
    try {
      writeTestPart(disk, 'part', twoHours, sourceOf(series));
      break;
    } catch (error) {
      failures++;
      assert.ok(hasCode(error, 'DISK_FULL'), String(error));
      assert.equal(disk.exists('part'), false);
    }
  }
  assert.ok(failures >= 8, `${failures} operations`);
});

test('series out of order, twice, or outside the window are refused', () => {
  const one = (name: string, timeMs: number): PlainSeries => ({
    labels: Labels.of({ __name__: name }),
    samples: [[timeMs, 0n]],
  });
  const add = (...series: PlainSeries[]) => {
    const writer = new PartWriter(new SimDisk(), 'part', { ...testOptions, ...twoHours }, kernel);
    for (const each of series) {
      const next = sourceOf([each]).next();
      if (next) writer.add(next);
    }
  };
  add(one('a', startMs), one('b', startMs));
  assert.throws(() => add(one('b', startMs), one('a', startMs)), /ASSERTION_FAILED: series come in label order/);
  assert.throws(() => add(one('a', startMs), one('a', startMs)), /ASSERTION_FAILED: series come in label order/);
  // Longer, but smaller: order is by bytes, not by the lengths that label bytes begin with.
  add(one('aa', startMs), one('b', startMs));
  assert.throws(() => add(one('a', startMs + 2 * hourMs)), /ASSERTION_FAILED: samples lie in the window/);
  assert.throws(() => add(one('a', startMs - 1)), /ASSERTION_FAILED: samples lie in the window/);
});

test('damage is PART_CORRUPT, naming file and offset, or changes nothing: never a wrong sample', () => {
  const series = someSeries(twoHours, 40, 60 * secondMs);
  const disk = new SimDisk();
  writeTestPart(disk, 'part', twoHours, sourceOf(series));
  let noticed = 0;
  for (const name of ['pages', 'index', 'meta.json']) {
    const file = disk.open(`part/${name}`, 'write');
    const sizeBytes = file.sizeBytes();
    const step = Math.max(1, Math.floor(sizeBytes / 150));
    for (let at = 0; at < sizeBytes; at += step) {
      const original = new Uint8Array(1);
      file.read(original, at);
      file.write(Uint8Array.of((original[0] as number) ^ (1 << (at % 8))), at);
      try {
        const part = openPart(disk, 'part', kernel, new PartCaches());
        assert.deepEqual(plainPart(part), series);
        part.verify();
      } catch (error) {
        if (!hasCode(error, 'PART_CORRUPT')) throw error;
        assert.match(String(error), /PART_CORRUPT: part\/(?:pages, offset|index, offset|meta\.json: )/);
        noticed++;
      }
      file.write(original, at);
    }
  }
  assert.ok(noticed > 300, `${noticed} damages noticed`);
  for (const name of ['pages', 'index', 'meta.json']) {
    const copy = disk.afterCrash(undefined);
    const file = copy.open(`part/${name}`, 'write');
    file.truncate(file.sizeBytes() - 2);
    assert.throws(() => openPart(copy, 'part', kernel, new PartCaches()), /PART_CORRUPT/);
  }
});
