// Courses of events: what happens to a cluster under load, one fault after another, and what has to hold in the end. Each is run
// by `main.ts`; the brief one in `npm test` too.
import { setTimeout as sleep } from 'node:timers/promises';
import { hourMs, mib, secondMs } from '../../src/base/index.ts';
import { windowMs } from '../../src/cluster/index.ts';
import { Checker } from './checker.ts';
import { compareCopies, type Copies } from './copies.ts';
import { Fleet, type FleetNode } from './fleet.ts';
import { Journal } from './journal.ts';
import type { Cut, MachineRoom } from './machines.ts';
import { Scraper } from './scraper.ts';
import { Writer } from './writers.ts';

const smallDiskBytes = 192 * mib;
// Data of ended windows, so that copies can be compared: two days old, at fifty times the pace of the clock.
const lateMs = 48 * hourMs;
const lateStepMs = 5 * secondMs;
const checkPauseMs = 20;
const wholeTimeoutMs = 60 * secondMs;
const mendedTimeoutMs = 300 * secondMs;

export interface Load {
  readonly seriesPerWriter: number;
  readonly pauseMs: number;
  readonly checkersCount: number;
  /** A real Prometheus writes too. */
  readonly hasPrometheus: boolean;
}

/** Everything that a course needs, from the first node's start to the last comparison. */
export class Stage {
  readonly fleet: Fleet;
  readonly journal: Journal;
  readonly writers: readonly Writer[];
  readonly checkers: readonly Checker[];
  readonly #load: Load;
  readonly #root: string;
  readonly #startedMs = Date.now();
  #scraper: Scraper | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(root: string, room: MachineRoom, { nodesCount, load, smallDisk }: Course, seed: number) {
    this.#load = load;
    this.#root = root;
    this.journal = new Journal((line) => console.log(line));
    const machines = Array.from({ length: nodesCount }, (_, index) =>
      room.machine(index, index === smallDisk ? smallDiskBytes : undefined),
    );
    this.fleet = new Fleet(room, this.journal, machines);
    const writer = (name: string, home: FleetNode | undefined, isLive: boolean): Writer =>
      new Writer(
        {
          name,
          ...(home ? { home } : {}),
          seriesCount: load.seriesPerWriter,
          startMs: isLive
            ? Math.floor(Date.now() / secondMs) * secondMs
            : Math.floor((Date.now() - lateMs) / lateStepMs) * lateStepMs,
          stepMs: isLive ? secondMs : lateStepMs,
          pauseMs: isLive ? secondMs : load.pauseMs,
        },
        this.fleet,
        this.journal,
      );
    // One with each node as its home, two behind a balancer, one of them of this very moment: windows that are being written.
    this.writers = [
      ...this.fleet.nodes.map((node) => writer(`home-${node.index}`, node, false)),
      writer('balanced', undefined, false),
      writer('live', undefined, true),
    ];
    this.checkers = Array.from(
      { length: load.checkersCount },
      (_, index) => new Checker(this.fleet, this.journal, this.writers, seed + index),
    );
  }

  /** Starts all nodes at once, then the load. */
  async begin(): Promise<void> {
    this.journal.begin('all start at once');
    await Promise.all(this.fleet.nodes.map((node) => node.start()));
    await this.fleet.whole(false, wholeTimeoutMs);
    if (this.#load.hasPrometheus) this.#scraper = await Scraper.start(this.#root, this.fleet.nodes);
    this.#running = Promise.all([
      ...this.writers.map((writer) => writer.run()),
      ...this.checkers.map((checker) => checker.run(checkPauseMs)),
    ]);
  }

  /** One phase: what happens, then the load for a while longer. */
  async phase(name: string, events: () => Promise<void> | void, afterMs = 0): Promise<void> {
    this.journal.begin(name);
    await events();
    await sleep(afterMs);
  }

  /** Ends the load, waits until the cluster has mended itself, asks for everything everywhere, and compares the copies. */
  async end(): Promise<Copies> {
    this.journal.begin('mending');
    for (const each of [...this.writers, ...this.checkers]) each.stop();
    await this.#running;
    const mendedMs = await this.fleet.whole(true, mendedTimeoutMs);
    this.journal.note(`mended ${(mendedMs / 1000).toFixed(1)} s after the load ended`);
    this.journal.begin('everything, everywhere');
    await Promise.all(this.checkers.slice(0, 1).map((checker) => checker.everything()));
    await this.#scraper?.verify(this.fleet, this.journal);
    await this.#scraper?.stop();
    this.journal.begin('comparison of the stores');
    const { members } = this.fleet;
    await Promise.all(members.map((node) => node.stop()));
    const copies = await compareCopies(members, this.#startedMs - windowMs);
    for (const problem of copies.problems) this.journal.violated(problem);
    this.journal.note(
      `${copies.samplesCount} samples in ended windows; held by ${[...copies.samplesByNode].map((each) => each.join(': ')).join(', ')}`,
    );
    return copies;
  }
}

