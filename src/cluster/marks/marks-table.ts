// Marks: which of what a node holds some owner may lack. A mark stands for a pair, or for a whole partition (`markPartition`,
// when its owners change), and lists the owners that have since confirmed, under the same view, all that was held of it.
//
// - Marking more than needed is always safe, listing or clearing more never is.
// - A written sample empties its pair's list. A partition's mark stands for what was held when it was made; what is written
//   later has a mark of its pair. Copies between nodes mark nothing: their sender is marked until all owners have them.
// - Every mark has a version; a confirmation counts only for the version for which it was asked.
// - In memory: layers of at most `windowsMax` windows; the oldest gives way, its marks becoming marks of whole partitions.
import { decode, encode, list, struct, text } from '../codec.ts';
import { isOfWindow, type PairKey, pairPartition, pairWindowStartMs, type Scope, windowMs } from '../contracts.ts';
import type { OwnerToken } from '../decisions.ts';
import { MarkLayer, nobodyListed, notMarked, OwnerLists, type ToldLayer } from './layer.ts';
import { layerCodec, packLayer, unpackLayer } from './told.ts';

const windowsMax = 16;

export interface Mark {
  /** Changes whenever the list is emptied. */
  readonly version: number;
  /** Position in the table's history at which it was made; a mark that stays is as old as at first. */
  readonly since: number;
  readonly confirmed: readonly OwnerToken[];
}

export interface ScopedMark extends Mark {
  readonly scope: Scope;
}

/** A layer without its marks. */
export interface LayerSummary {
  /** Undefined: marks of whole partitions. */
  readonly windowStartMs: number | undefined;
  readonly marksCount: number;
  /** Differs after every change that readers see. */
  readonly shape: number;
  /** Position in the table's history at which a client's samples came last. */
  readonly writtenAt: number;
}

const marksCodec = struct({ viewHash: text, layers: list(layerCodec) });

export class MarksTable {
  readonly #lists = new OwnerLists();
  readonly #whole = new MarkLayer(undefined);
  readonly #windows = new Map<number, MarkLayer>();
  #history = 0;
  #shape = 0;

  get count(): number {
    let count = this.#whole.count;
    for (const layer of this.#windows.values()) count += layer.count;
    return count;
  }

  /** How many marks are of pairs, and how many of whole partitions. */
  kinds(): { pairsCount: number; partitionsCount: number } {
    const partitionsCount = this.#whole.count;
    return { pairsCount: this.count - partitionsCount, partitionsCount };
  }

  /** Grows with every mark made and every list emptied. */
  get history(): number {
    return this.#history;
  }

  *#layers(): Generator<MarkLayer> {
    yield this.#whole;
    yield* this.#windows.values();
  }

