// Gossip in virtual time: how fast news of a death spreads and what it costs, against the size of the cluster, with the
// timing that production has. `npm run sim -- membership [SIZE…]` prints the table of docs/decisions/0008-gossip.md.
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
    await node.setPeers(seeds.map((seed) => ({ host: this.hostOf(seed), port })));
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

/** Deaths in one measurement, one after another. */
const deathsCount = 3;
const betweenDeathsMs = 30_000;

interface Rates {
  /** Datagrams that a node sends in a second. */
  readonly packets: number;
  /** Bytes that it sends in a second, in datagrams and on streams. */
  readonly bytes: number;
}

export interface Measured {
  readonly size: number;
  /** From the last start until all know all. */
  readonly convergedMs: number;
  /** From each death to the first node, and to the last, that knows of it. */
  readonly firstKnowsMs: readonly number[];
  readonly lastKnowsMs: readonly number[];
  readonly falseDeathsCount: number;
  /** When nothing happens. */
  readonly idle: Rates;
  /** In the ten seconds from the first node's verdict, the worst of all deaths. */
  readonly busy: Rates;
  readonly traceHash: string;
}

/** A cluster of `size` forms from one seed, rests, and loses some of its nodes. */
export async function measureCluster(size: number, seed: number, lossShare: number): Promise<Measured> {
  const cluster = new GossipCluster(seed);
  cluster.network.conditions.lossShare = lossShare;
  const { world } = cluster;
  // Ten a second: a large cluster is never started at once.
  for (let index = 0; index < size; index++) {
    await cluster.start(index, [0]);
    world.run(size > 50 ? 100 : 10);
  }
  const startedMs = world.nowMs;
  // Asking costs as much as some of the events: it is done now and then.
  let eventsCount = 0;
  const isConverged = (): boolean => ++eventsCount % (size * 10) === 0 && cluster.isConverged();
  if (!world.runUntil(isConverged, 600_000)) throw new Error(`${size} nodes did not converge in 10 minutes`);
  const convergedMs = world.nowMs - startedMs;
  world.run(betweenDeathsMs);
  const idle = ratesDuring(cluster, 20_000);
  const deaths = Array.from({ length: deathsCount }, (_, i) => measureDeath(cluster, size - 1 - i));
  const victims = new Set(Array.from({ length: deathsCount }, (_, i) => `n${size - 1 - i}`));
  return {
    size,
    convergedMs,
    firstKnowsMs: deaths.map(({ firstKnowsMs }) => firstKnowsMs),
    lastKnowsMs: deaths.map(({ lastKnowsMs }) => lastKnowsMs),
    falseDeathsCount: cluster.sightings.filter(({ change, of }) => change === 'died' && !victims.has(of)).length,
    idle,
    busy: {
      packets: Math.max(...deaths.map(({ busy }) => busy.packets)),
      bytes: Math.max(...deaths.map(({ busy }) => busy.bytes)),
    },
    traceHash: world.traceHash,
  };
}

function measureDeath(
  cluster: GossipCluster,
  victim: number,
): { firstKnowsMs: number; lastKnowsMs: number; busy: Rates } {
  const { world, sightings } = cluster;
  const diedMs = world.nowMs;
  let seen = sightings.length;
  cluster.crash(victim);
  const times: number[] = [];
  const knowersAre = (count: number) => (): boolean => {
    for (; seen < sightings.length; seen++) {
      const sighting = sightings[seen];
      if (sighting?.change === 'died' && sighting.of === `n${victim}`) times.push(sighting.atMs - diedMs);
    }
    return times.length >= count;
  };
  world.runUntil(knowersAre(1), 300_000);
  const busy = ratesDuring(cluster, 10_000);
  world.runUntil(knowersAre(cluster.nodes.size), 300_000);
  world.run(betweenDeathsMs);
  return { firstKnowsMs: times[0] ?? Number.NaN, lastKnowsMs: times.at(-1) ?? Number.NaN, busy };
}

function ratesDuring(cluster: GossipCluster, durationMs: number): Rates {
  const before = cluster.counters();
  cluster.world.run(durationMs);
  const after = cluster.counters();
  const nodeSeconds = (cluster.nodes.size * durationMs) / 1_000;
  const bytes = after.packetBytesSent + after.streamBytesSent - before.packetBytesSent - before.streamBytesSent;
  return { packets: (after.packetsSent - before.packetsSent) / nodeSeconds, bytes: bytes / nodeSeconds };
}

/** The table of all sizes, without loss and with. */
export async function printMeasurements(sizes: readonly number[]): Promise<void> {
  const line = (...cells: (string | number)[]): void => {
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  };
  const headings = ['nodes', 'loss', 'all know all', 'a death: first knows', 'last knows', 'falsely dead'];
  line(...headings, 'idle: packets/s', 'bytes/s', 'death: packets/s', 'bytes/s', 'trace');
  line(...Array.from({ length: headings.length + 5 }, () => '---'));
  const seconds = (ms: number): string => (ms / 1_000).toFixed(1);
  for (const size of sizes.length > 0 ? sizes : [10, 50, 200, 1_000]) {
    for (const lossShare of [0, 0.05]) {
      const m = await measureCluster(size, 1, lossShare);
      const death = [m.firstKnowsMs, m.lastKnowsMs].map((times) => `${times.map(seconds).join(', ')} s`);
      const load = [m.idle, m.busy].flatMap(({ packets, bytes }) => [packets.toFixed(1), bytes.toFixed(0)]);
      line(
        size,
        `${lossShare * 100} %`,
        `${seconds(m.convergedMs)} s`,
        ...death,
        m.falseDeathsCount,
        ...load,
        m.traceHash,
      );
    }
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await printMeasurements(process.argv.slice(2).map(Number));
}