/** SIGKILL, some time without it, and back. */
async function killAndRestart({ fleet }: Stage, index: number, downMs: number): Promise<void> {
  const node = fleet.node(index);
  await node.kill();
  await sleep(downMs);
  await node.start();
}

async function stopAndRestart({ fleet }: Stage, index: number, downMs: number): Promise<void> {
  const node = fleet.node(index);
  await node.stop();
  await sleep(downMs);
  await node.start();
}

async function wipeAndRestart({ fleet }: Stage, index: number): Promise<void> {
  const node = fleet.node(index);
  await node.kill();
  node.wipe();
  await node.start();
  fleet.noteLoss();
}

/** As if the power had failed. */
async function killAll({ fleet }: Stage): Promise<void> {
  const { members } = fleet;
  await Promise.all(members.map((node) => node.kill()));
  await Promise.all(members.map((node) => node.start()));
}

async function cutAndMend({ fleet }: Stage, index: number, how: Cut, cutMs: number): Promise<void> {
  const node = fleet.node(index);
  node.cut(how);
  await sleep(cutMs);
  node.machine.mend();
  await fleet.reconnected(node, wholeTimeoutMs);
}

async function pauseAndResume({ fleet }: Stage, index: number, pausedMs: number): Promise<void> {
  const node = fleet.node(index);
  node.pause();
  await sleep(pausedMs);
  node.resume();
  await fleet.reconnected(node, wholeTimeoutMs);
}

/** The node goes on, or ends and is started again, once there is room. */
async function fillAndFree({ fleet, journal }: Stage, index: number, fullMs: number): Promise<void> {
  const node = fleet.node(index);
  node.fillDisk();
  await sleep(fullMs);
  node.machine.freeDisk();
  if (node.process.exited) {
    journal.note(`${node.name} ended while its disk was full`);
    await node.start();
  } else await fleet.storing(node, wholeTimeoutMs);
}

async function join({ fleet }: Stage, count: number): Promise<void> {
  const nodes = Array.from({ length: count }, () => fleet.add());
  await Promise.all(nodes.map((node) => node.start()));
}

async function leave({ fleet, journal }: Stage, index: number): Promise<void> {
  const node = fleet.node(index);
  await node.decommission();
  const tookMs = await fleet.left(node, mendedTimeoutMs);
  journal.note(`${node.name} had handed over all it held after ${(tookMs / 1000).toFixed(1)} s`);
  await node.stop();
}

const restMs = 3 * secondMs;

async function brief(stage: Stage, room: MachineRoom): Promise<void> {
  await stage.begin();
  await stage.phase('steady', () => {}, restMs);
  await stage.phase('SIGKILL of one, under load', () => killAndRestart(stage, 1, 2 * secondMs), secondMs);
  await stage.phase('one is stuck (SIGSTOP)', () => pauseAndResume(stage, 2, 4 * secondMs), secondMs);
  if (room.canCut) await stage.phase('one is cut off', () => cutAndMend(stage, 0, 'both', 4 * secondMs), secondMs);
  await stage.phase('SIGKILL of all at once', () => killAll(stage), secondMs);
  await stage.phase('one is wiped', () => wipeAndRestart(stage, 3), secondMs);
  await stage.end();
}

