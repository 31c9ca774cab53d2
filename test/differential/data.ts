// The samples that random queries are asked over: few series, but with everything that makes PromQL hard: counter resets,
// gaps, stale markers, several scrape intervals, late scrapes, NaN, infinities, −0, huge and tiny values, histograms,
// names in UTF-8, label sets that match one-to-one, many-to-one and not at all. Deterministic from a seed.
import { SeededRandom } from '../../src/base/index.ts';
import { compareUtf8, Labels, staleMarkerHigh, staleMarkerLow } from '../../src/model/index.ts';
import { encodeLabelFields, WriteRequestBuilder } from '../../bench/load/write-request.ts';

export const dataStartMs = 1_760_000_000_000;
export const dataEndMs = dataStartMs + 2 * 3_600_000;
const samplesPerBody = 2000;

export interface DataSeries {
  /** Sorted by name. */
  readonly labels: readonly (readonly [string, string])[];
  readonly timestampsMs: readonly number[];
  /** Values as bits, low half first: they may be stale markers. */
  readonly valueHalves: Uint32Array;
}

/** The next value after `previous`; undefined: nothing was scraped; 'stale': the series ends here, for now. */
type Step = (random: SeededRandom, previous: number) => number | undefined | 'stale';

function makeSeries(random: SeededRandom, labels: Record<string, string>, intervalMs: number, step: Step): DataSeries {
  // A sample of every series at the very start, see dataBodies.
  const timestampsMs = [dataStartMs];
  const values: (number | 'stale')[] = [0];
  const offsetMs = 1 + random.below(intervalMs);
  let previous = 0;
  for (let tickMs = dataStartMs + offsetMs; tickMs < dataEndMs; tickMs += intervalMs) {
    const value = step(random, previous);
    if (value === undefined) continue;
    timestampsMs.push(tickMs + (random.below(10) === 0 ? random.below(20) : 0));
    values.push(value);
    if (value !== 'stale') previous = value;
  }
  const numbers = Float64Array.from(values, (value) => (value === 'stale' ? 0 : value));
  const valueHalves = new Uint32Array(numbers.buffer);
  for (const [i, value] of values.entries()) {
    if (value !== 'stale') continue;
    valueHalves[2 * i] = staleMarkerLow;
    valueHalves[2 * i + 1] = staleMarkerHigh;
  }
  const sorted = Object.entries(labels).sort(([a], [b]) => compareUtf8(a, b));
  return { labels: sorted, timestampsMs, valueHalves };
}

const counter =
  (scale: number): Step =>
  (random, previous) =>
    random.below(150) === 0 ? random.below(3) : previous + random.below(scale);

const decimalCounter: Step = (random, previous) =>
  random.below(200) === 0 ? 0 : Math.round((previous + random.float()) * 100) / 100;

const walk: Step = (random, previous) => previous + random.below(2001) - 1000;

const decimals: Step = (random, previous) => Math.round((previous + random.float() - 0.5) * 10) / 10;

const doubles: Step = (random) => random.float() - 0.5;

const specials = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -0,
  0,
  1e308,
  -1e308,
  5e-324,
  1e-7,
  1e21,
];
const special: Step = (random, previous) =>
  random.below(3) === 0 ? (specials[random.below(specials.length)] as number) : previous * 0.5 + random.float();

/** Comes and goes: stale markers, and gaps without one. */
const flapping =
  (inner: Step): Step =>
  (random, previous) => {
    const chance = random.below(40);
    if (chance === 0) return 'stale';
    return chance < 8 ? undefined : inner(random, previous);
  };

const constant =
  (value: number): Step =>
  () =>
    value;

