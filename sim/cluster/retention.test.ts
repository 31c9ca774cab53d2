// Retention that is lowered and set back while a node is away: what that node still holds is the cluster's again, and every node
// has to answer with it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hourMs, minuteMs, secondMs, yearMs } from '../../src/base/index.ts';
import { windowMs } from '../../src/cluster/index.ts';
import { SimCluster } from './cluster.ts';

/** Seeds of clusters in which no clock is hours wrong. */
const seeds = [1, 2, 3];
const names = ['n0', 'n1', 'n2'];

for (const seed of seeds) {
  test(`what one node has kept beyond a retention that was set back is found at all nodes, seed ${seed}`, async () => {
    const cluster = new SimCluster(seed);
    const pass = (durationMs: number): Promise<unknown> => cluster.world.runSettledUntil(() => false, durationMs);
    const untilWhole = (): Promise<unknown> =>
      cluster.world.runSettledUntil(() => cluster.actives.length === names.length && !cluster.unhealed(), minuteMs);
    for (const name of names) cluster.add(name, names);
    await untilWhole();
    const [lowering, , away] = cluster.nodes;
    assert.ok(lowering && away);
    const sample = { ...cluster.newSample(0), timestampMs: cluster.nowMs - 3 * windowMs };
    cluster.write([sample], 0, lowering);
    await pass(20 * secondMs);

    for (const name of names.filter((each) => each !== away.state.name)) {
      cluster.network.cut(name, away.state.name);
      cluster.network.cut(away.state.name, name);
    }
    void lowering.setRetention(3 * hourMs);
    await pass(20 * secondMs);
    void lowering.setRetention(10 * yearMs);
    await pass(secondMs);
    cluster.network.heal();
    await pass(2 * secondMs);
    for (const node of cluster.nodes) {
      let isOver = false;
      void cluster.readAt(node, false, true).finally(() => {
        isOver = true;
      });
      await cluster.world.runSettledUntil(() => isOver, minuteMs);
    }
    await untilWhole();
    assert.equal(cluster.unhealed(), undefined);
    for (const node of cluster.nodes) node.stop();
    assert.deepEqual(cluster.checker.violations, []);
    assert.ok(cluster.checker.samplesChecked >= names.length);
  });
}
