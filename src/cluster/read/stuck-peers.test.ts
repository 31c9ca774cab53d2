// A node that answers questions while its disk does not: queries find that out once, not each for itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hourMs, minuteMs } from '../../base/index.ts';
import type { ReadEvent } from './read-stream.ts';
import { SimCluster, simTiming } from '../../../sim/cluster/cluster.ts';

test('a node whose disk hangs is read no more where others will do', async () => {
  const cluster = new SimCluster(1);
  const names = Array.from({ length: 5 }, (_, index) => `n${index}`);
  for (const name of names) cluster.add(name, names);
  const { world } = cluster;
  const isFormed = (): boolean => cluster.actives.length === names.length && cluster.unhealed() === undefined;
  await world.runSettledUntil(isFormed, minuteMs);

  const nodeOf = (name: string) => {
    const node = cluster.machines.get(name)?.process?.node;
    assert(node);
    return node;
  };
  const asking = nodeOf('n0');
  const selection = { fromMs: cluster.nowMs - hourMs, toMs: cluster.nowMs, wanted: new Uint8Array() };
  const planned = asking.openRead(selection, { deadlineMs: minuteMs });
  let event: ReadEvent | undefined;
  const first = planned.next();
  const take = async (): Promise<void> => void (event = await first);
  void take();
  await world.runSettledUntil(() => event !== undefined, minuteMs);
  planned.cancel();
  assert(event?.kind === 'plan');
  const [stuck = ''] = event.others;
  nodeOf(stuck).state.store.read = async function* hang() {
    yield await new Promise<Uint8Array>(() => undefined);
  };
  /** How long a query of everything takes, which has to be complete. */
  const read = async (): Promise<number> => {
    const beganMs = world.nowMs;
    let isOver = false;
    void cluster.readAt(asking, false, true).finally(() => {
      isOver = true;
    });
    await world.runSettledUntil(() => isOver, minuteMs);
    return world.nowMs - beganMs;
  };
  const patienceMs = simTiming.readDeadlineMs ?? 0;
  assert.ok((await read()) >= patienceMs);
  for (let i = 0; i < 5; i++) assert.ok((await read()) < patienceMs / 2);
  assert.deepEqual(cluster.checker.violations, []);
  for (const node of cluster.nodes) node.stop();
});
