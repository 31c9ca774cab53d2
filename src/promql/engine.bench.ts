// Measures evaluation alone: samples lie in memory, so that what is timed is lookups, functions, aggregation and collecting. The
// data is that of the ten queries of Q1: 24 h at 15 s, a number of series that share their target's timestamps.
// `node src/promql/engine.bench.ts [part of a query]`; times are CPU time of the process, medians; compare ratios only.
import { Labels, SampleBuffer } from '../model/index.ts';
import { SeededRandom } from '../base/index.ts';
import { PromqlEngine } from './engine.ts';
import { MemoryQueryable } from './memory-queryable.ts';
import { LimitedQueryControl } from './query-control.ts';

const targetsCount = 30;
const seriesPerTargetCount = 100;
const scrapeMs = 15_000;
const samplesCount = 5760;
const endMs = samplesCount * scrapeMs;

function load(queryable: MemoryQueryable): void {
  const random = new SeededRandom(1);
  for (let target = 0; target < targetsCount; target++) {
    const timestampsMs = Float64Array.from({ length: samplesCount }, (_, i) => (i + 1) * scrapeMs - target * 311);
    for (let each = 0; each < seriesPerTargetCount; each++) {
      const isCounter = each < 10;
      const isBucket = each >= 10 && each < 20;
      const values = new Float64Array(samplesCount);
      let value = 0;
      for (let i = 0; i < samplesCount; i++) {
        value += random.below(isBucket ? 5 * (each - 9) : 100);
        values[i] = isCounter || isBucket ? value : random.below(1000);
      }
      const name = isCounter ? 'http_requests_total' : isBucket ? 'duration_seconds_bucket' : `gauge_${each % 20}`;
      const le = isBucket ? (each === 19 ? '+Inf' : String(each - 9)) : '';
      const labels = { __name__: name, instance: `i${target}`, handler: `/api/${each}`, job: 'node', le };
      queryable.append(Labels.of({ ...labels, handler: isBucket ? '' : labels.handler }), timestampsMs, values);
    }
  }
}

const hourMs = 3_600_000;
const queries: readonly (readonly [text: string, rangeMs: number, stepMs: number])[] = [
  ['sum by (handler)(rate(http_requests_total[5m]))', 24 * hourMs, 60_000],
  ['rate(http_requests_total[5m])', 24 * hourMs, 60_000],
  ['sum({job="node"})', 24 * hourMs, 60_000],
  ['histogram_quantile(0.9, sum by (le)(rate(duration_seconds_bucket[10m])))', 24 * hourMs, 60_000],
  ['max_over_time(http_requests_total[1h])', 24 * hourMs, 300_000],
  ['avg by (instance)(quantile_over_time(0.95, gauge_1[1h]))', 24 * hourMs, 300_000],
  ['topk(5, sum by (instance, handler)(rate(http_requests_total[5m])))', 6 * hourMs, 60_000],
  [
    'sum by (instance)(rate(http_requests_total[5m])) / on (instance) sum by (instance)(rate(duration_seconds_bucket[5m]))',
    6 * hourMs,
    60_000,
  ],
  ['count({handler=~"/api/(1|2|3).*", job="node"})', 6 * hourMs, 60_000],
];

/** CPU time holds still where other work shares the machine. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] as number;
}

async function main(): Promise<void> {
  const queryable = new MemoryQueryable();
  load(queryable);
  const engine = new PromqlEngine();
  const only = process.argv[2];
  for (const [text, rangeMs, stepMs] of queries) {
    if (only && !text.includes(only)) continue;
    const times: number[] = [];
    let samples = 0;
    for (let i = 0; i < 9; i++) {
      const startedAt = cpuMs();
      const { stats } = await engine.rangeQuery(
        { text, startMs: endMs - rangeMs, endMs, stepMs },
        queryable,
        new LimitedQueryControl(),
      );
      times.push(cpuMs() - startedAt);
      samples = stats.samplesLoadedCount;
    }
    const ms = median(times);
    process.stdout.write(
      `${ms.toFixed(1).padStart(8)} ms ${(samples / ms / 1000).toFixed(0).padStart(6)} M samples/s  ${text}\n`,
    );
  }
  await measureReading(queryable);
}

/** What reading the samples alone costs, to be taken off the above. */
async function measureReading(queryable: MemoryQueryable): Promise<void> {
  const [selection] = await queryable.select([{ matchers: [], startMs: 0, endMs }], new LimitedQueryControl());
  const samples = new SampleBuffer();
  const startedAt = cpuMs();
  for (const series of selection?.series ?? []) series.read(samples);
  process.stdout.write(`${(cpuMs() - startedAt).toFixed(1).padStart(8)} ms reading all series\n`);
}

await main();
