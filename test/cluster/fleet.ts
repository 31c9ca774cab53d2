// The nodes of a cluster as processes: started, killed, stopped, wiped, cut off, stuck, and what the test may expect of each
// meanwhile. Expectations change before a fault begins and only after it has ended, so that what is asked in between is judged
// leniently, and everything else strictly.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterStatus } from '../../src/cluster/index.ts';
import { encodeWriteRequest, wrapSnappy } from '../../src/wire/index.ts';
import { type LaunchOptions, ServerProcess } from '../support/processes.ts';
import { repositoryRoot } from '../support/servers.ts';
import type { Journal } from './journal.ts';
import type { Cut, Machine, MachineRoom } from './machines.ts';

const httpPort = 9080;
const gossipPort = 7946;
const statusTimeoutMs = 5_000;
const pollMs = 200;
/** Between two words about what is waited for. */
const tellingMs = 15_000;

/** serving: all is promised. full: it answers and hears, but stores nothing. isolated: reached by the test only. out: nothing. */
export type Condition = 'serving' | 'full' | 'isolated' | 'out';

/**
 * members: all are active under one record, and none may hold anything alone. moved: and every partition is where it belongs.
 * mended: and there is nothing left to be compared or made up for, which can't be while the load goes on.
 */
export type Goal = 'members' | 'moved' | 'mended';

export class FleetNode {
  readonly index: number;
  readonly machine: Machine;
  readonly name: string;
  readonly url: string;
  /** Changes with every change of the condition: what began before one is not judged. */
  epoch = 0;
  /** Since it was first ready, until it has left. */
  isMember = false;
  /** It takes writes until it has left, which may be before the test knows. */
  isLeaving = false;
  #condition: Condition = 'out';
  #process: ServerProcess | undefined;
  readonly #peers: readonly string[];

  constructor(index: number, machine: Machine, peers: readonly string[]) {
    this.index = index;
    this.machine = machine;
    this.name = `${machine.address}:${gossipPort}`;
    this.url = `http://${machine.address}:${httpPort}`;
    this.#peers = peers;
  }

  get condition(): Condition {
    return this.#condition;
  }

  set condition(condition: Condition) {
    this.#condition = condition;
    this.epoch++;
  }

  get answers(): boolean {
    return this.#condition !== 'out';
  }

  get dataDirectory(): string {
    return join(this.machine.directory, 'data');
  }

  get process(): ServerProcess {
    if (!this.#process) throw new Error(`${this.name} is not running`);
    return this.#process;
  }

  #launch(): LaunchOptions {
    const { address, prefix, directory } = this.machine;
    const node = [
      process.execPath,
      join(repositoryRoot, 'scripts', 'timbala.mjs'),
      `--data-directory=${this.dataDirectory}`,
      `--http-bind-addr=${address}:${httpPort}`,
      `--gossip-bind-addr=${address}:${gossipPort}`,
      `--peers=${this.#peers.join(',')}`,
      '--retention=100y',
    ];
    const [command = '', ...commandArguments] = [...prefix, ...node];
    // The log must not go to a disk that is full.
    const logFile = `${directory}.log`;
    return { name: this.name, command, commandArguments, url: this.url, readyPath: '/-/ready', logFile };
  }

  /** Starts the process; `ready` says when it may be asked. */
  async spawn(): Promise<void> {
    this.#process = await ServerProcess.spawn(this.#launch());
  }

  async ready(timeoutMs = 60_000): Promise<void> {
    await this.process.ready('/-/ready', timeoutMs);
    this.condition = 'serving';
    this.isMember = true;
  }

  async start(timeoutMs?: number): Promise<void> {
    await this.spawn();
    await this.ready(timeoutMs);
  }

  async kill(): Promise<void> {
    this.condition = 'out';
    await this.process.kill();
  }

  /** SIGTERM; the exit has to be orderly. */
  async stop(): Promise<void> {
    this.condition = 'out';
    const { code, signal } = await this.process.stop();
    if (code !== 0) throw new Error(`${this.name} ended with ${code ?? signal}:\n${this.process.logTail()}`);
  }

