// I1, I2 and I3: what a sample costs a server on its way in, for steady series and for new ones, and the memory they take.
// CPU time counts until the server is quiet again, so that work put off (flushes, merges) is paid for.
import { secondMs } from '../src/base/index.ts';
import type { ServerProcess } from '../test/support/processes.ts';
import { type LoadBody, loadDefaults, prepareLoad } from './load/generator.ts';
import { send } from './load/sender.ts';
import { seriesPerTarget } from './load/target.ts';
import type { Peer } from './peers.ts';
import { progress } from './report.ts';
import { type BenchOptions, loadEndMs, Measurements, scaled, withServer } from './run.ts';

const scrapeIntervalMs = 15 * secondMs;
const quietTimeoutMs = 60 * secondMs;

interface Scenario {
  readonly name: string;
  readonly targetsCount: number;
  readonly scrapesCount: number;
  /** Read resident memory after the first scrape of all series, and the peak with a flush at the end (I3). */
  readonly memory: boolean;
}

export function ingestScenarios(scale: number): Scenario[] {
  const targets = (series: number): number => scaled(series / seriesPerTarget, scale);
  return [
    { name: 'I1 100k series × 60', targetsCount: targets(100_000), scrapesCount: 60, memory: false },
    { name: 'I1 3k series × 5,760', targetsCount: targets(3000), scrapesCount: 5760, memory: false },
    { name: 'I2 1M new series × 6', targetsCount: targets(1_000_000), scrapesCount: 6, memory: true },
  ];
}

/** The first scrape of every series, and the rest. */
function splitFirstScrape(bodies: readonly LoadBody[], samplesPerShard: number): [LoadBody[], LoadBody[]] {
  const sent = new Map<number, number>();
  const first: LoadBody[] = [];
  const rest: LoadBody[] = [];
  for (const body of bodies) {
    const before = sent.get(body.shard) ?? 0;
    (before < samplesPerShard ? first : rest).push(body);
    sent.set(body.shard, before + body.samplesCount);
  }
  return [first, rest];
}

async function measure(
  scenario: Scenario,
  peer: Peer,
  server: ServerProcess,
  load: { readonly bodies: readonly LoadBody[]; readonly samplesCount: number },
  into: Measurements,
): Promise<void> {
  const add = (what: string, unit: string, value: number): void =>
    into.add(`${scenario.name}: ${what}`, unit, peer.name, value);
  const cpuBefore = server.cpuSeconds();
  let bodies = load.bodies;
  let elapsedMs = 0;
  if (scenario.memory) {
    const shardsCount = new Set(bodies.map(({ shard }) => shard)).size;
    const [first, rest] = splitFirstScrape(bodies, load.samplesCount / scenario.scrapesCount / shardsCount);
    elapsedMs += (await send(server.url, first)).elapsedMs;
    add('resident, just registered', 'MB', server.memory().residentBytes / 1e6);
    bodies = rest;
  }
  const report = await send(server.url, bodies);
  elapsedMs += report.elapsedMs;
  await server.quiet(quietTimeoutMs);
  const cpu = server.cpuSeconds() - cpuBefore;
  add('samples per CPU-second', 'M/s', load.samplesCount / cpu / 1e6);
  add('samples per second', 'M/s', load.samplesCount / (elapsedMs / 1000) / 1e6);
  add('write latency, median', 'ms', report.latencyMedianMs);
  add('write latency, p99', 'ms', report.latencyP99Ms);
  if (report.retriesCount > 0) progress(`${peer.name}: ${report.retriesCount} requests were sent again`);
  add('resident at the end', 'MB', server.memory().residentBytes / 1e6);
  if (scenario.memory) {
    await peer.flush?.(server.url);
    add('highest resident, with a flush', 'MB', server.memory().peakBytes / 1e6);
  }
}

export async function benchIngest(options: BenchOptions, names: RegExp): Promise<Measurements> {
  const measurements = new Measurements();
  for (const scenario of ingestScenarios(options.scale).filter(({ name }) => names.test(name))) {
    progress(`${scenario.name}: preparing`);
    const durationMs = scenario.scrapesCount * scrapeIntervalMs;
    const load = prepareLoad({
      ...loadDefaults,
      seed: options.seed,
      shardsCount: options.connections,
      targetsCount: scenario.targetsCount,
      startMs: loadEndMs() - durationMs,
      durationMs,
    });
    for (let round = 0; round < options.rounds; round++) {
      for (const peer of options.peers) {
        progress(`${scenario.name}: round ${round + 1} of ${options.rounds}, ${peer.name}`);
        await withServer(options, peer, (server) => measure(scenario, peer, server, load, measurements));
      }
    }
  }
  return measurements;
}
