// The labels of a part's series while the part is written: each series a row of pair numbers, told by its difference from
// the row before (neighbours in label order share most of their labels), some ten bytes a series. Pairs are numbered in
// order of first sight; index-writer.ts gives them their final numbers when all are known.
import { assert, ByteWriter, TimbalaError } from '../../base/index.ts';
import { ByteInterner } from './byte-interner.ts';

/** Where the labels of one canonical label set lie in its bytes. */
class LabelCuts {
  bytes: Uint8Array<ArrayBufferLike> = new Uint8Array(0);
  count = 0;
  /** Per label: where its pair begins, where its value's length does, where it ends. */
  starts = new Uint32Array(32);
  middles = new Uint32Array(32);
  ends = new Uint32Array(32);

  parse(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.count = 0;
    for (let at = 0; at < bytes.length;) {
      if (this.count === this.starts.length) this.#grow();
      this.starts[this.count] = at;
      at = this.middles[this.count] = skipString(bytes, at);
      at = this.ends[this.count] = skipString(bytes, at);
      this.count++;
    }
  }

  #grow(): void {
    const { starts, middles, ends } = this;
    this.starts = new Uint32Array(starts.length * 2);
    this.middles = new Uint32Array(starts.length * 2);
    this.ends = new Uint32Array(starts.length * 2);
    this.starts.set(starts);
    this.middles.set(middles);
    this.ends.set(ends);
  }
}

/** The position after a length (LEB128) and as many bytes. Throws LABELS_CORRUPT. */
export function skipString(bytes: Uint8Array, start: number): number {
  const contents = stringStart(bytes, start);
  let length = 0;
  for (let i = contents - 1; i >= start; i--) length = length * 128 + ((bytes[i] as number) & 127);
  if (contents + length > bytes.length) throw new TimbalaError('LABELS_CORRUPT', `label bytes end within a string`);
  return contents + length;
}

/** The position after a length. */
export function stringStart(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && at - start < 5) {
    if ((bytes[at++] as number) < 128) return at;
  }
  throw new TimbalaError('LABELS_CORRUPT', `label bytes have a malformed length at ${start}`);
}

export class LabelRows {
  readonly pairs: ByteInterner;
  readonly #rows = new ByteWriter(1024);
  #cuts = new LabelCuts();
  #previousCuts = new LabelCuts();
  #ids = new Uint32Array(32);
  #previousIds = new Uint32Array(32);
  #previousBytes = new Uint8Array(1024);
  #count = 0;

  constructor(seed: number) {
    this.pairs = new ByteInterner(seed);
  }

  get count(): number {
    return this.#count;
  }

  /** Adds the next series in label order. */
  add(labelBytes: Uint8Array, timelineId: number): void {
    const cuts = this.#cuts;
    const previous = this.#previousCuts;
    cuts.parse(labelBytes);
    if (cuts.count > this.#ids.length) {
      this.#ids = new Uint32Array(cuts.starts.length);
      this.#previousIds = enlarged(this.#previousIds, cuts.starts.length);
    }
    const common = Math.min(cuts.count, previous.count);
    let prefix = 0;
    while (prefix < common && this.#samePair(prefix)) {
      this.#ids[prefix] = this.#previousIds[prefix] as number;
      prefix++;
    }
    assert(this.#count === 0 || this.#follows(prefix), 'series come in label order, none twice');
    for (let i = prefix; i < cuts.count; i++) {
      const same = i < common && this.#samePair(i);
      this.#ids[i] = same
        ? (this.#previousIds[i] as number)
        : this.pairs.intern(labelBytes, cuts.starts[i] as number, cuts.ends[i] as number);
    }
    this.#writeRow(prefix, timelineId);
    this.#remember(labelBytes);
  }

  /** Whether label i has the same bytes as label i of the series before. */
  #samePair(i: number): boolean {
    const cuts = this.#cuts;
    const previous = this.#previousCuts;
    let at = cuts.starts[i] as number;
    let other = previous.starts[i] as number;
    const end = cuts.ends[i] as number;
    if (end - at !== (previous.ends[i] as number) - other) return false;
    while (at < end) if (cuts.bytes[at++] !== previous.bytes[other++]) return false;
    return true;
  }

  /** Whether this series sorts after the one before, given that they first differ in label i. */
  #follows(i: number): boolean {
    const cuts = this.#cuts;
    const previous = this.#previousCuts;
    if (i >= previous.count) return cuts.count > previous.count;
    if (i >= cuts.count) return false;
    const names = compareStrings(cuts.bytes, cuts.starts[i] as number, previous.bytes, previous.starts[i] as number);
    if (names !== 0) return names > 0;
    return compareStrings(cuts.bytes, cuts.middles[i] as number, previous.bytes, previous.middles[i] as number) > 0;
  }

  #writeRow(prefix: number, timelineId: number): void {
    const { count } = this.#cuts;
    const rows = this.#rows;
    rows.uvarint(timelineId);
    rows.uvarint(count);
    rows.uvarint(prefix);
    for (let i = prefix; i < count; i++) rows.uvarint(this.#ids[i] as number);
    this.#count++;
  }

  #remember(labelBytes: Uint8Array): void {
    if (labelBytes.length > this.#previousBytes.length) this.#previousBytes = new Uint8Array(labelBytes.length * 2);
    this.#previousBytes.set(labelBytes);
    [this.#cuts, this.#previousCuts] = [this.#previousCuts, this.#cuts];
    this.#previousCuts.bytes = this.#previousBytes;
    [this.#ids, this.#previousIds] = [this.#previousIds, this.#ids];
  }

  cursor(): RowCursor {
    return new RowCursor(this.#rows.view(), this.#count);
  }
}

/** Walks the rows in order. */
export class RowCursor {
  readonly #bytes: Uint8Array;
  #at = 0;
  #left: number;
  /** The row's pair numbers (of first sight): the first `count`. */
  ids = new Uint32Array(32);
  count = 0;
  timelineId = 0;

  constructor(bytes: Uint8Array, rowsCount: number) {
    this.#bytes = bytes;
    this.#left = rowsCount;
  }

  next(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    this.timelineId = this.#uvarint();
    this.count = this.#uvarint();
    if (this.count > this.ids.length) this.ids = enlarged(this.ids, this.count * 2);
    for (let i = this.#uvarint(); i < this.count; i++) this.ids[i] = this.#uvarint();
    return true;
  }

  /** The rows are our own memory: no bounds to check. */
  #uvarint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  }
}

function enlarged(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(Math.max(length, array.length));
  grown.set(array);
  return grown;
}

/** The order of `Labels.compare` on canonical label bytes. */
export function compareLabelBytes(a: Uint8Array, b: Uint8Array): number {
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const order = compareStrings(a, i, b, j);
    if (order !== 0) return order;
    i = skipString(a, i);
    j = skipString(b, j);
  }
  return a.length - i - (b.length - j);
}

/** Compares two strings that lie as length and bytes: by their bytes, not their lengths. */
export function compareStrings(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number): number {
  let i = stringStart(a, aStart);
  let j = stringStart(b, bStart);
  const aEnd = skipString(a, aStart);
  const bEnd = skipString(b, bStart);
  for (; i < aEnd && j < bEnd; i++, j++) {
    if (a[i] !== b[j]) return (a[i] as number) - (b[j] as number);
  }
  return aEnd - i - (bEnd - j);
}
