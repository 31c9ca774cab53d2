// What happens to a simulated cluster, from one seed. Phase one is for safety: clients write, query and delete while machines
// crash, disks fill, links break, nodes join, leave, are wiped and removed. Phase two heals what is left and demands that it
// becomes whole by itself.
import { hourMs, minuteMs, secondMs } from '../../src/base/index.ts';
import { type ClusterNode, windowMs, windowStartOf } from '../../src/cluster/index.ts';
import type { Violation } from './checker.ts';
import { type Plant, SimCluster } from './cluster.ts';
import { seriesCount } from './data.ts';
import { matchersOf } from './model-store.ts';

export interface ScenarioOptions {
  readonly durationMs?: number;
  readonly plant?: Plant;
}

export interface Outcome {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly traceHash: string;
  readonly samplesAcked: number;
  readonly samplesChecked: number;
  readonly readsChecked: number;
  readonly readsWarned: number;
  readonly readsAloneChecked: number;
  readonly writesCount: number;
  readonly writesFailed: number;
  readonly framesCount: number;
  readonly counts: Readonly<Record<string, number>>;
}

const machinesMax = 7;

class Scenario {
  readonly #cluster: SimCluster;
  readonly #durationMs: number;
  readonly counts: Record<string, number> = {};
  /** Names of the machines that found the cluster. */
  readonly #first: readonly string[];
  #nextName: number;
  #isOver = false;

  constructor(cluster: SimCluster, durationMs: number) {
    this.#cluster = cluster;
    this.#durationMs = durationMs;
    const { random } = cluster;
    const isAlone = random.below(4) === 0;
    this.#first = isAlone ? ['n0'] : ['n0', 'n1', 'n2', 'n3', 'n4'].slice(0, 3 + random.below(3));
    this.#nextName = this.#first.length;
    if (isAlone) cluster.add('n0', []);
    else this.#found();
  }

  /**
   * Nodes are switched on seconds apart, each with seeds of its own: the same for all, or such that one leads to the next, down to
   * one that all reach; that one may be told to found a cluster alone. Some disks are slow, some start again before they are in.
   */
  #found(): void {
    const cluster = this.#cluster;
    const { random, world, network } = cluster;
    const areAlike = random.below(3) === 0;
    const shared = this.#first.slice(random.below(this.#first.length));
    const rest = [...this.#first];
    const names = this.#first.flatMap(() => rest.splice(random.below(rest.length), 1));
    if (random.below(3) === 0) network.conditions.lossShare = random.float() * 0.2;
    const delayMsMax = random.below(2) === 0 ? 0 : 8 * secondMs;
    for (const [index, name] of names.entries()) {
      const before = names.slice(0, index);
      const next = before[random.below(before.length)];
      const others = names.filter((other) => random.below(4) === 0 && other !== name);
      const isFounder = index === 0 && random.below(3) === 0;
      const own = isFounder ? [] : [...new Set([...others, ...(next === undefined ? names.slice(1, 2) : [next])])];
      const seeds = areAlike ? shared : own;
      cluster.add(name, seeds, random.below(delayMsMax));
      const machine = cluster.machines.get(name);
      if (machine && random.below(6) === 0) machine.disk.syncMsMax = 20 * secondMs;
      if (random.below(6) > 0) continue;
      world.schedule(random.below(10 * secondMs), () => {
        cluster.crash(name);
        // Wiped meanwhile, it would found a cluster anew where it was told of nobody.
        world.schedule(random.below(3 * secondMs), () =>
          cluster.start(name, cluster.machines.get(name)?.peers ?? seeds),
        );
      });
    }
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
    this.#cluster.world.trace(what);
  }

