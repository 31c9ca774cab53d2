import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Placement } from './placement/index.ts';
import { ClusterRecord } from './record/index.ts';
import { testMember } from './record/test-member.ts';
import { View } from './view.ts';

const partitionsCount = 512;

function viewOf(...names: readonly string[]): View {
  const record = names.reduce(
    (all, name) => all.with(testMember(name, { store: `${name}-1` })),
    ClusterRecord.empty('c'),
  );
  return new View(record, (members) => Placement.build(members), undefined);
}

const isSet = (bitmap: Uint8Array, bit: number): boolean => ((bitmap[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;

test('partitions with the same owners share them, in whatever order', () => {
  const view = viewOf('a', 'b', 'c');
  const sets = new Set<unknown>();
  const orders = new Set<unknown>();
  for (let partition = 0; partition < partitionsCount; partition++) {
    const owners = view.ownersOf(partition);
    sets.add(owners.set);
    orders.add(owners);
    assert.deepEqual(
      owners.tokens,
      owners.names.map((name) => `${name}/${name}-1`),
    );
  }
  assert.equal(sets.size, 1);
  assert.equal(orders.size, 6);
});

test('writes are cut by sets of owners, and each node gets the groups that it owns', () => {
  for (const names of [['a'], ['a', 'b'], ['a', 'b', 'c'], ['a', 'b', 'c', 'd', 'e']]) {
    const view = viewOf(...names);
    const { groupOf, own, others } = view.writeGroups('a', partitionsCount);
    assert.equal(others.length, names.length - 1);
    const groups = new Set<number>();
    for (let partition = 0; partition < partitionsCount; partition++) {
      const group = groupOf[partition] ?? -1;
      groups.add(group);
      assert.ok(group <= partition, 'the least stands for all');
      assert.equal(view.ownersOf(group).set, view.ownersOf(partition).set);
      const ownersCount = [own, ...others].filter((bitmap) => isSet(bitmap, group)).length;
      assert.equal(ownersCount, view.owners(partition).length);
      assert.equal(isSet(own, group), view.isOwner('a', partition));
    }
    assert.ok(groups.size <= 10);
  }
});

test('a node that owns nothing coordinates for the others', () => {
  const { own, others } = viewOf('a', 'b', 'c').writeGroups('x', partitionsCount);
  assert.ok(own.every((byte) => byte === 0));
  assert.equal(others.length, 3);
});
