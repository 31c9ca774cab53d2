// The record: what a cluster has decided about itself. It lies on every node's disk and is merged without clocks, so that
// two nodes that have heard of the same decisions, in any order, hold the same record.
//
// - A member's entry is written and numbered by that node alone. Others may only set it to `removed`, which is final for a
//   store, and learn that a store was beaten by another one under the same name: by the one that names it among its losses.
// - `losses` only grow; so do deletes, until their range is past retention. Retention is numbered, the last number wins.
// - `hash` tells records apart; `viewHash` only that part on which placement, reads and confirmations depend.
import { ByteWriter } from '../../base/index.ts';
import {
  bytes,
  decode,
  encode,
  type Encoded,
  extensible,
  integer,
  list,
  struct,
  text,
  uvarint,
  word,
} from '../codec.ts';
import type { DeleteRequest, NodeName, RecordHash, StoreId } from '../contracts.ts';
import { hashBytes } from '../hash.ts';

/**
 * - `joining`: holds and serves nothing yet; `active`: may own; `leaving`: owns nothing, still holds, still asked
 * - `left`: gone with nothing left behind; `removed`: gone with what it held, its store is a loss
 */
export type MemberState = 'joining' | 'active' | 'leaving' | 'left' | 'removed';

const memberCodec = extensible(
  struct({
    name: text,
    store: text,
    state: word('joining', 'active', 'leaving', 'left', 'removed'),
    /** Counts what its node has written of it. */
    version: uvarint,
    address: text,
    zone: text,
    /** Thousandths of the usual share. */
    weight: uvarint,
    /** The newest format of frames it reads. */
    format: uvarint,
    /**
     * Above 0 while no query may do without it: it was the only active member when others joined, so they may know of each
     * other by it alone. `acksAlone` if it was founded to acknowledge on its own disk only, `soleActive` otherwise.
     */
    alone: uvarint,
    /** Stores lost under this name, ascending. */
    losses: list(text),
    /** What lies before does not fit the limit in bytes that this node was given; 0: all fits. */
    floorMs: uvarint,
    /** Losses of whatever name for which it has cleared the marks that it had on hearing of them, ascending. */
    cleared: list(text),
  }),
);

export type Member = Encoded<typeof memberCodec>;

/** Values of a member's `alone`. */
export const acksAlone = 1;
export const soleActive = 2;

const deleteCodec = struct({ id: text, matchers: bytes, fromMs: integer, toMs: integer });
const retentionCodec = struct({ version: uvarint, durationMs: uvarint, by: text });

export type Retention = Encoded<typeof retentionCodec>;

const recordCodec = extensible(
  struct({
    clusterId: text,
    members: list(memberCodec),
    deletes: list(deleteCodec),
    /** Deletes of ranges that end before are forgotten: nothing of them is kept anywhere. Only grows. */
    prunedBeforeMs: uvarint,
    retention: retentionCodec,
  }),
);

type Fields = Encoded<typeof recordCodec>;

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const union = (...lists: readonly (readonly string[])[]): string[] => [...new Set(lists.flat())].sort(byText);

export class ClusterRecord {
  readonly #fields: Fields;
  readonly #members: ReadonlyMap<NodeName, Member>;
  #encoded: Uint8Array | undefined;
  #hash: RecordHash | undefined;
  #viewHash: RecordHash | undefined;