  async run(): Promise<void> {
    const { world, random, network, checker } = this.#cluster;
    const isFounded = await world.runSettledUntil(() => this.#cluster.actives.length > 0, minuteMs);
    if (!isFounded) checker.fail('not-healed', world.nowMs, 'no cluster was founded');
    for (const { disk } of this.#cluster.machines.values()) disk.syncMsMax = 10;
    network.conditions.lossShare = random.below(3) === 0 ? 0 : random.float() * 0.1;
    network.conditions.duplicateShare = random.float() * 0.05;
    network.conditions.delayMsMax = 1 + random.float() * 60;
    this.#repeat(60 + random.below(200), () => this.#write());
    this.#repeat(100 + random.below(200), () => this.#cluster.read(random.below(8) === 0));
    this.#repeat(300 + random.below(900), () => this.#fault());
    const isSplit = await world.runSettledUntil(
      () => checker.violations.length > 0 || this.#cluster.clusterIds.size > 1,
      this.#durationMs,
    );
    if (isSplit && checker.violations.length === 0)
      checker.fail('not-healed', world.nowMs, 'two clusters were founded');
    this.#isOver = true;
    await this.#heal();
  }

  #repeat(meanMs: number, act: () => void): void {
    const { world, random } = this.#cluster;
    const next = (): void => {
      if (this.#isOver) return;
      act();
      world.schedule(random.float() * 2 * meanMs, next);
    };
    world.schedule(meanMs, next);
  }

  #write(): void {
    const { random } = this.#cluster;
    const samples = Array.from({ length: 1 + random.below(4) }, () => this.#cluster.newSample());
    this.#cluster.write(samples, random.below(4));
    // A client that lost patience sends it again while the first is on its way.
    if (random.below(6) === 0) {
      this.#cluster.world.schedule(random.below(1000), () => this.#cluster.write(samples, 1));
    }
  }

  #some<T>(from: Iterable<T>): T | undefined {
    const all = [...from];
    return all[this.#cluster.random.below(all.length || 1)];
  }

  #names(): string[] {
    return [...this.#cluster.machines.keys()];
  }

  #fault(): void {
    const cluster = this.#cluster;
    const { random, network, machines } = cluster;
    const machine = this.#some(machines.values());
    const other = this.#some(machines.keys());
    if (!machine || other === undefined) return;
    const dice = random.below(100);
    if (dice < 14) {
      const downCount = [...machines.values()].filter(({ process }) => !process).length;
      if (machine.process && (downCount < 2 || random.below(8) === 0)) {
        this.#count('crash');
        cluster.crash(machine.name);
      }
    } else if (dice < 16) this.#losePower();
    else if (dice < 38) this.#restartSome();
    else if (dice < 46) {
      if (network.cutsCount < 3) {
        this.#count('cut');
        network.cut(machine.name, other);
        if (random.below(2) === 0) network.cut(other, machine.name);
      }
    } else if (dice < 49) this.#isolate(machine.name);
    else if (dice < 57) network.heal();
    else if (dice < 66) machine.process?.store.flush();
    else if (dice < 69) machine.disk.isFull = !machine.disk.isFull && random.below(2) === 0;
    else if (dice < 72) machine.disk.syncMsMax = random.below(2) === 0 ? 10 : 600;
    else if (dice < 74 && machine.process) machine.process.store.isBusy = random.below(2) === 0;
    else if (dice < 80) this.#delete();
    else if (dice < 82) {
      if (random.below(8) === 0) this.#limitSize();
      else this.#retain();
    } else this.#changeMembers(machine.name, dice);
  }

  /** All machines at once. They come back soon; now and then with copies of their disks. */
  #losePower(): void {
    this.#count('power loss');
    const areCopied = this.#cluster.random.below(4) === 0;
    if (areCopied) this.#count('all copied');
    for (const name of this.#names()) {
      this.#cluster.crash(name);
      if (areCopied) this.#cluster.becomeAnother(name);
      this.#cluster.world.schedule(this.#cluster.random.below(4000), () => this.#cluster.start(name, this.#names()));
    }
  }

  /** Nobody hears the machine, nor it the others; perhaps somebody gives it up, though it lives. */
  #isolate(name: string): void {
    const { network, world, random } = this.#cluster;
    if (network.cutsCount > 0) return;
    this.#count('isolate');
    for (const other of this.#names()) {
      if (other === name) continue;
      network.cut(name, other);
      network.cut(other, name);
    }
    if (random.below(2) === 0) world.schedule(random.below(3000), () => this.#remove(name));
  }

  #restartSome(): void {
    const down = [...this.#cluster.machines.values()].filter(({ process }) => !process);
    const machine = this.#some(down);
    if (!machine) return;
    this.#count('restart');
    this.#cluster.start(machine.name, this.#names());
  }

  #delete(): void {
    if (this.#cluster.checker.deletes.length >= 12) return;
    this.#count('delete');
    const series = [this.#cluster.random.below(seriesCount), this.#cluster.random.below(seriesCount)];
    this.#cluster.delete(series, matchersOf(series));
  }

  /** Windows that end three hours ago, and older ones, are past retention. */
  #retain(): void {
    const cluster = this.#cluster;
    if (cluster.retentionMs > 0 || cluster.random.below(3) > 0) return;
    const node = this.#some(cluster.actives);
    if (!node) return;
    this.#count('retention');
    cluster.retentionMs = 3 * hourMs;
    cluster.checker.expire(cluster.nowMs - cluster.retentionMs + 30 * minuteMs);
    void node.setRetention(cluster.retentionMs).catch(() => {});
  }

