import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SimDisk } from '../../../sim/disk.ts';
import { BlockFile, BlockFileWriter, blockKind } from '../index/block-file.ts';
import { BlockTree } from '../index/block-tree.ts';
import { PartCaches } from './index.ts';
import { indexMagic } from './meta.ts';
import {
  decodePartitionsLeaf,
  findPositions,
  PartitionColumn,
  type PartitionsLeaf,
  writePartitions,
} from './partitions.ts';

function treeOf(partitions: readonly number[]): BlockTree<PartitionsLeaf> {
  const disk = new SimDisk();
  const writer = new BlockFileWriter(disk, 'index', indexMagic, 1);
  const column = new PartitionColumn();
  for (const partition of partitions) column.add(partition);
  const { root } = writePartitions(column, writer);
  writer.finish();
  const file = new BlockFile(disk, 'index', new PartCaches());
  return new BlockTree(file, file, blockKind.partitions, root, decodePartitionsLeaf);
}

function check(all: readonly number[], tree: BlockTree<PartitionsLeaf>, wanted: readonly number[]): void {
  const asked = new Set(wanted);
  const expected = [...all.keys()].filter((position) => asked.has(all[position] as number));
  assert.deepEqual([...findPositions(tree, Uint32Array.from(asked))], expected);
}

test('finds the positions in any partitions, whichever there are', () => {
  const partition = fc.oneof(fc.nat(4), fc.nat(65_535), fc.constant(65_535));
  fc.assert(
    fc.property(fc.array(partition, { minLength: 1, maxLength: 60 }), fc.array(partition), (all, others) => {
      check(all, treeOf(all), [...others, ...all.slice(0, 7)]);
    }),
  );
});

test('finds them among many leaves', () => {
  const all = Array.from({ length: 60_000 }, (_, i) => (i * 48_271) % 30_011);
  const tree = treeOf(all);
  for (const wanted of [[0], [30_010, 5, 17_000], [30_011, 65_535], [12_345, 12_346, 12_347]]) check(all, tree, wanted);
});