function histogram(random: SeededRandom, labels: Record<string, string>): DataSeries[] {
  const bounds = ['0.1', '0.5', '1', '5', '+Inf'];
  // Buckets must grow together: each is the one before it plus observations of its own.
  const increments = Array.from({ length: 2000 }, () => bounds.map(() => random.below(6)));
  const upTo = (bucket: number): Step => {
    let total = 0;
    let tick = 0;
    return () => {
      const row = increments[tick++ % increments.length] ?? [];
      for (let i = 0; i <= bucket; i++) total += row[i] ?? 0;
      return total;
    };
  };
  const seed = random.uint32();
  const same = (name: string, more: Record<string, string>, step: Step): DataSeries =>
    makeSeries(new SeededRandom(seed), { __name__: name, ...labels, ...more }, 15_000, step);
  return [
    ...bounds.map((le, bucket) => same('latency_seconds_bucket', { le }, upTo(bucket))),
    same('latency_seconds_count', {}, upTo(bounds.length - 1)),
    same('latency_seconds_sum', {}, decimalCounter),
  ];
}

export function makeData(seed: number): DataSeries[] {
  const random = new SeededRandom(seed);
  const all: DataSeries[] = [];
  const add = (name: string, labels: Record<string, string>, intervalMs: number, step: Step): void => {
    all.push(makeSeries(random, { __name__: name, ...labels }, intervalMs, step));
  };
  for (const instance of ['a:80', 'b:80', 'c:80']) {
    for (const handler of ['/', '/api', '/login']) {
      for (const code of ['200', '500']) {
        add('requests_total', { job: 'web', instance, handler, code }, 15_000, counter(code === '200' ? 50 : 3));
      }
      add('request_bytes_total', { job: 'web', instance, handler }, 30_000, counter(100_000));
    }
    add('memory_bytes', { job: 'web', instance }, 15_000, walk);
    add('memory_limit_bytes', { job: 'web', instance, owner: `team-${instance[0]}` }, 60_000, constant(2 ** 30));
    add('temperature_celsius', { instance, sensor: 'cpu' }, 10_000, decimals);
    add('load', { instance, job: 'node' }, 15_000, doubles);
    add('up', { instance, job: 'web' }, 15_000, (random) => (random.below(20) === 0 ? 0 : 1));
    all.push(...histogram(random, { job: 'web', instance }));
  }
  for (const zone of ['x', 'y', 'z']) add('odd_values', { zone }, 20_000, special);
  for (const pod of ['p1', 'p2', 'p3', 'p4']) {
    add('pod_cpu_seconds_total', { pod, namespace: pod < 'p3' ? 'red' : 'blue' }, 15_000, flapping(decimalCounter));
    add('pod_memory', { pod, namespace: pod < 'p3' ? 'red' : 'blue' }, 15_000, flapping(walk));
  }
  add('sparse', { kind: 'few' }, 540_000, walk);
  add('build_info', { version: '1.2', instance: 'a:80' }, 60_000, constant(1));
  add('grüße.von', { 'ort.name': 'Köln', job: 'web' }, 30_000, walk);
  return all;
}

/**
 * Remote write bodies of all samples in time order, at one time in the order of labels: Prometheus answers from its head in
 * the order in which series were created, so that this order, which decides between ties, is the order of labels for it too.
 */
export function* dataBodies(series: readonly DataSeries[]): Generator<Uint8Array> {
  const samples = series
    .toSorted((a, b) => Labels.compare(Labels.of(a.labels), Labels.of(b.labels)))
    .flatMap((one) => one.timestampsMs.map((timestampMs, index) => ({ one, timestampMs, index })))
    .sort((a, b) => a.timestampMs - b.timestampMs);
  const labelFields = new Map(series.map((one) => [one, encodeLabelFields(one.labels)]));
  const builder = new WriteRequestBuilder();
  for (const { one, timestampMs, index } of samples) {
    const labels = labelFields.get(one) ?? new Uint8Array();
    builder.add(labels, 0, labels.length, timestampMs, one.valueHalves, index);
    if (builder.samplesCount === samplesPerBody) yield builder.finish();
  }
  if (builder.samplesCount > 0) yield builder.finish();
}
