// Data from before the head's windows: ten days of samples, the newer half first, answer the same from the head, from parts,
// after compaction, after a kill and after an orderly stop.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { generateLoad, loadDefaults, type LoadBody } from '../../bench/load/generator.ts';
import { send } from '../../bench/load/sender.ts';
import { dayMs, hourMs, minuteMs } from '../../src/base/index.ts';
import { freePort, removeDirectory, type ServerProcess, temporaryDirectory } from '../support/processes.ts';
import { metricKey, PrometheusApi, type QueryData } from '../support/prometheus-api.ts';
import { startTimbala } from '../support/servers.ts';

const daysCount = 10;
const deletionTimeoutMs = 30_000;
const endMs = Math.floor(Date.now() / dayMs) * dayMs;
const queries = [
  'sum by (handler) (rate(http_requests_total[1h]))',
  'max_over_time(container_memory_working_set_bytes[1d])',
  'histogram_quantile(0.9, sum by (le, instance) (increase(http_request_duration_seconds_bucket[6h])))',
  'count by (__name__) ({job="node-exporter"})',
  'avg by (zone) (queue_utilization_ratio)',
];

async function answers(url: string): Promise<QueryData[]> {
  const api = new PrometheusApi(url);
  const all: QueryData[] = [];
  for (const query of queries) {
    const range = { query, startMs: endMs - daysCount * dayMs, endMs, stepMs: 2 * hourMs };
    for (const answer of [await api.queryRange(range), await api.query({ query, timeMs: endMs - dayMs })]) {
      assert(answer.data, `${query}: ${answer.error}`);
      all.push(answer.data);
    }
  }
  return all;
}

/** Every sample that the node holds, one text a series. */
async function rawSamples(url: string): Promise<{ readonly samplesCount: number; readonly series: readonly string[] }> {
  const result = await new PrometheusApi(url).raw(`{job="node-exporter"}[${daysCount + 1}d]`, endMs + hourMs);
  const samplesCount = result.reduce((sum, { values }) => sum + values.length, 0);
  return {
    samplesCount,
    series: result.map(({ metric, values }) => metricKey(metric) + JSON.stringify(values)).sort(),
  };
}

async function post(url: string): Promise<void> {
  const response = await fetch(url, { method: 'POST' });
  assert(response.ok, `${url} answered ${response.status}: ${await response.text()}`);
}

function partsCount(directory: string): number {
  const parts = join(directory, 'data', 'parts');
  return existsSync(parts) ? readdirSync(parts).length : 0;
}

test('ten days of late samples answer the same from the head, from parts, compacted and after restarts', async (t) => {
  const directory = temporaryDirectory('backfill');
  t.after(() => removeDirectory(directory));
  const port = await freePort();
  let node: ServerProcess = await startTimbala({ directory, port });
  t.after(() => node.kill());

  const half = (startMs: number): LoadBody[] => [
    ...generateLoad({
      ...loadDefaults,
      targetsCount: 2,
      intervalsMs: [10 * minuteMs, 30 * minuteMs],
      startMs,
      durationMs: (daysCount / 2) * dayMs,
    }),
  ];
  const newer = half(endMs - (daysCount / 2) * dayMs);
  const older = half(endMs - daysCount * dayMs);
  const samplesCount = [...newer, ...older].reduce((sum, body) => sum + body.samplesCount, 0);

  await send(node.url, newer);
  await send(node.url, older);
  const fromHead = { raw: await rawSamples(node.url), answers: await answers(node.url) };
  assert.equal(fromHead.raw.samplesCount, samplesCount);
  const same = async (stage: string): Promise<void> => {
    const raw = await rawSamples(node.url);
    assert.equal(raw.samplesCount, samplesCount, `${stage}: number of samples`);
    for (const [i, series] of raw.series.entries()) assert.equal(series, fromHead.raw.series[i], stage);
    assert.deepEqual(await answers(node.url), fromHead.answers, stage);
  };

  await post(`${node.url}/internal/flush`);
  assert(partsCount(directory) > 0, 'a flush makes parts');
  await same('after a flush');

  // Sent again: duplicates of what is in parts, flushed into parts of their own, then merged.
  await send(node.url, older.slice(0, 20));
  await post(`${node.url}/internal/flush`);
  const partsBefore = partsCount(directory);
  await post(`${node.url}/internal/compact`);
  await same('after compaction');
  // What was merged is deleted once nobody reads it any more.
  const deadlineMs = Date.now() + deletionTimeoutMs;
  while (partsCount(directory) >= partsBefore && Date.now() < deadlineMs) await sleep(200);
  assert(partsCount(directory) < partsBefore, 'compaction leaves fewer parts');

  await node.kill();
  node = await startTimbala({ directory, port });
  await same('after a kill');

  const exit = await node.stop();
  assert.deepEqual(exit, { code: 0, signal: null }, 'SIGTERM ends the node in order');
  node = await startTimbala({ directory, port });
  await same('after an orderly stop');
});
