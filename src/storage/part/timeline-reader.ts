// Timestamps of a part as they are read (docs/formats/part.md, "Timestamps"): timelines, their columns, and the view of a
// range of time that all series of one timeline share.
import { ByteReader, errorMessage, hasCode, present, TimbalaError } from '../../base/index.ts';
import type { PagesKernel } from '../../wasm/index.ts';
import type { Cached, PartCaches } from '../index/block-cache.ts';
import type { BlockTree, Leaf } from '../index/block-tree.ts';
import { unzigzag } from '../index/index-writer.ts';
import { boundedCount } from '../index/series-index.ts';
import { lowerBound, slotWidthsMs, stripeOf } from './slots.ts';

/** The pages of a series in time order: where their slots begin, and which columns they have. */
export interface TimelinePages {
  readonly slotStartsMs: Float64Array;
  readonly columnIds: Uint32Array;
  readonly widthMs: number;
  /** The stripe that each page lies in, and which of the series' pages there it is. */
  readonly stripes: Uint32Array;
  readonly pagesInStripe: Uint32Array;
}

export interface TimelinesLeaf extends Leaf {
  readonly timelines: readonly TimelinePages[];
}

/** Encoded columns. */
export interface ColumnsLeaf extends Leaf {
  readonly samplesCounts: Uint32Array;
  readonly pages: readonly Uint8Array[];
}

/** The timestamps of one page. */
interface Column extends Cached {
  readonly timesMs: Float64Array<ArrayBuffer>;
}

/**
 * Equal by identity where timestamps are equal: one for each view of a timeline, and one for each view that follows
 * certain other timestamps.
 */
export class TimestampsKey {
  readonly #following = new WeakMap<object, TimestampsKey>();

  /** The key of this key's timestamps after those of `previous`. */
  after(previous: object): TimestampsKey {
    let key = this.#following.get(previous);
    if (!key) this.#following.set(previous, (key = new TimestampsKey()));
    return key;
  }
}

/** One page's share of a range of time. */
export interface ViewPiece {
  /** The page's number in its timeline. */
  readonly page: number;
  /** Samples in the whole page. */
  readonly samplesCount: number;
  /** Which of them are in the range: [from, to). */
  readonly from: number;
  readonly to: number;
  readonly timesMs: Float64Array<ArrayBuffer>;
}

/** What of a timeline lies in a range of time. */
export interface RangeView extends Cached {
  readonly startMs: number;
  readonly endMs: number;
  readonly count: number;
  readonly pieces: readonly ViewPiece[];
  readonly key: TimestampsKey;
}

export class TimelineReader {
  readonly #timelines: BlockTree<TimelinesLeaf>;
  readonly #columns: BlockTree<ColumnsLeaf>;
  readonly #kernel: PagesKernel;
  readonly #caches: PartCaches;
  readonly #columnsSerial: number;
  readonly #viewsSerial: number;

  constructor(
    timelines: BlockTree<TimelinesLeaf>,
    columns: BlockTree<ColumnsLeaf>,
    kernel: PagesKernel,
    caches: PartCaches,
  ) {
    this.#timelines = timelines;
    this.#columns = columns;
    this.#kernel = kernel;
    this.#caches = caches;
    this.#columnsSerial = caches.takeSerial();
    this.#viewsSerial = caches.takeSerial();
  }

  /** Serials that this reader's entries in the cache were made of. */
  get serials(): readonly number[] {
    return [this.#columnsSerial, this.#viewsSerial];
  }

  pagesOf(timelineId: number): TimelinePages {
    const leaf = this.#timelines.leafAt(timelineId);
    return present(leaf.timelines[timelineId - leaf.firstOrdinal], 'timeline');
  }

  /** Samples within [startMs, endMs]. One view per timeline is kept: a query asks all series for the same range. */
  view(timelineId: number, startMs: number, endMs: number): RangeView {
    const key = this.#viewsSerial * 2 ** 32 + timelineId;
    const cached = this.#caches.get(key) as RangeView | undefined;
    if (cached && cached.startMs === startMs && cached.endMs === endMs) return cached;
    const view = this.#makeView(this.pagesOf(timelineId), startMs, endMs);
    this.#caches.set(key, view);
    return view;
  }

  #makeView(timeline: TimelinePages, startMs: number, endMs: number): RangeView {
    const { slotStartsMs, widthMs } = timeline;
    const pieces: ViewPiece[] = [];
    let count = 0;
    // The first slot that ends after the start of the range.
    const first = lowerBound(slotStartsMs, 0, slotStartsMs.length, startMs - widthMs + 1);
    for (let page = first; page < slotStartsMs.length && (slotStartsMs[page] as number) <= endMs; page++) {
      const times = this.#column(timeline, page);
      const from = lowerBound(times, 0, times.length, startMs);
      const to = lowerBound(times, from, times.length, endMs + 1);
      if (from === to) continue;
      pieces.push({ page, samplesCount: times.length, from, to, timesMs: times.subarray(from, to) });
      count += to - from;
    }
    const columnsBytes = pieces.reduce((sum, piece) => sum + piece.samplesCount * 8, 0);
    return {
      startMs,
      endMs,
      count,
      pieces,
      key: new TimestampsKey(),
      sizeBytes: 256 + 128 * pieces.length + columnsBytes,
    };
  }

