// Gossip in virtual time: how fast news of a death spreads and what it costs, against the size of the cluster, with the
// timing that production has. `node scripts/run.mjs sim/membership.ts [SIZE…]` prints the table of docs/decisions.
import { pathToFileURL } from 'node:url';
import { type GossipCounters, Gossiper, type GossiperOptions, type MemberChange } from '../src/cluster/index.ts';
import type { Log } from '../src/ports/index.ts';
import { SimNetwork } from './network.ts';
import { SimRandom } from './random.ts';
import { SimWorld } from './world.ts';

const port = 7946;

const silent: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silent,
};

/** Something that a node saw of another. */
export interface Sighting {
  readonly atMs: number;
  readonly by: string;
  readonly change: MemberChange;
  readonly of: string;
}

/** Nodes that gossip over a simulated network. Node `n7` has the address 10.0.0.8, and so on. */
export class GossipCluster {
  readonly world: SimWorld;
  readonly network: SimNetwork;
  readonly nodes = new Map<string, Gossiper>();
  readonly sightings: Sighting[] = [];
  readonly #seed: number;
  readonly #options: Partial<GossiperOptions>;

  constructor(seed: number, options: Partial<GossiperOptions> = {}) {
    this.#seed = seed;
    this.#options = options;
    this.world = new SimWorld(seed);
    this.network = new SimNetwork(this.world);
  }

  hostOf(index: number): string {
    return `10.0.${(index + 1) >> 8}.${(index + 1) & 255}`;
  }

