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
