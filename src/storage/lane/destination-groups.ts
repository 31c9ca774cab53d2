// Which node gets which samples of a client's request. Partitions with the same owners form a group, named by one of them;
// replication counts and sends by group, of which a request has a handful where it may have thousands of partitions.
import { assert } from '../../base/index.ts';
import type { WriteGroups } from '../contracts.ts';

const partitionsCount = 65_536;

export class DestinationGroups {
  /** By partition. */
  readonly groupOf: Uint16Array;
  readonly #own: Uint8Array;
  readonly #others: readonly Uint8Array[];

  constructor({ groupOf, own, others }: WriteGroups) {
    assert(groupOf.length === partitionsCount, 'each partition has a group');
    this.groupOf = groupOf;
    this.#own = own;
    this.#others = others;
  }

  /** Each partition by itself, for nobody: what holds until placement is known. */
  static ofPartitions(): DestinationGroups {
    const groupOf = Uint16Array.from({ length: partitionsCount }, (_, partition) => partition);
    return new DestinationGroups({ groupOf, own: new Uint8Array(partitionsCount / 8), others: [] });
  }

  /**
   * What of these groups this node keeps, and what other nodes get: nothing empty, and the same groups only once (also where
   * `own` is among them: the same array).
   */
  selections(groups: Uint16Array): { readonly own: Uint16Array; readonly others: readonly Uint16Array[] } {
    let own: Uint16Array = select(groups, this.#own);
    const others: Uint16Array[] = [];
    for (const bitmap of this.#others) {
      const selected = select(groups, bitmap);
      if (selected.length === 0 || others.some((other) => isEqual(other, selected))) continue;
      others.push(selected);
      if (isEqual(own, selected)) own = selected;
    }
    return { own, others };
  }
}

function select(groups: Uint16Array, bitmap: Uint8Array): Uint16Array {
  return groups.filter((group) => (((bitmap[group >> 3] as number) >> (group & 7)) & 1) === 1);
}

function isEqual(a: Uint16Array, b: Uint16Array): boolean {
  return a.length === b.length && a.every((group, index) => group === b[index]);
}
