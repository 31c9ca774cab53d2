// Courses of events that random ones hit too rarely, each written down step by step for one partition of four nodes. They end
// in a query that has to be right; with the bug for which a case was made (mutants.ts) it is not.
import { minuteMs, secondMs } from '../../src/base/index.ts';
import { type ClusterNode, type NodeName, windowMs } from '../../src/cluster/index.ts';
import type { Violation } from './checker.ts';
import { type Plant, SimCluster } from './cluster.ts';
import { partitionOf, partitionsCount, type Sample } from './data.ts';
import { matchersOf } from './model-store.ts';

const series = 0;

class Stage {
  readonly cluster: SimCluster;
  /** The owners of the series' partition, and who owns nothing of it. */
  owners: readonly NodeName[] = [];
  others: readonly NodeName[] = [];

  private constructor(seed: number, plant: Plant | undefined) {
    this.cluster = new SimCluster(seed, plant);
  }

  /** A cluster of so many nodes, formed and at rest. */
  static async set(seed: number, plant: Plant | undefined, nodesCount: number): Promise<Stage> {
    const stage = new Stage(seed, plant);
    const names = Array.from({ length: nodesCount }, (_, index) => `n${index}`);
    for (const name of names) stage.cluster.add(name, names);
    await stage.cluster.world.runSettledUntil(
      () => stage.cluster.actives.length === nodesCount && stage.cluster.unhealed() === undefined,
      minuteMs,
    );
    stage.owners = stage.node('n0').state.view.owners(partitionOf(series));
    stage.others = names.filter((name) => !stage.owners.includes(name));
    return stage;
  }

  node(name: NodeName): ClusterNode {
    const node = this.cluster.machines.get(name)?.process?.node;
    if (!node) throw new Error(`${name} is not up`);
    return node;
  }

  owner(rank: number): NodeName {
    return this.owners[rank] ?? '';
  }

  other(): NodeName {
    return this.others[0] ?? '';
  }

  async pass(durationMs: number): Promise<void> {
    await this.cluster.world.runSettledUntil(() => false, durationMs);
  }

  /** Cuts both ways between all of some and all others. */
  split(...some: readonly NodeName[]): void {
    for (const a of some) {
      for (const b of this.cluster.machines.keys()) if (!some.includes(b)) this.cut(a, b);
    }
  }

  cut(a: NodeName, b: NodeName): void {
    this.cluster.network.cut(a, b);
    this.cluster.network.cut(b, a);
  }

  write(at: NodeName, sample: Sample): void {
    this.cluster.write([sample], 0, this.node(at));
  }

  async read(at: NodeName): Promise<void> {
    let isOver = false;
    void this.cluster.readAt(this.node(at), false).finally(() => {
      isOver = true;
    });
    await this.cluster.world.runSettledUntil(() => isOver, minuteMs);
  }

  end(): readonly Violation[] {
    for (const node of this.cluster.nodes) node.stop();
    return this.cluster.checker.violations;
  }
}

export type Case = (seed: number, plant?: Plant) => Promise<readonly Violation[]>;

/** Two owners have a sample in memory when it is sent again; both lose power before it is on disk. */
export const retriedThenPowerLost: Case = async (seed, plant) => {
  const stage = await Stage.set(seed, plant, 3);
  const { cluster } = stage;
  const [a, b, c] = [stage.owner(0), stage.owner(1), stage.owner(2)];
  stage.split(c);
  for (const name of [a, b]) {
    const disk = cluster.machines.get(name)?.disk;
    if (disk) disk.syncMsMax = minuteMs;
  }
  const sample = cluster.newSample(series);
  stage.write(a, sample);
  await stage.pass(20);
  stage.write(a, sample);
  await stage.pass(20);
  for (const name of [a, b]) cluster.crash(name, true);
  cluster.network.heal();
  for (const name of [a, b]) cluster.start(name, [c]);
  await stage.pass(5 * secondMs);
  await stage.read(c);
  return stage.end();
};

/** A hint reaches one owner before its holder is lost; then the client sends it again, and a second owner is cut off. */
export const copiedThenWritten: Case = async (seed, plant) => {
  const stage = await Stage.set(seed, plant, 4);
  const { cluster } = stage;
  const [a, b, c, holder] = [stage.owner(0), stage.owner(1), stage.owner(2), stage.other()];
  const sample = cluster.newSample(series);
  stage.split(holder);
  stage.write(holder, sample);
  await stage.pass(4 * secondMs);
  cluster.network.heal();
  stage.cut(holder, b);
  stage.cut(holder, c);
  await stage.pass(5 * secondMs);
  cluster.wipe(holder, [a, b, c]);
  cluster.network.heal();
  await stage.pass(20 * secondMs);
  stage.cut(a, c);
  stage.write(a, sample);
  await stage.pass(60);
  cluster.network.heal();
  cluster.crash(b);
  await stage.read(c);
  return stage.end();
};

