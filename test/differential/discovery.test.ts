// What interfaces ask before they ask for samples (series, labels, label values) and about expressions (format, parse): the
// same answers as a real Prometheus gives over the same samples.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../src/base/index.ts';
import type { ApiAnswer, PrometheusApi } from '../support/prometheus-api.ts';
import { metricKey } from '../support/prometheus-api.ts';
import { findPrometheus } from '../support/servers.ts';
import { dataEndMs, dataStartMs } from './data.ts';
import { type Pair, skipReason, startPair } from './pair.ts';
import { QueryGenerator } from './query-generator.ts';

const seed = Number(process.env['TIMBALA_TEST_SEED'] ?? 1);
const expressionsCount = 200;
const prometheus = findPrometheus(3, false);

const range = { start: String(dataStartMs / 1000), end: String(dataEndMs / 1000) };
/** The node holds metrics of its own as well. */
const everything = '{job!="timbala"}';
const selectors = [
  everything,
  'requests_total',
  '{job="web"}',
  '{instance=~"a.*|b.*",code!="500"}',
  '{le!="",job="web"}',
  'pod_memory{namespace="red"}',
  '{"grüße.von"}',
  'nothing_has_this_name',
  '{job=""',
  '{job=""}',
  'rate(requests_total[5m])',
];
const labelNames = ['__name__', 'instance', 'le', 'job', 'absent', 'U__ort_2e_name', 'ort.name'];

/** Prometheus does not order the series that it lists. */
function sortedSeries(answer: ApiAnswer<Record<string, string>[]>): ApiAnswer<Record<string, string>[]> {
  return answer.data
    ? { ...answer, data: answer.data.toSorted((a, b) => (metricKey(a) < metricKey(b) ? -1 : 1)) }
    : answer;
}

async function same<Data>(
  pair: Pair,
  what: string,
  ask: (api: PrometheusApi) => Promise<ApiAnswer<Data>>,
): Promise<void> {
  assert.deepEqual(await ask(pair.ours), await ask(pair.theirs), what);
}

async function compareDiscovery(pair: Pair): Promise<void> {
  for (const selector of selectors) {
    const form = { 'match[]': selector, ...range };
    await same(pair, `series ${selector}`, async (api) => sortedSeries(await api.call('series', form)));
    await same(pair, `labels ${selector}`, (api) => api.call('labels', form));
    for (const name of labelNames) {
      const path = `label/${encodeURIComponent(name)}/values`;
      await same(pair, `${path} ${selector}`, (api) => api.get(path, form));
    }
  }
  await same(pair, 'series without a selector', (api) => api.call('series', range));
  await same(pair, 'limit', (api) => api.call('labels', { 'match[]': everything, ...range, limit: '2' }));
}

async function compareExpressions(pair: Pair): Promise<void> {
  const random = new SeededRandom(seed);
  const generator = new QueryGenerator(random);
  for (let i = 0; i < expressionsCount; i++) {
    const accepted = generator.next();
    const query = i % 4 === 0 ? generator.malform(accepted) : accepted;
    await same(pair, `format ${query}`, (api) => api.call('format_query', { query }));
    await same(pair, `parse ${query}`, (api) => api.call('parse_query', { query }));
  }
}

async function compareRefusals(pair: Pair): Promise<void> {
  const forms: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['query', {}],
    ['query', { query: 'up', time: 'yesterday' }],
    ['query', { query: 'up', timeout: '-1x' }],
    ['query_range', { query: 'up', start: '0', end: '10', step: '0' }],
    ['query_range', { query: 'up', start: '10', end: '0', step: '1' }],
    ['query_range', { query: 'up', start: '0', end: '1000000', step: '1' }],
    ['query_range', { query: 'up[5m]', start: '0', end: '10', step: '1' }],
    ['query_range', { query: 'up', start: 'x', end: '10', step: '1' }],
    ['query_range', { query: 'up', start: '0', end: '10' }],
    ['series', { ...range, 'match[]': 'up', start: 'x' }],
  ];
  for (const [path, form] of forms) await same(pair, `${path} ${JSON.stringify(form)}`, (api) => api.call(path, form));
}

test(
  'series, labels, expressions and refusals are answered as Prometheus answers them',
  { skip: prometheus ? false : skipReason },
  async (t) => {
    assert(prometheus);
    const pair = await startPair(t, prometheus, seed);
    await t.test('series, labels and label values', () => compareDiscovery(pair));
    await t.test('formatted and parsed expressions', () => compareExpressions(pair));
    await t.test('parameters that are refused', () => compareRefusals(pair));
  },
);
