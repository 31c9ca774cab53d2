// A sixth node joins five that hold data and take writes: how much of the data moves (the least possible is what the newcomer
// then owns, a sixth), how long it takes by itself, and what writes take before and meanwhile. Afterwards the stores of all
// six are compared: owners hold the same, and nobody else anything.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hourMs, minuteMs, secondMs } from '../src/base/index.ts';
import type { ClusterStatus } from '../src/cluster/index.ts';
import { LocalCluster } from '../test/support/local-cluster.ts';
import { generateLoad, loadDefaults, prepareLoad } from './load/generator.ts';
import { send } from './load/sender.ts';
import { type SteadyFigures, SteadyLoad } from './load/steady.ts';
import { seriesPerTarget } from './load/target.ts';
import { figure, progress, type Row } from './report.ts';
import { type BenchOptions, scaled } from './run.ts';
import { compareCopies } from '../test/cluster/copies.ts';

const nodesCount = 5;
const copiesCount = 3;
const seriesCount = 30_000;
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
const problemsShownMax = 5;

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
    const historyEndMs = settledEndMs();
    const startMs = historyEndMs - historyMs;
    const history = prepareLoad({ ...load, startMs, durationMs: historyMs });
    await send(urls, history.bodies);
    // The same series as they go on, in many small requests: latencies are of interest, and what moves is to be history.
    const samplesPerSecond = (targetsCount * seriesPerTarget * secondMs) / scrapeIntervalMs;
    const samplesPerBody = Math.ceil(samplesPerSecond / requestsPerSecond);
    const live = generateLoad({ ...load, samplesPerBody, startMs: Date.now(), durationMs: liveMs });
    const steady = new SteadyLoad(urls, live, requestsPerSecond);
    progress(`growth: ${requestsPerSecond} writes per second from now on`);
    const writing = steady.run();
    let growth: Growth;
    try {
      growth = await grow(cluster, steady);
    } finally {
      steady.stop();
      await writing;
    }
    await Promise.all(cluster.nodes.map((node) => node.stop()));
    return rowsOf(growth, steady.retriesCount, await historyHeld(cluster, historyEndMs));
  } finally {
    await cluster.kill();
  }
}

/** The sixth node's samples of the history, and those of all. */
async function historyHeld({ nodes }: LocalCluster, endMs: number): Promise<Held> {
  const ended = nodes.map(({ gossipAddress, directory }) => ({
    name: gossipAddress,
    dataDirectory: join(directory, 'data'),
  }));
  const { problems, samplesByNode, samplesCount } = await compareCopies(ended, endMs);
  for (const problem of problems.slice(0, problemsShownMax)) progress(`growth: WRONG: ${problem}`);
  const bySixth = samplesByNode.get(ended.at(-1)?.name ?? '') ?? Number.NaN;
  return { bySixth, copies: copiesCount * samplesCount, problemsCount: problems.length };
}

interface Held {
  readonly bySixth: number;
  readonly copies: number;
  readonly problemsCount: number;
}

interface Growth {
  /** Copies that all nodes received because owners have changed, and their bytes. */
  readonly moved: number;
  readonly movedBytes: number;
  readonly activeMs: number;
  /** Undefined: not done within the time. */
  readonly doneMs: number | undefined;
  readonly before: SteadyFigures;
  readonly during: SteadyFigures;
}

async function grow(cluster: LocalCluster, steady: SteadyLoad): Promise<Growth> {
  const isSettled = ({ marks }: ClusterStatus): boolean => marks.dueCount === 0;
  if (!(await cluster.until(settleTimeoutMs, (statuses) => statuses.every(isSettled)))) {
    progress('growth: the five nodes did not settle; the sixth joins all the same');
  }
  // Where five nodes start together, the first is joined by others, too.
  const movedBefore = await handedOver(cluster);
  steady.look();
  await sleep(beforeMs);
  const before = steady.look();
  progress('growth: the sixth node joins');
  const startedMs = performance.now();
  await cluster.add();
  const activeMs = performance.now() - startedMs;
  progress(`growth: it is active after ${figure(activeMs / secondMs)} s`);
  const isDone = await cluster.until(moveTimeoutMs, (statuses) => statuses.every(hasMoved));
  const doneMs = performance.now() - startedMs;
  const during = steady.look();
  const movedAfter = await handedOver(cluster);
  progress(isDone ? `growth: done after ${figure(doneMs / secondMs)} s` : 'growth: NOT DONE within the time');
  return {
    moved: movedAfter.samplesCount - movedBefore.samplesCount,
    movedBytes: movedAfter.bytes - movedBefore.bytes,
    activeMs,
    doneMs: isDone ? doneMs : undefined,
    before,
    during,
  };
}

async function handedOver({ nodes }: LocalCluster): Promise<{ samplesCount: number; bytes: number }> {
  const total = async (what: string): Promise<number> => {
    const name = `timbala_cluster_repair_handover_${what}_received_total`;
    return (await Promise.all(nodes.map(({ url }) => counter(url, name)))).reduce((sum, value) => sum + value, 0);
  };
  return { samplesCount: await total('samples'), bytes: await total('bytes') };
}

function rowsOf({ moved, movedBytes, activeMs, doneMs, before, during }: Growth, retries: number, held: Held): Row[] {
  const row = (what: string, unit: string, value: number): Row => ({
    what,
    unit,
    figures: new Map([[growthServer, value]]),
  });
  const million = 1e6;
  return [
    row('copies of the history, of all nodes', 'M', held.copies / million),
    row('copies that moved, between any nodes', 'M', moved / million),
    row('bytes that moved', 'MB', movedBytes / million),
    row('share of the history that the sixth holds', '%', (100 * held.bySixth) / held.copies),
    row('moved, against what the sixth holds', '×', moved / held.bySixth),
    row('moved beyond a sixth', '%', 100 * ((moved / held.copies) * (nodesCount + 1) - 1)),
    row('copies that are not as they should be, afterwards', '', held.problemsCount),
    row('active after', 's', activeMs / secondMs),
    row('all moved, and the rest dropped, after', 's', (doneMs ?? Number.NaN) / secondMs),
    row('write latency before, median', 'ms', before.medianMs),
    row('write latency before, p99', 'ms', before.p99Ms),
    row('write latency meanwhile, median', 'ms', during.medianMs),
    row('write latency meanwhile, p99', 'ms', during.p99Ms),
    row('write latency meanwhile, slowest', 'ms', during.slowestMs),
    row('writes sent again', '', retries),
  ];
}
