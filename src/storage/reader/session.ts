// One query's view of the storage: the Queryable that PromQL's engine evaluates over (promql/queryable.ts, by structure: the
// two rooms don't know each other). The head's generations are pinned *before* the catalog is taken: between the two, a
// flush can then only make samples appear twice, which merging removes; the other order could miss a generation.
import { assert, hasCode } from '../../base/index.ts';
import { compareUtf8, Labels, type Matcher } from '../../model/index.ts';
import type { Clock } from '../../ports/index.ts';
import type { HeadFrame } from '../../wasm/index.ts';
import type { PartEntry } from '../manifest/manifest-edit.ts';
import type { Part, TimeInterval } from '../part/index.ts';
import type { Catalog, GenerationView, HeadSnapshot } from '../protocol.ts';
import type { DeletedIntervals } from './deletions.ts';
import { type MergedSeries, type ReplicaSeries, SelectionReader } from './merged-series.ts';
import type { HeadView, Reader } from './reader.ts';
import { uniteFingerprints, uniteSeries } from './series-list.ts';
import { ActiveSource, FrozenSource, PartSource, seriesPerFrame, type Source } from './sources.ts';
import { TimestampKeys } from './timestamp-keys.ts';

export interface ReadControl {
  check(): void;
  addBytes(count: number): void;
}

export interface ReadRequest {
  readonly matchers: readonly Matcher[];
  readonly startMs: number;
  readonly endMs: number;
}

export interface ReadLabelRequest {
  readonly selectors: readonly (readonly Matcher[])[];
  readonly startMs: number;
  readonly endMs: number;
}

interface View {
  readonly snapshot: HeadSnapshot;
  readonly catalog: Catalog;
  readonly horizonMs: number;
}

/** What overlaps a request. */
interface Overlap {
  readonly parts: readonly PartEntry[];
  readonly generations: readonly GenerationView[];
}

/** What the labels of one series take in JavaScript, roughly: a query for millions of series fails at its limit, not the node. */
const labelsBytesEstimate = 600;

export class ReadSession {
  readonly #reader: Reader;
  readonly #clock: Clock;
  readonly #keys = new TimestampKeys();
  #view: Promise<View> | undefined;
  #closed = false;
  /** Whether replicas were given something of the head, which may not be on disk yet. */
  hasReadHead = false;

  constructor(reader: Reader, clock: Clock) {
    this.#reader = reader;
    this.#clock = clock;
  }

  #open(): Promise<View> {
    assert(!this.#closed, 'a closed session is not read');
    this.#view ??= this.#takeView();
    return this.#view;
  }

  async #takeView(): Promise<View> {
    const snapshot = await this.#reader.snapshot();
    const catalog = await this.#reader.enterCatalog(snapshot.catalogVersionMin);
    const horizonMs = Math.max(this.#clock.nowMs() - catalog.retentionMs, catalog.sizeHorizonMs);
    return { snapshot, catalog, horizonMs };
  }

