// Q1: ten queries over 3,000 series × 24 h at 15 s, the whole HTTP request, medians of interleaved rounds, no result cache.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'undici';
import { dayMs, hourMs, secondMs } from '../src/base/index.ts';
import { removeDirectory, ServerProcess } from '../test/support/processes.ts';
import { type LoadBody, loadDefaults, prepareLoad } from './load/generator.ts';
import { send } from './load/sender.ts';
import { seriesPerTarget } from './load/target.ts';
import type { Peer } from './peers.ts';
import { geometricMean, progress, type Row } from './report.ts';
import { type BenchOptions, loadEndMs, Measurements, scaled } from './run.ts';

const quietTimeoutMs = 120 * secondMs;
const warmUpRounds = 3;
const roundsPerQuery = 5;

export interface BenchQuery {
  readonly text: string;
  /** 0: an instant query at the end. */
  readonly rangeMs: number;
  readonly stepMs: number;
}

const day = { rangeMs: dayMs, stepMs: 60 * secondMs };
const dayCoarse = { rangeMs: dayMs, stepMs: 300 * secondMs };
const sixHours = { rangeMs: 6 * hourMs, stepMs: 60 * secondMs };

export const benchQueries: readonly BenchQuery[] = [
  { text: 'sum by (handler)(rate(http_requests_total[5m]))', ...day },
  { text: 'rate(http_requests_total[5m])', ...day },
  { text: 'sum({job="node-exporter"})', ...day },
  { text: 'histogram_quantile(0.9, sum by (le)(rate(http_request_duration_seconds_bucket[10m])))', ...day },
  { text: 'max_over_time(container_memory_working_set_bytes[1h])', ...dayCoarse },
  { text: 'avg by (instance)(quantile_over_time(0.95, queue_utilization_ratio[1h]))', ...dayCoarse },
  { text: 'topk(5, sum by (instance, handler)(rate(http_requests_total[5m])))', ...sixHours },
  {
    text:
      'sum by (instance)(rate(http_request_errors_total[5m])) ' +
      '/ on (instance) sum by (instance)(rate(http_requests_total[5m]))',
    ...sixHours,
  },
  { text: 'count({handler=~"/api/v1/resource/(1|2|3).*", job="node-exporter"})', ...sixHours },
  { text: 'sum by (pod)(rate(http_requests_total[5m]))', rangeMs: 0, stepMs: 0 },
];

/** As it stands in a table. */
export function queryName(benchmark: string, index: number, query: BenchQuery): string {
  return `${benchmark}.${index + 1} \`${query.text.replaceAll('|', '\\|')}\``;
}

function pathOf(query: BenchQuery, endMs: number): string {
  const end = String(endMs / 1000);
  if (query.rangeMs === 0) return `/api/v1/query?${new URLSearchParams({ query: query.text, time: end }).toString()}`;
  const parameters = {
    query: query.text,
    start: String((endMs - query.rangeMs) / 1000),
    end,
    step: String(query.stepMs / 1000),
  };
  return `/api/v1/query_range?${new URLSearchParams(parameters).toString()}`;
}

interface Timed {
  readonly elapsedMs: number;
  readonly answer: string;
}

async function timedRequest(client: Client, path: string): Promise<Timed> {
  const startedMs = performance.now();
  const response = await client.request({ path, method: 'GET' });
  const body = await response.body.bytes();
  const elapsedMs = performance.now() - startedMs;
  const answer = new TextDecoder().decode(body);
  if (response.statusCode !== 200) throw new Error(`${path} was answered by ${response.statusCode}: ${answer}`);
  return { elapsedMs, answer };
}

/** How many series and points an answer holds: a server that answers less does not win. */
function extent(answer: string): string {
  const { data } = JSON.parse(answer) as { data: { result: { values?: unknown[] }[] } };
  const points = data.result.reduce((sum, { values }) => sum + (values?.length ?? 1), 0);
  return `${data.result.length} series, ${points} points`;
}

async function load(options: BenchOptions, peer: Peer, bodies: readonly LoadBody[]): Promise<ServerProcess> {
  progress(`Q1: loading ${peer.name}`);
  const directory = join(options.workDirectory, peer.name);
  removeDirectory(directory);
  mkdirSync(directory, { recursive: true });
  const server = await ServerProcess.start(await peer.launch({ directory }));
  await send(server.url, bodies);
  // A day was sent in seconds: what a server would have written out of memory by now, it writes out now.
  await peer.flush?.(server.url);
  await server.quiet(quietTimeoutMs);
  return server;
}

interface NamedClient {
  readonly name: string;
  readonly client: Client;
}

export async function measureQuery(
  query: BenchQuery,
  what: string,
  endMs: number,
  clients: readonly NamedClient[],
  into: Measurements,
): Promise<void> {
  progress(what);
  const path = pathOf(query, endMs);
  // Unmeasured: first reads from disk, and code that has yet to be compiled in each of our query workers.
  const extents = new Map<string, string>();
  for (let round = 0; round < warmUpRounds; round++) {
    for (const { name, client } of clients) extents.set(name, extent((await timedRequest(client, path)).answer));
  }
  if (new Set(extents.values()).size > 1) {
    progress(`ANSWERS DIFFER: ${[...extents].map(([name, size]) => `${name}: ${size}`).join('; ')}`);
  }
  for (let round = 0; round < roundsPerQuery; round++) {
    for (const { name, client } of clients) {
      into.add(what, 'ms', name, (await timedRequest(client, path)).elapsedMs);
    }
  }
}

export async function benchQueryLatency(options: BenchOptions): Promise<Row[]> {
  const endMs = loadEndMs();
  progress('Q1: preparing');
  const { bodies } = prepareLoad({
    ...loadDefaults,
    seed: options.seed,
    shardsCount: options.connections,
    targetsCount: scaled(3000 / seriesPerTarget, options.scale),
    startMs: endMs - dayMs,
    durationMs: dayMs,
  });
  const servers: ServerProcess[] = [];
  try {
    const clients: NamedClient[] = [];
    for (const peer of options.peers) {
      const server = await load(options, peer, bodies);
      servers.push(server);
      clients.push({ name: peer.name, client: new Client(server.url, { headersTimeout: 0, bodyTimeout: 0 }) });
    }
    const measurements = new Measurements();
    for (const [index, query] of benchQueries.entries()) {
      await measureQuery(query, queryName('Q1', index, query), endMs, clients, measurements);
    }
    await Promise.all(clients.map(({ client }) => client.close()));
    return withGeometricMean('Q1', measurements.rows());
  } finally {
    for (const server of servers) await server.kill();
  }
}

export function withGeometricMean(benchmark: string, rows: readonly Row[]): Row[] {
  const servers = [...new Set(rows.flatMap(({ figures }) => [...figures.keys()]))];
  const means = servers.map((server) => {
    const values = rows.map(({ figures }) => figures.get(server) ?? Number.NaN);
    return [server, geometricMean(values)] as const;
  });
  return [...rows, { what: `${benchmark} geometric mean`, unit: 'ms', figures: new Map(means) }];
}
