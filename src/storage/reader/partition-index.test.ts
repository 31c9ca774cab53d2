import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { holdsPartition, PartitionIndex } from './partition-index.ts';

test('finds the members of a partition among many', () => {
  const index = new PartitionIndex();
  const all = Array.from({ length: 30_000 }, (_, i) => (i * 7919) % 1000);
  index.append(Uint16Array.from(all.slice(0, 20_000)));
  index.append(Uint16Array.from(all.slice(20_000)));
  for (const wanted of [[0], [1], [500, 3, 999], [999], [1000], []]) {
    assert.deepEqual(
      [...index.members(Uint32Array.from(wanted))],
      [...all.keys()].filter((member) => wanted.includes(all[member] as number)),
    );
  }
});

test('finds the members of a partition, however they came', () => {
  const partition = fc.oneof(fc.nat(5), fc.nat(65_535), fc.constant(65_535));
  fc.assert(
    fc.property(fc.array(fc.array(partition, { maxLength: 40 }), { maxLength: 8 }), (batches) => {
      const index = new PartitionIndex();
      for (const batch of batches) index.append(Uint16Array.from(batch));
      const all = batches.flat();
      assert.equal(index.count, all.length);
      const bitmap = new Uint8Array(8192);
      index.addTo(bitmap);
      for (const wanted of [...all, 0, 3, 65_535]) {
        const expected = [...all.keys()].filter((member) => all[member] === wanted);
        assert.deepEqual([...index.members(Uint32Array.of(wanted))], expected);
        assert.equal(holdsPartition(bitmap, wanted), expected.length > 0);
        for (const member of expected) assert.equal(index.partitionOf(member), wanted);
      }
      assert.deepEqual([...index.members(Uint32Array.from(new Set(all)))], [...all.keys()]);
    }),
  );
});