/** A node is given up while it is cut off; the first that it hears from the others is their answer to a write. */
export const removedThenWrites: Case = async (seed, plant) => {
  const stage = await Stage.set(seed, plant, 4);
  const { cluster } = stage;
  const [a, b, c, d] = [stage.owner(0), stage.owner(1), stage.owner(2), stage.other()];
  stage.split(a);
  void stage
    .node(b)
    .remove(a)
    .catch(() => {});
  await stage.pass(20 * secondMs);
  cluster.network.heal();
  for (const other of [c, d]) stage.cut(a, other);
  // Nobody else hears of it from b.
  for (const other of [c, d]) stage.cut(b, other);
  stage.write(a, cluster.newSample(series));
  await stage.pass(300);
  cluster.network.heal();
  stage.split(a);
  cluster.crash(b);
  await stage.read(c);
  return stage.end();
};

/** A fourth node joins on one side of a split, with one of three. */
export const joinedAcrossSplit: Case = async (seed, plant) => {
  const stage = await Stage.set(seed, plant, 3);
  const { cluster } = stage;
  const [a, b] = [stage.owner(0), stage.owner(1)];
  stage.split(a);
  cluster.add('n3', [a]);
  stage.cut('n3', stage.owner(1));
  stage.cut('n3', stage.owner(2));
  await stage.pass(5 * secondMs);
  for (let other = 0; other < 8; other++) stage.write(a, cluster.newSample(other));
  await stage.pass(5 * secondMs);
  await stage.read(b);
  return stage.end();
};

/** A delete is sent to a node that is cut off. */
export const deletedAcrossSplit: Case = async (seed, plant) => {
  const stage = await Stage.set(seed, plant, 3);
  const { cluster } = stage;
  const [a, b] = [stage.owner(0), stage.owner(1)];
  for (let count = 0; count < 200; count++) stage.write(a, cluster.newSample(series));
  await stage.pass(10 * secondMs);
  stage.split(a);
  for (let count = 0; count < 4; count++) cluster.delete([series], matchersOf([series]), stage.node(a));
  await stage.pass(5 * secondMs);
  await stage.read(b);
  return stage.end();
};

/** Two of three are made to leave; the third, the only owner now, is lost while they wait for another. */
export const leftWithOneOwner: Case = async (seed, plant) => {
  const stage = await Stage.set(seed, plant, 3);
  const { cluster } = stage;
  const [a, b, c] = [stage.owner(0), stage.owner(1), stage.owner(2)];
  stage.write(a, cluster.newSample(series));
  await stage.pass(5 * secondMs);
  for (const name of [b, c]) {
    void stage
      .node(name)
      .decommission(true)
      .catch(() => {});
    await stage.pass(5 * secondMs);
  }
  await stage.pass(20 * secondMs);
  cluster.wipe(a, [b, c]);
  await stage.pass(10 * secondMs);
  await stage.read(a);
  return stage.end();
};

/** A sample comes twice to two owners while the third is cut off; then they compare, and the third is asked. */
export const retriedWhileAway: Case = async (seed, plant) => {
  const stage = await Stage.set(seed, plant, 3);
  const { cluster } = stage;
  const [a, b, c] = [stage.owner(0), stage.owner(1), stage.owner(2)];
  stage.split(c);
  const sample = cluster.newSample(series);
  stage.write(a, sample);
  await stage.pass(2 * secondMs);
  stage.write(b, sample);
  await stage.pass(2 * secondMs);
  cluster.network.heal();
  await stage.pass(20 * secondMs);
  await stage.read(c);
  return stage.end();
};

/** A machine is set back to a snapshot that was taken before the others learnt what it has acknowledged. */
export const setBackToSnapshot: Case = async (seed, plant) => {
  const stage = await Stage.set(seed, plant, 3);
  const { cluster } = stage;
  const [a, b, c] = [stage.owner(0), stage.owner(1), stage.owner(2)];
  const machine = cluster.machines.get(b);
  const snapshot = machine?.disk.copy();
  stage.split(c);
  for (let count = 0; count < 4; count++) stage.write(a, cluster.newSample(series));
  await stage.pass(2 * secondMs);
  cluster.crash(b);
  if (machine && snapshot) machine.disk = snapshot;
  cluster.start(b, [a, c]);
  await stage.pass(5 * secondMs);
  // The samples are on a alone now, which may be left out, but not b as well.
  cluster.network.heal();
  stage.split(a);
  await stage.read(b);
  return stage.end();
};