  #column(timeline: TimelinePages, page: number): Float64Array<ArrayBuffer> {
    const id = present(timeline.columnIds[page], 'page');
    const key = this.#columnsSerial * 2 ** 32 + id;
    const cached = this.#caches.get(key) as Column | undefined;
    if (cached) return cached.timesMs;
    const leaf = this.#columns.leafAt(id);
    const index = id - leaf.firstOrdinal;
    const count = present(leaf.samplesCounts[index], 'column');
    try {
      const slotStartMs = present(timeline.slotStartsMs[page], 'page');
      this.#kernel.decodeTimes(present(leaf.pages[index], 'column'), count, slotStartMs);
    } catch (cause) {
      if (hasCode(cause, 'PAGE_CORRUPT'))
        throw this.#columns.corrupt(id, `column ${id}, ${errorMessage(cause)}`, cause);
      throw cause;
    }
    const timesMs = this.#kernel.times.slice(0, count);
    const column: Column = { timesMs, sizeBytes: timesMs.byteLength + 128 };
    this.#caches.set(key, column);
    return timesMs;
  }

  /** The first and the last timestamp of a timeline. */
  timeRange(timelineId: number): { readonly minTimeMs: number; readonly maxTimeMs: number } {
    const timeline = this.pagesOf(timelineId);
    const first = this.#column(timeline, 0);
    const last = this.#column(timeline, timeline.columnIds.length - 1);
    return { minTimeMs: present(first[0], 'timestamp'), maxTimeMs: present(last.at(-1), 'timestamp') };
  }
}

export function decodeTimelinesLeaf(
  payload: Uint8Array,
  firstOrdinal: number,
  windowStartMs: number,
  stripeMs: number,
): TimelinesLeaf {
  const reader = new ByteReader(payload);
  const count = boundedCount(reader);
  const timelines: TimelinePages[] = [];
  let pagesTotal = 0;
  for (let i = 0; i < count; i++) {
    const timeline = readTimeline(reader, windowStartMs, stripeMs);
    timelines.push(timeline);
    pagesTotal += timeline.columnIds.length;
  }
  return { firstOrdinal, count, timelines, sizeBytes: 512 * count + 20 * pagesTotal };
}

function readTimeline(reader: ByteReader, windowStartMs: number, stripeMs: number): TimelinePages {
  const widthMs = slotWidthsMs[reader.u8()];
  if (widthMs === undefined) throw new TimbalaError('DECODE_TIMELINE', 'its slots have an unknown width');
  const count = reader.uvarint();
  // Two bytes a page at least.
  if (count === 0 || count > reader.remaining / 2) throw new TimbalaError('DECODE_TIMELINE', `${count} pages`);
  const slotStartsMs = new Float64Array(count);
  const columnIds = new Uint32Array(count);
  const stripes = new Uint32Array(count);
  const pagesInStripe = new Uint32Array(count);
  let slot = 0;
  let columnId = 0;
  for (let page = 0; page < count; page++) {
    slot += unzigzag(reader.uvarint());
    columnId += unzigzag(reader.uvarint());
    slotStartsMs[page] = slot * widthMs;
    columnIds[page] = columnId;
    const stripe = stripeOf(slot * widthMs, windowStartMs, stripeMs);
    stripes[page] = stripe;
    const continues = page > 0 && stripes[page - 1] === stripe;
    pagesInStripe[page] = continues ? (pagesInStripe[page - 1] as number) + 1 : 0;
  }
  return { slotStartsMs, columnIds, widthMs, stripes, pagesInStripe };
}

export function decodeColumnsLeaf(payload: Uint8Array, firstOrdinal: number): ColumnsLeaf {
  const reader = new ByteReader(payload);
  const count = boundedCount(reader);
  const samplesCounts = new Uint32Array(count);
  const pages: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    samplesCounts[i] = reader.uvarint();
    pages.push(reader.bytes(reader.uvarint()));
  }
  return { firstOrdinal, count, samplesCounts, pages, sizeBytes: payload.length + 128 * count };
}
