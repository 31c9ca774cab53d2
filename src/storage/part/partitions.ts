// Which series of a part lie in which partition, so that replicas read only what they need of it (docs/formats/part.md,
// "Partitions"). Leaves hold whole partitions and are found by the first of them.
import { ByteReader, ByteWriter, kib, TimbalaError } from '../../base/index.ts';
import { type BlockFileWriter, blockKind } from '../index/block-file.ts';
import { type BlockTree, BlockTreeWriter, type Leaf } from '../index/block-tree.ts';
import { boundedCount } from '../index/series-index.ts';
import type { TreeRoot } from './meta.ts';

const partitionsCount = 65_536;
const leafBytesMax = 16 * kib;

/** The partitions of a part's series, by position. */
export class PartitionColumn {
  #partitions = new Uint16Array(64);
  #count = 0;

  add(partition: number): void {
    if (this.#count === this.#partitions.length) {
      const grown = new Uint16Array(2 * this.#count);
      grown.set(this.#partitions);
      this.#partitions = grown;
    }
    this.#partitions[this.#count++] = partition;
  }

  /** Each partition that has any, ascending, with its positions, ascending: a view, valid until the next. */
  *groups(): Generator<{ readonly partition: number; readonly positions: Uint32Array }> {
    const starts = new Uint32Array(partitionsCount + 1);
    for (let position = 0; position < this.#count; position++) {
      const after = (this.#partitions[position] as number) + 1;
      starts[after] = (starts[after] as number) + 1;
    }
    for (let i = 1; i < starts.length; i++) starts[i] = (starts[i] as number) + (starts[i - 1] as number);
    const next = starts.slice();
    const positions = new Uint32Array(this.#count);
    for (let position = 0; position < this.#count; position++) {
      const partition = this.#partitions[position] as number;
      const at = next[partition] as number;
      positions[at] = position;
      next[partition] = at + 1;
    }
    for (let partition = 0; partition < partitionsCount; partition++) {
      const [start, end] = [starts[partition] as number, starts[partition + 1] as number];
      if (end > start) yield { partition, positions: positions.subarray(start, end) };
    }
  }
}

/** A key that sorts as partitions do. */
function keyOf(partition: number): Uint8Array {
  return Uint8Array.of(partition >> 8, partition & 255);
}

/** Writes the section; returns the root of its tree. Its ordinals count partitions. */
export function writePartitions(column: PartitionColumn, file: BlockFileWriter): TreeRoot {
  const tree = new BlockTreeWriter(file, blockKind.partitions);
  const entries = new ByteWriter(leafBytesMax + 64);
  let inLeaf = 0;
  let count = 0;
  let first = 0;
  let previous = 0;
  const cut = (): void => {
    const payload = new ByteWriter(entries.length + 8);
    payload.uvarint(inLeaf);
    payload.bytes(entries.view());
    tree.addLeaf(payload.view(), count - inLeaf, keyOf(first));
    entries.clear();
    inLeaf = previous = 0;
  };
  for (const { partition, positions } of column.groups()) {
    if (inLeaf === 0) first = partition;
    entries.uvarint(partition - previous);
    entries.uvarint(positions.length);
    let before = 0;
    for (const position of positions) {
      entries.uvarint(position - before);
      before = position;
    }
    previous = partition;
    inLeaf++;
    count++;
    if (entries.length >= leafBytesMax) cut();
  }
  if (inLeaf > 0) cut();
  return { entriesCount: count, root: tree.finish(file) };
}

export interface PartitionsLeaf extends Leaf {
  readonly positionsOf: ReadonlyMap<number, Uint32Array>;
}

export function decodePartitionsLeaf(payload: Uint8Array, firstOrdinal: number): PartitionsLeaf {
  const reader = new ByteReader(payload);
  const count = boundedCount(reader);
  const positionsOf = new Map<number, Uint32Array>();
  let partition = 0;
  let total = 0;
  for (let i = 0; i < count; i++) {
    partition += reader.uvarint();
    const positions = new Uint32Array(boundedCount(reader));
    let position = 0;
    for (let k = 0; k < positions.length; k++) {
      position += reader.uvarint();
      positions[k] = position;
    }
    if (partition >= partitionsCount || position > 0xffff_ffff) {
      throw new TimbalaError('DECODE_RANGE', `partition ${partition} with position ${position}`);
    }
    positionsOf.set(partition, positions);
    total += positions.length;
  }
  return { firstOrdinal, count, positionsOf, sizeBytes: 4 * total + 160 * count };
}

/** The positions in some partitions (each named once), ascending. */
export function findPositions(tree: BlockTree<PartitionsLeaf>, partitions: Uint32Array): Uint32Array {
  if (tree.isEmpty) return new Uint32Array(0);
  const found: Uint32Array[] = [];
  for (const partition of partitions) {
    const positions = tree.leafForKey(keyOf(partition)).positionsOf.get(partition);
    if (positions) found.push(positions);
  }
  const all = new Uint32Array(found.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const positions of found) {
    all.set(positions, at);
    at += positions.length;
  }
  return all.sort();
}
