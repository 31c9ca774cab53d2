// A simulated cluster: machines with disks that survive crashes, processes that do not, clients that write and query, and
// the faults between them. `scenario.ts` decides what happens when.
import { dayMs, hourMs, minuteMs, SeededRandom, TimbalaError } from '../../src/base/index.ts';
import {
  ClusterNode,
  ClusterRecord,
  type ClusterTiming,
  decisions,
  type Decisions,
  type DeleteRequest,
  type NodeName,
  type PeerLinks,
  type Place,
  type PlacedMember,
  Placement,
  planAlone,
  type PlanInput,
  planEverything,
  windowMs,
} from '../../src/cluster/index.ts';
import type { Clock, Log } from '../../src/ports/index.ts';
import { SimRandom } from '../random.ts';
import { SimWorld } from '../world.ts';
import { Checker, type DeleteSeen } from './checker.ts';
import {
  decodeSamples,
  digestOf,
  encodeSamples,
  partitionOf,
  partitionsCount,
  type Sample,
  seriesCount,
} from './data.ts';
import type { ClusterLinks } from './framed-links.ts';
import { ClusterNetwork, type Endpoint } from './links.ts';
import { ModelDisk, ModelStore, type StoreBugs } from './model-store.ts';

/** A bug planted on purpose: what of a cluster is other than it should be. */
export interface Plant {
  readonly decisions?: Partial<Decisions>;
  readonly store?: StoreBugs;
  readonly keepsDictionaries?: boolean;
  /** Another network than that of whole messages. */
  readonly network?: (world: SimWorld) => ClusterLinks;
  /** Stands between a node and its connections. */
  readonly links?: (links: PeerLinks) => PeerLinks;
  /** What the plan of what is added up is made from. */
  readonly heardForSums?: (heard: PlanInput['heard']) => PlanInput['heard'];
}

export const simTiming: Partial<ClusterTiming> = {
  writeDeadlineMs: 3000,
  standInAfterMs: 400,
  askDeadlineMs: 500,
  readDeadlineMs: 1000,
  readProbeAfterMs: 200,
  copyDeadlineMs: 1000,
  recordIntervalMs: 700,
  repairIntervalMs: 150,
  hintPauseMs: 50,
  repairPatienceMs: 300,
  repairBackoffMs: 2000,
  leaseMs: 3000,
  dropIntervalMs: 900,
  windowGraceMs: 5000,
  lateWritePauseMs: 200,
  lateWritePauseMsMax: 1500,
};

interface Machine {
  readonly name: NodeName;
  readonly skewMs: number;
  disk: ModelDisk;
  /** Whom it was told to look for when it was started last. */
  peers: readonly NodeName[];
  process: Process | undefined;
}

interface Process {
  readonly endpoint: Endpoint;
  readonly store: ModelStore;
  /** Undefined while it looks for a cluster. */
  node: ClusterNode | undefined;
}

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };
/** Placements by members: all nodes of all simulated clusters share them, they are pure. */
const placements = new Map<string, { owners: (p: number) => PlacedMember[]; order: (p: number) => PlacedMember[] }>();

const place: Place = (members) => {
  const key = members.map(({ name, zone, weight }) => `${name} ${zone} ${weight}`).join();
  let placed = placements.get(key);
  if (!placed) {
    const orders = new Map<number, PlacedMember[]>();
    const placement = new Placement(members);
    const order = (partition: number): PlacedMember[] => {
      let known = orders.get(partition);
      if (!known) {
        known = placement.order(partition);
        orders.set(partition, known);
      }
      return known;
    };
    placed = { owners: (partition) => order(partition).slice(0, 3), order };
    placements.set(key, placed);
  }
  return placed;
};

/** Five minutes before the end of a window: what is written into the open one is compared soon. */
const startMs = Math.floor(1_764_000_000_000 / windowMs) * windowMs + windowMs - 5 * minuteMs;