  /** Starts node `index`, or starts it anew after a crash, and lets it look for the others at the seeds. */
  async start(index: number, seeds: readonly number[], options: Partial<GossiperOptions> = {}): Promise<Gossiper> {
    const host = this.hostOf(index);
    this.network.restart(host);
    const name = `n${index}`;
    const ports = {
      clock: this.world.clock,
      network: this.network.at(host),
      random: new SimRandom(this.#seed * 100_003 + index + Math.floor(this.world.nowMs)),
      log: silent,
    };
    const node = await Gossiper.start(ports, {
      name,
      bind: { host, port },
      ...this.#options,
      onMember: (change, member) => {
        this.sightings.push({ atMs: this.world.nowMs, by: name, change, of: member.name });
        this.world.trace(`${name} ${change} ${member.name}`);
      },
      ...options,
    });
    this.nodes.set(name, node);
    node.remember(seeds.map((seed) => ({ host: this.hostOf(seed), port })));
    return node;
  }

  /** The machine loses power. */
  crash(index: number): void {
    this.network.crash(this.hostOf(index));
    this.nodes.get(`n${index}`)?.stop();
    this.nodes.delete(`n${index}`);
  }

  /** Every node that runs knows exactly the nodes that run. */
  isConverged(): boolean {
    for (const node of this.nodes.values()) {
      const members = node.members();
      if (members.length !== this.nodes.size) return false;
      if (!members.every(({ name, state }) => state === 'alive' && this.nodes.has(name))) return false;
    }
    return true;
  }

  /** Counters of all nodes that run, added up. */
  counters(): GossipCounters {
    const sum: Record<string, number> = {};
    for (const { counters } of this.nodes.values()) {
      for (const [name, count] of Object.entries(counters)) sum[name] = (sum[name] ?? 0) + Number(count);
    }
    return sum as unknown as GossipCounters;
  }
}

export interface Measured {
  readonly size: number;
  readonly convergedMs: number;
  /** From the death to the first node, and to the last node, that knows. */
  readonly firstKnowsMs: number;
  readonly lastKnowsMs: number;
  readonly falseDeaths: number;
  /** Datagrams and bytes a node sends in a second when nothing happens. */
  readonly idlePackets: number;
  readonly idleBytes: number;
  /** The same in the ten seconds in which all learn of the death. */
  readonly busyPackets: number;
  readonly busyBytes: number;
  readonly traceHash: string;
}

/** A cluster of `size` forms from one seed, rests, loses a node. */
export async function measureCluster(size: number, seed: number, lossShare: number): Promise<Measured> {
  const cluster = new GossipCluster(seed);
  cluster.network.conditions.lossShare = lossShare;
  const { world } = cluster;
  // Ten a second: a large cluster is never started at once.
  for (let index = 0; index < size; index++) {
    await cluster.start(index, [0]);
    world.run(size > 50 ? 100 : 10);
  }
  const joinedMs = world.nowMs;
  let asked = 0;
  const isConverged = (): boolean => ++asked % (size * 10) === 0 && cluster.isConverged();
  if (!world.runUntil(isConverged, 600_000)) throw new Error(`${size} nodes did not converge in 10 minutes`);
  const convergedMs = world.nowMs - joinedMs;
  world.run(30_000);

  const idle = await rates(cluster, 20_000);
  const victim = size - 1;
  const diedMs = world.nowMs;
  cluster.sightings.length = 0;
  cluster.crash(victim);
  const ofVictim = (): Sighting[] =>
    cluster.sightings.filter(({ change, of }) => change === 'died' && of === `n${victim}`);
  const known = new Set<string>();
  let seen = 0;
  const allKnow = (): boolean => {
    for (; seen < cluster.sightings.length; seen++) {
      const sighting = cluster.sightings[seen];
      if (sighting?.change === 'died' && sighting.of === `n${victim}`) known.add(sighting.by);
    }
    return known.size === size - 1;
  };
  // The busy seconds are those around the first node's verdict.
  world.runUntil(() => (allKnow(), known.size > 0), 300_000);
  const busy = await rates(cluster, 10_000);
  world.runUntil(allKnow, 300_000);
  const times = ofVictim().map(({ atMs }) => atMs - diedMs);
  return {
    size,
    convergedMs,
    firstKnowsMs: Math.min(...times),
    lastKnowsMs: Math.max(...times),
    falseDeaths: cluster.sightings.filter(({ change, of }) => change === 'died' && of !== `n${victim}`).length,
    idlePackets: idle.packets,
    idleBytes: idle.bytes,
    busyPackets: busy.packets,
    busyBytes: busy.bytes,
    traceHash: world.traceHash,
  };
}

async function rates(cluster: GossipCluster, durationMs: number): Promise<{ packets: number; bytes: number }> {
  const before = cluster.counters();
  cluster.world.run(durationMs);
  const after = cluster.counters();
  const perNodeSecond = (cluster.nodes.size * durationMs) / 1_000;
  const bytes = after.packetBytesSent + after.streamBytesSent - before.packetBytesSent - before.streamBytesSent;
  return { packets: (after.packetsSent - before.packetsSent) / perNodeSecond, bytes: bytes / perNodeSecond };
}

async function main(): Promise<void> {
  const sizes = process.argv.slice(2).map(Number);
  const line = (...cells: (string | number)[]): void => {
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  };
  line(
    'nodes',
    'loss',
    'converged after the last join',
    'death known to the first',
    'to the last',
    'falsely dead',
    'idle: packets/s',
    'bytes/s',
    'death: packets/s',
    'bytes/s',
    'trace',
  );
  line(...Array.from({ length: 11 }, () => '---'));
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  for (const size of sizes.length > 0 ? sizes : [10, 50, 200, 1_000]) {
    for (const lossShare of [0, 0.05]) {
      const m = await measureCluster(size, 1, lossShare);
      line(
        size,
        `${lossShare * 100} %`,
        seconds(m.convergedMs),
        seconds(m.firstKnowsMs),
        seconds(m.lastKnowsMs),
        m.falseDeaths,
        m.idlePackets.toFixed(1),
        m.idleBytes.toFixed(0),
        m.busyPackets.toFixed(1),
        m.busyBytes.toFixed(0),
        m.traceHash,
      );
    }
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