  wipe(): void {
    rmSync(this.dataDirectory, { recursive: true, force: true });
  }

  pause(): void {
    this.condition = 'out';
    process.kill(this.process.pid, 'SIGSTOP');
  }

  resume(): void {
    process.kill(this.process.pid, 'SIGCONT');
  }

  cut(how: Cut): void {
    this.condition = 'isolated';
    this.machine.cut(how);
  }

  fillDisk(): void {
    this.condition = 'full';
    this.machine.fillDisk();
  }

  async status(): Promise<ClusterStatus> {
    const signal = AbortSignal.timeout(statusTimeoutMs);
    const response = await fetch(`${this.url}/api/v1/status/cluster`, { signal });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${this.name}: status answered ${response.status}: ${text}`);
    return (JSON.parse(text) as { data: ClusterStatus }).data;
  }

  async #post(path: string, body?: Uint8Array<ArrayBuffer>): Promise<void> {
    const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
    const response = await fetch(`${this.url}${path}`, { method: 'POST', ...(body ? { headers, body } : {}) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${this.name}: ${path} was answered by ${response.status}: ${text}`);
  }

  /** Throws where it is not acknowledged. */
  write(body: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#post('/api/v1/write', body);
  }

  deleteSeries(selector: string): Promise<void> {
    return this.#post(`/api/v1/admin/tsdb/delete_series?match[]=${encodeURIComponent(selector)}`);
  }

  decommission(): Promise<void> {
    this.isLeaving = true;
    return this.#post('/api/v1/admin/cluster/decommission');
  }
}

export class Fleet {
  /** All that were ever made, those that left too. */
  readonly nodes: FleetNode[] = [];
  readonly #room: MachineRoom;
  readonly #journal: Journal;
  readonly #peers: readonly string[];
  /** Stores given up and not made good for yet: each may hold what is nowhere else. */
  #unhealedCount = 0;

