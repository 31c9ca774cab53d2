// The decisions on which safety rests, each a pure function of what a node knows, in one table. Production uses `decisions`
// as it is; the simulator plants bugs by overriding single entries and demands that each is caught (sim/cluster/mutants.ts).
import type { Digest, NodeName, StoreId } from './contracts.ts';
import { acksAlone, type ClusterRecord } from './record/index.ts';

/** Distinct stores that hold an acknowledged sample on synced disk. */
const quorumStores = 2;
/** Copies of each sample: owners of a partition. */
export const replicasCount = 3;
/** Of all that may hold a sample, how many stores a read may do without: one less than hold it for certain. */
const leftOutMax = quorumStores - 1;
/** A clock further from its peers' median decides nothing about retention. */
const clockOffsetMsMax = 10_000;

/** An owner as marks list it: a node's name and its store, which another store under that name does not inherit. */
export type OwnerToken = string;

export const ownerToken = (name: NodeName, store: StoreId): OwnerToken => `${name}/${store}`;

export const decisions = {
  /** How many stores must have synced a sample before it is acknowledged. */
  quorum(record: ClusterRecord, self: NodeName): number {
    const [first, second] = record.members;
    return !second && first?.name === self && first.alone === acksAlone ? 1 : quorumStores;
  },

  /** Whether a store's acknowledgement counts under the record as merged with the replies. */
  countsAck(record: ClusterRecord, name: NodeName, store: StoreId): boolean {
    return record.isStore(name, store, 'active');
  },

  /** Whether a joining node may call itself active: two active members have its entry on disk, or all where fewer. */
  isJoinConfirmed(record: ClusterRecord, self: NodeName, storedBy: ReadonlySet<OwnerToken>): boolean {
    const others = record.actives.filter(({ name }) => name !== self);
    const count = others.filter(({ name, store }) => storedBy.has(ownerToken(name, store))).length;
    return count >= Math.min(2, others.length);
  },

  /** Nodes to be asked, by their addresses, whether they have founded a cluster since they asked for leave to. */
  askedClaimants(claimants: readonly string[]): readonly string[] {
    return claimants;
  },

  /** Losses to be counted as stores that a read does without. */
  countedLosses(record: ClusterRecord): readonly StoreId[] {
    return record.unhealedLosses;
  },

  /** Whether a read may promise completeness. */
  mayLeaveOut(storesCount: number): boolean {
    return storesCount <= leftOutMax;
  },

  /** Whether all that a node holds of a partition is marked when its owners change. */
  remarks(before: readonly OwnerToken[], after: readonly OwnerToken[]): boolean {
    return before.length !== after.length || !before.every((owner) => after.includes(owner));
  },

  /** Whether a mark is cleared: all owners are known to hold what it stands for, and they are two at least. */
  mayClear(owners: readonly OwnerToken[], confirmed: readonly OwnerToken[], self: OwnerToken): boolean {
    return owners.length >= 2 && owners.every((owner) => owner === self || confirmed.includes(owner));
  },

  /** Whether an owner's digest proves that it holds all that is held here. */
  confirms(own: Digest, theirs: Digest): boolean {
    return own.samplesCount === theirs.samplesCount && own.sum === theirs.sum;
  },

  /** Whether a node may forget what it holds of a partition. */
  mayDrop(isOwner: boolean, isMarked: boolean): boolean {
    return !isOwner && !isMarked;
  },

  /** Whether what is held of a partition counts for nothing: it is being dropped, with all that arrives before that is done. */
  countsForNothing(isDropping: boolean): boolean {
    return isDropping;
  },

  /** Whether a window is compared, pushed and pulled: what is past retention must not come back from who dropped it later. */
  isCompared(isExpired: boolean): boolean {
    return !isExpired;
  },

  /** Whether the own clock may decide what is expired. Of peers that were not heard yet nothing is known. */
  isClockTrusted(offsetsMs: readonly number[], othersCount: number): boolean {
    if (offsetsMs.length === 0 && othersCount > 0) return false;
    const sorted = [...offsetsMs].sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
    return Math.abs(median) <= clockOffsetMsMax;
  },

  /** Whether a store's new life has all that an earlier one told of. */
  continues(seenPosition: number, startPosition: number): boolean {
    return startPosition >= seenPosition;
  },

  /** Whether a delete is acknowledged: two active members have it on disk, or all where fewer. */
  isDeleteStored(record: ClusterRecord, storedBy: ReadonlySet<OwnerToken>): boolean {
    const count = record.actives.filter(({ name, store }) => storedBy.has(ownerToken(name, store))).length;
    return count >= Math.min(quorumStores, record.members.length);
  },
};

export type Decisions = typeof decisions;
