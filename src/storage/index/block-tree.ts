// Static search trees over blocks (docs/formats/index.md, "Trees"): leaves hold a section's entries, fences above them say
// with which ordinal, and where it matters which key, each child begins. The root is pinned by the part's footer.
import { ByteReader, ByteWriter, present, type TimbalaError } from '../../base/index.ts';
import type { Cached } from './block-cache.ts';
import { type BlockFile, type BlockFileWriter, blockKind, type BlockPointer } from './block-file.ts';

/** A block of fences is cut when it has grown to this. A root is at most as large. */
const fencesBytesMax = 8 * 1024;

interface Fence extends BlockPointer {
  readonly ordinal: number;
  readonly key: Uint8Array;
}

const noKey = new Uint8Array(0);

/** Collects the fences of leaves as they are written, in ordinal (and key) order. */
export class BlockTreeWriter {
  readonly #file: BlockFileWriter;
  readonly #kind: number;
  #fences: Fence[] = [];

  constructor(file: BlockFileWriter, kind: number) {
    this.#file = file;
    this.#kind = kind;
  }

  /** A leaf whose first entry has this ordinal and key. */
  addLeaf(payload: Uint8Array, firstOrdinal: number, firstKey: Uint8Array = noKey): void {
    const pointer = this.#file.writeBlock(this.#kind, payload);
    this.#fences.push({ ...pointer, ordinal: firstOrdinal, key: firstKey });
  }

  /** Writes the levels above the leaves to `target`; returns the root. */
  finish(target: BlockFileWriter): Uint8Array {
    let level = 0;
    for (;;) {
      const payloads = encodeFences(this.#fences, level);
      if (payloads.length === 1) return (payloads[0] as EncodedFences).payload;
      this.#fences = payloads.map(({ payload, first }) => ({
        ...target.writeBlock(blockKind.fences, payload),
        ordinal: first.ordinal,
        key: first.key,
      }));
      level++;
    }
  }
}

interface EncodedFences {
  readonly payload: Uint8Array;
  readonly first: Fence;
}

const emptyFence: Fence = { ordinal: 0, offset: 0, bytesCount: 0, key: noKey };

function encodeFences(fences: readonly Fence[], level: number): EncodedFences[] {
  const encoded: EncodedFences[] = [];
  const writer = new ByteWriter();
  let first = fences[0] ?? emptyFence;
  let previous = emptyFence;
  let count = 0;
  const cut = (): void => {
    const head = new ByteWriter(16);
    head.u8(level);
    head.uvarint(count);
    head.bytes(writer.view());
    encoded.push({ payload: head.copy(), first });
    writer.clear();
    previous = emptyFence;
    count = 0;
  };
  for (const fence of fences) {
    if (writer.length > fencesBytesMax - 64 - fence.key.length && count > 1) {
      cut();
      first = fence;
    }
    writer.uvarint(fence.ordinal - previous.ordinal);
    writer.uvarint(fence.offset - previous.offset);
    writer.uvarint(fence.bytesCount);
    writer.uvarint(fence.key.length);
    writer.bytes(fence.key);
    previous = fence;
    count++;
  }
  cut();
  return encoded;
}

/** Decoded fences. */
class Fences implements Cached {
  readonly level: number;
  readonly ordinals: Float64Array;
  readonly offsets: Float64Array;
  readonly bytesCounts: Uint32Array;
  readonly keys: readonly Uint8Array[];
  readonly sizeBytes: number;

  constructor(payload: Uint8Array) {
    const reader = new ByteReader(payload);
    this.level = reader.u8();
    const count = reader.uvarint();
    // Four bytes an entry at least: a false count can't make a large allocation.
    const bounded = Math.min(count, Math.ceil(reader.remaining / 4));
    this.ordinals = new Float64Array(bounded);
    this.offsets = new Float64Array(bounded);
    this.bytesCounts = new Uint32Array(bounded);
    const keys: Uint8Array[] = [];
    let ordinal = 0;
    let offset = 0;
    for (let i = 0; i < count; i++) {
      ordinal += reader.uvarint();
      offset += reader.uvarint();
      this.ordinals[i] = ordinal;
      this.offsets[i] = offset;
      this.bytesCounts[i] = reader.uvarint();
      const key = reader.bytes(reader.uvarint());
      keys.push(key.length === 0 ? noKey : key);
    }
    this.keys = keys;
    this.sizeBytes = payload.length + 128 * count;
  }

