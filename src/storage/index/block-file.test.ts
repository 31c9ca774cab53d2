import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimDisk } from '../../../sim/disk.ts';
import { PartCaches } from './block-cache.ts';
import { BlockFile, BlockFileWriter, blockKind, type BlockPointer } from './block-file.ts';
import { BlockTree, BlockTreeWriter, type Leaf } from './block-tree.ts';

const payloads = [new Uint8Array(0), Uint8Array.of(1, 2, 3), new Uint8Array(100_000).fill(7), randomBytes(300_000)];

function randomBytes(count: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length: count }, () => (state = (state * 1103515245 + 12345) & 0x7fffffff) >>> 8);
}

function writeBlocks(disk: SimDisk): BlockPointer[] {
  const writer = new BlockFileWriter(disk, 'file', 'magic__1', 3);
  const pointers = payloads.map((payload) => writer.writeBlock(blockKind.frame, payload));
  writer.finish();
  return pointers;
}

test('blocks come back from where they were written, aligned', () => {
  const disk = new SimDisk();
  const pointers = writeBlocks(disk);
  const file = new BlockFile(disk, 'file', new PartCaches());
  for (const [i, pointer] of pointers.entries()) {
    assert.equal(pointer.offset % 16, 0);
    assert.deepEqual(Uint8Array.from(file.readBlock(blockKind.frame, pointer)), payloads[i]);
  }
});

test('any damaged byte of a block is noticed, and so is a block in a wrong place', () => {
  const disk = new SimDisk();
  const [, small, large] = writeBlocks(disk) as [BlockPointer, BlockPointer, BlockPointer, BlockPointer];
  const file = new BlockFile(disk, 'file', new PartCaches());
  const handle = disk.open('file', 'write');
  for (let at = small.offset; at < small.offset + small.bytesCount; at++) {
    const original = new Uint8Array(1);
    handle.read(original, at);
    handle.write(Uint8Array.of((original[0] as number) ^ 16), at);
    assert.throws(
      () => file.readBlock(blockKind.frame, small),
      /PART_CORRUPT: file, offset 32: .*restore it/,
      `byte ${at}`,
    );
    handle.write(original, at);
  }
  const copy = new Uint8Array(small.bytesCount);
  handle.read(copy, small.offset);
  handle.write(copy, large.offset);
  assert.throws(() => file.readBlock(blockKind.frame, { ...small, offset: large.offset }), /PART_CORRUPT.*CRC/);
  assert.throws(() => file.readBlock(blockKind.series, small), /PART_CORRUPT.*kind 1, expected kind 5/);
  assert.throws(
    () => file.readBlock(blockKind.frame, { offset: 1 << 20, bytesCount: 100 }),
    /PART_CORRUPT.*the file ends/,
  );
  assert.throws(
    () => file.readBlock(blockKind.frame, { offset: 0, bytesCount: 3 }),
    /PART_CORRUPT.*a block of 3 bytes/,
  );
});

interface NumberLeaf extends Leaf {
  readonly numbers: Uint8Array;
}

test('a tree finds entries by ordinal and by key, however many levels of fences it has', () => {
  for (const leavesCount of [1, 2, 300, 20_000]) {
    const disk = new SimDisk();
    const writer = new BlockFileWriter(disk, 'tree', 'magic__1', 1);
    const tree = new BlockTreeWriter(writer, blockKind.names);
    const keyOf = (ordinal: number): Uint8Array => Buffer.from(String(ordinal).padStart(8, '0'));
    for (let i = 0; i < leavesCount; i++) tree.addLeaf(Uint8Array.of(3, i & 255), i * 3, keyOf(i * 3));
    const root = tree.finish(writer);
    writer.finish();
    assert.ok(root.length <= 8 * 1024, `a root of ${root.length} bytes`);
    const caches = new PartCaches();
    const file = new BlockFile(disk, 'tree', caches);
    const reader = new BlockTree<NumberLeaf>(file, file, blockKind.names, root, (payload, firstOrdinal) => ({
      firstOrdinal,
      count: payload[0] as number,
      numbers: payload,
      sizeBytes: 100,
    }));
    for (const ordinal of [0, 1, 2, 3, 299, leavesCount * 3 - 1]) {
      if (ordinal >= leavesCount * 3) continue;
      const leaf = reader.leafAt(ordinal);
      assert.equal(leaf.firstOrdinal, ordinal - (ordinal % 3));
      assert.equal(leaf.numbers[1], Math.floor(ordinal / 3) & 255);
      assert.equal(reader.leafForKey(keyOf(ordinal)).firstOrdinal, leaf.firstOrdinal);
    }
    assert.throws(() => reader.leafAt(leavesCount * 3), /PART_CORRUPT.*missing/);
    assert.equal([...reader.leaves(0, leavesCount * 3)].length, leavesCount);
    const leafBlocks = [...reader.blocks()].filter(({ kind }) => kind === blockKind.names);
    assert.equal(leafBlocks.length, leavesCount);
  }
});

test('caches hold no more than they are told: bytes and open files', () => {
  const disk = new SimDisk();
  const caches = new PartCaches({ bytesMax: 1000, openFilesMax: 2 });
  for (let i = 0; i < 50; i++) caches.set(i, { sizeBytes: 100 });
  assert.ok(caches.sizeBytes <= 1000);
  for (const name of ['a', 'b', 'c']) new BlockFileWriter(disk, name, 'magic__1', 1).finish();
  const files = ['a', 'b', 'c'].map((name) => new BlockFile(disk, name, caches));
  for (let round = 0; round < 3; round++) {
    for (const file of files) {
      assert.equal(file.sizeBytes(), 8);
      assert.ok(caches.openFilesCount <= 2);
    }
  }
  for (const file of files) file.close();
  assert.equal(caches.openFilesCount, 0);
});
