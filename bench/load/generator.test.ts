import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import snappy from 'snappyjs';
import { hourMs, minuteMs } from '../../src/base/index.ts';
import { isStaleMarker } from '../../src/model/index.ts';
import { generateLoad, loadDefaults, type LoadOptions, prepareLoad } from './generator.ts';
import { seriesPerTarget } from './target.ts';

interface DecodedSample {
  readonly shard: number;
  readonly labels: readonly (readonly [string, string])[];
  readonly timestampMs: number;
  readonly value: number;
  readonly stale: boolean;
}

/** Walks the fields of one protobuf message: field number, and a number or bytes. */
function* fields(bytes: Uint8Array): Generator<[number, number | Uint8Array]> {
  let at = 0;
  const uvarint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = uvarint();
    if ((tag & 7) === 0) {
      yield [tag >> 3, uvarint()];
    } else {
      const length = (tag & 7) === 1 ? 8 : uvarint();
      yield [tag >> 3, bytes.subarray(at, at + length)];
      at += length;
    }
  }
}

function asBytes(value: number | Uint8Array | undefined): Uint8Array {
  assert(value instanceof Uint8Array);
  return value;
}

function decodeTimeSeries(shard: number, message: Uint8Array): DecodedSample {
  const labels: [string, string][] = [];
  let sample = new Map<number, number | Uint8Array>();
  for (const [field, value] of fields(message)) {
    if (field === 2) sample = new Map(fields(asBytes(value)));
    else {
      const [name, text] = [...fields(asBytes(value))].map(([, part]) => new TextDecoder().decode(asBytes(part)));
      labels.push([name ?? '', text ?? '']);
    }
  }
  const bits = asBytes(sample.get(1));
  const view = new DataView(bits.buffer, bits.byteOffset, 8);
  return {
    shard,
    labels,
    timestampMs: Number(sample.get(2)),
    value: view.getFloat64(0, true),
    stale: isStaleMarker(view.getUint32(4, true), view.getUint32(0, true)),
  };
}

function decodeLoad(options: LoadOptions): DecodedSample[] {
  return [...generateLoad(options)].flatMap(({ shard, body }) =>
    [...fields(snappy.uncompress(body))].map(([, message]) => decodeTimeSeries(shard, asBytes(message))),
  );
}

const seriesKey = ({ labels }: DecodedSample): string => JSON.stringify(labels);

const small: LoadOptions = {
  ...loadDefaults,
  targetsCount: 5,
  startMs: 1_760_000_000_000,
  durationMs: 5 * minuteMs,
};

describe('load generator', () => {
  test('gives the same bytes for the same seed, and others for another', () => {
    const bytes = (seed: number): Uint8Array[] => prepareLoad({ ...small, seed }).bodies.map(({ body }) => body);
    assert.deepEqual(bytes(3), bytes(3));
    assert.notDeepEqual(bytes(3), bytes(4));
  });

  test('scrapes every target at its interval, its samples in order within one shard', () => {
    const samples = decodeLoad({ ...small, intervalsMs: [15_000, 30_000] });
    const bySeries = Map.groupBy(samples, seriesKey);
    assert.equal(bySeries.size, small.targetsCount * seriesPerTarget);
    const counts = new Set<number>();
    for (const series of bySeries.values()) {
      counts.add(series.length);
      assert.equal(new Set(series.map(({ shard }) => shard)).size, 1);
      for (const [i, sample] of series.entries()) {
        assert(i === 0 || sample.timestampMs > (series[i - 1]?.timestampMs ?? Number.NaN));
      }
    }
    assert.deepEqual([...counts].sort(), [10, 20]);
  });

  test('states the number of samples of every body, at most as many as asked for', () => {
    for (const { body, samplesCount } of generateLoad(small)) {
      assert.equal([...fields(snappy.uncompress(body))].length, samplesCount);
      assert(samplesCount <= small.samplesPerBody);
    }
  });

  test('sorts labels by name', () => {
    for (const { labels } of decodeLoad({ ...small, durationMs: 1 })) {
      const names = labels.map(([name]) => name);
      assert.deepEqual(names, names.toSorted());
      assert.equal(new Set(names).size, names.length);
    }
  });

  test('never lets a counter or bucket fall, and keeps the buckets of a histogram cumulative', () => {
    const samples = decodeLoad(small).filter(({ labels }) => /_total|_bucket/.test(labels[0]?.[1] ?? ''));
    for (const series of Map.groupBy(samples, seriesKey).values()) {
      for (const [i, { value }] of series.entries()) assert(i === 0 || value >= (series[i - 1]?.value ?? Number.NaN));
    }
    const buckets = samples.filter(({ labels }) => labels.some(([name]) => name === 'le'));
    const bound = (sample: DecodedSample): number =>
      Number((sample.labels.find(([name]) => name === 'le')?.[1] ?? '').replace('+Inf', 'Infinity'));
    const histograms = Map.groupBy(
      buckets,
      (sample) => `${sample.timestampMs} ${JSON.stringify(sample.labels.filter(([name]) => name !== 'le'))}`,
    );
    assert(histograms.size > 0);
    for (const histogram of histograms.values()) {
      const counts = histogram.toSorted((a, b) => bound(a) - bound(b)).map(({ value }) => value);
      assert.deepEqual(
        counts,
        counts.toSorted((a, b) => a - b),
      );
    }
  });

  test('ends the series of a target that restarts by stale markers, bit for bit, and begins new ones', () => {
    const samples = decodeLoad({ ...small, durationMs: 2 * hourMs, intervalsMs: [60_000], lifetimeMs: hourMs });
    const bySeries = [...Map.groupBy(samples, seriesKey).values()];
    // At the end one generation of each target lives; every target has restarted once or twice.
    const alive = bySeries.filter((series) => !series.at(-1)?.stale);
    assert.equal(alive.length, small.targetsCount * seriesPerTarget);
    assert(bySeries.length >= 2 * alive.length && bySeries.length <= 3 * alive.length);
    for (const series of bySeries) assert(series.slice(0, -1).every(({ stale }) => !stale));
  });
});