  private constructor(fields: Fields) {
    this.#fields = {
      ...fields,
      members: [...fields.members].sort((a, b) => byText(a.name, b.name)),
      deletes: fields.deletes.filter(({ toMs }) => toMs >= fields.prunedBeforeMs).sort((a, b) => byText(a.id, b.id)),
    };
    this.#members = new Map(this.#fields.members.map((member) => [member.name, member]));
  }

  static empty(clusterId: string): ClusterRecord {
    return new ClusterRecord({
      clusterId,
      members: [],
      deletes: [],
      prunedBeforeMs: 0,
      retention: { version: 0, durationMs: 0, by: '' },
      rest: new Uint8Array(0),
    });
  }

  /** Throws a DECODE_ error. */
  static decode(encoded: Uint8Array): ClusterRecord {
    return new ClusterRecord(decode(recordCodec, encoded));
  }

  encode(): Uint8Array {
    this.#encoded ??= encode(recordCodec, this.#fields);
    return this.#encoded;
  }

  get clusterId(): string {
    return this.#fields.clusterId;
  }

  get hash(): RecordHash {
    this.#hash ??= hashBytes(this.encode());
    return this.#hash;
  }

  get viewHash(): RecordHash {
    this.#viewHash ??= hashBytes(this.#encodeView());
    return this.#viewHash;
  }

  #encodeView(): Uint8Array {
    const writer = new ByteWriter();
    for (const { name, store, state, zone, weight, losses } of this.#fields.members) {
      for (const part of [name, store, state, zone, `${weight}`, ...losses, '']) writer.string(part);
    }
    for (const { id } of this.#fields.deletes) writer.string(id);
    retentionCodec.write(writer, this.#fields.retention);
    return writer.view();
  }

  get deletes(): readonly DeleteRequest[] {
    return this.#fields.deletes;
  }

  /** 0: for ever. */
  get retentionMs(): number {
    return this.#fields.retention.durationMs;
  }

  /** False where retention was set between the two, be it back to what it had been. */
  hasRetentionOf(other: ClusterRecord): boolean {
    const [a, b] = [this.#fields.retention, other.#fields.retention];
    return a.version === b.version && a.by === b.by;
  }

  /**
   * What lies before is past retention by size: the second highest of the members' wishes, so that none can decide it alone
   * for the others; of a single member its own. 0: nothing.
   */
  get floorMs(): number {
    const { members } = this;
    const wishes = members.map(({ floorMs }) => floorMs).sort((a, b) => b - a);
    return wishes[members.length < 2 ? 0 : 1] ?? 0;
  }

  get entries(): readonly Member[] {
    return this.#fields.members;
  }

  member(name: NodeName): Member | undefined {
    return this.#members.get(name);
  }

  /** Who is asked: all that may hold something. */
  get members(): readonly Member[] {
    return this.entries.filter(({ state }) => state === 'joining' || state === 'active' || state === 'leaving');
  }

  get actives(): readonly Member[] {
    return this.entries.filter(({ state }) => state === 'active');
  }

  /** All stores ever lost, ascending. */
  get losses(): readonly StoreId[] {
    return union(...this.entries.map(({ losses }) => losses));
  }

  /** Losses that some member has not cleared: what only those stores held may still be on one store less than it should. */
  get unhealedLosses(): readonly StoreId[] {
    const { members } = this;
    return this.losses.filter((loss) => !members.every(({ cleared }) => cleared.includes(loss)));
  }

  /** True where the node `name` with this store is a member in this state. */
  isStore(name: NodeName, store: StoreId, state: MemberState): boolean {
    const member = this.#members.get(name);
    return member?.store === store && member.state === state;
  }

  /** The record with this entry in place of the one of that name. Only a node itself calls this for its own name. */
  with(member: Member): ClusterRecord {
    const others = this.entries.filter(({ name }) => name !== member.name);
    return new ClusterRecord({ ...this.#fields, members: [...others, member] });
  }

  /** The record with a change to a node's own entry, numbered anew. */
  withOwn(name: NodeName, change: Partial<Member>): ClusterRecord {
    const member = this.#members.get(name);
    return member ? this.with({ ...member, ...change, version: member.version + 1 }) : this;
  }

  /** The record in which a member that is now the only active one says so. Only that node calls it. */
  withSoleActive(name: NodeName): ClusterRecord {
    const [first, second] = this.actives;
    if (first?.name !== name || second || first.alone > 0) return this;
    return this.withOwn(name, { alone: soleActive });
  }

  /** The record with a member removed: final for its store, which is lost. Who has left has left nothing that could be lost. */
  withRemoved(name: NodeName): ClusterRecord {
    const member = this.#members.get(name);
    return member && member.state !== 'left'
      ? this.with({ ...member, state: 'removed', losses: union(member.losses, [member.store]) })
      : this;
  }

  withDelete(request: DeleteRequest): ClusterRecord {
    if (this.deletes.some(({ id }) => id === request.id)) return this;
    return new ClusterRecord({ ...this.#fields, deletes: [...this.deletes, request] });
  }

  /** The record without deletes of ranges that end before. */
  withPruned(beforeMs: number): ClusterRecord {
    if (beforeMs <= this.#fields.prunedBeforeMs) return this;
    return new ClusterRecord({ ...this.#fields, prunedBeforeMs: beforeMs });
  }

  /** Retention set anew by the node `by`. */
  withRetention(durationMs: number, by: NodeName): ClusterRecord {
    const version = this.#fields.retention.version + 1;
    return new ClusterRecord({ ...this.#fields, retention: { version, durationMs, by } });
  }

  /** The same for (a, b) and (b, a); nothing changes where the other adds nothing. */
  merge(other: ClusterRecord): ClusterRecord {
    if (other.hash === this.hash) return this;
    const names = union([...this.#members.keys()], [...other.#members.keys()]);
    const members: Member[] = [];
    for (const name of names) {
      const mine = this.#members.get(name);
      const theirs = other.#members.get(name);
      const member = mine && theirs ? mergeMembers(mine, theirs) : (mine ?? theirs);
      if (member) members.push(member);
    }
    const deletes = new Map([...this.deletes, ...other.deletes].map((request) => [request.id, request]));
    const [a, b] = [this.#fields, other.#fields];
    return new ClusterRecord({
      clusterId: a.clusterId,
      members,
      deletes: [...deletes.values()],
      prunedBeforeMs: Math.max(a.prunedBeforeMs, b.prunedBeforeMs),
      retention: isNewerRetention(a.retention, b.retention) ? a.retention : b.retention,
      rest: a.rest.length >= b.rest.length ? a.rest : b.rest,
    });
  }
}

function isNewerRetention(a: Retention, b: Retention): boolean {
  if (a.version !== b.version) return a.version > b.version;
  return a.by !== b.by ? a.by > b.by : a.durationMs > b.durationMs;
}

/** Exported for tests: two entries of one name. */
export function mergeMembers(a: Member, b: Member): Member {
  if (a.store === b.store) {
    const newer = isNewer(a, b) ? a : b;
    const isRemoved = a.state === 'removed' || b.state === 'removed';
    return {
      ...newer,
      state: isRemoved ? 'removed' : newer.state,
      losses: union(a.losses, b.losses),
      cleared: union(a.cleared, b.cleared),
    };
  }
  const [winner, beaten] = hasTaken(a, b) ? [a, b] : [b, a];
  // Two stores under one name: what only the beaten one held is lost with it, unless it had handed over everything.
  return {
    ...winner,
    losses: union(a.losses, b.losses, beaten.state === 'left' ? [] : [beaten.store]),
  };
}

/** Versions of one entry are alike unless its directory was set back for a while: then, too, all have to choose the same. */
function isNewer(a: Member, b: Member): boolean {
  if (a.version !== b.version) return a.version > b.version;
  return hashBytes(encode(memberCodec, a)) > hashBytes(encode(memberCodec, b));
}

/**
 * Whether the store of `a` has the name that both bear. Who took it over knows which store it was taken from, though perhaps
 * not how far that one had numbered its entry.
 */
function hasTaken(a: Member, b: Member): boolean {
  const [isHeir, isGivenUp] = [a.losses.includes(b.store), b.losses.includes(a.store)];
  if (isHeir !== isGivenUp) return isHeir;
  return a.version !== b.version ? a.version > b.version : a.store > b.store;
}
