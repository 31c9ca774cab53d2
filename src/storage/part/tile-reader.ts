// Reads pages of values of a part: from a series' position and page to its frame, and through references and differences
// to the values (docs/formats/part.md, "Tiles and frames").
import { ByteReader, present, TimbalaError } from '../../base/index.ts';
import { pageBaseSlots, pageFlagStale, pageKind, pageKindMask, type PagesKernel } from '../../wasm/index.ts';
import type { Cached } from '../index/block-cache.ts';
import { type BlockFile, blockKind, type BlockPointer } from '../index/block-file.ts';
import type { BlockTree, Leaf } from '../index/block-tree.ts';
import { boundedCount } from '../index/series-index.ts';
import type { TimelinePages } from './timeline-reader.ts';

/** The frames of one tile, by stripe, series and page. */
interface Tile {
  readonly firstPosition: number;
  readonly stripes: Uint32Array;
  readonly firstOrdinals: Uint32Array;
  /** For the first series of a frame: how many of its pages in the stripe lie in the frame before. */
  readonly firstPages: Uint32Array;
  readonly offsets: Float64Array;
  readonly bytesCounts: Uint32Array;
}

export interface TilesLeaf extends Leaf {
  readonly tiles: readonly Tile[];
}

/** A decompressed frame: its pages, and whose they are. */
class Frame implements Cached {
  readonly offset: number;
  readonly sizeBytes: number;
  readonly #bytes: Uint8Array;
  readonly #ordinals: Uint32Array;
  /** Page i is bytes[starts[i]..starts[i + 1]). */
  readonly #starts: Uint32Array;

  constructor(offset: number, payload: Uint8Array) {
    this.offset = offset;
    this.#bytes = payload;
    const reader = new ByteReader(payload);
    const count = boundedCount(reader);
    this.#ordinals = new Uint32Array(count);
    this.#starts = new Uint32Array(count + 1);
    let ordinal = 0;
    for (let i = 0; i < count; i++) this.#ordinals[i] = ordinal += reader.uvarint();
    let length = 0;
    for (let i = 0; i < count; i++) this.#starts[i + 1] = length += reader.uvarint();
    if (length !== reader.remaining) throw new TimbalaError('DECODE_FRAME', `${length} bytes of pages announced`);
    const pagesStart = reader.position;
    for (let i = 0; i <= count; i++) this.#starts[i] = (this.#starts[i] as number) + pagesStart;
    this.sizeBytes = payload.length + 8 * count + 256;
  }

  page(index: number): Uint8Array {
    const start = this.#starts[index];
    const end = this.#starts[index + 1];
    if (start === undefined || end === undefined || end <= start) throw missingPage();
    return this.#bytes.subarray(start, end);
  }

  /** The index of the nth page of a series. */
  indexOf(ordinal: number, nth: number): number {
    let low = 0;
    let high = this.#ordinals.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ordinals[middle] as number) < ordinal) low = middle + 1;
      else high = middle;
    }
    if (nth < 0 || this.#ordinals[low + nth] !== ordinal) throw missingPage();
    return low + nth;
  }
}

function missingPage(): TimbalaError {
  return new TimbalaError('DECODE_FRAME', 'a page that should be there is missing');
}

/** Whose mantissas a base slot of the kernel holds. Holds no frame, which may be large. */
class FrameBase {
  readonly file: BlockFile;
  readonly offset: number;
  readonly index: number;

  constructor(file: BlockFile, offset: number, index: number) {
    this.file = file;
    this.offset = offset;
    this.index = index;
  }
}

/** Longer chains of differences are never written (tile-writer.ts). */
const chainMax = 15;
const readerSlots = pageBaseSlots / 2;

/** Where a page lies: a series, its timeline, and a page of it. */
export interface PageLocation {
  readonly position: number;
  readonly timeline: TimelinePages;
  readonly page: number;
}

export class TileReader {
  readonly #file: BlockFile;
  readonly #tiles: BlockTree<TilesLeaf>;
  readonly #kernel: PagesKernel;
  readonly #timelineOf: (position: number) => TimelinePages;

  constructor(
    file: BlockFile,
    tiles: BlockTree<TilesLeaf>,
    kernel: PagesKernel,
    timelineOf: (position: number) => TimelinePages,
  ) {
    this.#file = file;
    this.#tiles = tiles;
    this.#kernel = kernel;
    this.#timelineOf = timelineOf;
  }

  /** Decodes a page into the kernel's `values`; returns whether it may hold stale markers. Throws PART_CORRUPT. */
  decode(location: PageLocation, samplesCount: number): boolean {
    const frame = this.#frameOf(location);
    try {
      const index = frame.frame.indexOf(frame.ordinal, frame.nth);
      const page = frame.frame.page(index);
      const head = page[0] as number;
      if ((head & pageKindMask) === pageKind.reference) {
        this.#decodeReferenced(page, location, samplesCount);
      } else {
        this.#decodeInFrame(frame.frame, index, samplesCount, readerSlots + (location.page % readerSlots), 0);
      }
      return (head & pageFlagStale) !== 0;
    } catch (cause) {
      if (cause instanceof TimbalaError && /^(?:DECODE|PAGE)_/.test(cause.code)) {
        throw this.#file.corrupt(frame.frame.offset, `series ${location.position}, ${cause.message}`, cause);
      }
      throw cause;
    }
  }

