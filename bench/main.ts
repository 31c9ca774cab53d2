// `npm run bench -- ingest|query|storage|replay|all [options]`: benchmarks beside the peers whose binaries are found; prints
// markdown tables. `placement` needs no servers. See docs/benchmarks.md.
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { removeDirectory, temporaryDirectory } from '../test/support/processes.ts';
import { repositoryRoot } from '../test/support/servers.ts';
import { benchIngest } from './ingest.ts';
import { findPeers } from './peers.ts';
import { benchPlacement } from './placement.ts';
import { benchQueryLatency } from './query.ts';
import { benchReplay } from './replay.ts';
import { machine, ratioTable, type Row } from './report.ts';
import type { BenchOptions } from './run.ts';
import { benchStorage } from './storage.ts';

const usage = `usage: npm run bench -- ingest|query|storage|replay|all [options]
       npm run bench -- placement
  --prometheus=PROGRAM       a Prometheus 3 (default: prometheus on PATH)
  --victoriametrics=PROGRAM  a single-node VictoriaMetrics (default: victoria-metrics on PATH)
  --only=NAME[,NAME]         timbala, prometheus, victoriametrics
  --scenario=PATTERN         of ingest: only scenarios whose name matches this regular expression
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

const benchmarks: Readonly<Record<string, (options: BenchOptions) => Promise<Row[]>>> = {
  ingest: async (options) => (await benchIngest(options, new RegExp(flags.scenario, 'i'))).rows(),
  query: benchQueryLatency,
  storage: async (options) => (await benchStorage(options)).rows(),
  replay: async (options) => (await benchReplay(options)).rows(),
};

async function run(names: readonly string[]): Promise<void> {
  const workDirectory = flags.directory ? resolve(flags.directory) : temporaryDirectory('bench');
  const options: BenchOptions = {
    peers: findPeers({
      prometheus: flags.prometheus,
      victoriaMetrics: flags.victoriametrics,
      only: flags.only.split(',').filter(Boolean),
    }),
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
      const rows = await benchmarks[name]?.(options);
      console.log(`\n${name}, scale ${options.scale}, seed ${options.seed}; ${machine()}\n`);
      console.log(ratioTable(servers, rows ?? []));
    }
  } finally {
    if (!flags.directory) removeDirectory(workDirectory);
  }
}

if (positionals[0] === 'placement') {
  benchPlacement();
  process.exit();
}
const chosen = positionals[0] === 'all' ? Object.keys(benchmarks) : positionals;
if (flags.help || chosen.length === 0 || chosen.some((name) => !(name in benchmarks))) {
  console.error(usage);
  process.exit(flags.help ? 0 : 2);
}
await run(chosen);
