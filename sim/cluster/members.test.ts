// What becomes of members in courses that random ones hit too rarely.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode, minuteMs, secondMs } from '../../src/base/index.ts';
import { SimCluster } from './cluster.ts';

const names = ['n0', 'n1', 'n2'];

async function formed(seed: number): Promise<SimCluster> {
  const cluster = new SimCluster(seed);
  for (const name of names) cluster.add(name, names);
  await cluster.world.runSettledUntil(
    () => cluster.actives.length === names.length && cluster.unhealed() === undefined,
    minuteMs,
  );
  assert.equal(cluster.actives.length, names.length);
  return cluster;
}

function stop(cluster: SimCluster): void {
  for (const node of cluster.nodes) node.stop();
}

test('a node that still reads its log is not given up', async () => {
  const cluster = await formed(1);
  const [operator, starting] = cluster.nodes;
  assert.ok(operator && starting);
  const { name } = starting.state;
  cluster.crash(name);
  cluster.replaysFirst = true;
  // What its log has to say is long.
  const disk = cluster.machines.get(name)?.disk;
  if (disk) disk.loadMs = 10 * secondMs;
  cluster.start(name, names);
  let outcome: unknown = 'under way';
  operator.remove(name).then(
    () => (outcome = 'removed'),
    (error: unknown) => (outcome = error),
  );
  await cluster.world.runSettledUntil(() => outcome !== 'under way', 5 * secondMs);
  assert.ok(hasCode(outcome, 'CLUSTER_ALIVE'), String(outcome));
  stop(cluster);
});

test('a wiped node that joins by one that has long been away keeps its name', async () => {
  const cluster = await formed(1);
  const [wiped, away] = names as [string, string, string];
  const pass = (durationMs: number): Promise<unknown> => cluster.world.runSettledUntil(() => false, durationMs);
  const cutOff = (name: string): void => {
    for (const other of names) {
      cluster.network.cut(name, other);
      cluster.network.cut(other, name);
    }
  };
  cutOff(away);
  // Each is a change of its entry of which the one that is away does not hear.
  for (const floorMs of [1, 2, 3].map((windows) => windows * 2 * 60 * minuteMs)) {
    const disk = cluster.machines.get(wiped)?.disk;
    if (disk) disk.sizeFloorMs = floorMs;
    await pass(5 * secondMs);
  }
  cluster.network.heal();
  cutOff('n2');
  cluster.wipe(wiped, [away]);
  await pass(10 * secondMs);
  cluster.network.heal();
  const isWhole = await cluster.world.runSettledUntil(() => cluster.unhealed() === undefined, 2 * minuteMs);
  assert.ok(isWhole, cluster.unhealed());
  assert.equal(cluster.actives.length, names.length);
  stop(cluster);
});

test('a wiped node that is cut off founds no cluster of its own', async () => {
  const cluster = await formed(2);
  const { network, world } = cluster;
  for (const other of ['n1', 'n2']) {
    network.cut('n0', other);
    network.cut(other, 'n0');
  }
  cluster.wipe('n0', names);
  await world.runSettledUntil(() => false, minuteMs);
  assert.equal(cluster.nodes.length, 2);
  network.heal();
  await world.runSettledUntil(() => cluster.actives.length === 3, minuteMs);
  assert.equal(cluster.actives.length, 3);
  stop(cluster);
});

test('of two that join by the only active member none answers without that one, since it may not know of the other', async () => {
  const cluster = new SimCluster(1);
  const { world, network } = cluster;
  const cutOff = (name: string, others: readonly string[]): void => {
    for (const other of others) {
      network.cut(name, other);
      network.cut(other, name);
    }
  };
  cluster.add('n0', []);
  await world.runSettledUntil(() => cluster.actives.length === 1, minuteMs);
  cluster.add('n1', ['n0']);
  await world.runSettledUntil(() => cluster.actives.length === 2, minuteMs);
  cutOff('n1', ['n0', 'n2']);
  cluster.add('n2', ['n0']);
  await world.runSettledUntil(() => cluster.actives.length === 3, minuteMs);
  const [, first, second] = cluster.nodes;
  assert.ok(first && second);
  assert.equal(first.state.record.member('n2'), undefined);
  cluster.write([cluster.newSample(0)], 0, second);
  await world.runSettledUntil(() => cluster.checker.samplesAcked === 1, 10 * secondMs);
  assert.equal(cluster.checker.samplesAcked, 1);
  let isRead = false;
  void cluster.readAt(first, false).finally(() => (isRead = true));
  await world.runSettledUntil(() => isRead, minuteMs);
  assert.equal(cluster.checker.readsWarned, 1);
  assert.deepEqual(cluster.checker.violations, []);
  stop(cluster);
});

/** All machines stop, and come back with copies of their directories, which are other stores. */
for (const isOneEmpty of [false, true]) {
  test(`a cluster comes back from copies of its directories${isOneEmpty ? ', one of which is empty' : ''}`, async () => {
    for (const seed of [1, 2, 3]) {
      const cluster = await formed(seed);
      const clusterId = cluster.nodes[0]?.state.record.clusterId;
      cluster.write([cluster.newSample(0), cluster.newSample(1)], 0);
      await cluster.world.runSettledUntil(() => cluster.checker.samplesAcked === 2, 5 * secondMs);
      for (const name of names) cluster.crash(name);
      for (const [index, name] of names.entries()) {
        const disk = cluster.machines.get(name)?.disk;
        assert.ok(disk);
        // The least store id is that of the empty one.
        disk.storeId = `${index}${disk.storeId.slice(1)}`;
        if (isOneEmpty && index === 0) {
          disk.states.clear();
          disk.samples.clear();
          disk.logPairs.clear();
        }
        cluster.start(name, names);
      }
      const isWhole = await cluster.world.runSettledUntil(
        () => cluster.actives.length === names.length && cluster.unhealed() === undefined,
        2 * minuteMs,
      );
      assert.ok(isWhole, `seed ${seed}: ${cluster.unhealed()}`);
      assert.deepEqual([...cluster.clusterIds], [clusterId]);
      for (const node of cluster.nodes) {
        let isRead = false;
        void cluster.readAt(node, false, true).finally(() => (isRead = true));
        await cluster.world.runSettledUntil(() => isRead, 10 * secondMs);
      }
      assert.deepEqual(cluster.checker.violations, []);
      stop(cluster);
    }
  });
}
