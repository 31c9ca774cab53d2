// The pages of values of a part on their way to disk. Neighbouring series form a *tile*; within it, the pages of one stripe
// of time lie together, in frames of about 64 KiB (docs/formats/part.md, "Tiles and frames"). Here it is decided which page
// is written as a reference to an equal one, and which as a difference from the series before.
import { ByteWriter, kib, present } from '../../base/index.ts';
import {
  pageBaseSlots,
  pageExponentMask,
  pageFlagBase,
  pageFlagStale,
  pageKind,
  pageKindMask,
} from '../../wasm/index.ts';
import type { PagesKernel } from '../../wasm/index.ts';
import { type BlockFileWriter, blockKind, type CompressedPayload } from '../index/block-file.ts';
import { BlockTreeWriter } from '../index/block-tree.ts';
import { LeafBuffer } from './timeline-writer.ts';

const frameBytesTarget = 64 * kib;
const tileSeriesMax = 2048;
const tilesLeafBytesMax = 12 * kib;
/** Longest chain of differences that a reader of one page has to follow. */
const chainMax = 15;
/** A page must be longer than this to be worth a reference. */
const referencedBytesMin = 24;
const contentSlotsMin = 256;
/** Writers keep bases in the lower half of the kernel's slots. */
const writerSlots = pageBaseSlots / 2;

/** A page that the same page of a later series may be a difference from. */
interface Base {
  readonly frameNumber: number;
  readonly pageIndex: number;
  readonly columnId: number;
  readonly exponent: number;
  /** Differences between it and a page that stands for itself. */
  readonly chain: number;
  /** Where its first byte lies in its frame's pages. */
  readonly offset: number;
}

/** Pages of one stripe that gather for a frame. */
class FrameBuilder {
  /** Which frame of the tile this is: bases may not lie in another. */
  readonly number: number;
  readonly firstOrdinal: number;
  readonly firstPage: number;
  readonly pages = new ByteWriter(4096);
  readonly #ordinals = new ByteWriter(128);
  readonly #lengths = new ByteWriter(256);
  #previousOrdinal = 0;
  count = 0;

  constructor(number: number, firstOrdinal: number, firstPage: number) {
    this.number = number;
    this.firstOrdinal = firstOrdinal;
    this.firstPage = firstPage;
  }

  add(ordinal: number, page: Uint8Array): void {
    this.#ordinals.uvarint(ordinal - this.#previousOrdinal);
    this.#lengths.uvarint(page.length);
    this.pages.bytes(page);
    this.#previousOrdinal = ordinal;
    this.count++;
  }

