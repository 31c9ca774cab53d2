// Whom a coordinator asks for a client's write when owners do not answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeSamples, type Sample } from '../../../sim/cluster/data.ts';
import { hasCode, TimbalaError } from '../../base/index.ts';
import type { NodeName } from '../contracts.ts';
import { type TestOwner, TestOwners } from '../repair/test-owners.ts';
import { Writer } from './write.ts';

const names = ['a', 'b', 'c', 'd', 'e'];
/** Of the partition of that number. */
const sampleOf = (series: number): Sample => ({ series, timestampMs: 1_699_999_999_000, value: 7 });

/** Five nodes, of which the first three own everything; the first one coordinates. */
async function stage(): Promise<{
  owners: TestOwners;
  a: TestOwner;
  write: (series?: readonly number[]) => Promise<void>;
}> {
  const owners = await TestOwners.start(names);
  const writers = names.map((name) => {
    const { state, context } = owners.get(name);
    return new Writer(state, context.exchange, context.timing);
  });
  const a = owners.get('a');
  const write = async (series: readonly number[] = [0]): Promise<void> => {
    const decoded = await a.store.decode(encodeSamples(series.map(sampleOf)));
    await owners.settled(writers[0]?.write(decoded) ?? assert.fail());
  };
  return { owners, a, write };
}

/** Connections to these carry nothing, and show nothing either. */
function hang({ owners, a }: { owners: TestOwners; a: TestOwner }, ...silent: NodeName[]): void {
  a.onRequest = (_topic, to, pass) => {
    if (!silent.includes(to)) return pass();
    return new Promise((_, reject) => {
      owners.world.schedule(a.context.timing.writeDeadlineMs, () => reject(new TimbalaError('PEER_TIMEOUT', to)));
    });
  };
}

const holders = (owners: TestOwners): string[] => names.filter((name) => owners.get(name).holds(0) !== '0 0');

test('a write needs two of its owners, and nobody else while they answer', async () => {
  const { a, write } = await stage();
  await write();
  assert.deepEqual(a.asked, ['write b', 'write c']);
  assert.ok(a.state.marks.isMarked(0));
});

test('the next in order stand in for silent owners, and others for those who are silent as well', async () => {
  const { owners, a, write } = await stage();
  hang({ owners, a }, 'b', 'c', 'd');
  await write();
  assert.deepEqual(holders(owners), ['a', 'e']);
  assert.deepEqual(a.asked, ['write b', 'write c', 'write d', 'write e']);
  assert.ok(owners.get('e').state.marks.isMarked(0), 'a hint is marked');
});

test('nobody stands in for a busy owner', async () => {
  const { a, write } = await stage();
  a.onRequest = (_topic, to) => Promise.reject(new TimbalaError('PEER_BUSY', to));
  await assert.rejects(write(), (error) => hasCode(error, 'WRITE_UNAVAILABLE'));
  assert.deepEqual(a.asked, ['write b', 'write c']);
});

test('with one node to sync on a write fails by its deadline', async () => {
  const { owners, a, write } = await stage();
  hang({ owners, a }, 'b', 'c', 'd', 'e');
  const startedMs = owners.world.nowMs;
  await assert.rejects(write(), (error) => hasCode(error, 'WRITE_UNAVAILABLE'));
  assert.ok(owners.world.nowMs - startedMs <= a.context.timing.writeDeadlineMs + 1);
  assert.deepEqual(holders(owners), ['a'], 'what it has itself it keeps, marked');
  assert.ok(a.state.marks.isMarked(0));
});

test('a node that is dropping one of many partitions takes them all when it has: others drop others', async () => {
  const { owners, a, write } = await stage();
  // Hints that were handed over are being dropped when owners change.
  for (const [name, partition] of [
    ['b', 1],
    ['c', 2],
  ] as const) {
    const { state, store } = owners.get(name);
    state.beginDrop(partition);
    owners.world.schedule(300, () => {
      for (const [key, { series }] of store.disk.samples) if (series === partition) store.disk.samples.delete(key);
      state.endDrop(partition, true);
    });
  }
  await write([0, 1, 2]);
  await owners.world.runSettledUntil(() => false, a.context.timing.writeDeadlineMs);
  for (const name of ['a', 'b', 'c']) {
    const owner = owners.get(name);
    for (const partition of [0, 1, 2]) {
      assert.notEqual(owner.holds(partition), '0 0', `${name} holds partition ${partition}`);
      assert.ok(owner.state.marks.isMarked(partition) && owner.state.held.has(partition));
    }
  }
  assert.deepEqual(a.asked, ['write b', 'write c']);
});
