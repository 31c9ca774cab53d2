// Deletes are kept in the record, which travels whole: there is an end to them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode, mib, minuteMs } from '../base/index.ts';
import { SimCluster } from '../../sim/cluster/cluster.ts';

test('what all deletes take has a limit, within which they go on', async () => {
  const cluster = new SimCluster(1);
  const names = ['n0', 'n1', 'n2'];
  for (const name of names) cluster.add(name, names);
  await cluster.world.runSettledUntil(() => cluster.actives.length === names.length, minuteMs);
  const [node] = cluster.nodes;
  assert(node);
  let count = 0;
  /** Its error, where it was refused. */
  const remove = async (matchersBytes: number): Promise<unknown> => {
    const request = { id: `${count++}`, matchers: new Uint8Array(matchersBytes), fromMs: 0, toMs: 1 };
    let outcome: { readonly error: unknown } | undefined;
    void node.delete(request).then(
      () => (outcome = { error: undefined }),
      (error: unknown) => (outcome = { error }),
    );
    await cluster.world.runSettledUntil(() => outcome !== undefined, minuteMs);
    return outcome?.error;
  };
  for (let i = 0; i < 8; i++) assert.equal(await remove(mib), undefined);
  const { hash } = node.state.record;
  assert.ok(hasCode(await remove(1), 'DELETE_TOO_MANY'));
  assert.equal(node.state.record.hash, hash);
  assert.equal(await remove(0), undefined);
  for (const each of cluster.nodes) each.stop();
});
