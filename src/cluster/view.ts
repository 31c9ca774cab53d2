// A record's view: who owns which partition, by the record's active members. Replaced as a whole when the record changes.
import type { NodeName, RecordHash } from './contracts.ts';
import { type OwnerToken, ownerToken, replicasCount } from './decisions.ts';
import type { PlacedMember } from './placement/index.ts';
import type { ClusterRecord } from './record/index.ts';

/** Members in a partition's order: its owners, then who stands in for them. */
export interface PartitionOrder {
  owners(partition: number): readonly PlacedMember[];
  order(partition: number): readonly PlacedMember[];
}

/** Places members anew, given the placement that was (to derive from) where there was one. */
export type Place = (members: readonly PlacedMember[], previous: PartitionOrder | undefined) => PartitionOrder;

export class View {
  readonly hash: RecordHash;
  readonly placement: PartitionOrder;
  readonly #record: ClusterRecord;
  readonly #tokens = new Map<NodeName, OwnerToken>();

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

  owners(partition: number): readonly NodeName[] {
    return this.placement
      .owners(partition)
      .slice(0, replicasCount)
      .map(({ name }) => name);
  }

  ownerTokens(partition: number): readonly OwnerToken[] {
    return this.owners(partition).map((name) => this.token(name));
  }

  isOwner(name: NodeName, partition: number): boolean {
    return this.owners(partition).includes(name);
  }

  /** All active members, the first to be asked first. */
  order(partition: number): readonly NodeName[] {
    return this.placement.order(partition).map(({ name }) => name);
  }
}
