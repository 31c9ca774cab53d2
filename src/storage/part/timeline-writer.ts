// The timestamps of a part, stored once by content: a *column* is the timestamps of one page, a *timeline* the columns of
// one series in order. All series of a target share one (docs/formats/part.md, "Timestamps").
import { LRUCache } from 'lru-cache';
import { ByteWriter, kib, mib, present } from '../../base/index.ts';
import type { SampleBuffer } from '../../model/index.ts';
import type { PagesKernel } from '../../wasm/index.ts';
import { type BlockFileWriter, blockKind } from '../index/block-file.ts';
import { BlockTreeWriter } from '../index/block-tree.ts';
import { zigzag } from '../index/index-writer.ts';
import { chooseSlotWidth, lowerBound, slotStartMs, slotWidthsMs } from './slots.ts';

/** Timestamps kept to find equal ones by; what falls out is stored twice, which costs space only. */
const rememberedBytesMax = 16 * mib;
const columnsLeafBytesMax = 16 * kib;
const timelinesLeafBytesMax = 12 * kib;
const leafEntriesMax = 2048;

/** One page's share of a series' samples: [from, to). */
export interface PageCut {
  readonly slotStartMs: number;
  readonly from: number;
  readonly to: number;
  readonly columnId: number;
}

export interface Timeline {
  readonly id: number;
  readonly pages: readonly PageCut[];
}

/** Timestamps of a timeline or column, kept for comparison. */
interface Remembered<Value> {
  readonly timestamps: Float64Array<ArrayBuffer>;
  readonly value: Value;
}

/** Values by the timestamps that they belong to, compared in full; the least recently used are forgotten. */
class TimestampsMap<Value> {
  readonly #entries = new LRUCache<string, Remembered<Value>>({
    maxSize: rememberedBytesMax,
    sizeCalculation: ({ timestamps }) => timestamps.byteLength + 256,
  });

  /** What was set for equal timestamps. Of two whose keys are equal, the later stays. */
  get(timestamps: Float64Array<ArrayBuffer>): Value | undefined {
    const entry = this.#entries.get(keyOf(timestamps));
    return entry && sameBytes(entry.timestamps, timestamps) ? entry.value : undefined;
  }

  set(timestamps: Float64Array<ArrayBuffer>, value: Value): void {
    this.#entries.set(keyOf(timestamps), { timestamps: timestamps.slice(), value });
  }
}

/** A middle timestamp too: targets with one interval often share the first and the last of a window. */
function keyOf(timestamps: Float64Array): string {
  const { length } = timestamps;
  return `${length} ${timestamps[0]} ${timestamps[length >>> 1]} ${timestamps[length - 1]}`;
}