  payload(): Uint8Array {
    const payload = new ByteWriter(this.pages.length + 4 * this.count + 16);
    payload.uvarint(this.count);
    payload.bytes(this.#ordinals.view());
    payload.bytes(this.#lengths.view());
    payload.bytes(this.pages.view());
    return payload.copy();
  }
}

interface ClosedFrame {
  readonly stripe: number;
  readonly firstOrdinal: number;
  readonly firstPage: number;
  readonly payload: CompressedPayload;
}

export class TileWriter {
  readonly #file: BlockFileWriter;
  readonly #kernel: PagesKernel;
  readonly #stripesCount: number;
  readonly #contents: ContentTable;
  readonly #tree: BlockTreeWriter;
  readonly #leaf = new LeafBuffer(tilesLeafBytesMax);
  /** Position of the first series of the tile, of the leaf's first tile, and of the next series. */
  #tileStart = 0;
  #leafStart = 0;
  #position = -1;
  #rawBytes = 0;
  #framesCount = 0;
  #open: (FrameBuilder | undefined)[] = [];
  #closed: ClosedFrame[] = [];
  /** By page number within a series. */
  #bases: (Base | undefined)[] = [];
  /** Within the series: pages so far, pages in the stripe so far, and which stripe that is. */
  #pageNumber = 0;
  #pageInStripe = 0;
  #stripe = -1;
  readonly #hashKey: Uint8Array;
  readonly #hash = new Uint8Array(16);
  #referencesCount = 0;
  #differencesCount = 0;
  #pagesCount = 0;

  /** `hashKey`: see PartOptions.contentHashKey. */
  constructor(file: BlockFileWriter, kernel: PagesKernel, stripesCount: number, hashKey: Uint8Array) {
    this.#file = file;
    this.#kernel = kernel;
    this.#stripesCount = stripesCount;
    this.#hashKey = hashKey;
    this.#contents = new ContentTable(stripesCount);
    this.#tree = new BlockTreeWriter(file, blockKind.tiles);
  }

  /** How many pages there are, and how many of them are references and differences: for benchmarks. */
  get statistics(): { readonly pages: number; readonly references: number; readonly differences: number } {
    return { pages: this.#pagesCount, references: this.#referencesCount, differences: this.#differencesCount };
  }

  beginSeries(): void {
    const seriesInTile = this.#position + 1 - this.#tileStart;
    if (seriesInTile >= tileSeriesMax || this.#rawBytes >= frameBytesTarget * this.#stripesCount) this.#finishTile();
    this.#position++;
    this.#pageNumber = 0;
    this.#pageInStripe = 0;
    this.#stripe = -1;
  }

  /** Adds the page of the values set in the kernel; stripes must not descend. */
  addPage(stripe: number, slotStartMs: number, columnId: number, count: number): void {
    this.#pageInStripe = stripe === this.#stripe ? this.#pageInStripe + 1 : 0;
    this.#stripe = stripe;
    const ordinal = this.#position - this.#tileStart;
    const frame = this.#frameFor(stripe, ordinal);
    // A copy: the kernel's result is overwritten by the next call.
    const hash = this.#hash;
    hash.set(this.#kernel.hashValues(this.#hashKey, count));
    const original = this.#contents.positionOf(hash, slotStartMs, count);
    const before = frame.pages.length;
    if (original !== undefined) {
      frame.add(ordinal, this.#reference(original, count));
      this.#referencesCount++;
    } else {
      const length = this.#encodePage(frame, ordinal, columnId, count);
      if (length >= referencedBytesMin) this.#contents.set(hash, slotStartMs, count, this.#position);
    }
    this.#rawBytes += frame.pages.length - before;
    this.#pageNumber++;
    this.#pagesCount++;
  }

  #frameFor(stripe: number, ordinal: number): FrameBuilder {
    const open = this.#open[stripe];
    if (open && open.pages.length < frameBytesTarget) return open;
    if (open) this.#closeFrame(stripe, open);
    return (this.#open[stripe] = new FrameBuilder(this.#framesCount++, ordinal, this.#pageInStripe));
  }

  #closeFrame(stripe: number, frame: FrameBuilder): void {
    const { firstOrdinal, firstPage } = frame;
    this.#closed.push({ stripe, firstOrdinal, firstPage, payload: this.#file.compress(frame.payload()) });
  }

  /** The values of an earlier series at the same slot: its distance in positions. */
  #reference(original: number, count: number): Uint8Array {
    const page = new ByteWriter(16);
    page.u8(pageKind.reference | (this.#kernel.holdsStale(count) ? pageFlagStale : 0));
    page.uvarint(this.#position - original);
    return page.view();
  }

  /** Returns the page's length. */
  #encodePage(frame: FrameBuilder, ordinal: number, columnId: number, count: number): number {
    const slot = this.#pageNumber;
    const base = this.#usableBase(frame, slot, columnId);
    const page = this.#kernel.encodeValues(
      count,
      base && { slot, exponent: base.exponent, distance: frame.count - base.pageIndex },
    );
    const kind = present(page[0], 'page') & pageKindMask;
    const isDifference = kind === pageKind.differenceDelta || kind === pageKind.differenceSlope;
    if (isDifference && base) {
      const bytes = frame.pages.view();
      bytes[base.offset] = present(bytes[base.offset], 'base') | pageFlagBase;
      this.#differencesCount++;
    }
    if (slot < writerSlots && (isDifference || kind === pageKind.delta || kind === pageKind.slope)) {
      const next: Base = {
        frameNumber: frame.number,
        pageIndex: frame.count,
        columnId,
        exponent: present(page[1], 'exponent') & pageExponentMask,
        chain: isDifference && base ? base.chain + 1 : 0,
        offset: frame.pages.length,
      };
      this.#kernel.keepBase(slot, count, next);
      this.#bases[slot] = next;
    }
    frame.add(ordinal, page);
    return page.length;
  }

  #usableBase(frame: FrameBuilder, slot: number, columnId: number): Base | undefined {
    const base = this.#bases[slot];
    const usable =
      base &&
      base.frameNumber === frame.number &&
      base.columnId === columnId &&
      base.chain < chainMax &&
      this.#kernel.baseOwner(slot) === base;
    return usable ? base : undefined;
  }

  #finishTile(): void {
    for (const [stripe, frame] of this.#open.entries()) if (frame) this.#closeFrame(stripe, frame);
    // Frames of a stripe were closed in order of their series.
    const frames = this.#closed.sort((a, b) => a.stripe - b.stripe);
    const seriesCount = this.#position + 1 - this.#tileStart;
    if (this.#leaf.isFull) this.#cutLeaf();
    this.#leaf.entry((entries) => {
      entries.uvarint(seriesCount);
      entries.uvarint(frames.length);
      let stripe = 0;
      let end = 0;
      for (const frame of frames) {
        const pointer = this.#file.writeCompressed(blockKind.frame, frame.payload);
        entries.uvarint(frame.stripe - stripe);
        entries.uvarint(frame.firstOrdinal);
        entries.uvarint(frame.firstPage);
        entries.uvarint(pointer.offset - end);
        entries.uvarint(pointer.bytesCount);
        stripe = frame.stripe;
        end = pointer.offset + pointer.bytesCount;
      }
    });
    this.#tileStart = this.#position + 1;
    this.#rawBytes = 0;
    this.#open = [];
    this.#closed = [];
    this.#bases = [];
  }

  #cutLeaf(): void {
    this.#tree.addLeaf(this.#leaf.payload(), this.#leafStart);
    this.#leaf.cut();
    this.#leafStart = this.#tileStart;
  }

  /** Writes what is left; the fences go to `target`. */
  finish(target: BlockFileWriter): Uint8Array {
    if (this.#position >= this.#tileStart) this.#finishTile();
    if (!this.#leaf.isEmpty) this.#cutLeaf();
    return this.#tree.finish(target);
  }
}

/**
 * Where equal values were written before: a direct-mapped cache of the last pages by the keyed hash of their values, which
 * grows with the part up to a limit. A page that was displaced is stored twice, which costs space only.
 */
class ContentTable {
  readonly #slotsMax: number;
  #slots = 0;
  #filled = 0;
  #hashes = new Uint32Array(0);
  #slotStarts = new Float64Array(0);
  #counts = new Uint16Array(0);
  #positions = new Uint32Array(0);

  constructor(stripesCount: number) {
    this.#slotsMax = Math.min(2 ** 18, 2 ** 16 * 2 ** Math.ceil(Math.log2(stripesCount)));
    this.#resize(contentSlotsMin);
  }

  /** The position of the series that had these values at this slot of time. */
  positionOf(hash: Uint8Array, slotStartMs: number, count: number): number | undefined {
    const slot = word(hash, 0) & (this.#slots - 1);
    if (this.#counts[slot] !== count || this.#slotStarts[slot] !== slotStartMs) return undefined;
    for (let i = 0; i < 4; i++) if (this.#hashes[slot * 4 + i] !== word(hash, i)) return undefined;
    return this.#positions[slot];
  }

  set(hash: Uint8Array, slotStartMs: number, count: number, position: number): void {
    if (this.#filled * 8 > this.#slots && this.#slots < this.#slotsMax) this.#resize(this.#slots * 2);
    const slot = word(hash, 0) & (this.#slots - 1);
    if (this.#counts[slot] === 0) this.#filled++;
    for (let i = 0; i < 4; i++) this.#hashes[slot * 4 + i] = word(hash, i);
    this.#slotStarts[slot] = slotStartMs;
    this.#counts[slot] = count;
    this.#positions[slot] = position;
  }

  #resize(slots: number): void {
    const before = {
      hashes: this.#hashes,
      slotStarts: this.#slotStarts,
      counts: this.#counts,
      positions: this.#positions,
    };
    this.#slots = slots;
    this.#hashes = new Uint32Array(slots * 4);
    this.#slotStarts = new Float64Array(slots);
    this.#counts = new Uint16Array(slots);
    this.#positions = new Uint32Array(slots);
    for (let from = 0; from < before.counts.length; from++) {
      if (before.counts[from] === 0) continue;
      const to = present(before.hashes[from * 4], 'hash') & (slots - 1);
      this.#hashes.set(before.hashes.subarray(from * 4, from * 4 + 4), to * 4);
      this.#slotStarts[to] = present(before.slotStarts[from], 'slot');
      this.#counts[to] = present(before.counts[from], 'slot');
      this.#positions[to] = present(before.positions[from], 'slot');
    }
  }
}

/** The i-th of a hash's four little-endian words. */
function word(hash: Uint8Array, i: number): number {
  const at = i * 4;
  const low = (hash[at] as number) | ((hash[at + 1] as number) << 8);
  return (low | ((hash[at + 2] as number) << 16) | ((hash[at + 3] as number) << 24)) >>> 0;
}