async function long(stage: Stage, room: MachineRoom): Promise<void> {
  await stage.begin();
  await stage.phase('steady', () => {}, 5 * secondMs);
  for (let index = 0; index < 5; index++) {
    await stage.phase(`SIGKILL of node ${index}`, () => killAndRestart(stage, index, 5 * secondMs), restMs);
  }
  for (let index = 0; index < 5; index++) {
    await stage.phase(`rolling restart: node ${index}`, () => stopAndRestart(stage, index, 0));
  }
  await stage.phase('one stopped for long', () => stopAndRestart(stage, 1, 60 * secondMs), restMs);
  await stage.phase('one is stuck (SIGSTOP)', () => pauseAndResume(stage, 2, 15 * secondMs), restMs);
  if (room.canCut) {
    await stage.phase('one is cut off', () => cutAndMend(stage, 0, 'both', 30 * secondMs), restMs);
    await stage.phase('one does not hear the others', () => cutAndMend(stage, 3, 'in', 15 * secondMs), restMs);
    await stage.phase('one is not heard by the others', () => cutAndMend(stage, 4, 'out', 15 * secondMs), restMs);
  }
  if (room.canFill)
    await stage.phase('one with a full disk', () => fillAndFree(stage, smallDiskNode, 20 * secondMs), restMs);
  await stage.phase('SIGKILL of all at once', () => killAll(stage), restMs);
  await stage.phase('two added at once', () => join(stage, 2), 5 * secondMs);
  await stage.phase('one decommissioned', () => leave(stage, 1), restMs);
  await stage.phase('one is wiped', () => wipeAndRestart(stage, 3), 5 * secondMs);
  await stage.end();
}

/** Three nodes upgraded one after the other, each when the last is ready. */
async function rolling(stage: Stage): Promise<void> {
  await stage.begin();
  await stage.phase('steady', () => {}, restMs);
  for (let round = 0; round < 2; round++) {
    for (let index = 0; index < 3; index++) {
      await stage.phase(`restart of node ${index}, round ${round}`, () => stopAndRestart(stage, index, 0));
    }
  }
  await stage.end();
}

/** Five nodes with data and load get a sixth. */
async function growth(stage: Stage): Promise<void> {
  await stage.begin();
  await stage.phase('five nodes', () => {}, 60 * secondMs);
  await stage.phase('a sixth joins', async () => {
    await join(stage, 1);
    const tookMs = await stage.fleet.whole(true, mendedTimeoutMs);
    stage.journal.note(`the sixth node was filled ${(tookMs / 1000).toFixed(1)} s after it was active`);
  });
  await stage.phase('six nodes', () => {}, 10 * secondMs);
  const { samplesByNode, samplesCount } = await stage.end();
  const sixth = samplesByNode.get(stage.fleet.node(5).name) ?? Number.NaN;
  stage.journal.note(`the sixth node holds ${(sixth / (samplesCount / 2)).toFixed(3)} of an even share of the copies`);
}

const smallDiskNode = 2;
const quietLoad: Load = { seriesPerWriter: 20, pauseMs: 100, checkersCount: 2, hasPrometheus: false };
const fullLoad: Load = { seriesPerWriter: 200, pauseMs: 100, checkersCount: 2, hasPrometheus: true };

interface Course {
  readonly nodesCount: number;
  readonly load: Load;
  readonly smallDisk?: number;
  run(stage: Stage, room: MachineRoom): Promise<void>;
}

export const courses: Readonly<Record<string, Course>> = {
  brief: { nodesCount: 4, load: quietLoad, run: brief },
  long: { nodesCount: 5, load: fullLoad, smallDisk: smallDiskNode, run: long },
  rolling: { nodesCount: 3, load: fullLoad, run: rolling },
  growth: { nodesCount: 5, load: fullLoad, run: growth },
};

/** Runs a course in a directory of its own; resolves with whether no promise was broken. Prints what happens, and a table. */
export async function runCourse(name: string, root: string, room: MachineRoom, seed: number): Promise<boolean> {
  const course = courses[name];
  if (!course) throw new Error(`no course is named ${name}; there are ${Object.keys(courses).join(', ')}`);
  const stage = new Stage(root, room, course, seed);
  const { journal } = stage;
  if (room.missing) journal.note(`NOT PROVED: ${room.missing}`);
  try {
    await course.run(stage, room);
  } catch (error) {
    journal.violated(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  console.log(`\n${journal.table()}\n`);
  const acknowledged = stage.writers.reduce(
    (sum, { acknowledgedCount, options }) => sum + acknowledgedCount * options.seriesCount,
    0,
  );
  const checked = stage.checkers.reduce((sum, { checkedCount }) => sum + checkedCount, 0);
  console.log(
    `${acknowledged} samples acknowledged, found ${checked} times in answers; ${journal.violationsCount} violations (seed ${seed})`,
  );
  return journal.violationsCount === 0;
}
