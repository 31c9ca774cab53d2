// Writes what finds series in a part: names, pairs, postings and series (docs/formats/index.md), once all are known. The
// rows are walked a few times rather than kept expanded: memory beyond them is bounded by `postingsEntriesMax`.
import { ByteWriter, kib } from '../../base/index.ts';
import { type BlockFileWriter, blockKind } from './block-file.ts';
import { BlockTreeWriter } from './block-tree.ts';
import { compareStrings, type LabelRows, skipString, stringStart } from './label-rows.ts';
import { encodePostings } from './postings.ts';
import { writeFrontCoded } from './string-table.ts';

/** Leaves are cut when they reach this, or the number of entries. */
const leafBytesMax = 12 * kib;
const leafEntriesMax = 512;
/** Postings are a stream cut into blocks of exactly this. */
export const postingsBlockBytes = 16 * kib;
/** Positions gathered at once while postings are turned round: 32 MiB. */
const postingsEntriesMax = 8 * 1024 * 1024;

/** A tree that was written: its root goes to the footer. */
interface WrittenTree {
  readonly entriesCount: number;
  readonly root: Uint8Array;
}

export interface WrittenIndex {
  readonly names: WrittenTree;
  readonly pairs: WrittenTree;
  readonly postings: WrittenTree;
  readonly series: WrittenTree;
}

export function writeIndex(rows: LabelRows, file: BlockFileWriter): WrittenIndex {
  const order = sortPairs(rows);
  const series = { entriesCount: rows.count, root: writeSeries(rows, order, file) };
  const names = { entriesCount: order.namesCount, root: writeNames(rows, order, file) };
  return { names, ...new PostingsWriter(rows, order, file).write(), series };
}

/** The final numbers of pairs: their ranks by name and value bytes. */
interface PairOrder {
  /** Numbers of first sight in final order, and the inverse. */
  readonly sorted: Uint32Array;
  readonly ranks: Uint32Array;
  /** Per rank: the number of its name, which is the name's rank. */
  readonly nameIds: Uint32Array;
  readonly namesCount: number;
}

function sortPairs(rows: LabelRows): PairOrder {
  const { pairs } = rows;
  const { arena } = pairs;
  const compareNames = (a: number, b: number): number =>
    compareStrings(arena, pairs.startOf(a), arena, pairs.startOf(b));
  const compareValues = (a: number, b: number): number =>
    compareStrings(arena, skipString(arena, pairs.startOf(a)), arena, skipString(arena, pairs.startOf(b)));
  const sorted = Uint32Array.from({ length: pairs.count }, (_, id) => id);
  sorted.sort((a, b) => compareNames(a, b) || compareValues(a, b));
  const ranks = new Uint32Array(sorted.length);
  const nameIds = new Uint32Array(sorted.length);
  let namesCount = 0;
  for (let rank = 0; rank < sorted.length; rank++) {
    const id = sorted[rank] as number;
    ranks[id] = rank;
    if (rank === 0 || compareNames(sorted[rank - 1] as number, id) !== 0) namesCount++;
    nameIds[rank] = namesCount - 1;
  }
  return { sorted, ranks, nameIds, namesCount };
}

function writeSeries(rows: LabelRows, { ranks }: PairOrder, file: BlockFileWriter): Uint8Array {
  const tree = new BlockTreeWriter(file, blockKind.series);
  const leaf = new ByteWriter(1024);
  const cursor = rows.cursor();
  let previous = new Uint32Array(32);
  let current = new Uint32Array(32);
  let previousCount = 0;
  let previousTimeline = 0;
  let position = 0;
  let inLeaf = 0;
  const cut = (): void => {
    tree.addLeaf(withCount(inLeaf, leaf), position - inLeaf);
    leaf.clear();
    inLeaf = previousCount = previousTimeline = 0;
  };
  while (cursor.next()) {
    const { count } = cursor;
    if (count > current.length) [current, previous] = [new Uint32Array(count * 2), grown(previous, count * 2)];
    for (let i = 0; i < count; i++) current[i] = ranks[cursor.ids[i] as number] as number;
    const common = Math.min(count, previousCount);
    let prefix = 0;
    while (prefix < common && current[prefix] === previous[prefix]) prefix++;
    let suffix = 0;
    // A suffix only counts between rows of the same length, where it is the same labels.
    if (count === previousCount)
      while (suffix < count - prefix && sameFromEnd(current, previous, count, suffix)) suffix++;
    leaf.uvarint(count);
    leaf.uvarint(prefix);
    leaf.uvarint(suffix);
    for (let i = prefix; i < count - suffix; i++) {
      leaf.uvarint(zigzag((current[i] as number) - (i < previousCount ? (previous[i] as number) : 0)));
    }
    leaf.uvarint(zigzag(cursor.timelineId - previousTimeline));
    previousTimeline = cursor.timelineId;
    previousCount = count;
    [current, previous] = [previous, current];
    position++;
    inLeaf++;
    if (inLeaf === leafEntriesMax || leaf.length >= leafBytesMax) cut();
  }
  if (inLeaf > 0) cut();
  return tree.finish(file);
}

