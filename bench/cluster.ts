// C1 and C2: what three copies cost. Three nodes on this machine against one node alone, under the same load: samples per
// CPU-second over all processes, and the ten queries of Q1 asked of one of the three.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'undici';
import { dayMs, secondMs } from '../src/base/index.ts';
import { LocalCluster } from '../test/support/local-cluster.ts';
import { removeDirectory, type ServerProcess } from '../test/support/processes.ts';
import { startTimbala } from '../test/support/servers.ts';
import { loadDefaults, prepareLoad } from './load/generator.ts';
import { send } from './load/sender.ts';
import { seriesPerTarget } from './load/target.ts';
import { benchQueries, measureQuery, queryName, withGeometricMean } from './query.ts';
import { progress, type Row } from './report.ts';
import { type BenchOptions, loadEndMs, Measurements, scaled } from './run.ts';

const nodesCount = 3;
/** A multiple of the nodes, so that each takes as many. */
const connectionsCount = 6;
const scrapeIntervalMs = 15 * secondMs;
const quietTimeoutMs = 60 * secondMs;
/** Gossip and the record's exchange go on when nothing else does: some 3 % of a core. */
const quietCoreShare = 0.08;
/** What a look at the nodes' marks costs must not count. */
const comparedPollMs = secondMs;

/** One store under test: a node alone, or the nodes of a cluster. */
interface Store {
  readonly processes: readonly ServerProcess[];
  readonly urls: readonly string[];
  /** Whether all copies that are due were compared. */
  readonly isCompared: () => Promise<boolean>;
}

export const clusterName = 'three nodes';
export const aloneName = 'one node';

const stores: Readonly<Record<string, (directory: string) => Promise<Store>>> = {
  async [clusterName](directory) {
    const cluster = await LocalCluster.start({ directory, nodesCount });
    const { nodes } = cluster;
    return {
      processes: nodes.map(({ process }) => process),
      urls: nodes.map(({ url }) => url),
      isCompared: () => cluster.until(0, (statuses) => statuses.every(({ marks }) => marks.dueCount === 0)),
    };
  },
  async [aloneName](directory) {
    const node = await startTimbala({ directory });
    return { processes: [node], urls: [node.url], isCompared: () => Promise.resolve(true) };
  },
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const cpuSeconds = ({ processes }: Store): number => sum(processes.map((process) => process.cpuSeconds()));
const residentBytes = ({ processes }: Store): number => sum(processes.map((process) => process.memory().residentBytes));

async function quiet({ processes, isCompared }: Store): Promise<void> {
  const deadlineMs = performance.now() + quietTimeoutMs;
  while (!(await isCompared()) && performance.now() < deadlineMs) await sleep(comparedPollMs);
  await Promise.all(processes.map((process) => process.quiet(quietTimeoutMs, quietCoreShare)));
}

async function kill({ processes }: Store): Promise<void> {
  await Promise.all(processes.map((process) => process.kill()));
}

async function startStore(options: BenchOptions, name: string): Promise<Store> {
  const directory = join(options.workDirectory, name.replaceAll(' ', '-'));
  removeDirectory(directory);
  mkdirSync(directory, { recursive: true });
  const store = await stores[name]?.(directory);
  if (!store) throw new Error(`there is no store ${name}`);
  return store;
}

interface Scenario {
  readonly name: string;
  readonly seriesCount: number;
  readonly scrapesCount: number;
}

const scenarios: readonly Scenario[] = [
  { name: 'C1 100k series × 60', seriesCount: 100_000, scrapesCount: 60 },
  { name: 'C1 3k series × 5,760', seriesCount: 3000, scrapesCount: 5760 },
];

type Load = ReturnType<typeof prepareLoad>;

async function measureIngest(
  scenario: Scenario,
  name: string,
  store: Store,
  load: Load,
  into: Measurements,
): Promise<void> {
  const add = (what: string, unit: string, value: number): void =>
    into.add(`${scenario.name}: ${what}`, unit, name, value);
  await quiet(store);
  const cpuBefore = cpuSeconds(store);
  const report = await send(store.urls, load.bodies);
  const cpuSending = cpuSeconds(store) - cpuBefore;
  await quiet(store);
  const cpuAll = cpuSeconds(store) - cpuBefore;
  const million = 1e6;
  add('samples per CPU-second, until the last is acknowledged', 'M/s', load.samplesCount / cpuSending / million);
  add('samples per CPU-second, until all are quiet', 'M/s', load.samplesCount / cpuAll / million);
  add('samples per second', 'M/s', load.samplesCount / (report.elapsedMs / secondMs) / million);
  add('write latency, median', 'ms', report.latencyMedianMs);
  add('write latency, p99', 'ms', report.latencyP99Ms);
  add('resident at the end', 'MB', residentBytes(store) / million);
  if (report.retriesCount > 0) progress(`${name}: ${report.retriesCount} requests were sent again`);
}

async function benchClusterIngest(options: BenchOptions, names: RegExp, into: Measurements): Promise<void> {
  for (const scenario of scenarios.filter(({ name }) => names.test(name))) {
    progress(`${scenario.name}: preparing`);
    const durationMs = scenario.scrapesCount * scrapeIntervalMs;
    const load = prepareLoad({
      ...loadDefaults,
      seed: options.seed,
      shardsCount: connectionsCount,
      targetsCount: scaled(scenario.seriesCount / seriesPerTarget, options.scale),
      startMs: loadEndMs() - durationMs,
      durationMs,
    });
    for (let round = 0; round < options.rounds; round++) {
      for (const name of Object.keys(stores)) {
        progress(`${scenario.name}: round ${round + 1} of ${options.rounds}, ${name}`);
        const store = await startStore(options, name);
        try {
          await measureIngest(scenario, name, store, load, into);
        } finally {
          await kill(store);
        }
      }
    }
  }
}

async function benchClusterQueries(options: BenchOptions): Promise<Row[]> {
  progress('C2: preparing');
  const endMs = loadEndMs();
  const { bodies } = prepareLoad({
    ...loadDefaults,
    seed: options.seed,
    shardsCount: connectionsCount,
    targetsCount: scaled(3000 / seriesPerTarget, options.scale),
    startMs: endMs - dayMs,
    durationMs: dayMs,
  });
  const started: Store[] = [];
  try {
    const clients: { readonly name: string; readonly client: Client }[] = [];
    for (const name of Object.keys(stores)) {
      progress(`C2: loading ${name}`);
      const store = await startStore(options, name);
      started.push(store);
      await send(store.urls, bodies);
      for (const url of store.urls) await fetch(`${url}/internal/flush`, { method: 'POST' });
      await quiet(store);
      clients.push({ name, client: new Client(store.urls[0] ?? '', { headersTimeout: 0, bodyTimeout: 0 }) });
    }
    const measurements = new Measurements();
    for (const [index, query] of benchQueries.entries()) {
      await measureQuery(query, queryName('C2', index, query), endMs, clients, measurements);
    }
    await Promise.all(clients.map(({ client }) => client.close()));
    return withGeometricMean('C2', measurements.rows());
  } finally {
    for (const store of started) await kill(store);
  }
}

/** Only scenarios whose name matches; queries are `C2`. */
export async function benchCluster(options: BenchOptions, names: RegExp): Promise<Row[]> {
  const measurements = new Measurements();
  await benchClusterIngest(options, names, measurements);
  const rows = measurements.rows();
  return names.test('C2') ? [...rows, ...(await benchClusterQueries(options))] : rows;
}