export class SimCluster {
  readonly world: SimWorld;
  readonly network: ClusterLinks;
  readonly checker = new Checker();
  readonly machines = new Map<NodeName, Machine>();
  readonly random: SeededRandom;
  retentionMs = 0;
  /** What lies before some nodes have no room for: it may be gone. */
  floorMs = Number.NEGATIVE_INFINITY;
  /** Whether nodes take part only when their log is replayed, as the server has it; undefined: some do. */
  replaysFirst: boolean | undefined;
  /** For processes that start from now on. */
  auditPeriodMs = dayMs;
  /** Stores that were lost, by wiping or removal. */
  readonly lostStores: string[] = [];
  writesCount = 0;
  #readsCount = 0;
  writesFailed = 0;
  readonly #plant: Plant;
  readonly #seed: number;
  readonly #hasWrongClock: boolean;
  #storesCount = 0;
  /** Since when all that run know of the retention. */
  #retainedSinceMs = Number.POSITIVE_INFINITY;
  #valuesCount = 0;

  constructor(seed: number, plant: Plant = {}) {
    this.#seed = seed;
    this.#hasWrongClock = seed % 4 === 0;
    this.#plant = plant;
    this.world = new SimWorld(seed, startMs);
    this.random = this.world.random;
    this.network = plant.network?.(this.world) ?? new ClusterNetwork(this.world, plant.keepsDictionaries);
  }

  get nowMs(): number {
    return startMs + Math.floor(this.world.nowMs);
  }

  /** In any order: who has the least one founds the cluster. */
  #newStoreId(): string {
    const order = this.random
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0');
    return order + (++this.#storesCount).toString(16).padStart(24, '0');
  }

  #newDisk(): ModelDisk {
    return new ModelDisk(this.#newStoreId());
  }

