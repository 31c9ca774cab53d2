// A record's view: who owns which partition, by the record's active members. Replaced as a whole when the record changes.
//
// Partitions with the same owners share one `Owners` object: writes group by it, plans remember by it. A look-up is one array
// read after the first.
import type { NodeName, RecordHash, WriteGroups } from './contracts.ts';
import { type OwnerToken, ownerToken, replicasCount } from './decisions.ts';
import type { PlacedMember } from './placement/index.ts';
import type { ClusterRecord } from './record/index.ts';

const groupsMax = 65_536;

/** Members in a partition's order: its owners, then who stands in for them. */
export interface PartitionOrder {
  owners(partition: number): readonly PlacedMember[];
  order(partition: number): readonly PlacedMember[];
}

/** Places members anew, given the placement that was (to derive from) where there was one. */
export type Place = (members: readonly PlacedMember[], previous: PartitionOrder | undefined) => PartitionOrder;

/** Owners of one or many partitions, first choice first. */
export interface Owners {
  readonly names: readonly NodeName[];
  readonly tokens: readonly OwnerToken[];
  /** The same object for the same owners in whatever order: what writes are grouped by. */
  readonly set: OwnerSet;
}

/** Owners without their order. */
export interface OwnerSet {
  /** Ascending. */
  readonly names: readonly NodeName[];
}

export class View {
  readonly hash: RecordHash;
  readonly placement: PartitionOrder;
  readonly #record: ClusterRecord;
  readonly #tokens = new Map<NodeName, OwnerToken>();
  readonly #ofPartition: (Owners | undefined)[] = [];
  readonly #byNames = new Map<string, Owners>();
  readonly #sets = new Map<string, OwnerSet>();

  constructor(record: ClusterRecord, place: Place, previous: View | undefined) {
    this.hash = record.viewHash;
    this.#record = record;
    const placed = record.actives.map(({ name, zone, weight }) => ({ name, zone, weight: weight / 1000 }));
    this.placement = previous?.isPlacedAs(record) ? previous.placement : place(placed, previous?.placement);
    for (const { name, store } of record.entries) this.#tokens.set(name, ownerToken(name, store));
  }

  isPlacedAs(other: ClusterRecord): boolean {
    const key = (record: ClusterRecord): string =>
      record.actives.map(({ name, zone, weight }) => `${name} ${zone} ${weight}`).join('\n');
    return key(this.#record) === key(other);
  }

  token(name: NodeName): OwnerToken {
    return this.#tokens.get(name) ?? '';
  }

  ownersOf(partition: number): Owners {
    // Without gaps, which would turn the array into a hash table.
    while (this.#ofPartition.length <= partition) this.#ofPartition.push(undefined);
    return (this.#ofPartition[partition] ??= this.#lookUp(partition));
  }

  #lookUp(partition: number): Owners {
    const names = this.placement
      .owners(partition)
      .slice(0, replicasCount)
      .map(({ name }) => name);
    const key = names.join('\n');
    let owners = this.#byNames.get(key);
    if (!owners) {
      owners = { names, tokens: names.map((name) => this.token(name)), set: this.#setOf(names) };
      this.#byNames.set(key, owners);
    }
    return owners;
  }

  #setOf(names: readonly NodeName[]): OwnerSet {
    const sorted = [...names].sort();
    const key = sorted.join('\n');
    const set = this.#sets.get(key) ?? { names: sorted };
    this.#sets.set(key, set);
    return set;
  }

  /** How a coordinator's storage is to cut what it decodes: partitions with the same owners together. */
  writeGroups(self: NodeName, partitionsCount: number): WriteGroups {
    const groupOf = new Uint16Array(groupsMax);
    const firsts = new Map<OwnerSet, number>();
    const bitmaps = new Map<NodeName, Uint8Array>([[self, new Uint8Array(groupsMax / 8)]]);
    for (let partition = 0; partition < partitionsCount; partition++) {
      const { set } = this.ownersOf(partition);
      const first = firsts.get(set) ?? partition;
      groupOf[partition] = first;
      if (firsts.has(set)) continue;
      firsts.set(set, first);
      for (const name of set.names) {
        const bitmap = bitmaps.get(name) ?? new Uint8Array(groupsMax / 8);
        bitmaps.set(name, bitmap);
        bitmap[first >> 3] = (bitmap[first >> 3] ?? 0) | (1 << (first & 7));
      }
    }
    const own = bitmaps.get(self) ?? new Uint8Array(groupsMax / 8);
    bitmaps.delete(self);
    return { groupOf, own, others: [...bitmaps.values()] };
  }

  owners(partition: number): readonly NodeName[] {
    return this.ownersOf(partition).names;
  }

  ownerTokens(partition: number): readonly OwnerToken[] {
    return this.ownersOf(partition).tokens;
  }

  isOwner(name: NodeName, partition: number): boolean {
    return this.owners(partition).includes(name);
  }

  /** All active members, the first to be asked first. */
  order(partition: number): readonly NodeName[] {
    return this.placement.order(partition).map(({ name }) => name);
  }
}