function sameFromEnd(a: Uint32Array, b: Uint32Array, count: number, suffix: number): boolean {
  return a[count - 1 - suffix] === b[count - 1 - suffix];
}

function writeNames(rows: LabelRows, order: PairOrder, file: BlockFileWriter): Uint8Array {
  const tree = new BlockTreeWriter(file, blockKind.names);
  const leaf = new ByteWriter(1024);
  let previous = new Uint8Array(0);
  let firstKey = previous;
  let inLeaf = 0;
  let nameId = 0;
  const cut = (): void => {
    tree.addLeaf(withCount(inLeaf, leaf), nameId - inLeaf, firstKey);
    leaf.clear();
    previous = new Uint8Array(0);
    inLeaf = 0;
  };
  for (let rank = 0; rank < order.sorted.length; rank++) {
    if (rank > 0 && order.nameIds[rank] === order.nameIds[rank - 1]) continue;
    const name = stringBytes(rows.pairs.bytesOf(order.sorted[rank] as number), 0);
    if (inLeaf === 0) firstKey = name;
    writeFrontCoded(leaf, previous, name);
    leaf.uvarint(rank);
    previous = name;
    nameId++;
    inLeaf++;
    if (inLeaf === leafEntriesMax || leaf.length >= leafBytesMax) cut();
  }
  if (inLeaf > 0) cut();
  return tree.finish(file);
}

/** A copy of the string at `start`, without its length. */
function stringBytes(bytes: Uint8Array, start: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes.subarray(stringStart(bytes, start), skipString(bytes, start)));
}

/** Key of a pair in the fences: its name's number, big-endian, and its value. */
export function pairKey(nameId: number, value: Uint8Array): Uint8Array<ArrayBuffer> {
  const key = new Uint8Array(4 + value.length);
  new DataView(key.buffer).setUint32(0, nameId);
  key.set(value, 4);
  return key;
}

/** Turns rows round into a posting list for each pair, and writes pairs and lists side by side. */
class PostingsWriter {
  readonly #rows: LabelRows;
  readonly #order: PairOrder;
  readonly #file: BlockFileWriter;
  readonly #pairs: BlockTreeWriter;
  readonly #postings: BlockTreeWriter;
  /** The part of the stream that is not in a block yet, and where it begins. */
  readonly #stream = new ByteWriter(1024);
  #streamBlocks = 0;
  #streamBytes = 0;
  readonly #leaf = new ByteWriter(1024);
  #inLeaf = 0;
  #leafHead = { nameId: 0, streamOffset: 0, key: new Uint8Array(0) };
  #previousNameId = 0;
  #previousValue = new Uint8Array(0);

  constructor(rows: LabelRows, order: PairOrder, file: BlockFileWriter) {
    this.#rows = rows;
    this.#order = order;
    this.#file = file;
    this.#pairs = new BlockTreeWriter(file, blockKind.pairs);
    this.#postings = new BlockTreeWriter(file, blockKind.postings);
  }