  /** The last fence whose ordinal is at most `ordinal`. */
  indexOfOrdinal(ordinal: number): number {
    let low = 0;
    let high = this.ordinals.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.ordinals[middle] as number) <= ordinal) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The last fence whose key is at most `key`, or the first. */
  indexOfKey(key: Uint8Array): number {
    let low = 0;
    let high = this.keys.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (Buffer.compare(this.keys[middle] as Uint8Array, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** A decoded leaf: entries `firstOrdinal` to `firstOrdinal + count − 1`. */
export interface Leaf extends Cached {
  readonly firstOrdinal: number;
  readonly count: number;
}

interface LeafPointer extends BlockPointer {
  readonly firstOrdinal: number;
}

export type LeafDecoder<L extends Leaf> = (payload: Uint8Array, firstOrdinal: number) => L;

/** Reads a tree whose leaves lie in `leafFile` and whose fences lie in `fencesFile`. */
export class BlockTree<L extends Leaf> {
  readonly #leafFile: BlockFile;
  readonly #fencesFile: BlockFile;
  readonly #kind: number;
  readonly #decode: LeafDecoder<L>;
  readonly #root: Fences;
  /** Scans meet the same leaf many times in a row. */
  #last: L | undefined;

  constructor(leafFile: BlockFile, fencesFile: BlockFile, kind: number, root: Uint8Array, decode: LeafDecoder<L>) {
    this.#leafFile = leafFile;
    this.#fencesFile = fencesFile;
    this.#kind = kind;
    this.#decode = decode;
    this.#root = new Fences(root);
  }

  get isEmpty(): boolean {
    return this.#root.ordinals.length === 0;
  }

  /** The leaf that would hold this ordinal. The tree must not be empty. */
  leafAt(ordinal: number): L {
    const last = this.#last;
    if (last && ordinal >= last.firstOrdinal && ordinal < last.firstOrdinal + last.count) return last;
    const leaf = this.#readLeaf(this.#descend((fences) => fences.indexOfOrdinal(ordinal)));
    if (ordinal < leaf.firstOrdinal || ordinal >= leaf.firstOrdinal + leaf.count) {
      throw this.corrupt(ordinal, `entry ${ordinal} of section ${this.#kind} is missing`);
    }
    this.#last = leaf;
    return leaf;
  }

  /** The leaf that would hold this key. The tree must not be empty. */
  leafForKey(key: Uint8Array): L {
    return this.#readLeaf(this.#descend((fences) => fences.indexOfKey(key)));
  }

  /** PART_CORRUPT at the block of this entry: for faults that show only when the entry is used. */
  corrupt(ordinal: number, what: string, cause?: unknown): TimbalaError {
    const { offset } = this.#descend((fences) => fences.indexOfOrdinal(ordinal));
    return this.#leafFile.corrupt(offset, what, cause);
  }

  /** Every leaf from the one with `ordinal` on. */
  *leaves(ordinal: number, count: number): Generator<L> {
    for (let next = ordinal; next < count;) {
      const leaf = this.leafAt(next);
      yield leaf;
      next = leaf.firstOrdinal + leaf.count;
    }
  }

  /** Pointers of all blocks below the root, for a check of every byte. */
  *blocks(): Generator<{ readonly file: BlockFile; readonly kind: number; readonly pointer: BlockPointer }> {
    const pending: Fences[] = [this.#root];
    for (let fences = pending.pop(); fences; fences = pending.pop()) {
      for (let i = 0; i < fences.ordinals.length; i++) {
        const pointer = pointerAt(fences, i);
        if (fences.level > 0) {
          pending.push(this.#readFences(pointer));
          yield { file: this.#fencesFile, kind: blockKind.fences, pointer };
        } else {
          yield { file: this.#leafFile, kind: this.#kind, pointer };
        }
      }
    }
  }

  /** The leaf that `choose` leads to from the root. */
  #descend(choose: (fences: Fences) => number): LeafPointer {
    let fences = this.#root;
    for (;;) {
      const index = choose(fences);
      const pointer = pointerAt(fences, index);
      if (fences.level === 0) return { ...pointer, firstOrdinal: present(fences.ordinals[index], 'fence') };
      fences = this.#readFences(pointer);
    }
  }

  #readFences(pointer: BlockPointer): Fences {
    const file = this.#fencesFile;
    const key = file.cacheKey(pointer.offset);
    const cached = file.caches.get(key) as Fences | undefined;
    if (cached) return cached;
    const payload = file.readBlock(blockKind.fences, pointer);
    const fences = file.decoding(pointer.offset, () => new Fences(payload));
    file.caches.set(key, fences);
    return fences;
  }

  #readLeaf(pointer: LeafPointer): L {
    const file = this.#leafFile;
    const key = file.cacheKey(pointer.offset);
    const cached = file.caches.get(key) as L | undefined;
    if (cached) return cached;
    const payload = file.readBlock(this.#kind, pointer);
    const leaf = file.decoding(pointer.offset, () => this.#decode(payload, pointer.firstOrdinal));
    file.caches.set(key, leaf);
    return leaf;
  }
}

function pointerAt(fences: Fences, index: number): BlockPointer {
  return {
    offset: present(fences.offsets[index], 'fence'),
    bytesCount: present(fences.bytesCounts[index], 'fence'),
  };
}
