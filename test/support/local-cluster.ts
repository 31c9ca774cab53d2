// A cluster of real node processes on loopback, each with a directory and ports of its own: for the demo, benchmarks and
// tests that need no network faults. What a node says of its cluster is read from its status API.
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterStatus } from '../../src/cluster/index.ts';
import { freePort, type LaunchOptions, ServerProcess } from './processes.ts';
import { timbalaLaunch } from './servers.ts';

const host = '127.0.0.1';
const statusTimeoutMs = 2000;
const pollMs = 50;
/** Below the ports that systems hand out by themselves, so that nobody gets one of ours while its node is down. */
const gossipPortMin = 20_000;
const gossipPortMax = 32_000;

function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, host, () => resolve(server));
  });
}

/** A port for gossip that was free a moment ago, as was the next one, which the peer protocol takes. */
export async function freeGossipPort(): Promise<number> {
  for (;;) {
    const port = gossipPortMin + 2 * Math.floor(Math.random() * ((gossipPortMax - gossipPortMin) / 2));
    const servers = await Promise.all([listen(port), listen(port + 1)]);
    await Promise.all(servers.map((server) => server && new Promise((resolve) => server.close(resolve))));
    if (servers.every(Boolean)) return port;
  }
}

export interface LocalNodeOptions {
  /** For people; the node's name in the cluster is its gossip address. */
  readonly label: string;
  readonly directory: string;
  readonly gossipPort: number;
  readonly peers: readonly string[];
  readonly extraArguments?: readonly string[];
}

export class LocalNode {
  readonly label: string;
  readonly directory: string;
  readonly gossipAddress: string;
  readonly url: string;
  readonly #launch: LaunchOptions;
  #process: ServerProcess | undefined;

  private constructor(options: LocalNodeOptions, gossipAddress: string, launch: LaunchOptions) {
    this.label = options.label;
    this.directory = options.directory;
    this.gossipAddress = gossipAddress;
    this.url = launch.url;
    this.#launch = launch;
  }

  /** A node that is not started yet. */
  static async prepare(options: LocalNodeOptions): Promise<LocalNode> {
    const gossipAddress = `${host}:${options.gossipPort}`;
    const launch = await timbalaLaunch({
      directory: options.directory,
      port: await freePort(),
      extraArguments: [
        `--gossip-bind-addr=${gossipAddress}`,
        `--peers=${options.peers.join(',')}`,
        ...(options.extraArguments ?? []),
      ],
    });
    return new LocalNode(options, gossipAddress, launch);
  }

  get isRunning(): boolean {
    return this.#process?.exited === false;
  }

  /** Throws where the node was never started. */
  get process(): ServerProcess {
    if (!this.#process) throw new Error(`node ${this.label} was not started`);
    return this.#process;
  }

  async spawn(): Promise<void> {
    this.#process = await ServerProcess.spawn(this.#launch);
  }

  /** Until its log is replayed and it is an active member. */
  async ready(): Promise<void> {
    await this.process.ready(this.#launch.readyPath);
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  /** Undefined where the node does not answer, or has not found its cluster yet. */
  async status(): Promise<ClusterStatus | undefined> {
    try {
      const signal = AbortSignal.timeout(statusTimeoutMs);
      const response = await fetch(`${this.url}/api/v1/status/cluster`, { signal });
      if (!response.ok) return undefined;
      const { data } = (await response.json()) as {
        data: ClusterStatus | (Partial<ClusterStatus> & { marks?: never });
      };
      return data.marks ? data : undefined;
    } catch {
      return undefined;
    }
  }
}

export interface LocalClusterOptions {
  /** Each node gets a directory below it. */
  readonly directory: string;
  readonly nodesCount: number;
  readonly extraArguments?: readonly string[];
}

/** Nodes are labelled A, B, C, … in the order in which they were added. */
export class LocalCluster {
  readonly nodes: LocalNode[] = [];
  readonly #options: LocalClusterOptions;

  private constructor(options: LocalClusterOptions) {
    this.#options = options;
  }

  /** Starts all nodes at once and waits until each is an active member. */
  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const cluster = new LocalCluster(options);
    const ports = new Set<number>();
    while (ports.size < options.nodesCount) ports.add(await freeGossipPort());
    const peers = [...ports].map((port) => `${host}:${port}`);
    try {
      for (const port of ports) await cluster.#prepare(port, peers);
      await Promise.all(cluster.nodes.map((node) => node.spawn()));
      await Promise.all(cluster.nodes.map((node) => node.ready()));
    } catch (error) {
      await cluster.kill();
      throw error;
    }
    return cluster;
  }

  async #prepare(gossipPort: number, peers: readonly string[]): Promise<LocalNode> {
    const label = String.fromCodePoint('A'.charCodeAt(0) + this.nodes.length);
    const node = await LocalNode.prepare({
      label,
      directory: join(this.#options.directory, label),
      gossipPort,
      peers,
      ...(this.#options.extraArguments ? { extraArguments: this.#options.extraArguments } : {}),
    });
    this.nodes.push(node);
    return node;
  }

  /** Starts one more node; it joins through those that there are. Resolves when it is an active member. */
  async add(): Promise<LocalNode> {
    const node = await this.#prepare(
      await freeGossipPort(),
      this.nodes.map(({ gossipAddress }) => gossipAddress),
    );
    await node.spawn();
    await node.ready();
    return node;
  }

  get running(): LocalNode[] {
    return this.nodes.filter(({ isRunning }) => isRunning);
  }

  /** SIGKILL for all. */
  async kill(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  /** Until `condition` holds for what all running nodes say; false after `timeoutMs`. */
  async until(timeoutMs: number, condition: (statuses: readonly ClusterStatus[]) => boolean): Promise<boolean> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const statuses = await Promise.all(this.running.map((node) => node.status()));
      const heard = statuses.filter((status) => status !== undefined);
      if (heard.length === statuses.length && condition(heard)) return true;
      if (performance.now() > deadlineMs) return false;
      await sleep(pollMs);
    }
  }
}