  write(): { readonly pairs: WrittenTree; readonly postings: WrittenTree } {
    const counts = this.#countSeries();
    for (let first = 0; first < counts.length;) {
      let end = first;
      let entries = 0;
      while (end < counts.length && (end === first || entries + (counts[end] as number) <= postingsEntriesMax)) {
        entries += counts[end++] as number;
      }
      this.#writePairs(first, end, counts, entries);
      first = end;
    }
    if (this.#inLeaf > 0) this.#cutLeaf(counts.length);
    this.#cutStream(0);
    return {
      pairs: { entriesCount: counts.length, root: this.#pairs.finish(this.#file) },
      postings: { entriesCount: this.#streamBlocks, root: this.#postings.finish(this.#file) },
    };
  }

  /** Series per pair, by rank. */
  #countSeries(): Uint32Array {
    const { ranks } = this.#order;
    const counts = new Uint32Array(ranks.length);
    for (const cursor = this.#rows.cursor(); cursor.next();) {
      for (let i = 0; i < cursor.count; i++) {
        const rank = ranks[cursor.ids[i] as number] as number;
        counts[rank] = (counts[rank] as number) + 1;
      }
    }
    return counts;
  }

  #writePairs(first: number, end: number, counts: Uint32Array, entries: number): void {
    const { ranks } = this.#order;
    const starts = new Uint32Array(end - first + 1);
    for (let rank = first; rank < end; rank++) {
      starts[rank - first + 1] = (starts[rank - first] as number) + (counts[rank] as number);
    }
    const fill = starts.slice();
    const positions = new Uint32Array(entries);
    let position = 0;
    for (const cursor = this.#rows.cursor(); cursor.next(); position++) {
      for (let i = 0; i < cursor.count; i++) {
        const rank = ranks[cursor.ids[i] as number] as number;
        if (rank < first || rank >= end) continue;
        const at = fill[rank - first] as number;
        positions[at] = position;
        fill[rank - first] = at + 1;
      }
    }
    for (let rank = first; rank < end; rank++) {
      this.#writePair(rank, positions, starts[rank - first] as number, starts[rank - first + 1] as number);
    }
  }

  #writePair(rank: number, positions: Uint32Array, from: number, to: number): void {
    const pair = this.#rows.pairs.bytesOf(this.#order.sorted[rank] as number);
    const nameId = this.#order.nameIds[rank] as number;
    const value = stringBytes(pair, skipString(pair, 0));
    if (this.#inLeaf === 0) {
      this.#leafHead = { nameId, streamOffset: this.#streamBytes, key: pairKey(nameId, value) };
      this.#previousNameId = nameId;
      this.#previousValue = new Uint8Array(0);
    }
    const leaf = this.#leaf;
    leaf.uvarint(nameId - this.#previousNameId);
    writeFrontCoded(leaf, nameId === this.#previousNameId ? this.#previousValue : new Uint8Array(0), value);
    leaf.uvarint(to - from);
    if (to - from === 1) leaf.uvarint(positions[from] as number);
    else leaf.uvarint(this.#writeList(positions, from, to));
    this.#previousNameId = nameId;
    this.#previousValue = value;
    this.#inLeaf++;
    if (this.#inLeaf === leafEntriesMax || leaf.length >= leafBytesMax) this.#cutLeaf(rank + 1);
  }

  /** Appends a list to the stream; returns its length. */
  #writeList(positions: Uint32Array, from: number, to: number): number {
    const before = this.#stream.length;
    encodePostings(positions, from, to, this.#stream);
    const length = this.#stream.length - before;
    this.#streamBytes += length;
    if (this.#stream.length >= postingsBlockBytes) this.#cutStream(postingsBlockBytes);
    return length;
  }

  /** Writes blocks while there are at least `bytesMin` (or any) bytes left. */
  #cutStream(bytesMin: number): void {
    const bytes = this.#stream.copy();
    let at = 0;
    while (bytes.length - at >= Math.max(1, bytesMin)) {
      this.#postings.addLeaf(bytes.subarray(at, at + postingsBlockBytes), this.#streamBlocks++);
      at = Math.min(bytes.length, at + postingsBlockBytes);
    }
    this.#stream.clear();
    this.#stream.bytes(bytes.subarray(at));
  }

  #cutLeaf(nextRank: number): void {
    const payload = new ByteWriter(this.#leaf.length + 32);
    payload.uvarint(this.#inLeaf);
    payload.uvarint(this.#leafHead.nameId);
    payload.uvarint(this.#leafHead.streamOffset);
    payload.bytes(this.#leaf.view());
    this.#pairs.addLeaf(payload.copy(), nextRank - this.#inLeaf, this.#leafHead.key);
    this.#leaf.clear();
    this.#inLeaf = 0;
  }
}

function withCount(count: number, entries: ByteWriter): Uint8Array<ArrayBuffer> {
  const payload = new ByteWriter(entries.length + 8);
  payload.uvarint(count);
  payload.bytes(entries.view());
  return payload.copy();
}

function grown(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const result = new Uint32Array(length);
  result.set(array);
  return result;
}

export function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

export function unzigzag(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
}
