// `npm run bench -- ingest|query|storage|replay|all [options]`: benchmarks beside the peers whose binaries are found; prints
// markdown tables. `cluster` and `cluster-growth` start nodes of this repository only, `placement` needs no servers. See
// docs/benchmarks.md.
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { removeDirectory, temporaryDirectory } from '../test/support/processes.ts';
import { repositoryRoot } from '../test/support/servers.ts';
import { aloneName, benchCluster, clusterName } from './cluster.ts';
import { benchClusterGrowth, growthServer } from './cluster-growth.ts';
import { benchIngest } from './ingest.ts';
import { findPeers, type Peer } from './peers.ts';
import { benchPlacement } from './placement.ts';
import { benchQueryLatency } from './query.ts';
import { benchReplay } from './replay.ts';
import { machine, ratioTable, type Row } from './report.ts';
import type { BenchOptions } from './run.ts';
import { benchStorage } from './storage.ts';

const usage = `usage: npm run bench -- ingest|query|storage|replay|all [options]
       npm run bench -- cluster|cluster-growth [options]
       npm run bench -- placement
  --prometheus=PROGRAM       a Prometheus 3 (default: prometheus on PATH)
  --victoriametrics=PROGRAM  a single-node VictoriaMetrics (default: victoria-metrics on PATH)
  --only=NAME[,NAME]         timbala, prometheus, victoriametrics
  --scenario=PATTERN         of ingest and cluster: only scenarios whose name matches this regular expression
  --scale=FACTOR             0.1: a tenth of the load (default 1)
  --rounds=N                 interleaved rounds, of which the median counts (default 3)
  --connections=N            of the sender (default 4)
  --seed=N                   of the load (default 1)
  --capture=FILE             recorded requests for the storage benchmark
  --directory=DIRECTORY      where servers keep their data (default: a temporary directory)`;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    prometheus: { type: 'string', default: 'prometheus' },
    victoriametrics: { type: 'string', default: 'victoria-metrics' },
    only: { type: 'string', default: '' },
    scenario: { type: 'string', default: '' },
    scale: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    capture: { type: 'string', default: join(repositoryRoot, '..', 'shared', 'data', 'capture-15s.rw.zst') },
    directory: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const besidePeers: Readonly<Record<string, (options: BenchOptions) => Promise<Row[]>>> = {
  ingest: async (options) => (await benchIngest(options, new RegExp(flags.scenario, 'i'))).rows(),
  query: benchQueryLatency,
  storage: async (options) => (await benchStorage(options)).rows(),
  replay: async (options) => (await benchReplay(options)).rows(),
};

/** Benchmarks of whole clusters: what they start stands in their table's columns, the first compared with the others. */
const ofClusters: Readonly<
  Record<string, { readonly servers: readonly string[]; run(options: BenchOptions): Promise<Row[]> }>
> = {
  cluster: {
    servers: [clusterName, aloneName],
    run: (options) => benchCluster(options, new RegExp(flags.scenario, 'i')),
  },
  'cluster-growth': { servers: [growthServer], run: benchClusterGrowth },
};

function peers(): Peer[] {
  return findPeers({
    prometheus: flags.prometheus,
    victoriaMetrics: flags.victoriametrics,
    only: flags.only.split(',').filter(Boolean),
  });
}

async function run(names: readonly string[]): Promise<void> {
  const workDirectory = flags.directory ? resolve(flags.directory) : temporaryDirectory('bench');
  const options: BenchOptions = {
    peers: names.some((name) => name in besidePeers) ? peers() : [],
    workDirectory,
    seed: Number(flags.seed),
    scale: Number(flags.scale),
    rounds: Number(flags.rounds),
    connections: Number(flags.connections),
    captureFile: flags.capture,
  };
  const servers = options.peers.map(({ name }) => name);
  try {
    for (const name of names) {
      const ofCluster = ofClusters[name];
      const rows = await (ofCluster ? ofCluster.run(options) : besidePeers[name]?.(options));
      console.log(`\n${name}, scale ${options.scale}, seed ${options.seed}; ${machine()}\n`);
      const columns = ofCluster?.servers ?? servers;
      console.log(ratioTable(columns, rows ?? [], ofCluster ? columns[0] : undefined));
    }
  } finally {
    if (!flags.directory) removeDirectory(workDirectory);
  }
}

// Servers end with the process, but only where it exits by itself.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

if (positionals[0] === 'placement') {
  benchPlacement();
  process.exit();
}
const chosen = positionals[0] === 'all' ? Object.keys(besidePeers) : positionals;
if (flags.help || chosen.length === 0 || chosen.some((name) => !(name in besidePeers || name in ofClusters))) {
  console.error(usage);
  process.exit(flags.help ? 0 : 2);
}
await run(chosen);
