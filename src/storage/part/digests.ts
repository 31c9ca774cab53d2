// Digests of a part: per partition the count and the sum of the hashes of its samples (docs/formats/digests.md).
import { assert, ByteReader, ByteWriter, kib, present } from '../../base/index.ts';
import { type BlockFileWriter, blockKind } from '../index/block-file.ts';
import { type BlockTree, BlockTreeWriter, type Leaf } from '../index/block-tree.ts';
import { unzigzag, zigzag } from '../index/index-writer.ts';
import { boundedCount } from '../index/series-index.ts';
import type { TreeRoot } from './meta.ts';
import type { PartitionDigest } from './types.ts';

const partitionsCount = 65_536;
const leafBytesMax = 16 * kib;
const sumMask = (1n << 128n) - 1n;

/** The partition of a fingerprint: its first two bytes, little-endian (docs/formats/labels.md). */
export function partitionOf(fingerprint: Uint8Array): number {
  return present(fingerprint[0], 'fingerprint') | (present(fingerprint[1], 'fingerprint') << 8);
}

/** Adds up digests. */
export class DigestTable {
  readonly #totals = new Map<number, { count: number; sum: bigint }>();

  add(partition: number, count: number, sum: bigint): void {
    assert(partition >= 0 && partition < partitionsCount, 'a partition is 16 bits');
    const total = this.#totals.get(partition);
    if (total) {
      total.count += count;
      total.sum = (total.sum + sum) & sumMask;
    } else {
      this.#totals.set(partition, { count, sum: sum & sumMask });
    }
  }

  /** Those that are not zero, ascending. */
  entries(): PartitionDigest[] {
    const totals = [...this.#totals].filter(([, { count, sum }]) => count !== 0 || sum !== 0n);
    return totals.map(([partition, total]) => ({ partition, ...total })).sort((a, b) => a.partition - b.partition);
  }
}

/** Writes the digests; returns the root of their tree. */
export function writeDigests(table: DigestTable, file: BlockFileWriter): TreeRoot {
  const tree = new BlockTreeWriter(file, blockKind.digests);
  const entries = new ByteWriter(leafBytesMax + 64);
  const sum = new Uint8Array(16);
  const sumView = new DataView(sum.buffer);
  let inLeaf = 0;
  let count = 0;
  let previous = 0;
  const cut = (): void => {
    const payload = new ByteWriter(entries.length + 8);
    payload.uvarint(inLeaf);
    payload.bytes(entries.view());
    tree.addLeaf(payload.view(), count - inLeaf);
    entries.clear();
    inLeaf = previous = 0;
  };
  for (const digest of table.entries()) {
    entries.uvarint(digest.partition - previous);
    entries.uvarint(zigzag(digest.count));
    sumView.setBigUint64(0, digest.sum & 0xffffffffffffffffn, true);
    sumView.setBigUint64(8, digest.sum >> 64n, true);
    entries.bytes(sum);
    previous = digest.partition;
    inLeaf++;
    count++;
    if (entries.length >= leafBytesMax) cut();
  }
  if (inLeaf > 0) cut();
  return { entriesCount: count, root: tree.finish(file) };
}

export interface DigestsLeaf extends Leaf {
  readonly digests: readonly PartitionDigest[];
}

export function decodeDigestsLeaf(payload: Uint8Array, firstOrdinal: number): DigestsLeaf {
  const reader = new ByteReader(payload);
  const count = boundedCount(reader);
  const digests: PartitionDigest[] = [];
  let partition = 0;
  for (let i = 0; i < count; i++) {
    partition += reader.uvarint();
    const samples = unzigzag(reader.uvarint());
    const bytes = reader.bytes(16);
    const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
    digests.push({ partition, count: samples, sum: (view.getBigUint64(8, true) << 64n) | view.getBigUint64(0, true) });
  }
  return { firstOrdinal, count, digests, sizeBytes: 64 * count };
}

export function readDigests(tree: BlockTree<DigestsLeaf>, count: number): PartitionDigest[] {
  return [...tree.leaves(0, count)].flatMap((leaf) => leaf.digests);
}

/** The digests of some partitions, ascending. Ordinals say nothing about partitions, so leaves are searched. */
export function findDigests(tree: BlockTree<DigestsLeaf>, count: number, partitions: Uint32Array): PartitionDigest[] {
  const found: PartitionDigest[] = [];
  let from = 0;
  for (let next = 0; next < partitions.length && from < count;) {
    const leaf = leafOf(tree, from, count, partitions[next] as number);
    from = leaf.firstOrdinal;
    const last = leaf.digests.at(-1)?.partition ?? 0;
    const inLeaf = new Map(leaf.digests.map((digest) => [digest.partition, digest]));
    // What is between two leaves, or before the first, is in neither.
    do {
      const digest = inLeaf.get(partitions[next++] as number);
      if (digest) found.push(digest);
    } while (next < partitions.length && (partitions[next] as number) <= last);
  }
  return found;
}

/** The leaf in which a partition is, if in any: the last one from ordinal `from` on that does not begin behind it. */
function leafOf(tree: BlockTree<DigestsLeaf>, from: number, count: number, partition: number): DigestsLeaf {
  let low = from;
  let high = count - 1;
  let best = tree.leafAt(low);
  while (low <= high) {
    const leaf = tree.leafAt((low + high) >>> 1);
    if ((leaf.digests[0]?.partition ?? 0) > partition) high = leaf.firstOrdinal - 1;
    else {
      best = leaf;
      low = leaf.firstOrdinal + leaf.count;
    }
  }
  return best;
}