  /** The first three machines are everybody's `--peers`. */
  constructor(room: MachineRoom, journal: Journal, machines: readonly Machine[]) {
    this.#room = room;
    this.#journal = journal;
    this.#peers = machines.slice(0, 3).map(({ address }) => `${address}:${gossipPort}`);
    for (const [index, machine] of machines.entries()) this.nodes.push(new FleetNode(index, machine, this.#peers));
  }

  node(index: number): FleetNode {
    const node = this.nodes[index];
    if (!node) throw new Error(`there is no node ${index}`);
    return node;
  }

  /** A further machine with a node that is not started. */
  add(): FleetNode {
    const index = this.nodes.length;
    const node = new FleetNode(index, this.#room.machine(index), this.#peers);
    this.nodes.push(node);
    return node;
  }

  get members(): readonly FleetNode[] {
    return this.nodes.filter(({ isMember }) => isMember);
  }

  /** A store was given up: queries do without it until `whole` finds that it is made up for. */
  noteLoss(): void {
    this.#unhealedCount++;
  }

  /** Whether the node has to acknowledge what it is sent: it can sync on two members, itself included. */
  promisesWrites(node: FleetNode): boolean {
    return node.condition === 'serving' && this.members.filter(({ condition }) => condition === 'serving').length > 1;
  }

  /** Whether the node may answer a query with a warning: more than one store may be out of its reach. */
  mayWarn(node: FleetNode): boolean {
    if (node.condition === 'isolated') return true;
    const unheard = this.members.filter((other) => other !== node && !isHeard(other));
    return unheard.length + this.#unhealedCount > 1;
  }

  /**
   * Waits until the cluster is as far as `goal` says, which all members have to confirm. Resolves with the milliseconds that it
   * took; throws, with what is missing, after `timeoutMs`.
   */
  async whole(goal: Goal, timeoutMs: number): Promise<number> {
    const startedMs = performance.now();
    for (let toldMs = startedMs; ; await sleep(pollMs)) {
      const statuses = await Promise.all(
        this.members.map((node) => node.status().catch((error: unknown) => `${node.name}: ${String(error)}`)),
      );
      const missing = this.#missing(statuses, goal);
      const nowMs = performance.now();
      if (missing === undefined) return nowMs - startedMs;
      const isTooLate = nowMs - startedMs > timeoutMs;
      if (isTooLate || nowMs - toldMs > tellingMs) {
        toldMs = nowMs;
        const said = statuses.map((status) =>
          typeof status === 'string' ? status : [status.name, ...status.underWay].join('\n    '),
        );
        const text = `not ${goal} after ${Math.round(nowMs - startedMs)} ms: ${missing}\n  ${said.join('\n  ')}`;
        if (isTooLate) throw new Error(text);
        this.#journal.note(text);
      }
    }
  }

  /** Waits until a node that could not be heard for a while and its peers hear each other again, and expects all of it then. */
  async reconnected(node: FleetNode, timeoutMs: number): Promise<void> {
    const others = this.members.filter((other) => other !== node && isHeard(other));
    await this.#until(timeoutMs, `${node.name} is not among the others again`, async () => {
      const statuses = await Promise.all([node, ...others].map((each) => each.status()));
      const [own, ...theirs] = statuses.map(({ members }) => new Map(members.map((each) => [each.name, each.isAlive])));
      return others.every(({ name }) => own?.get(name)) && theirs.every((alive) => alive.get(node.name));
    });
    node.condition = 'serving';
  }

  /** Waits until a node whose disk was full stores again what is written to it. */
  async storing(node: FleetNode, timeoutMs: number): Promise<void> {
    const series = { labels: ['__name__', 'cluster_test_probe', 'node', node.name], timestampsMs: [Date.now()] };
    const probe = wrapSnappy(encodeWriteRequest([{ ...series, values: Float64Array.of(1) }]));
    await this.#until(timeoutMs, `${node.name} stores nothing again`, async () => {
      await node.write(probe);
      return true;
    });
    node.condition = 'serving';
  }

  /** Waits until a node that was decommissioned holds nothing any more; resolves with the milliseconds that it took. */
  async left(node: FleetNode, timeoutMs: number): Promise<number> {
    const startedMs = performance.now();
    await this.#until(timeoutMs, `${node.name} has not left`, async () => (await node.status()).state === 'left');
    node.isMember = false;
    return performance.now() - startedMs;
  }

  async #until(timeoutMs: number, otherwise: string, condition: () => Promise<boolean>): Promise<void> {
    const startedMs = performance.now();
    while (!(await condition().catch(() => false))) {
      if (performance.now() - startedMs > timeoutMs) throw new Error(`${otherwise} after ${timeoutMs} ms`);
      await sleep(pollMs);
    }
  }

  #missing(statuses: readonly (ClusterStatus | string)[], goal: Goal): string | undefined {
    let first: ClusterStatus | undefined;
    for (const status of statuses) {
      if (typeof status === 'string') return status;
      first ??= status;
      const { name, marks, partitions, losses, recordHash, isReady, members } = status;
      const active = members.filter(({ state, isAlive }) => state === 'active' && isAlive);
      if (!isReady) return `${name} is not ready`;
      if (recordHash !== first.recordHash) return `${name} has another record than ${first.name}`;
      if (active.length !== this.members.length) return `${name} sees ${active.length} active members alive`;
      const alone = members.find(({ mayHoldAlone }) => mayHoldAlone);
      if (alone) return `${alone.name} may hold what no other does`;
      if (goal === 'members') continue;
      if (marks.partitionsCount > 0) return `${name} has ${marks.partitionsCount} partitions marked`;
      if (partitions.foreign > 0) return `${name} holds ${partitions.foreign} partitions of others`;
      if (goal === 'moved') continue;
      if (marks.dueCount > 0) return `${name} has ${marks.dueCount} marks that could be cleared`;
      const unhealed = losses.find(({ isHealed }) => !isHealed);
      if (unhealed) return `a loss waits for ${unhealed.waitsFor.join(', ')}`;
    }
    if (goal === 'mended') this.#unhealedCount = 0;
    return undefined;
  }
}

function isHeard({ condition }: FleetNode): boolean {
  return condition === 'serving' || condition === 'full';
}
