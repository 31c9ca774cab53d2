// A sixth node joins five that hold data and take writes: how much of the data moves (the least possible is the share that the
// newcomer owns, a sixth), how long it takes by itself, and what writes take before and meanwhile.
import { setTimeout as sleep } from 'node:timers/promises';
import { hourMs, minuteMs, secondMs } from '../src/base/index.ts';
import type { ClusterStatus } from '../src/cluster/index.ts';
import { LocalCluster } from '../test/support/local-cluster.ts';
import { generateLoad, loadDefaults, prepareLoad } from './load/generator.ts';
import { send } from './load/sender.ts';
import { SteadyLoad } from './load/steady.ts';
import { seriesPerTarget } from './load/target.ts';
import { figure, progress, type Row } from './report.ts';
import { type BenchOptions, scaled } from './run.ts';

const nodesCount = 5;
const copiesCount = 3;
const seriesCount = 9000;
const scrapeIntervalMs = 15 * secondMs;
const historyMs = 6 * hourMs;
const requestsPerSecond = 20;
/** Longer than all that follows. */
const liveMs = hourMs;
const windowMs = 2 * hourMs;
const graceMs = 10 * minuteMs;
const beforeMs = 30 * secondMs;
const settleTimeoutMs = 300 * secondMs;
const moveTimeoutMs = 900 * secondMs;

/** Every partition is where it belongs, and nowhere else. Under load there is always something left to be compared. */
function hasMoved({ marks, members, partitions }: ClusterStatus): boolean {
  return marks.partitionsCount === 0 && partitions.foreign === 0 && members.every(({ state }) => state === 'active');
}

/** A counter without labels, of a node's /metrics. */
async function counter(url: string, name: string): Promise<number> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n');
  const line = lines.find((each) => each.startsWith(`${name} `));
  if (line === undefined) throw new Error(`${url}/metrics has no ${name}`);
  return Number(line.slice(name.length + 1));
}

/** The end of the newest window that nodes compare by now: what is older stays as it is. */
function settledEndMs(): number {
  return Math.floor((Date.now() - graceMs) / windowMs) * windowMs;
}

export const growthServer = 'five nodes and one';

export async function benchClusterGrowth(options: BenchOptions): Promise<Row[]> {
  const targetsCount = scaled(seriesCount / seriesPerTarget, options.scale);
  const load = { ...loadDefaults, seed: options.seed, shardsCount: nodesCount, targetsCount };
  progress('growth: five nodes take a history');
  const cluster = await LocalCluster.start({ directory: options.workDirectory, nodesCount });
  try {
    const urls = cluster.nodes.map(({ url }) => url);
    const startMs = settledEndMs() - historyMs;
    const history = prepareLoad({ ...load, startMs, durationMs: historyMs });
    await send(urls, history.bodies);
    // The same series as they go on, in many small requests: latencies are of interest, and what moves is to be history.
    const samplesPerSecond = (targetsCount * seriesPerTarget * secondMs) / scrapeIntervalMs;
    const samplesPerBody = Math.ceil(samplesPerSecond / requestsPerSecond);
    const live = generateLoad({ ...load, samplesPerBody, startMs: Date.now(), durationMs: liveMs });
    const steady = new SteadyLoad(urls, live, requestsPerSecond);
    progress(`growth: ${requestsPerSecond} writes per second from now on`);
    const writing = steady.run();
    try {
      return await grow(cluster, history.samplesCount, steady);
    } finally {
      steady.stop();
      await writing;
    }
  } finally {
    await cluster.kill();
  }
}

async function grow(cluster: LocalCluster, historyCount: number, steady: SteadyLoad): Promise<Row[]> {
  const isSettled = ({ marks }: ClusterStatus): boolean => marks.dueCount === 0;
  if (!(await cluster.until(settleTimeoutMs, (statuses) => statuses.every(isSettled)))) {
    progress('growth: the five nodes did not settle; the sixth joins all the same');
  }
  steady.look();
  await sleep(beforeMs);
  const before = steady.look();
  const samplesBefore = historyCount + steady.samplesCount;
  progress('growth: the sixth node joins');
  const startedMs = performance.now();
  const sixth = await cluster.add();
  const activeMs = performance.now() - startedMs;
  const samplesAtJoin = historyCount + steady.samplesCount;
  progress(`growth: it is active after ${figure(activeMs / secondMs)} s`);
  const isDone = await cluster.until(moveTimeoutMs, (statuses) => statuses.every(hasMoved));
  const doneMs = performance.now() - startedMs;
  const during = steady.look();
  const moved = await counter(sixth.url, 'timbala_cluster_repair_handover_samples_received_total');
  const movedBytes = await counter(sixth.url, 'timbala_cluster_repair_handover_bytes_received_total');
  const status = await sixth.status();
  progress(isDone ? `growth: done after ${figure(doneMs / secondMs)} s` : 'growth: NOT DONE within the time');
  // What there was to move lies between what was acknowledged before it was started and when it was active.
  const copies = (copiesCount * (samplesBefore + samplesAtJoin)) / 2;
  const share = (status?.partitions.owned ?? Number.NaN) / (copiesCount * 65_536);
  const row = (what: string, unit: string, value: number): Row => ({
    what,
    unit,
    figures: new Map([[growthServer, value]]),
  });
  return [
    row('samples acknowledged when it joined', 'M', samplesAtJoin / 1e6),
    row('copies that moved', 'M', moved / 1e6),
    row('bytes that moved', 'MB', movedBytes / 1e6),
    row('share of all copies that moved', '%', (100 * moved) / copies),
    row('share of the partitions that the sixth owns', '%', 100 * share),
    row('moved, against a sixth', '×', (moved / copies) * (nodesCount + 1)),
    row('active after', 's', activeMs / secondMs),
    row('all moved, and the rest dropped, after', 's', isDone ? doneMs / secondMs : Number.NaN),
    row('write latency before, median', 'ms', before.medianMs),
    row('write latency before, p99', 'ms', before.p99Ms),
    row('write latency meanwhile, median', 'ms', during.medianMs),
    row('write latency meanwhile, p99', 'ms', during.p99Ms),
    row('write latency meanwhile, slowest', 'ms', during.slowestMs),
    row('writes sent again', '', steady.retriesCount),
  ];
}