  /** Gives the snapshot back; nothing that was selected may be read any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#release(this.#view);
  }

  async #release(taken: Promise<View> | undefined): Promise<void> {
    const view = await taken?.catch(() => undefined); // a view that failed holds nothing
    if (!view) return;
    this.#reader.lane.notify('release', { snapshotId: view.snapshot.snapshotId });
    this.#reader.leaveCatalog(view.catalog);
  }

  async select(requests: readonly ReadRequest[], control: ReadControl): Promise<{ series: MergedSeries[] }[]> {
    const view = await this.#open();
    return Promise.all(requests.map((request) => this.#select(view, request, control)));
  }

  async #select(view: View, request: ReadRequest, control: ReadControl): Promise<{ series: MergedSeries[] }> {
    const startMs = Math.max(request.startMs, view.horizonMs);
    const { endMs, matchers } = request;
    const overlap = overlapping(view, startMs, endMs);
    const key = this.#selectionKey(matchers, overlap);
    const cached = this.#reader.lists.get(key);
    const members = cached?.members ?? this.#findMembers(matchers, overlap, control);
    const sources = await this.#sources(view, overlap, members, { startMs, endMs }, control);
    control.check();
    if (!cached) control.addBytes(labelsBytesEstimate * longest(members));
    const list = cached?.list ?? uniteSeries(sources);
    if (!cached) this.#reader.lists.set(key, { list, members });
    return { series: new SelectionReader(sources, list, startMs, endMs, this.#keys).series(list) };
  }

  /**
   * All series that may have samples of some partitions in the range: what replicas compare and send each other. Those that
   * have none after all read as empty. `of`: in parts and head, or in the head only.
   */
  async selectPartitions(
    partitions: Uint32Array,
    range: TimeInterval,
    control: ReadControl,
    of: 'all' | 'head' = 'all',
  ): Promise<ReplicaSeries[]> {
    const view = await this.#open();
    const startMs = Math.max(range.startMs, view.horizonMs);
    const whole = overlapping(view, startMs, range.endMs);
    const overlap = { parts: of === 'all' ? whole.parts : [], generations: whole.generations };
    if (overlap.generations.length > 0) this.hasReadHead = true;
    const members: Uint32Array<ArrayBufferLike>[] = [];
    for (const entry of overlap.parts) members.push(await this.#reader.positionsOf(entry, partitions));
    for (const { headId } of overlap.generations) {
      members.push(this.#reader.partitionsOfHead(headId).members(partitions));
    }
    control.check();
    const sources = await this.#sources(view, overlap, members, { startMs, endMs: range.endMs }, control);
    const list = uniteFingerprints(sources);
    return new SelectionReader(sources, list, startMs, range.endMs, this.#keys).replicaSeries(list);
  }

  /** Series of the part or generation that has most. */
  async seriesCountMax(): Promise<number> {
    const { catalog, snapshot } = await this.#open();
    const counts = [...catalog.parts, ...snapshot.generations].map(({ seriesCount }) => seriesCount);
    return counts.reduce((most, count) => Math.max(most, count), 0);
  }

  /** What parts there are, what is deleted and dropped, and how far back samples are shown. */
  async extent(): Promise<Pick<View, 'catalog' | 'horizonMs'>> {
    return this.#open();
  }

  /**
   * The partitions of all series that anything is held of, a bit each (8,192 bytes). A few may have lost their last sample; all
   * are named where a part can't be asked.
   */
  async heldPartitions(): Promise<Uint8Array> {
    const { catalog, snapshot } = await this.#open();
    const bitmap = new Uint8Array(8192);
    const hold = (partition: number): void => {
      bitmap[partition >> 3] = (bitmap[partition >> 3] as number) | (1 << (partition & 7));
    };
    for (const entry of catalog.parts) {
      const drops = this.#reader.deletions(catalog).drops(entry.tombstoneSeq);
      try {
        for (const { partition, count } of this.#reader.part(entry).digests()) {
          if (count !== 0 && !drops.has(partition)) hold(partition);
        }
      } catch (error) {
        if (!hasCode(error, 'PART_CORRUPT')) throw error;
        bitmap.fill(0xff);
      }
    }
    for (const { headId, slot } of snapshot.generations) {
      const { index, reader } = this.#reader.head(headId);
      for (const partition of reader.partitions(index.select([], [slot]))) hold(partition);
    }
    return bitmap;
  }

  /** The windows of `widthMs` that parts or generations have samples in, as far as their extents tell; ascending starts. */
  async windowStarts(widthMs: number): Promise<number[]> {
    const { catalog, snapshot, horizonMs } = await this.#open();
    const starts = new Set<number>();
    const add = (minMs: number, maxMs: number): void => {
      const first = Math.floor(Math.max(minMs, horizonMs) / widthMs);
      for (let window = first; window * widthMs <= maxMs; window++) starts.add(window * widthMs);
    };
    for (const { minTimeMs, maxTimeMs } of catalog.parts) add(minTimeMs, maxTimeMs);
    // An active generation may have grown since the snapshot; what is newer than the snapshot need not be seen.
    for (const { minMs, maxMs } of snapshot.generations) if (minMs <= maxMs) add(minMs, maxMs);
    return [...starts].sort((a, b) => a - b);
  }

  // Generations only grow, so their counts say whether they hold the same series as before. The count is the snapshot's: one
  // read here, beside the writer, could be ahead of what can be found.
  #selectionKey(matchers: readonly Matcher[], { parts, generations }: Overlap): string {
    const ofHeads = generations.map(({ headId, generation, seriesCount }) => `${headId}/${generation}/${seriesCount}`);
    const ofParts = parts.map(({ id }) => id);
    return JSON.stringify([matchers.map(({ name, operator, value }) => [name, operator, value]), ofParts, ofHeads]);
  }

  /** Per part its positions, then per generation its references. */
  #findMembers(matchers: readonly Matcher[], overlap: Overlap, control: ReadControl): Uint32Array<ArrayBufferLike>[] {
    const members: Uint32Array<ArrayBufferLike>[] = [];
    for (const entry of overlap.parts) {
      control.check();
      members.push(this.#reader.part(entry).select(matchers));
    }
    for (const { headId, slot } of overlap.generations) {
      control.check();
      members.push(this.#reader.head(headId).index.select(matchers, [slot]));
    }
    return members;
  }

  /** In the order of `members`, which is that of their first samples as far as it can be known. */
  async #sources(
    { snapshot, catalog }: View,
    { parts, generations }: Overlap,
    members: readonly Uint32Array<ArrayBufferLike>[],
    range: { startMs: number; endMs: number },
    control: ReadControl,
  ): Promise<Source[]> {
    const deletions = this.#reader.deletions(catalog);
    const sources: Source[] = parts.map((entry, i) => {
      const deleted = deletions.ofPart(entry.tombstoneSeq);
      return new PartSource(this.#reader.part(entry), members[i] as Uint32Array, deleted);
    });
    const deleted = deletions.ofHead;
    for (const [i, generation] of generations.entries()) {
      const refs = members[parts.length + i] as Uint32Array<ArrayBuffer>;
      sources.push(await this.#headSource(snapshot, generation, refs, range, deleted, control));
    }
    return sources;
  }

  async #headSource(
    { snapshotId }: HeadSnapshot,
    { generation, headId, slot, active, minMs, maxMs }: GenerationView,
    refs: Uint32Array<ArrayBuffer>,
    { startMs, endMs }: { startMs: number; endMs: number },
    deleted: DeletedIntervals,
    control: ReadControl,
  ): Promise<Source> {
    const { reader, index } = this.#reader.head(headId);
    const range = { minMs, maxMs };
    if (!active) return new FrozenSource({ reader, index, refs, range, deleted }, slot);
    const copies: Promise<Uint8Array<ArrayBuffer>>[] = [];
    for (let first = 0; first < refs.length; first += seriesPerFrame) {
      const some = refs.slice(first, first + seriesPerFrame);
      copies.push(this.#reader.lane.call('copy', { snapshotId, generation, refs: some, startMs, endMs }));
    }
    const frames: HeadFrame[] = [];
    for (const bytes of await Promise.all(copies)) {
      control.addBytes(bytes.length);
      frames.push(reader.openFrame(bytes));
    }
    return new ActiveSource({ reader, index, refs, range, deleted }, frames);
  }

  async series(request: ReadLabelRequest, control: ReadControl): Promise<Labels[]> {
    const view = await this.#open();
    const overlap = overlapping(view, request.startMs, request.endMs);
    const found = new Map<string, Labels>();
    for (const matchers of request.selectors.length > 0 ? request.selectors : [[]]) {
      for (const [i, members] of this.#findMembers(matchers, overlap, control).entries()) {
        control.check();
        control.addBytes(labelsBytesEstimate * Math.max(0, members.length - found.size));
        const labelsOf = this.#labelsOf(overlap, i);
        for (const member of members) {
          const labels = labelsOf(member);
          found.set(labels.key(), labels);
        }
      }
    }
    return [...found.values()].sort(Labels.compare);
  }

  #labelsOf({ parts, generations }: Overlap, memberList: number): (member: number) => Labels {
    const entry = parts[memberList];
    if (entry) {
      const part = this.#reader.part(entry);
      return (position) => part.labels(position);
    }
    const generation = generations[memberList - parts.length] as GenerationView;
    const { index } = this.#reader.head(generation.headId);
    return (ref) => index.labels(ref);
  }

  labelNames(request: ReadLabelRequest, control: ReadControl): Promise<string[]> {
    return this.#gather(request, control, {
      ofPart: (part, matchers) => part.labelNames(matchers),
      ofHead: ({ index }, slots) => index.labelNames(request.selectors, slots),
    });
  }

  labelValues(name: string, request: ReadLabelRequest, control: ReadControl): Promise<string[]> {
    return this.#gather(request, control, {
      ofPart: (part, matchers) => part.labelValues(name, matchers),
      ofHead: ({ index }, slots) => index.labelValues(name, request.selectors, slots),
    });
  }

  async #gather(
    request: ReadLabelRequest,
    control: ReadControl,
    from: {
      ofPart(part: Part, matchers: readonly Matcher[] | undefined): string[];
      ofHead(head: HeadView, slots: readonly number[]): string[];
    },
  ): Promise<string[]> {
    const view = await this.#open();
    const { parts, generations } = overlapping(view, request.startMs, request.endMs);
    const found = new Set<string>();
    for (const entry of parts) {
      control.check();
      const part = this.#reader.part(entry);
      for (const matchers of request.selectors.length > 0 ? request.selectors : [undefined]) {
        for (const text of from.ofPart(part, matchers)) found.add(text);
      }
    }
    for (const headId of new Set(generations.map((generation) => generation.headId))) {
      control.check();
      const slots = generations.filter((generation) => generation.headId === headId).map(({ slot }) => slot);
      for (const text of from.ofHead(this.#reader.head(headId), slots)) found.add(text);
    }
    return [...found].sort(compareUtf8);
  }
}

/** The least number of different series that the sources hold together. */
function longest(members: readonly Uint32Array<ArrayBufferLike>[]): number {
  return members.reduce((most, { length }) => Math.max(most, length), 0);
}

/** Parts, then generations, each in the order of their first samples. */
function overlapping({ snapshot, catalog, horizonMs }: View, startMs: number, endMs: number): Overlap {
  const fromMs = Math.max(startMs, horizonMs);
  const parts = catalog.parts
    .filter(({ minTimeMs, maxTimeMs }) => minTimeMs <= endMs && maxTimeMs >= fromMs)
    .sort((a, b) => a.minTimeMs - b.minTimeMs || a.id - b.id);
  const generations = snapshot.generations
    // What an active generation has taken since the snapshot need not be seen.
    .filter(({ minMs, maxMs }) => minMs <= endMs && maxMs >= fromMs)
    .sort((a, b) => a.generation - b.generation);
  return { parts, generations };
}
