// What one version of the catalog deletes and drops, looked up per source. Made once a version: selectors are decoded and
// partitions gathered for all queries together.
import type { Labels } from '../../model/index.ts';
import { partitionOf, type TimeInterval } from '../part/index.ts';
import type { Catalog } from '../protocol.ts';
import { DropIndex, TombstoneIndex } from '../tombstones.ts';

/** What is deleted of a series in a source; undefined where that is nothing of any series. `labels` is called where there are rules. */
export type DeletedIntervals = ((fingerprint: Uint8Array, labels: () => Labels) => readonly TimeInterval[]) | undefined;

const allTime: readonly TimeInterval[] = [{ startMs: Number.NEGATIVE_INFINITY, endMs: Number.POSITIVE_INFINITY }];

export class Deletions {
  readonly #catalog: Pick<Catalog, 'tombstones' | 'drops'>;
  readonly #drops = new Map<number, DropIndex>();
  readonly #ofParts = new Map<number, DeletedIntervals>();
  /** In the head: nothing of it was written before a drop. */
  readonly ofHead: DeletedIntervals;

  constructor(catalog: Pick<Catalog, 'tombstones' | 'drops'>) {
    this.#catalog = catalog;
    this.ofHead = intervalsOf(new TombstoneIndex(catalog.tombstones), new DropIndex([], 0));
  }

  /** Partitions that a part no longer shows which was written when `tombstoneSeq` was the last. */
  drops(tombstoneSeq: number): DropIndex {
    let index = this.#drops.get(tombstoneSeq);
    if (!index) {
      index = new DropIndex(this.#catalog.drops, tombstoneSeq);
      this.#drops.set(tombstoneSeq, index);
    }
    return index;
  }

  /** The same for all that is deleted. */
  ofPart(tombstoneSeq: number): DeletedIntervals {
    if (!this.#ofParts.has(tombstoneSeq)) {
      const tombstones = new TombstoneIndex(this.#catalog.tombstones, tombstoneSeq);
      this.#ofParts.set(tombstoneSeq, intervalsOf(tombstones, this.drops(tombstoneSeq)));
    }
    return this.#ofParts.get(tombstoneSeq);
  }
}

function intervalsOf(tombstones: TombstoneIndex, drops: DropIndex): DeletedIntervals {
  if (tombstones.isEmpty && drops.isEmpty) return undefined;
  return (fingerprint, labels) =>
    drops.has(partitionOf(fingerprint)) ? allTime : tombstones.intervals(fingerprint, labels);
}