  /** Most disks have room for so much only. */
  #limitSize(): void {
    const cluster = this.#cluster;
    if (Number.isFinite(cluster.floorMs)) return;
    this.#count('size limit');
    cluster.floorMs = windowStartOf(cluster.nowMs) - (1 + cluster.random.below(2)) * windowMs;
    cluster.checker.expire(cluster.floorMs);
    for (const { disk } of cluster.machines.values()) {
      if (cluster.random.below(4) > 0) disk.sizeFloorMs = cluster.floorMs;
    }
  }

  #changeMembers(name: string, dice: number): void {
    const cluster = this.#cluster;
    const { random } = cluster;
    if (dice < 88) {
      if (cluster.machines.size < machinesMax) {
        this.#count('join');
        cluster.add(`n${this.#nextName++}`, this.#names());
      }
    } else if (dice < 91) {
      this.#count('decommission');
      void cluster.machines
        .get(name)
        ?.process?.node?.decommission(random.below(3) === 0)
        .catch(() => {});
    } else if (dice < 96) {
      const isActive = cluster.records.some((record) => record.member(name)?.state === 'active');
      if (!isActive || !cluster.mayLoseStore(name) || cluster.machines.size < 2) return;
      this.#count('wipe');
      cluster.wipe(name, this.#names());
    } else this.#remove(name);
  }

  #remove(name: string): void {
    const cluster = this.#cluster;
    const store = cluster.machines.get(name)?.disk.storeId;
    const by = this.#some(cluster.actives.filter(({ state }) => state.name !== name));
    if (!by || store === undefined || by.state.record.actives.length < 3 || !cluster.mayLoseStore(name)) return;
    if (!by.state.record.isStore(name, store, 'active')) return;
    // Counts as lost from the attempt on: whether it succeeds is known only later.
    cluster.lostStores.push(store);
    by.remove(name).then(
      () => this.#count('remove'),
      () => {
        const at = cluster.lostStores.lastIndexOf(store);
        if (at >= 0 && !by.state.record.losses.includes(store)) cluster.lostStores.splice(at, 1);
      },
    );
  }

  /** Everything works again; what is left has to become whole. */
  async #heal(): Promise<void> {
    const cluster = this.#cluster;
    const { world, network, checker } = cluster;
    if (checker.violations.length > 0) return;
    network.heal();
    network.conditions.lossShare = 0;
    // Everything is started anew, and compares totals often from now on: phase one must not be saved by that.
    cluster.auditPeriodMs = 20 * secondMs;
    for (const { name, disk } of cluster.machines.values()) {
      disk.isFull = false;
      disk.syncMsMax = 10;
      cluster.crash(name);
      cluster.start(name, this.#names());
    }
    // Only once records are one is it known who is left: a leave and a removal may still stand in two of them.
    await world.runSettledUntil(() => false, 10 * secondMs);
    // Where nodes were made to leave with too few others, they wait until the operator adds some.
    if (cluster.records.some((record) => record.actives.length < 2 && record.members.length > record.actives.length)) {
      for (let added = 0; added < 2; added++) cluster.add(`n${this.#nextName++}`, this.#names());
    }
    const isWhole = await world.runSettledUntil(
      () => Math.floor(world.nowMs) % 50 === 0 && cluster.unhealed() === undefined,
      15 * minuteMs,
    );
    if (!isWhole) {
      const why = cluster.unhealed();
      if (why !== undefined) checker.fail(why.startsWith('owners') ? 'unequal' : 'not-healed', world.nowMs, why);
    }
    for (const node of cluster.actives) await this.#readWhole(node);
  }

  async #readWhole(node: ClusterNode): Promise<void> {
    const { world } = this.#cluster;
    for (const isOracle of [true, false]) {
      let isRead = false;
      void this.#cluster.readAt(node, isOracle, true).finally(() => {
        isRead = true;
      });
      await world.runSettledUntil(() => isRead, 10 * secondMs);
    }
  }
}

/** Runs one seed. The same seed and options give the same outcome, trace hash included. */
export async function runScenario(seed: number, options: ScenarioOptions = {}): Promise<Outcome> {
  const cluster = new SimCluster(seed, options.plant);
  const scenario = new Scenario(cluster, options.durationMs ?? 40 * secondMs);
  await scenario.run();
  for (const node of cluster.nodes) node.stop();
  const { checker, world, network } = cluster;
  return {
    seed,
    violations: checker.violations,
    traceHash: world.traceHash,
    samplesAcked: checker.samplesAcked,
    samplesChecked: checker.samplesChecked,
    readsChecked: checker.readsChecked,
    readsWarned: checker.readsWarned,
    readsAloneChecked: checker.readsAloneChecked,
    writesCount: cluster.writesCount,
    writesFailed: cluster.writesFailed,
    framesCount: network.framesCount,
    counts: scenario.counts,
  };
}