  #decodeReferenced(page: Uint8Array, location: PageLocation, samplesCount: number): void {
    const reader = new ByteReader(page, 1);
    const distance = reader.uvarint();
    if (distance === 0 || distance > location.position) throw missingPage();
    const position = location.position - distance;
    const timeline = this.#timelineOf(position);
    const slotStartMs = present(location.timeline.slotStartsMs[location.page], 'page');
    const original = { position, timeline, page: timeline.slotStartsMs.indexOf(slotStartMs) };
    if (original.page < 0) throw missingPage();
    const found = this.#frameOf(original);
    const index = found.frame.indexOf(found.ordinal, found.nth);
    // A reference leads to a page that stands for itself, never to another reference.
    this.#decodeInFrame(found.frame, index, samplesCount, readerSlots + (original.page % readerSlots), 0);
  }

  /** Decodes page `index` after the pages that it is a difference from, as far as the slot does not hold them already. */
  #decodeInFrame(frame: Frame, index: number, samplesCount: number, slot: number, chain: number): void {
    const page = frame.page(index);
    const kind = (page[0] as number) & pageKindMask;
    if (kind === pageKind.differenceDelta || kind === pageKind.differenceSlope) {
      const baseIndex = index - new ByteReader(page, 2).uvarint();
      const held = this.#kernel.baseOwner(slot);
      const holdsBase =
        held instanceof FrameBase &&
        held.file === this.#file &&
        held.offset === frame.offset &&
        held.index === baseIndex;
      if (!holdsBase) {
        if (baseIndex < 0 || baseIndex === index || chain >= chainMax) throw missingPage();
        this.#decodeInFrame(frame, baseIndex, samplesCount, slot, chain + 1);
      }
    }
    this.#kernel.decodeValues(page, samplesCount, slot, slot, new FrameBase(this.#file, frame.offset, index));
  }

  #frameOf(location: PageLocation): { readonly frame: Frame; readonly ordinal: number; readonly nth: number } {
    const { position, timeline, page } = location;
    const leaf = this.#tiles.leafAt(position);
    const tile = tileAt(leaf.tiles, position);
    const ordinal = position - tile.firstPosition;
    const stripe = present(timeline.stripes[page], 'page');
    const nth = present(timeline.pagesInStripe[page], 'page');
    const index = frameIndex(tile, stripe, ordinal, nth);
    const pointer = {
      offset: present(tile.offsets[index], 'frame'),
      bytesCount: present(tile.bytesCounts[index], 'frame'),
    };
    const before = tile.firstOrdinals[index] === ordinal ? present(tile.firstPages[index], 'frame') : 0;
    return { frame: this.#readFrame(pointer), ordinal, nth: nth - before };
  }

  #readFrame(pointer: BlockPointer): Frame {
    const file = this.#file;
    const key = file.cacheKey(pointer.offset);
    const cached = file.caches.get(key) as Frame | undefined;
    if (cached) return cached;
    const payload = file.readBlock(blockKind.frame, pointer);
    const frame = file.decoding(pointer.offset, () => new Frame(pointer.offset, payload));
    file.caches.set(key, frame);
    return frame;
  }

  /** Pointers of all frames. */
  *frames(seriesCount: number): Generator<BlockPointer> {
    for (const leaf of this.#tiles.leaves(0, seriesCount)) {
      for (const tile of leaf.tiles) {
        for (let i = 0; i < tile.offsets.length; i++) {
          yield { offset: present(tile.offsets[i], 'frame'), bytesCount: present(tile.bytesCounts[i], 'frame') };
        }
      }
    }
  }
}

function tileAt(tiles: readonly Tile[], position: number): Tile {
  let low = 0;
  let high = tiles.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (present(tiles[middle], 'tile').firstPosition <= position) low = middle;
    else high = middle - 1;
  }
  return present(tiles[low], 'tile');
}

/** The last frame that begins at or before this page. */
function frameIndex(tile: Tile, stripe: number, ordinal: number, nth: number): number {
  let low = 0;
  let high = tile.stripes.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    const order =
      (tile.stripes[middle] as number) - stripe ||
      (tile.firstOrdinals[middle] as number) - ordinal ||
      (tile.firstPages[middle] as number) - nth;
    if (order <= 0) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function decodeTilesLeaf(payload: Uint8Array, firstOrdinal: number): TilesLeaf {
  const reader = new ByteReader(payload);
  const count = boundedCount(reader);
  const tiles: Tile[] = [];
  let position = firstOrdinal;
  let framesTotal = 0;
  for (let i = 0; i < count; i++) {
    const seriesCount = reader.uvarint();
    const framesCount = reader.uvarint();
    // Five bytes a frame at least.
    if (seriesCount === 0 || framesCount === 0 || framesCount > reader.remaining / 5) {
      throw new TimbalaError('DECODE_TILE', `${framesCount} frames for ${seriesCount} series`);
    }
    tiles.push(readTile(reader, position, framesCount));
    position += seriesCount;
    framesTotal += framesCount;
  }
  return { firstOrdinal, count: position - firstOrdinal, tiles, sizeBytes: 512 * count + 24 * framesTotal };
}

function readTile(reader: ByteReader, firstPosition: number, framesCount: number): Tile {
  const tile: Tile = {
    firstPosition,
    stripes: new Uint32Array(framesCount),
    firstOrdinals: new Uint32Array(framesCount),
    firstPages: new Uint32Array(framesCount),
    offsets: new Float64Array(framesCount),
    bytesCounts: new Uint32Array(framesCount),
  };
  let stripe = 0;
  let end = 0;
  for (let i = 0; i < framesCount; i++) {
    tile.stripes[i] = stripe += reader.uvarint();
    tile.firstOrdinals[i] = reader.uvarint();
    tile.firstPages[i] = reader.uvarint();
    const offset = end + reader.uvarint();
    const bytesCount = reader.uvarint();
    tile.offsets[i] = offset;
    tile.bytesCounts[i] = bytesCount;
    end = offset + bytesCount;
  }
  return tile;
}
