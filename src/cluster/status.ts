// What an operator may ask of a node: who belongs to the cluster, what was lost and is not yet made up for, what is under way
// and for whom it waits. A snapshot, made when asked for; nothing decides by it.
import type { NodeName, RecordHash, StoreId } from './contracts.ts';
import type { Member, MemberState } from './record/index.ts';
import type { NodeState } from './state.ts';

export interface MemberStatus extends Pick<Member, 'name' | 'address' | 'store' | 'state' | 'zone' | 'weight'> {
  readonly isSelf: boolean;
  /** Gossip's opinion; undefined where there is none. */
  readonly isAlive: boolean | undefined;
  /** It is or was the only active member, and others may lack what it holds: no query does without it. */
  readonly mayHoldAlone: boolean;
}

export interface LossStatus {
  readonly store: StoreId;
  /** Members that have not yet made up for it: until all have, queries count it as a store they do without. */
  readonly waitsFor: readonly NodeName[];
  readonly isHealed: boolean;
}

export interface ClusterStatus {
  readonly clusterId: string;
  readonly name: NodeName;
  readonly store: StoreId;
  /** Undefined on a node whose name another store has taken over. */
  readonly state: MemberState | undefined;
  /** Takes its full part: its log is replayed and it is active. */
  readonly isReady: boolean;
  readonly recordHash: RecordHash;
  /** 0: for ever. */
  readonly retentionMs: number;
  readonly deletesCount: number;
  readonly members: readonly MemberStatus[];
  readonly losses: readonly LossStatus[];
  /**
   * What this node may hold and some owner lack. `dueCount`: what could be cleared now if all owners answered, which is the
   * backlog of repair; the others are of windows that are still written.
   */
  readonly marks: {
    readonly marksCount: number;
    readonly pairsCount: number;
    readonly partitionsCount: number;
    readonly dueCount: number;
  };
  /** What repair and rebalancing may send at most now: less while nodes are busy. */
  readonly copyBytesPerSecondMax: number;
  /** Partitions of which this node owns, holds anything, and holds something though it owns nothing of it. */
  readonly partitions: { readonly owned: number; readonly held: number; readonly foreign: number };
  /** For each owner how many of this node's marks wait for its confirmation. */
  readonly waitingFor: readonly { readonly name: NodeName; readonly marksCount: number }[];
  /** What is under way and what waits for whom, in words; empty where all is at rest. */
  readonly underWay: readonly string[];
}

export type Liveness = (name: NodeName) => boolean | undefined;

export function clusterStatus(
  state: NodeState,
  isAlive: Liveness,
  partitionsCount: number,
  {
    dueCount,
    droppingCount,
    copyBytesPerSecondMax,
  }: { readonly dueCount: number; readonly droppingCount: number; readonly copyBytesPerSecondMax: number },
): ClusterStatus {
  const { record, marks, name, store } = state;
  const members = record.entries.map((member) => ({
    name: member.name,
    address: member.address,
    store: member.store,
    state: member.state,
    zone: member.zone,
    weight: member.weight,
    isSelf: member.name === name && member.store === store.id,
    isAlive: member.name === name ? true : isAlive(member.name),
    mayHoldAlone: member.alone > 0,
  }));
  const losses = record.losses.map((loss) => {
    const waitsFor = record.members.filter(({ cleared }) => !cleared.includes(loss)).map((member) => member.name);
    return { store: loss, waitsFor, isHealed: waitsFor.length === 0 };
  });
  let owned = 0;
  for (let partition = 0; partition < partitionsCount; partition++) if (state.isOwner(partition)) owned++;
  let foreign = droppingCount;
  for (const partition of state.held) if (!state.isOwner(partition)) foreign++;
  const status = {
    clusterId: record.clusterId,
    name,
    store: store.id,
    state: state.self?.state,
    isReady: state.isServing,
    recordHash: record.hash,
    retentionMs: record.retentionMs,
    deletesCount: record.deletes.length,
    members,
    losses,
    marks: { marksCount: marks.count, ...marks.kinds(), dueCount },
    copyBytesPerSecondMax,
    partitions: { owned, held: state.held.size, foreign },
    waitingFor: waitingFor(state),
  };
  return { ...status, underWay: underWay(status, state.isReady) };
}

function waitingFor({ view, marks, selfToken }: NodeState): { name: NodeName; marksCount: number }[] {
  const counts = new Map<NodeName, number>();
  for (const [{ names }, tallied] of marks.tally((partition) => view.ownersOf(partition))) {
    for (const owner of names) {
      const token = view.token(owner);
      if (token === selfToken) continue;
      for (const [confirmed, count] of tallied) {
        if (!confirmed.includes(token)) counts.set(owner, (counts.get(owner) ?? 0) + count);
      }
    }
  }
  return [...counts].map(([name, marksCount]) => ({ name, marksCount })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function underWay(status: Omit<ClusterStatus, 'underWay'>, isReplayed: boolean): string[] {
  const lines: string[] = [];
  const { members, losses, partitions } = status;
  const isDead = (name: NodeName): boolean =>
    members.some((member) => member.name === name && member.isAlive === false);
  const named = (names: readonly NodeName[]): string =>
    names.map((name) => (isDead(name) ? `${name} (believed dead)` : name)).join(', ');
  if (!isReplayed) lines.push('this node replays its log');
  for (const { name, state, isSelf, mayHoldAlone } of members) {
    if (mayHoldAlone && members.length > 1)
      lines.push(`${name} was alone: queries need it until others hold what it holds`);
    if (state === 'joining') lines.push(`${name} joins: waits until two active members have stored its entry`);
    if (state !== 'leaving') continue;
    const what = isSelf ? `: ${partitions.held} partitions still held here, ${status.marks.marksCount} marks` : '';
    lines.push(`${name} leaves: hands over what it holds${what}`);
  }
  for (const { store, waitsFor, isHealed } of losses) {
    if (!isHealed) lines.push(`store ${store} was lost: being made up for by ${named(waitsFor)}`);
  }
  for (const { name, marksCount } of status.waitingFor) {
    if (isDead(name)) lines.push(`${marksCount} marks wait for ${name}, which is believed dead`);
  }
  if (status.marks.dueCount > 0) {
    lines.push(`${status.marks.dueCount} marks are due: copies are compared, and what one lacks is sent`);
  }
  if (partitions.foreign > 0) {
    lines.push(`${partitions.foreign} partitions held here for others: handed over, then dropped`);
  }
  return lines;
}