  #layerOf(windowStartMs: number | undefined): MarkLayer | undefined {
    return windowStartMs === undefined ? this.#whole : this.#windows.get(windowStartMs);
  }

  /** The layer of a window; undefined where it would be the oldest of too many. */
  #layerFor(windowStartMs: number): MarkLayer | undefined {
    const known = this.#windows.get(windowStartMs);
    if (known) return known;
    if (this.#windows.size >= windowsMax) {
      const oldest = Math.min(...this.#windows.keys());
      if (oldest > windowStartMs) return undefined;
      for (const partition of this.#windows.get(oldest)?.partitions() ?? []) this.markPartition(partition);
      this.#windows.delete(oldest);
    }
    const layer = new MarkLayer(windowStartMs);
    this.#windows.set(windowStartMs, layer);
    return layer;
  }

  #changed(layer: MarkLayer): void {
    layer.shape = ++this.#shape;
  }

  /** A client's samples came to these pairs, each named once or more. */
  markWritten(pairs: ArrayLike<PairKey>): void {
    const version = ++this.#history;
    let firstOfWindow = Number.NaN;
    let layer: MarkLayer | undefined;
    for (let i = 0; i < pairs.length; i++) {
      const pair = pairs[i] ?? 0;
      if (!isOfWindow(pair, firstOfWindow)) {
        firstOfWindow = pair - pairPartition(pair);
        layer = this.#layerFor(pairWindowStartMs(pair));
        if (layer) layer.writtenAt = version;
      }
      const partition = pair - firstOfWindow;
      // While a window is open nearly all of its marks are there and list nobody: two accesses to memory, not six.
      if (layer?.lists[partition] === nobodyListed) layer.versions[partition] = version;
      else if (layer) this.#mark(layer, partition, version);
      else this.markPartition(partition);
    }
  }

  #mark(layer: MarkLayer, partition: number, version: number): void {
    const since = layer.isMarked(partition) ? (layer.sinces[partition] ?? version) : version;
    if (layer.set(partition, nobodyListed, version, since)) this.#changed(layer);
  }

  /** Marks all that is held of a partition; marks of its pairs are contained in it. */
  markPartition(partition: number): void {
    let since = ++this.#history;
    for (const layer of this.#layers()) {
      if (!layer.isMarked(partition)) continue;
      since = Math.min(since, layer.sinces[partition] ?? since);
      if (layer !== this.#whole) this.#clear(layer, partition);
    }
    if (this.#whole.set(partition, nobodyListed, this.#history, since)) this.#changed(this.#whole);
  }

  /** The owners of partitions have changed: keeps only those listed that `stays` says own it as before. */
  retain(stays: (partition: number, owner: OwnerToken) => boolean): void {
    for (const layer of this.#layers()) {
      for (const partition of layer.partitions()) {
        const listed = this.#lists.ownersOf(layer.lists[partition] ?? notMarked);
        const kept = listed.filter((owner) => stays(partition, owner));
        if (kept.length === listed.length) continue;
        layer.lists[partition] = this.#lists.numberOf(kept);
        this.#changed(layer);
      }
    }
  }

  get({ partition, windowStartMs }: Scope): Mark | undefined {
    const layer = this.#layerOf(windowStartMs);
    return layer?.isMarked(partition) ? this.#at(layer, partition) : undefined;
  }

  #at(layer: MarkLayer, partition: number): ScopedMark {
    return {
      scope: { partition, windowStartMs: layer.windowStartMs },
      version: layer.versions[partition] ?? 0,
      since: layer.sinces[partition] ?? 0,
      confirmed: this.#lists.ownersOf(layer.lists[partition] ?? notMarked),
    };
  }

  /** Lists an owner, if the mark is still the one for which it was asked. */
  confirm({ partition, windowStartMs }: Scope, version: number, owner: OwnerToken): void {
    const layer = this.#layerOf(windowStartMs);
    if (!layer?.isMarked(partition) || layer.versions[partition] !== version) return;
    const listed = this.#lists.ownersOf(layer.lists[partition] ?? notMarked);
    if (listed.includes(owner)) return;
    layer.lists[partition] = this.#lists.numberOf([...listed, owner]);
    this.#changed(layer);
  }

  /** All owners have confirmed what was held when the history stood before `since`: what is marked now came later. */
  advance({ partition, windowStartMs }: Scope, since: number): void {
    const layer = this.#layerOf(windowStartMs);
    if (layer?.isMarked(partition)) layer.sinces[partition] = Math.max(layer.sinces[partition] ?? since, since);
  }

  clear({ partition, windowStartMs }: Scope): void {
    const layer = this.#layerOf(windowStartMs);
    if (layer?.isMarked(partition)) this.#clear(layer, partition);
  }

  #clear(layer: MarkLayer, partition: number): void {
    layer.clear(partition);
    this.#changed(layer);
    if (layer.count === 0 && layer.windowStartMs !== undefined) this.#windows.delete(layer.windowStartMs);
  }

  isMarked(partition: number): boolean {
    for (const layer of this.#layers()) if (layer.isMarked(partition)) return true;
    return false;
  }

  /** Whether pairs of the partition have marks of their own. */
  hasPairs(partition: number): boolean {
    for (const layer of this.#windows.values()) if (layer.isMarked(partition)) return true;
    return false;
  }

  /** Whether a mark stands for anything of the partition before a time. */
  isMarkedBefore(partition: number, endMs: number): boolean {
    if (this.#whole.isMarked(partition)) return true;
    for (const [windowStartMs, layer] of this.#windows) {
      if (windowStartMs < endMs && layer.isMarked(partition)) return true;
    }
    return false;
  }

  *all(): Generator<ScopedMark> {
    for (const { windowStartMs } of this.layers()) yield* this.marksIn(windowStartMs);
  }

  /** How many marks have the same group of their partition and the same list: hundreds of thousands come down to a few. */
  tally<Group>(groupOf: (partition: number) => Group): Map<Group, Map<readonly OwnerToken[], number>> {
    const tally = new Map<Group, Map<readonly OwnerToken[], number>>();
    for (const { lists } of this.#layers()) {
      for (let partition = 0; partition < lists.length; partition++) {
        const list = lists[partition] ?? notMarked;
        if (list === notMarked) continue;
        const group = groupOf(partition);
        let counts = tally.get(group);
        if (!counts) tally.set(group, (counts = new Map()));
        const confirmed = this.#lists.ownersOf(list);
        counts.set(confirmed, (counts.get(confirmed) ?? 0) + 1);
      }
    }
    return tally;
  }

  /** Layers that have marks: of whole partitions first (undefined), then by window. */
  layers(): LayerSummary[] {
    const layers = [...this.#layers()].filter(({ count }) => count > 0);
    return layers
      .map(({ windowStartMs, count, shape, writtenAt }) => ({ windowStartMs, marksCount: count, shape, writtenAt }))
      .sort((a, b) => (a.windowStartMs ?? Number.NEGATIVE_INFINITY) - (b.windowStartMs ?? Number.NEGATIVE_INFINITY));
  }

  /** The marks of a layer from a partition on, ascending. */
  *marksIn(windowStartMs: number | undefined, fromPartition = 0): Generator<ScopedMark> {
    const layer = this.#layerOf(windowStartMs);
    for (const partition of layer?.partitions(fromPartition) ?? []) if (layer) yield this.#at(layer, partition);
  }

  #inRange(fromMs: number, toMs: number): MarkLayer[] {
    const windows = [...this.#windows.values()].filter(
      ({ windowStartMs = 0 }) => windowStartMs <= toMs && windowStartMs + windowMs > fromMs,
    );
    return this.#whole.count > 0 ? [this.#whole, ...windows] : windows;
  }

  /** Marks that stand for anything in the closed range. */
  *inRange(fromMs: number, toMs: number): Generator<ScopedMark> {
    for (const { windowStartMs } of this.#inRange(fromMs, toMs)) yield* this.marksIn(windowStartMs);
  }

  /** The same for readers. A layer that has not changed since the last call is the same object as then. */
  told(fromMs: number, toMs: number): ToldLayer[] {
    return this.#inRange(fromMs, toMs).map((layer) => layer.told(this.#lists.all));
  }

  /** The oldest mark's `since`; infinite where nothing is marked. */
  oldestSince(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const layer of this.#layers()) oldest = Math.min(oldest, layer.oldestSince());
    return oldest;
  }

  encode(viewHash: string): Uint8Array {
    const layers = [...this.#layers()].map((layer) => packLayer(layer.told(this.#lists.all)));
    return encode(marksCodec, { viewHash, layers });
  }

  /**
   * Takes over marks that were saved under a view. Throws a DECODE_ error. Marks of another view than the record's say
   * nothing of what changed between the two: the caller then marks all that is held.
   */
  load(encoded: Uint8Array): { viewHash: string } {
    const { viewHash, layers } = decode(marksCodec, encoded);
    for (const packed of layers) {
      const { windowStartMs, lists, owners } = unpackLayer(packed);
      const layer = windowStartMs === undefined ? this.#whole : this.#layerFor(windowStartMs);
      for (const [partition, number] of lists.entries()) {
        if (number === notMarked) continue;
        const version = ++this.#history;
        if (layer) layer.set(partition, this.#lists.numberOf(owners[number] ?? []), version, version);
        else this.markPartition(partition);
      }
      if (layer) this.#changed(layer);
    }
    return { viewHash };
  }
}
