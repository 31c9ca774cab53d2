// The course of the demo: three nodes take writes and answer queries; one is killed, and both go on; it comes back, and the
// cluster mends itself. All that was acknowledged is checked while it happens and, sample by sample, at the end.
import { setTimeout as sleep } from 'node:timers/promises';
import { secondMs } from '../src/base/index.ts';
import type { ClusterStatus } from '../src/cluster/index.ts';
import { LocalCluster, type LocalNode } from '../test/support/local-cluster.ts';
import { Checks } from './checks.ts';
import { Load, seriesCount } from './load.ts';
import { formatCount, Screen } from './screen.ts';

export interface DemoTimes {
  readonly wholeMs: number;
  readonly deadMs: number;
  readonly backMs: number;
  readonly mendTimeoutMs: number;
}

export interface DemoOutcome {
  readonly acknowledgedCount: number;
  readonly lostCount: number;
  readonly queriesRight: number;
  /** Empty where every promise held. */
  readonly problems: readonly string[];
}

const victimIndex = 2;

const dueCount = (status: ClusterStatus | undefined): number | undefined => status?.marks.dueCount;

class Demo {
  readonly #times: DemoTimes;
  readonly #screen: Screen;
  readonly #cluster: LocalCluster;
  readonly #load: Load;
  readonly #checks: Checks;

  constructor(times: DemoTimes, screen: Screen, cluster: LocalCluster) {
    this.#times = times;
    this.#screen = screen;
    this.#cluster = cluster;
    this.#load = new Load(cluster.nodes, Date.now());
    this.#checks = new Checks(this.#load);
  }

  get #victim(): LocalNode {
    const victim = this.#cluster.nodes[victimIndex];
    if (!victim) throw new Error('the demo needs three nodes');
    return victim;
  }

  async run(): Promise<DemoOutcome> {
    const { wholeMs, deadMs, backMs } = this.#times;
    const screen = this.#screen;
    const victim = this.#victim;
    screen.event(
      `load begins: ${seriesCount} series, a day of their samples in each minute; every sample is kept on three nodes`,
    );
    screen.text(
      '        all nodes are written to and asked; "to mend": stretches of 2 h of a series in which copies may differ',
    );
    screen.header(this.#cluster.nodes.map(({ label }) => label));
    const writing = this.#load.run();
    await this.#watch(wholeMs);
    screen.event(`kill -9 ${victim.process.pid}: node ${victim.label} is gone; writes and queries go on at the others`);
    await victim.kill();
    await this.#watch(deadMs);
    screen.event(`node ${victim.label} is started again, and has to be given what it missed`);
    await victim.spawn();
    await victim.ready();
    screen.event(`node ${victim.label} is ready after ${(victim.process.readyAfterMs / 1000).toFixed(1)} s`);
    await this.#watch(backMs);
    this.#load.stop();
    await writing;
    screen.event('the load has ended; what copies still lack is filled in');
    const mendedAfterMs = await this.#mend();
    return await this.#verify(mendedAfterMs);
  }

  /** A line each second until the time is up, with queries of every running node. */
  async #watch(durationMs: number): Promise<void> {
    const endMs = performance.now() + durationMs;
    while (performance.now() < endMs) await this.#second();
  }

  async #second(): Promise<void> {
    const startedMs = performance.now();
    await Promise.all([
      sleep(secondMs),
      ...this.#cluster.running.map((node) => this.#checks.glance(node, Math.random)),
    ]);
    await this.#line(performance.now() - startedMs);
  }

  async #line(elapsedMs: number): Promise<readonly (ClusterStatus | undefined)[]> {
    const { nodes } = this.#cluster;
    const statuses = await Promise.all(nodes.map((node) => (node.isRunning ? node.status() : undefined)));
    const { samplesCount, slowestMs } = this.#load.look();
    this.#screen.second({
      samplesPerSecond: Math.round(samplesCount / (elapsedMs / secondMs)),
      slowestWriteMs: slowestMs,
      acknowledgedCount: this.#load.acknowledgedCount,
      queriesRight: this.#checks.rightCount,
      queriesWrong: this.#checks.problems.length,
      nodes: nodes.map(({ label, isRunning }, i) => ({ label, isUp: isRunning, dueCount: dueCount(statuses[i]) })),
    });
    return statuses;
  }

  /** Until no node has anything to compare or hand over; undefined where that takes too long. */
  async #mend(): Promise<number | undefined> {
    const startedMs = performance.now();
    while (performance.now() - startedMs < this.#times.mendTimeoutMs) {
      await sleep(secondMs);
      const statuses = await this.#line(secondMs);
      if (statuses.every((status) => dueCount(status) === 0)) return performance.now() - startedMs;
    }
    return undefined;
  }

  async #verify(mendedAfterMs: number | undefined): Promise<DemoOutcome> {
    this.#screen.event('every acknowledged sample is looked for, at every node');
    let lostCount = 0;
    for (const node of this.#cluster.nodes) lostCount += (await this.#checks.everything(node)).lostCount;
    const { acknowledgedCount, refusals, resentCount, writesCount } = this.#load;
    const { rightCount } = this.#checks;
    const problems = [...refusals.map((refusal) => `a write was refused: ${refusal}`), ...this.#checks.problems];
    if (mendedAfterMs === undefined) {
      problems.push(`not mended ${this.#times.mendTimeoutMs / secondMs} s after the load ended`);
    }
    const count = formatCount;
    this.#screen.text('');
    this.#screen.text(`  ${count(acknowledgedCount)} samples acknowledged, ${count(lostCount)} lost`);
    this.#screen.text(
      `  ${count(writesCount)} writes acknowledged; ${count(resentCount)} times the node asked was not there, and another took the write`,
    );
    this.#screen.text(`  ${count(rightCount)} queries right, ${count(this.#checks.problems.length)} wrong`);
    if (mendedAfterMs !== undefined) {
      this.#screen.text(`  mended by itself ${Math.round(mendedAfterMs / secondMs)} s after the load ended`);
    }
    for (const problem of problems.slice(0, 10)) this.#screen.text(`  WRONG: ${problem}`);
    this.#screen.text(
      problems.length === 0 ? '  OK: a node died and came back; no sample is lost, and no query was wrong' : '  FAILED',
    );
    return { acknowledgedCount, lostCount, queriesRight: rightCount, problems };
  }
}

/** Starts three nodes below `directory`, which the caller removes, and ends them all whatever happens. */
export async function runDemo(
  times: DemoTimes,
  directory: string,
  print: (line: string) => void,
): Promise<DemoOutcome> {
  const screen = new Screen(print);
  screen.event(`three nodes start, with their data in ${directory}`);
  const cluster = await LocalCluster.start({ directory, nodesCount: 3 });
  try {
    for (const { label, url, gossipAddress } of cluster.nodes) {
      screen.text(`        ${label}: ${url} (${gossipAddress} in the cluster)`);
    }
    return await new Demo(times, screen, cluster).run();
  } finally {
    await cluster.kill();
  }
}