  /** A machine with an empty disk, switched on some time; it looks for a cluster at `peers` until it finds one. */
  add(name: NodeName, peers: readonly NodeName[], delayMs = 0): void {
    // Clocks are seconds apart; one in a few clusters is hours ahead.
    const isWrong = this.machines.size === 1 && this.#hasWrongClock;
    const skewMs = this.random.below(4000) - 2000 + (isWrong ? 6 * hourMs : 0);
    this.machines.set(name, { name, skewMs, disk: this.#newDisk(), peers, process: undefined });
    if (delayMs === 0) this.start(name, peers);
    else this.world.schedule(delayMs, () => this.start(name, peers));
  }

  start(name: NodeName, peers: readonly NodeName[]): void {
    const machine = this.machines.get(name);
    if (!machine || machine.process) return;
    machine.peers = peers;
    const store: ModelStore = new ModelStore(machine.disk, this.world, () => endpoint.isAlive, this.#plant.store);
    const endpoint: Endpoint = { name, store, handler: undefined, isAlive: true };
    store.onAbandoned = () => this.world.schedule(0, () => this.#startAsAnother(name, store, peers));
    store.onCopied = (sample) => this.#copied(sample, name);
    const process: Process = { endpoint, store, node: undefined };
    machine.process = process;
    const connected = this.network.connect(endpoint);
    const links = this.#plant.links?.(connected) ?? connected;
    const clock: Clock = {
      nowMs: () => this.nowMs + machine.skewMs,
      monotonicMs: () => this.world.nowMs,
      setTimer: (delayMs, callback) =>
        this.world.schedule(delayMs, () => {
          if (endpoint.isAlive) callback();
        }),
    };
    const random = new SimRandom(this.#seed * 7919 + ++this.#storesCount);
    const options = { name, address: name, zone: '', weight: 1000, peers, partitionsCount, place };
    const replaysFirst = this.replaysFirst ?? this.random.below(2) === 0;
    links.onRequest = async () => {
      throw new TimbalaError('PEER_STARTING', `${name} reads its log`);
    };
    const look = async (): Promise<void> => {
      if (replaysFirst) await store.ready();
      try {
        process.node = await ClusterNode.start(
          {
            ...options,
            decisions: { ...decisions, ...this.#plant.decisions },
            timing: { ...simTiming, auditPeriodMs: this.auditPeriodMs },
          },
          { store, links, clock, random, log: silent },
        );
      } catch {
        clock.setTimer(500, () => void look());
      }
    };
    void look();
  }

  /** A directory that was set back goes on as another store, with what it holds. */
  #startAsAnother(name: NodeName, store: ModelStore, peers: readonly NodeName[]): void {
    const machine = this.machines.get(name);
    if (machine?.process?.store !== store) return;
    this.crash(name);
    this.becomeAnother(name);
    this.start(name, peers);
  }

  /** What a machine that is down holds is another store from now on, with the same in it. */
  becomeAnother(name: NodeName): void {
    const machine = this.machines.get(name);
    if (!machine) return;
    this.lostStores.push(machine.disk.storeId);
    machine.disk.storeId = this.#newStoreId();
  }

  /** What was not synced is on disk or is not, by chance, unless all of it is to be lost. */
  crash(name: NodeName, isUnsyncedLost = false): void {
    const machine = this.machines.get(name);
    if (!machine?.process) return;
    this.world.trace(`crash ${name}`);
    const { endpoint, store, node } = machine.process;
    endpoint.isAlive = false;
    node?.stop();
    store.crash(isUnsyncedLost);
    machine.process = undefined;
  }

  /** A crashed machine comes back with an empty disk, and joins anew. */
  wipe(name: NodeName, peers: readonly NodeName[]): void {
    const machine = this.machines.get(name);
    if (!machine) return;
    this.crash(name);
    this.lostStores.push(machine.disk.storeId);
    machine.disk = this.#newDisk();
    this.start(name, peers);
  }

  /** Nodes that run and take part. */
  get nodes(): ClusterNode[] {
    return [...this.machines.values()].map(({ process }) => process?.node).filter((node) => node !== undefined);
  }

  get actives(): ClusterNode[] {
    return this.nodes.filter(({ state }) => state.self?.state === 'active');
  }

  /** Of the clusters that nodes are of: one, if all is well. */
  get clusterIds(): ReadonlySet<string> {
    return new Set(this.nodes.map(({ state }) => state.record.clusterId));
  }

  /** The record of every machine that is or may still be a member, running or not. */
  get records(): ClusterRecord[] {
    const records: ClusterRecord[] = [];
    for (const { name, disk } of this.machines.values()) {
      const saved = disk.states.get('record');
      const record = saved && ClusterRecord.decode(saved);
      if (!record) continue;
      if (!this.#isGone(record, name, disk.storeId)) records.push(record);
    }
    return records;
  }

  #isGone(record: ClusterRecord, name: NodeName, store: string): boolean {
    const member = record.member(name);
    return member?.store !== store || member.state === 'removed' || member.state === 'left';
  }

  /** Promise 1 is about the loss of one store: the next may be lost when the last one is made up for, in everyone's eyes. */
  mayLoseStore(name: NodeName): boolean {
    const { records } = this;
    const isAnyoneBare = [...this.machines.values()].some(({ disk }) => !disk.states.has('record'));
    return (
      !isAnyoneBare &&
      records.every(
        (record) =>
          record.unhealedLosses.length === 0 &&
          record.members.every(({ state }) => state !== 'joining') &&
          (record.member(name)?.alone ?? 0) === 0 &&
          this.lostStores.every((store) => record.losses.includes(store)),
      )
    );
  }

  // Clients

  newSample(series = this.random.below(seriesCount)): Sample {
    const window = this.random.below(4);
    // Few timestamps, so that the same one is written twice now and then.
    const timestampMs =
      window === 3
        ? this.nowMs - this.random.below(20) * 1000 - 5000
        : startMs - (window + 1) * windowMs + this.random.below(500) * 15_000;
    return { series, timestampMs, value: ++this.#valuesCount };
  }

  /** A client writes, and sends it again, perhaps elsewhere, when that fails. */
  write(samples: readonly Sample[], retriesCount: number, node = this.#someNode()): void {
    if (!node) return;
    this.checker.sent(samples);
    this.writesCount++;
    void this.#deliver(samples, retriesCount, node);
  }

  async #deliver(samples: readonly Sample[], retriesCount: number, node: ClusterNode): Promise<void> {
    const process = this.machines.get(node.state.name)?.process;
    try {
      await node.write(await node.state.store.decode(encodeSamples(samples)));
      // A client hears nothing from a process that has gone.
      if (!process?.endpoint.isAlive) return;
      this.world.trace(`acked ${samples.length}`);
      this.checker.acked(samples, this.world.nowMs);
    } catch {
      this.writesFailed++;
      if (retriesCount > 0) this.world.schedule(this.random.below(9000), () => this.write(samples, retriesCount - 1));
    }
  }

  #someNode(): ClusterNode | undefined {
    const { nodes } = this;
    return nodes[this.random.below(nodes.length || 1)];
  }

  /** A query over everything or a part, at any node; each fourth one takes what single owners serve, nothing twice. */
  read(isOracle = false): void {
    const node = this.#someNode();
    if (node && this.#readsCount++ % 4 === 3) void this.#readAlone(node);
    else if (node) void this.readAt(node, isOracle);
  }

  async #readAlone(node: ClusterNode): Promise<void> {
    const askedMs = this.world.nowMs;
    let { fromMs, toMs } = { fromMs: startMs - 4 * windowMs, toMs: startMs + hourMs };
    const selection = { fromMs, toMs, wanted: new Uint8Array(0) };
    const reach = {
      startMs: fromMs,
      stepMs: minuteMs,
      stepsCount: (toMs - fromMs) / minuteMs,
      beforeMs: 0,
      afterMs: 0,
    };
    try {
      const { frames, warnings } = await node.read(selection, (input) => {
        const heard = this.#plant.heardForSums?.(input.heard) ?? input.heard;
        const plan = planAlone({ ...input, heard }, selection, reach);
        ({ fromMs, toMs } = plan.selection ?? selection);
        return plan;
      });
      if (warnings.length > 0) return;
      this.world.trace(`read alone ${frames.length}`);
      const by = `${node.state.name} from single owners ${frames.map(({ from }) => from).join(' ')}`;
      const answers = frames.map(({ from, frame }) => ({ from, samples: decodeSamples(frame) }));
      this.checker.onceAnswered(answers, this.world.nowMs, by);
      this.checker.answered(
        answers.flatMap(({ samples }) => samples),
        fromMs,
        toMs,
        askedMs,
        this.world.nowMs,
        by,
      );
    } catch {
      // No single owners, or the cluster is changing.
    }
  }

  async readAt(node: ClusterNode, isOracle: boolean, mustBeComplete = false): Promise<void> {
    const askedMs = this.world.nowMs;
    const isWhole = mustBeComplete || this.random.below(3) > 0;
    const fromMs = isWhole ? startMs - 4 * windowMs : startMs - this.random.below(300) * minuteMs;
    const toMs = isWhole ? startMs + hourMs : fromMs + this.random.below(300) * minuteMs;
    const selection = { fromMs, toMs, wanted: new Uint8Array(0) };
    try {
      const { frames, warnings } = await node.read(selection, isOracle ? planEverything : undefined);
      const answer = frames.flatMap(({ frame }) => decodeSamples(frame));
      this.world.trace(`read ${answer.length} ${warnings.length}`);
      if (warnings.length === 0) {
        const by = `${node.state.name} from ${frames.map(({ from }) => from).join(' ')}`;
        this.checker.answered(answer, fromMs, toMs, askedMs, this.world.nowMs, by);
      } else this.checker.readsWarned++;
      if (mustBeComplete && warnings.length > 0) {
        this.checker.fail('warned', this.world.nowMs, `${node.state.name}: ${warnings.join('; ')}`);
      }
    } catch (error) {
      if (mustBeComplete) this.checker.fail('warned', this.world.nowMs, `${node.state.name}: ${String(error)}`);
    }
  }

  delete(series: readonly number[], matchers: Uint8Array, node = this.#someNode()): void {
    if (!node) return;
    const fromMs = startMs - this.random.below(480) * minuteMs;
    // Deletes are clipped to the clock of the node that takes them.
    const toMs = Math.min(fromMs + this.random.below(90) * minuteMs, this.nowMs - minuteMs);
    const seen = { series, fromMs, toMs, sentMs: this.world.nowMs, ackedMs: Number.POSITIVE_INFINITY };
    this.checker.deletes.push(seen);
    const id = `${this.checker.deletes.length}`;
    void this.#deleteAt(node, { id, matchers, fromMs, toMs }, seen);
  }

  async #deleteAt(node: ClusterNode, request: DeleteRequest, seen: DeleteSeen): Promise<void> {
    try {
      await node.delete(request);
      seen.ackedMs = this.world.nowMs;
      this.world.trace(`deleted ${request.id}`);
    } catch {
      // It may take effect or not; the checker allows both.
    }
  }

  #copied({ series, timestampMs }: Sample, to: NodeName): void {
    // A node that does not trust its clock keeps, and offers, more than it should.
    if (this.retentionMs === 0 || this.#hasWrongClock) return;
    if (!this.nodes.every(({ state }) => state.record.retentionMs > 0)) {
      this.#retainedSinceMs = Number.POSITIVE_INFINITY;
      return;
    }
    this.#retainedSinceMs = Math.min(this.#retainedSinceMs, this.world.nowMs);
    // Clocks differ by seconds, and a comparison may be on its way.
    const endMs = Math.floor(timestampMs / windowMs) * windowMs + windowMs;
    if (endMs < this.nowMs - this.retentionMs - minuteMs && this.world.nowMs > this.#retainedSinceMs + 5000) {
      this.checker.fail('pulled-back', this.world.nowMs, `${series}@${timestampMs} to ${to}`);
    }
  }

  // Healing

  /** Why the cluster is not yet whole; undefined when it is. */
  unhealed(): string | undefined {
    const { nodes } = this;
    for (const { name, process } of this.machines.values()) {
      if (process && !process.node) return `${name} looks for a cluster`;
    }
    const hash = nodes[0]?.state.record.hash;
    for (const { state } of nodes) {
      const { name, record, marks } = state;
      if (!state.isReady) return `${name} replays its log`;
      if (record.hash !== hash) return `${name} holds another record`;
      if (record.members.some((member) => member.state !== 'active')) return 'a member joins or leaves';
      if (record.unhealedLosses.length > 0) return `unhealed: ${record.unhealedLosses.join()}`;
      if (record.actives.length >= 2 && marks.count > 0) {
        return `${name} marks ${JSON.stringify([...marks.all()][0])}`;
      }
      if (state.isMember && record.actives.length >= 2) {
        for (const partition of state.held) if (!state.isOwner(partition)) return `${name} holds ${partition}`;
      }
    }
    return this.#differing();
  }

  /** Owners hold the same of every partition. */
  #differing(): string | undefined {
    for (let partition = 0; partition < partitionsCount; partition++) {
      const owners = this.nodes.filter(({ state }) => state.isOwner(partition));
      const [first, ...others] = owners.map(({ state }) => this.#digestAt(state.name, partition));
      if (others.some((digest) => digest !== first)) return `owners of ${partition} differ`;
    }
    return undefined;
  }

  #digestAt(name: NodeName, partition: number): string {
    const { process } = this.machines.get(name) ?? {};
    if (!process) return '';
    const { samples } = process.store.disk;
    const isHidden = ({ series, timestampMs }: Sample): boolean =>
      Boolean(
        process.node?.state.record.deletes.some(
          ({ matchers, fromMs, toMs }) => matchers.includes(series) && timestampMs >= fromMs && timestampMs <= toMs,
        ),
      ) || Math.floor(timestampMs / windowMs) * windowMs + windowMs < this.expiredMs;
    const { samplesCount, sum } = digestOf(
      [...samples.values()].filter((sample) => partitionOf(sample.series) === partition && !isHidden(sample)),
    );
    return `${samplesCount} ${sum}`;
  }

  /** Windows that end before this may be gone on one node and still be held by another. */
  get expiredMs(): number {
    const byTimeMs = this.retentionMs > 0 ? this.nowMs - this.retentionMs + minuteMs : Number.NEGATIVE_INFINITY;
    return Math.max(byTimeMs, this.floorMs + 1);
  }
}
