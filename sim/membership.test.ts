// Gossip in virtual time, on a network that loses, doubles, delays and cuts: clusters form, deaths and only deaths are found,
// splits heal, restarts are taken back; and the same seed tells the same story. The promises asked of it are that all
// converge once the network lets them, and that no node that can be reached is thought dead.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { GossipCluster, measureCluster } from './membership.ts';

async function clusterOf(size: number, seed: number): Promise<GossipCluster> {
  const cluster = new GossipCluster(seed);
  for (let index = 0; index < size; index++) {
    await cluster.start(index, [0]);
    cluster.world.run(20);
  }
  assert.ok(
    cluster.world.runUntil(() => cluster.isConverged(), 120_000),
    `${size} nodes find together`,
  );
  return cluster;
}

const died = (cluster: GossipCluster): Set<string> =>
  new Set(cluster.sightings.filter(({ change }) => change === 'died').map(({ of }) => of));

suite('membership in virtual time', () => {
  test('50 nodes form a cluster from one seed through loss, doubling and delay, and find a death and nothing but it', async () => {
    for (const seed of [1, 2, 3]) {
      const cluster = new GossipCluster(seed);
      Object.assign(cluster.network.conditions, {
        lossShare: 0.1,
        duplicateShare: 0.05,
        delayMsMin: 1,
        delayMsMax: 60,
      });
      for (let index = 0; index < 50; index++) await cluster.start(index, [0]);
      assert.ok(
        cluster.world.runUntil(() => cluster.isConverged(), 120_000),
        `seed ${seed} converges`,
      );
      cluster.world.run(30_000);
      assert.deepEqual([...died(cluster)], [], `seed ${seed}: nobody is thought dead`);
      cluster.crash(17);
      assert.ok(
        cluster.world.runUntil(() => cluster.isConverged(), 60_000),
        `seed ${seed}: all know of the death`,
      );
      assert.deepEqual([...died(cluster)], ['n17']);
    }
  });

  test('the same seed tells the same story, another seed another', async () => {
    const [first, again, other] = [
      await measureCluster(10, 7, 0.05),
      await measureCluster(10, 7, 0.05),
      await measureCluster(10, 8, 0.05),
    ];
    assert.deepEqual(first, again);
    assert.notEqual(first.traceHash, other.traceHash);
  });

  test('a split leaves two clusters, and its healing one', async () => {
    const cluster = await clusterOf(12, 4);
    const hosts = Array.from({ length: 12 }, (_, index) => cluster.hostOf(index));
    cluster.network.split(hosts.slice(0, 5), hosts.slice(5));
    const sees = (name: string): number => cluster.nodes.get(name)?.members().length ?? 0;
    // Long enough for the dead to be forgotten: only their addresses are left.
    cluster.world.run(180_000);
    assert.deepEqual([sees('n0'), sees('n11')], [5, 7]);
    cluster.network.heal();
    assert.ok(
      cluster.world.runUntil(() => cluster.isConverged(), 120_000),
      'they find together unattended',
    );
  });

  test('nodes that start before their seed find it later, and a cluster restarts from cold with any address', async () => {
    const cluster = new GossipCluster(5);
    await cluster.start(1, [0]);
    await cluster.start(2, [0]);
    cluster.world.run(60_000);
    assert.equal(cluster.isConverged(), false);
    await cluster.start(0, []);
    assert.ok(cluster.world.runUntil(() => cluster.isConverged(), 30_000));
  });

  test('a node that is back before or after its death was noticed is taken back, with its new metadata', async () => {
    for (const absenceMs of [300, 60_000]) {
      const cluster = await clusterOf(8, 6);
      cluster.crash(3);
      cluster.world.run(absenceMs);
      await cluster.start(3, [0], { metadata: Uint8Array.of(9) });
      const isKnown = (): boolean =>
        cluster.isConverged() &&
        [...cluster.nodes.values()].every((node) =>
          node.members().some(({ name, metadata }) => name === 'n3' && metadata[0] === 9),
        );
      assert.ok(cluster.world.runUntil(isKnown, 60_000), `back after ${absenceMs} ms`);
      cluster.world.run(60_000);
      assert.ok(isKnown(), 'and stays');
    }
  });

  test('a link that is cut one way, or both, makes nobody dead: others reach them', async () => {
    const cluster = await clusterOf(8, 9);
    cluster.network.cut(cluster.hostOf(1), cluster.hostOf(2));
    cluster.network.split([cluster.hostOf(3)], [cluster.hostOf(4)]);
    cluster.world.run(120_000);
    assert.deepEqual([...died(cluster)], []);
    assert.ok(cluster.isConverged());
  });

  test('who can hear nobody suspects itself before others', async () => {
    const cluster = await clusterOf(8, 10);
    const others = Array.from({ length: 7 }, (_, index) => cluster.hostOf(index + 1));
    for (const other of others) cluster.network.cut(other, cluster.hostOf(0));
    cluster.world.run(10_000);
    const deaf = cluster.nodes.get('n0');
    assert.ok((deaf?.awareness ?? 0) >= 3, 'silence all around lowers its trust in itself');
    const deadToTheDeaf = cluster.sightings.filter(({ by, change }) => by === 'n0' && change === 'died');
    assert.ok(deadToTheDeaf.length <= 1, `it takes ${deadToTheDeaf.length} for dead so soon`);
    cluster.network.heal();
    assert.ok(cluster.world.runUntil(() => cluster.isConverged(), 120_000));
  });

  test('a leave is known to all at once, and is no death', async () => {
    const cluster = await clusterOf(20, 11);
    cluster.sightings.length = 0;
    const leaving = cluster.nodes.get('n5')?.leave(5_000);
    cluster.world.run(2_000);
    await leaving;
    cluster.crash(5);
    cluster.world.run(60_000);
    assert.deepEqual([...died(cluster)], []);
    const left = cluster.sightings.filter(({ change, of }) => change === 'left' && of === 'n5');
    assert.equal(new Set(left.map(({ by }) => by)).size, 20);
    assert.ok(cluster.isConverged());
  });
});
