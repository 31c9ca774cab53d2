// Data from before the head's windows: ten days of samples, the newer half first, answer the same from the head, from parts,
// after compaction, after a kill and after an orderly stop.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateLoad, loadDefaults, type LoadBody } from '../../bench/load/generator.ts';
import { send } from '../../bench/load/sender.ts';
import { dayMs, hourMs, minuteMs } from '../../src/base/index.ts';
import { freePort, removeDirectory, type ServerProcess, temporaryDirectory } from '../support/processes.ts';
import { PrometheusApi, type QueryData } from '../support/prometheus-api.ts';
import { startTimbala } from '../support/servers.ts';

const daysCount = 10;
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

async function samplesHeld(url: string): Promise<number> {
  const query = `sum(count_over_time({job="node-exporter"}[${daysCount + 1}d]))`;
  const { data } = await new PrometheusApi(url).query({ query, timeMs: endMs + hourMs });
  assert(data?.resultType === 'vector');
  return Number(data.result[0]?.value[1]);
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
  assert.equal(await samplesHeld(node.url), samplesCount);
  const fromHead = await answers(node.url);

  await post(`${node.url}/internal/flush`);
  assert(partsCount(directory) > 0, 'a flush makes parts');
  assert.equal(await samplesHeld(node.url), samplesCount);
  assert.deepEqual(await answers(node.url), fromHead, 'after a flush');

  // Sent again: duplicates of what is in parts, flushed into parts of their own, then merged.
  await send(node.url, older.slice(0, 20));
  await post(`${node.url}/internal/flush`);
  const partsBefore = partsCount(directory);
  await post(`${node.url}/internal/compact`);
  assert(partsCount(directory) <= partsBefore, 'compaction does not leave more parts');
  assert.deepEqual(await answers(node.url), fromHead, 'after compaction');

  await node.kill();
  node = await startTimbala({ directory, port });
  assert.deepEqual(await answers(node.url), fromHead, 'after a kill');

  const exit = await node.stop();
  assert.deepEqual(exit, { code: 0, signal: null }, 'SIGTERM ends the node in order');
  node = await startTimbala({ directory, port });
  assert.equal(await samplesHeld(node.url), samplesCount);
  assert.deepEqual(await answers(node.url), fromHead, 'after an orderly stop');
});