/** Of two that hold a sample one is given up while the other replays its log, and then can hand it to nobody. */
export const lossHeardWhileReplaying: Case = async (seed, plant) => {
  const stage = await Stage.set(seed, plant, 4);
  const { cluster } = stage;
  cluster.replaysFirst = false;
  const [a, b, c, holder] = [stage.owner(0), stage.owner(1), stage.owner(2), stage.other()];
  // Marks are saved; that of the sample stands in the log only.
  cluster.machines.get(a)?.process?.store.flush();
  stage.split(a, holder);
  stage.write(a, cluster.newSample(series));
  await stage.pass(4 * secondMs);
  cluster.crash(a);
  cluster.network.heal();
  stage.split(holder);
  void stage
    .node(b)
    .remove(holder)
    .catch(() => {});
  await stage.pass(3 * secondMs);
  for (const name of [b, c]) {
    const disk = cluster.machines.get(name)?.disk;
    if (disk) disk.isFull = true;
  }
  cluster.start(a, [b, c]);
  await stage.pass(10 * secondMs);
  cluster.crash(a);
  await stage.read(b);
  return stage.end();
};

/** The log that marks what the third owner lacks is written to parts at the first restart; the second finds no log. */
export const restartedTwice: Case = async (seed, plant) => {
  const stage = await Stage.set(seed, plant, 3);
  const { cluster } = stage;
  const [a, b, c] = [stage.owner(0), stage.owner(1), stage.owner(2)];
  cluster.replaysFirst = true;
  // Else all that is held would be marked at the next start.
  for (const name of [a, b]) cluster.machines.get(name)?.process?.store.flush();
  stage.split(c);
  stage.write(a, cluster.newSample(series));
  await stage.pass(2 * secondMs);
  for (let restart = 0; restart < 2; restart++) {
    for (const name of [a, b]) {
      cluster.crash(name);
      cluster.start(name, [c]);
    }
    await stage.pass(6 * secondMs);
  }
  cluster.network.heal();
  await stage.read(c);
  return stage.end();
};

/** While a node reads its marks from disk, samples come that it marks, and another record that makes it save marks. */
export const heardWhileLoading: Case = async (seed, plant) => {
  const stage = await Stage.set(seed, plant, 3);
  const { cluster } = stage;
  const [a, b, c] = [stage.owner(0), stage.owner(1), stage.owner(2)];
  stage.split(c);
  stage.write(a, cluster.newSample(series));
  await stage.pass(2 * secondMs);
  cluster.machines.get(b)?.process?.store.flush();
  cluster.crash(b);
  const disks = { a: cluster.machines.get(a)?.disk, b: cluster.machines.get(b)?.disk };
  if (disks.b) disks.b.loadMs = 3 * secondMs;
  cluster.replaysFirst = true;
  cluster.start(b, [a]);
  await stage.pass(7 * secondMs);
  stage.write(a, cluster.newSample(series + partitionsCount));
  // Changes the record, but nothing of the view under which marks were saved.
  if (disks.a) disks.a.sizeFloorMs = windowMs;
  await stage.pass(10 * secondMs);
  cluster.network.heal();
  stage.split(a);
  await stage.read(c);
  return stage.end();
};

/** A node that stands in is just dropping the partition of which it is given another sample. */
export const writtenWhileDropping: Case = async (seed, plant) => {
  const stage = await Stage.set(seed, plant, 4);
  const { cluster } = stage;
  const [a, b, c, holder] = [stage.owner(0), stage.owner(1), stage.owner(2), stage.other()];
  const writeWithoutOthers = async (windowsAgo: number): Promise<void> => {
    stage.split(b, c);
    stage.write(a, { ...cluster.newSample(series), timestampMs: cluster.nowMs - windowsAgo * windowMs });
    await stage.pass(secondMs);
  };
  await writeWithoutOthers(3);
  cluster.network.heal();
  const { dropper } = stage.node(holder);
  await cluster.world.runSettledUntil(() => dropper.underWayCount > 0, minuteMs);
  await writeWithoutOthers(4);
  await stage.pass(6 * secondMs);
  cluster.network.heal();
  cluster.crash(a);
  await stage.read(b);
  return stage.end();
};

export const cases: Readonly<Record<string, Case>> = {
  retriedThenPowerLost,
  copiedThenWritten,
  removedThenWrites,
  joinedAcrossSplit,
  deletedAcrossSplit,
  leftWithOneOwner,
  retriedWhileAway,
  setBackToSnapshot,
  lossHeardWhileReplaying,
  restartedTwice,
  heardWhileLoading,
  writtenWhileDropping,
};