function sameBytes(a: Float64Array, b: Float64Array): boolean {
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

function bytesOf(array: Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

export class TimelineWriter {
  readonly #windowMs: number;
  readonly #kernel: PagesKernel;
  readonly #columnsFile: BlockFileWriter;
  readonly #timelinesFile: BlockFileWriter;
  readonly #columnsTree: BlockTreeWriter;
  readonly #timelinesTree: BlockTreeWriter;
  readonly #columns = new TimestampsMap<number>();
  readonly #timelines = new TimestampsMap<Timeline>();
  readonly #columnsLeaf = new LeafBuffer(columnsLeafBytesMax);
  readonly #timelinesLeaf = new LeafBuffer(timelinesLeafBytesMax);
  #columnsBytes = 0;

  /** Columns go to the file of pages, timelines to the index. */
  constructor(windowMs: number, kernel: PagesKernel, columnsFile: BlockFileWriter, timelinesFile: BlockFileWriter) {
    this.#windowMs = windowMs;
    this.#kernel = kernel;
    this.#columnsFile = columnsFile;
    this.#timelinesFile = timelinesFile;
    this.#columnsTree = new BlockTreeWriter(columnsFile, blockKind.columns);
    this.#timelinesTree = new BlockTreeWriter(timelinesFile, blockKind.timelines);
  }

  get columnsCount(): number {
    return this.#columnsLeaf.entriesCount;
  }

  get timelinesCount(): number {
    return this.#timelinesLeaf.entriesCount;
  }

  /** Bytes of the file that columns have taken. */
  get columnsBytes(): number {
    return this.#columnsBytes;
  }

  /** The timeline of these samples: one that was written already, or a new one. */
  timelineOf(samples: SampleBuffer): Timeline {
    const timestamps = samples.timestampsMs.subarray(0, samples.count);
    const known = this.#timelines.get(timestamps);
    if (known) return known;
    const widthIndex = chooseSlotWidth(timestamps, samples.count, this.#windowMs);
    const widthMs = present(slotWidthsMs[widthIndex], 'slot width');
    const pages: PageCut[] = [];
    for (let from = 0; from < timestamps.length;) {
      const startMs = slotStartMs(timestamps[from] as number, widthMs);
      const to = lowerBound(timestamps, from + 1, timestamps.length, startMs + widthMs);
      const columnId = this.#columnOf(timestamps.subarray(from, to), startMs);
      pages.push({ slotStartMs: startMs, from, to, columnId });
      from = to;
    }
    const timeline = { id: this.#timelinesLeaf.entriesCount, pages };
    this.#writeTimeline(widthIndex, pages);
    this.#timelines.set(timestamps, timeline);
    return timeline;
  }

  #columnOf(timestamps: Float64Array<ArrayBuffer>, startMs: number): number {
    const known = this.#columns.get(timestamps);
    if (known !== undefined) return known;
    const id = this.#columnsLeaf.entriesCount;
    this.#kernel.setTimes(timestamps, 0, timestamps.length);
    const page = this.#kernel.encodeTimes(timestamps.length, startMs);
    const leaf = this.#columnsLeaf;
    leaf.entry((entries) => {
      entries.uvarint(timestamps.length);
      entries.uvarint(page.length);
      entries.bytes(page);
    });
    if (leaf.isFull) this.#cutColumns();
    this.#columns.set(timestamps, id);
    return id;
  }

  #writeTimeline(widthIndex: number, pages: readonly PageCut[]): void {
    const widthMs = present(slotWidthsMs[widthIndex], 'slot width');
    const leaf = this.#timelinesLeaf;
    leaf.entry((entries) => {
      entries.u8(widthIndex);
      entries.uvarint(pages.length);
      let slot = 0;
      let columnId = 0;
      for (const page of pages) {
        const next = page.slotStartMs / widthMs;
        entries.uvarint(zigzag(next - slot));
        entries.uvarint(zigzag(page.columnId - columnId));
        slot = next;
        columnId = page.columnId;
      }
    });
    if (leaf.isFull) this.#cutTimelines();
  }

  #cutColumns(): void {
    const before = this.#columnsFile.sizeBytes;
    this.#columnsTree.addLeaf(this.#columnsLeaf.payload(), this.#columnsLeaf.firstOrdinal);
    this.#columnsLeaf.cut();
    this.#columnsBytes += this.#columnsFile.sizeBytes - before;
  }

  #cutTimelines(): void {
    this.#timelinesTree.addLeaf(this.#timelinesLeaf.payload(), this.#timelinesLeaf.firstOrdinal);
    this.#timelinesLeaf.cut();
  }

  finish(): { readonly columns: Uint8Array; readonly timelines: Uint8Array } {
    if (!this.#columnsLeaf.isEmpty) this.#cutColumns();
    if (!this.#timelinesLeaf.isEmpty) this.#cutTimelines();
    return {
      columns: this.#columnsTree.finish(this.#timelinesFile),
      timelines: this.#timelinesTree.finish(this.#timelinesFile),
    };
  }
}

/** Entries on their way into a leaf, and how many there were before. */
export class LeafBuffer {
  readonly #bytesMax: number;
  readonly #entries = new ByteWriter(256);
  #inLeaf = 0;
  #cutEntries = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get entriesCount(): number {
    return this.#cutEntries + this.#inLeaf;
  }

  get firstOrdinal(): number {
    return this.#cutEntries;
  }

  get isEmpty(): boolean {
    return this.#inLeaf === 0;
  }

  get isFull(): boolean {
    return this.#entries.length >= this.#bytesMax || this.#inLeaf >= leafEntriesMax;
  }

  entry(write: (entries: ByteWriter) => void): void {
    write(this.#entries);
    this.#inLeaf++;
  }

  /** The leaf: the number of entries, and the entries. */
  payload(): Uint8Array {
    const payload = new ByteWriter(this.#entries.length + 8);
    payload.uvarint(this.#inLeaf);
    payload.bytes(this.#entries.view());
    return payload.copy();
  }

  cut(): void {
    this.#cutEntries += this.#inLeaf;
    this.#inLeaf = 0;
    this.#entries.clear();
  }
}
