// A real Prometheus scrapes itself every second and remote-writes into a node for a minute; then every series and sample,
// and twenty PromQL queries, must be answered by the node as that Prometheus answers them itself. Any Prometheus since 2.42
// will do; before version 3 some sums were computed in another order, so computed values may differ in the last digits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, removeDirectory, temporaryDirectory } from '../support/processes.ts';
import {
  type ApiAnswer,
  type MatrixEntry,
  metricKey,
  PrometheusApi,
  type QueryData,
} from '../support/prometheus-api.ts';
import { findPrometheus, startPrometheus, startTimbala } from '../support/servers.ts';
import { dataDifference } from '../support/compare-answers.ts';

const writingMs = 1000 * Number(process.env['TIMBALA_TEST_INTEROP_SECONDS'] ?? 60);
const windowSeconds = Math.floor(writingMs / 1000) - 10;
const firstSampleTimeoutMs = 30_000;
/** Prometheus sends a batch that is not full after 5 s. */
const inFlightTimeoutMs = 20_000;
const allSeries = '{job="prometheus"}';
const toleranceBefore3 = 1e-9;

const prometheus = findPrometheus(2);

/** The node holds metrics of its own as well, some under the same names. */
const queries = [
  'up{job="prometheus"}',
  'prometheus_http_requests_total',
  'sum by (handler) (rate(prometheus_http_requests_total[10s]))',
  'histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[20s])))',
  'increase(prometheus_tsdb_head_samples_appended_total[15s])',
  'irate(process_cpu_seconds_total{job="prometheus"}[10s])',
  'max_over_time(go_goroutines[20s])',
  'avg_over_time(process_resident_memory_bytes{job="prometheus"}[15s])',
  'quantile_over_time(0.5, go_memstats_heap_alloc_bytes[15s])',
  'delta(go_memstats_heap_inuse_bytes[10s])',
  'deriv(process_resident_memory_bytes{job="prometheus"}[20s])',
  'count by (__name__) ({job="prometheus"})',
  'topk(3, go_gc_duration_seconds)',
  'prometheus_tsdb_head_series - prometheus_tsdb_head_series offset 10s',
  'go_memstats_alloc_bytes / on (instance) process_resident_memory_bytes',
  'prometheus_http_request_duration_seconds_sum / prometheus_http_request_duration_seconds_count > 0',
  'go_memstats_heap_alloc_bytes > bool 1e7',
  'label_replace(up{job="prometheus"}, "host", "$1", "instance", "(.*):.*")',
  'max_over_time(sum by (job) (rate(prometheus_tsdb_head_samples_appended_total[5s]))[20s:3s])',
  'absent(nonexistent_metric) or (time() - timestamp(up{job="prometheus"}) < 1)',
];

function configuration(prometheusPort: number, nodeUrl: string): string {
  return `
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: prometheus
    static_configs:
      - targets: ['127.0.0.1:${prometheusPort}']
remote_write:
  - url: ${nodeUrl}/api/v1/write
`;
}

/** When the node has its first sample of the target. */
async function firstSampleMs(node: PrometheusApi): Promise<number> {
  const deadlineMs = Date.now() + firstSampleTimeoutMs;
  while (Date.now() < deadlineMs) {
    const [series] = await node.raw('up{job="prometheus"}[1m]', Date.now());
    const first = series?.values[0];
    if (first) return first[0] * 1000;
    await sleep(200);
  }
  throw new Error(`no sample of Prometheus arrived within ${firstSampleTimeoutMs} ms`);
}

/**
 * A time that lies half a second off the scrapes: no sample then falls on a window's border, which belongs to the window
 * before version 3 and not since.
 */
async function betweenScrapes(theirs: PrometheusApi, aroundMs: number): Promise<number> {
  const [series] = await theirs.raw('up{job="prometheus"}[10s]', aroundMs);
  const last = series?.values.at(-1);
  assert(last, 'Prometheus has samples of its own');
  return Math.round(last[0] * 1000) - 500;
}

function rawDifference(ours: readonly MatrixEntry[], theirs: readonly MatrixEntry[]): string | undefined {
  const data = (result: readonly MatrixEntry[]): QueryData => ({ resultType: 'matrix', result });
  return dataDifference(data(ours), data(theirs), 0);
}

async function comparedRaw(ours: PrometheusApi, theirs: PrometheusApi, endMs: number): Promise<readonly MatrixEntry[]> {
  const query = `${allSeries}[${windowSeconds}s]`;
  const expected = await theirs.raw(query, endMs);
  const deadlineMs = Date.now() + inFlightTimeoutMs;
  for (;;) {
    const difference = rawDifference(await ours.raw(query, endMs), expected);
    if (difference === undefined) return expected;
    assert(Date.now() < deadlineMs, `raw samples differ: ${difference}`);
    await sleep(500);
  }
}

function answerProblem(
  ours: ApiAnswer<QueryData>,
  theirs: ApiAnswer<QueryData>,
  tolerance: number,
): string | undefined {
  if (!ours.data || !theirs.data) return `${ours.error ?? 'an answer'} instead of ${theirs.error ?? 'an answer'}`;
  return dataDifference(ours.data, theirs.data, tolerance);
}

test(
  'what a real Prometheus remote-writes is answered as that Prometheus answers it',
  { skip: prometheus ? false : 'NO PROMETHEUS FOUND: install the package `prometheus` or set TIMBALA_TEST_PROMETHEUS' },
  async (t) => {
    assert(prometheus);
    t.diagnostic(`Prometheus ${prometheus.version} at ${prometheus.path}`);
    const directory = temporaryDirectory('interop');
    t.after(() => removeDirectory(directory));
    const node = await startTimbala({ directory: `${directory}/timbala` });
    t.after(() => node.kill());
    const port = await freePort();
    const peer = await startPrometheus({
      directory: `${directory}/prometheus`,
      binary: prometheus.path,
      port,
      config: configuration(port, node.url),
    });
    t.after(() => peer.kill());
    const ours = new PrometheusApi(node.url);
    const theirs = new PrometheusApi(peer.url);

    const startMs = await firstSampleMs(ours);
    await sleep(startMs + writingMs - Date.now());
    const endMs = await betweenScrapes(theirs, Date.now());

    const raw = await comparedRaw(ours, theirs, endMs);
    const samplesCount = raw.reduce((sum, { values }) => sum + values.length, 0);
    t.diagnostic(`${raw.length} series, ${samplesCount} samples are equal`);
    assert(raw.length > 300, 'Prometheus has hundreds of metrics of its own');
    assert(samplesCount > raw.length * windowSeconds * 0.5, 'most series were scraped every second');
    assert.equal(new Set(raw.map(({ metric }) => metricKey(metric))).size, raw.length);

    const tolerance = prometheus.major >= 3 ? 0 : toleranceBefore3;
    const problems: string[] = [];
    for (const query of queries) {
      const instant = { query, timeMs: endMs };
      const range = { query, startMs: endMs - Math.floor(windowSeconds / 2) * 1000, endMs, stepMs: 3000 };
      for (const [ourAnswer, theirAnswer] of [
        [await ours.query(instant), await theirs.query(instant)],
        [await ours.queryRange(range), await theirs.queryRange(range)],
      ] as const) {
        const problem = answerProblem(ourAnswer, theirAnswer, tolerance);
        if (problem) problems.push(`${query}: ${problem}`);
      }
    }
    assert.deepEqual(problems, []);
  },
);
