// The marks of one window, or of whole partitions: a slot for each partition, in typed arrays, so that a request over thousands
// of partitions marks them at the cost of a few stores to memory, and millions of marks take 18 bytes each.
//
// A slot holds the number of a list of owners (`OwnerLists`): 0 not marked, 1 marked with nobody listed, above: who has
// confirmed. `shape` is the table's count of visible changes at the last change here: two layers of one table and window with
// equal shapes say the same, which is all that a reader has to know.
import type { OwnerToken } from '../decisions.ts';

/** List numbers. */
export const notMarked = 0;
export const nobodyListed = 1;

const listsMax = 0xffff;

/** What a layer says, to be kept by others: never changed afterwards. */
export interface HeardLayer {
  /** By partition; partitions behind its end are not marked. */
  readonly lists: Uint16Array;
  /** By list number. */
  readonly owners: readonly (readonly OwnerToken[])[];
}

/** With what tells whether it has changed. */
export interface ToldLayer extends HeardLayer {
  readonly windowStartMs: number | undefined;
  readonly shape: number;
}

/** Lists of owners by number; equal lists have one number. */
export class OwnerLists {
  #owners: (readonly OwnerToken[])[] = [[], []];
  readonly #numbers = new Map<string, number>();

  /** As it is now: grows by replacement, so that who was given it may keep it. */
  get all(): readonly (readonly OwnerToken[])[] {
    return this.#owners;
  }

  ownersOf(number: number): readonly OwnerToken[] {
    return this.#owners[number] ?? [];
  }

  /** Where numbers run out (thousands of stores came and went) nobody is listed: listing less is always safe. */
  numberOf(owners: readonly OwnerToken[]): number {
    if (owners.length === 0) return nobodyListed;
    const sorted = [...owners].sort();
    const key = sorted.join('\n');
    let number = this.#numbers.get(key);
    if (number === undefined) {
      if (this.#owners.length > listsMax) return nobodyListed;
      number = this.#owners.length;
      this.#owners = [...this.#owners, sorted];
      this.#numbers.set(key, number);
    }
    return number;
  }
}

export class MarkLayer {
  /** Undefined: marks of whole partitions. */
  readonly windowStartMs: number | undefined;
  lists = new Uint16Array(8);
  /** Changes whenever a list is emptied. */
  versions = new Float64Array(8);
  /** Position in the table's history at which a mark was made. */
  sinces = new Float64Array(8);
  count = 0;
  shape = 0;
  /** Position in the table's history at which a client's samples came last. */
  writtenAt = 0;
  #told: ToldLayer | undefined;

  constructor(windowStartMs: number | undefined) {
    this.windowStartMs = windowStartMs;
  }

  isMarked(partition: number): boolean {
    return (this.lists[partition] ?? notMarked) !== notMarked;
  }

  reserve(partition: number): void {
    if (partition < this.lists.length) return;
    const length = 2 ** Math.ceil(Math.log2(partition + 1));
    const grown = <Column extends Uint16Array | Float64Array>(column: Column, next: Column): Column => {
      next.set(column);
      return next;
    };
    this.lists = grown(this.lists, new Uint16Array(length));
    this.versions = grown(this.versions, new Float64Array(length));
    this.sinces = grown(this.sinces, new Float64Array(length));
  }

  /** Sets a slot; true where what is told of it changes. */
  set(partition: number, list: number, version: number, since: number): boolean {
    this.reserve(partition);
    const before = this.lists[partition] ?? notMarked;
    if (before === notMarked) this.count++;
    this.lists[partition] = list;
    this.versions[partition] = version;
    this.sinces[partition] = since;
    return before !== list;
  }

  clear(partition: number): void {
    if (!this.isMarked(partition)) return;
    this.count--;
    this.lists[partition] = notMarked;
  }

  *partitions(from = 0): Generator<number> {
    // Read anew at each step: slots may come while somebody iterates.
    for (let partition = from; partition < this.lists.length; partition++) {
      if (this.lists[partition] !== notMarked) yield partition;
    }
  }

  oldestSince(): number {
    let oldest = Number.POSITIVE_INFINITY;
    if (this.count === 0) return oldest;
    for (const [partition, since] of this.sinces.entries()) {
      if (since < oldest && this.lists[partition] !== notMarked) oldest = since;
    }
    return oldest;
  }

  /** What readers are told: the same object as long as nothing of it changes. */
  told(owners: readonly (readonly OwnerToken[])[]): ToldLayer {
    if (this.#told?.shape !== this.shape) {
      const { windowStartMs, shape } = this;
      this.#told = { windowStartMs, shape, lists: this.lists.slice(), owners };
    }
    return this.#told;
  }
}
