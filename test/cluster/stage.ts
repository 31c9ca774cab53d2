// Everything that a course of faults needs, from the first node's start to the last comparison: nodes, load, checkers, journal.
import { setTimeout as sleep } from 'node:timers/promises';
import { hourMs, mib, secondMs } from '../../src/base/index.ts';
import { windowMs } from '../../src/cluster/index.ts';
import { Checker } from './checker.ts';
import { compareCopies } from './copies.ts';
import { Fleet, type FleetNode } from './fleet.ts';
import { Journal } from './journal.ts';
import type { MachineRoom } from './machines.ts';
import { Scraper } from './scraper.ts';
import { Writer } from './writers.ts';

const smallDiskBytes = 192 * mib;
// Data of ended windows, so that copies can be compared: two days old, at fifty times the pace of the clock.
const lateMs = 48 * hourMs;
const lateStepMs = 5 * secondMs;
const checkPauseMs = 20;
export const wholeTimeoutMs = 60 * secondMs;
export const mendedTimeoutMs = 600 * secondMs;

export interface Load {
  readonly seriesPerStep: number;
  readonly groupsCount: number;
  readonly pauseMs: number;
  readonly checkersCount: number;
  /** A real Prometheus writes too. */
  readonly hasPrometheus: boolean;
}

export interface Cast {
  readonly nodesCount: number;
  readonly load: Load;
  /** The node whose disk can be filled. */
  readonly smallDisk?: number;
}

export class Stage {
  readonly fleet: Fleet;
  readonly journal: Journal;
  readonly writers: readonly Writer[];
  readonly checkers: readonly Checker[];
  readonly #load: Load;
  readonly #root: string;
  readonly #startedMs = Date.now();
  /** Asked once more of the mended cluster. */
  readonly lastChecks: (() => Promise<void>)[] = [];
  #scraper: Scraper | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(root: string, room: MachineRoom, { nodesCount, load, smallDisk }: Cast, seed: number) {
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
          seriesPerStep: load.seriesPerStep,
          groupsCount: load.groupsCount,
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
    await this.fleet.whole('members', wholeTimeoutMs);
    if (this.#load.hasPrometheus) this.#scraper = await Scraper.start(this.#root, this.fleet.nodes);
    this.#running = Promise.all([
      ...this.writers.map((writer) => writer.run()),
      ...this.checkers.map((checker) => checker.run(checkPauseMs)),
    ]);
  }

  /** One phase: what happens, then the load for a while longer. */
  async phase(name: string, events: () => Promise<void>, afterMs: number): Promise<void> {
    this.journal.begin(name);
    await events();
    await sleep(afterMs);
  }

  /** Ends the load, waits until the cluster has mended itself, asks for everything everywhere, and compares the copies. */
  async end(): Promise<void> {
    this.journal.begin('mending');
    for (const each of [...this.writers, ...this.checkers]) each.stop();
    await this.#running;
    const mendedMs = await this.fleet.whole('mended', mendedTimeoutMs);
    this.journal.note(`mended ${(mendedMs / 1000).toFixed(1)} s after the load ended`);
    this.journal.begin('everything, everywhere');
    await Promise.all(this.checkers.slice(0, 1).map((checker) => checker.everything()));
    for (const check of this.lastChecks) await check();
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
  }

  summary(): string {
    const acknowledged = this.writers.map(
      ({ acknowledgedCount, options }) => acknowledgedCount * options.seriesPerStep,
    );
    const found = this.checkers.map(({ checkedCount }) => checkedCount);
    const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
    return `${sum(acknowledged)} samples acknowledged, found ${sum(found)} times in answers`;
  }
}
