// Marks: which of what a node holds some owner may lack. A mark stands for a pair, or for a whole partition (`remark`, when
// its owners change), and lists the owners that have since confirmed, under the same view, all that was held of it.
//
// - Marking more than needed is always safe, listing or clearing more never is.
// - A written sample empties its pair's list. A partition's mark stands for what was held when it was made; what is written
//   later has a mark of its pair. Copies between nodes mark nothing: their sender is marked until all owners have them.
// - Every mark has a version; a confirmation counts only for the version for which it was asked.
// - In memory: at most `pairsOfPartitionMax` marks of pairs for each partition; more are folded into one of the partition.
import { decode, encode, integer, list, optional, struct, text, uvarint } from '../codec.ts';
import { type PairKey, pairKey, pairPartition, pairWindowStartMs, type Scope, windowMs } from '../contracts.ts';
import type { OwnerToken } from '../decisions.ts';

const pairsOfPartitionMax = 64;

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

const marksCodec = struct({
  viewHash: text,
  owners: list(text),
  marks: list(struct({ partition: uvarint, windowStartMs: optional(integer), confirmed: list(uvarint) })),
});

export class MarksTable {
  /** By partition: the mark of all of it, and those of its pairs. */
  readonly #partitions = new Map<number, { whole: Mark | undefined; pairs: Map<PairKey, Mark> }>();
  #history = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** How many marks are of pairs, and how many of whole partitions. */
  kinds(): { pairsCount: number; partitionsCount: number } {
    let partitionsCount = 0;
    for (const { whole } of this.#partitions.values()) if (whole) partitionsCount++;
    return { pairsCount: this.#count - partitionsCount, partitionsCount };
  }

  /** Grows with every mark made and every list emptied. */
  get history(): number {
    return this.#history;
  }

  #of(partition: number): { whole: Mark | undefined; pairs: Map<PairKey, Mark> } {
    let marks = this.#partitions.get(partition);
    if (!marks) {
      marks = { whole: undefined, pairs: new Map() };
      this.#partitions.set(partition, marks);
    }
    return marks;
  }

  /** A client's samples come to these pairs: call it before they are appended, so that no drop falls in between. */
  markWritten(pairs: Iterable<PairKey>): void {
    for (const pair of pairs) {
      const { pairs: marks } = this.#of(pairPartition(pair));
      const mark = marks.get(pair);
      if (!mark) this.#count++;
      const version = ++this.#history;
      marks.set(pair, { version, since: mark?.since ?? version, confirmed: [] });
      if (marks.size > pairsOfPartitionMax) this.markPartition(pairPartition(pair));
    }
  }

  /** Marks all that is held of a partition; marks of its pairs are contained in it. */
  markPartition(partition: number): void {
    const marks = this.#of(partition);
    const since = [marks.whole, ...marks.pairs.values()].reduce(
      (oldest, mark) => Math.min(oldest, mark?.since ?? oldest),
      ++this.#history,
    );
    this.#count += 1 - marks.pairs.size - (marks.whole ? 1 : 0);
    marks.pairs.clear();
    marks.whole = { version: this.#history, since, confirmed: [] };
  }

  /** The owners of partitions have changed: keeps only those listed that `stays` says own it as before. */
  retain(stays: (partition: number, owner: OwnerToken) => boolean): void {
    for (const [partition, marks] of this.#partitions) {
      const keep = (mark: Mark): Mark => ({
        ...mark,
        confirmed: mark.confirmed.filter((owner) => stays(partition, owner)),
      });
      if (marks.whole) marks.whole = keep(marks.whole);
      for (const [pair, mark] of marks.pairs) marks.pairs.set(pair, keep(mark));
    }
  }

  get(scope: Scope): Mark | undefined {
    const marks = this.#partitions.get(scope.partition);
    return scope.windowStartMs === undefined
      ? marks?.whole
      : marks?.pairs.get(pairKey(scope.partition, scope.windowStartMs));
  }

  /** Lists an owner, if the mark is still the one for which it was asked. */
  confirm(scope: Scope, version: number, owner: OwnerToken): void {
    const mark = this.get(scope);
    if (mark?.version !== version || mark.confirmed.includes(owner)) return;
    this.#set(scope, { ...mark, confirmed: [...mark.confirmed, owner] });
  }

  #set(scope: Scope, mark: Mark): void {
    const marks = this.#of(scope.partition);
    if (scope.windowStartMs === undefined) marks.whole = mark;
    else marks.pairs.set(pairKey(scope.partition, scope.windowStartMs), mark);
  }

  clear(scope: Scope): void {
    const marks = this.#partitions.get(scope.partition);
    if (!marks || !this.get(scope)) return;
    this.#count--;
    if (scope.windowStartMs === undefined) marks.whole = undefined;
    else marks.pairs.delete(pairKey(scope.partition, scope.windowStartMs));
    if (!marks.whole && marks.pairs.size === 0) this.#partitions.delete(scope.partition);
  }

  isMarked(partition: number): boolean {
    return this.#partitions.has(partition);
  }

  *marksOf(partition: number): Generator<ScopedMark> {
    const marks = this.#partitions.get(partition);
    if (marks?.whole) yield { ...marks.whole, scope: { partition, windowStartMs: undefined } };
    for (const [pair, mark] of marks?.pairs ?? []) {
      yield { ...mark, scope: { partition, windowStartMs: pairWindowStartMs(pair) } };
    }
  }

  *all(): Generator<ScopedMark> {
    for (const partition of this.#partitions.keys()) yield* this.marksOf(partition);
  }

  /** Marks that stand for anything in the closed range. */
  *inRange(fromMs: number, toMs: number): Generator<ScopedMark> {
    for (const mark of this.all()) {
      const { windowStartMs } = mark.scope;
      if (windowStartMs === undefined || (windowStartMs <= toMs && windowStartMs + windowMs > fromMs)) yield mark;
    }
  }

  /** The oldest mark's `since`; infinite where nothing is marked. */
  oldestSince(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const { since } of this.all()) oldest = Math.min(oldest, since);
    return oldest;
  }

  encode(viewHash: string): Uint8Array {
    const owners: OwnerToken[] = [];
    const numbers = new Map<OwnerToken, number>();
    const marks = [...this.all()].map(({ scope, confirmed }) => ({
      ...scope,
      confirmed: confirmed.map((owner) => {
        let number = numbers.get(owner);
        if (number === undefined) {
          number = owners.push(owner) - 1;
          numbers.set(owner, number);
        }
        return number;
      }),
    }));
    return encode(marksCodec, { viewHash, owners, marks });
  }

  /**
   * Takes over marks that were saved under a view. Throws a DECODE_ error. Marks of another view than the record's say
   * nothing of what changed between the two: the caller then marks all that is held.
   */
  load(encoded: Uint8Array): { viewHash: string } {
    const { viewHash, owners, marks } = decode(marksCodec, encoded);
    for (const { partition, windowStartMs, confirmed } of marks) {
      const version = ++this.#history;
      if (!this.get({ partition, windowStartMs })) this.#count++;
      const listed = confirmed.map((number) => owners[number]).filter((owner) => owner !== undefined);
      this.#set({ partition, windowStartMs }, { version, since: version, confirmed: listed });
    }
    return { viewHash };
  }
}
