// What a node knows and must not lose: the record, its view, the marks, which partitions it holds. Every change of the record
// goes through here: first to disk, then, without a pause in between, into force together with the marks that it implies.
import { TimbalaError } from '../base/index.ts';
import type { Clock, Log } from '../ports/index.ts';
import {
  type LocalStore,
  type NodeName,
  type PairKey,
  isOfWindow,
  pairPartition,
  type StoreId,
  windowMs,
  windowStartOf,
} from './contracts.ts';
import { type Decisions, type OwnerToken, ownerToken } from './decisions.ts';
import { type Life, SeenLives } from './lives.ts';
import { MarksTable } from './marks/index.ts';
import { PartitionSet } from './partition-set.ts';
import { ClusterRecord, type Member } from './record/index.ts';
import { type Place, View } from './view.ts';

export interface StateOptions {
  readonly name: NodeName;
  readonly store: LocalStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly decisions: Decisions;
  readonly place: Place;
  readonly partitionsCount: number;
  /** Another number after every start: what peers know of this node's marks is void then. */
  readonly epoch: number;
  /** Called with every record that comes into force. */
  readonly onRecord: (record: ClusterRecord) => void;
}

export class NodeState {
  readonly name: NodeName;
  readonly store: LocalStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly decisions: Decisions;
  readonly epoch: number;
  readonly marks = new MarksTable();
  /** Partitions of which something may be held. */
  readonly held = new PartitionSet();
  readonly lives: SeenLives;
  /** False until the log is replayed, its marks are made, and peers were asked whether they know of more. */
  isReady = false;
  /** Counts beginnings and ends of drops, for what began before one. */
  dropsCount = 0;
  readonly #droppedAt = new Map<number, number>();
  /** Partitions of which a drop is under way. */
  readonly #dropping = new Set<number>();
  /** Of the next drop that ends. */
  #dropEnd = Promise.withResolvers<void>();
  #startPosition: number | undefined;
  #isAbandoned = false;
  readonly #place: Place;
  readonly #partitionsCount: number;
  readonly #onRecord: (record: ClusterRecord) => void;
  #record: ClusterRecord;
  #view: View;
  #changes: Promise<void> = Promise.resolve();
  /** Position in the marks' history at which a loss was heard of; it is cleared when no older mark is left. */
  readonly #lossesHeardAt = new Map<StoreId, number>();
  /** The same for other members: from then on the node's own samples get to others. */
  #companyAt: number | undefined;
  readonly #clockOffsetsMs = new Map<NodeName, number>();

  constructor(options: StateOptions, record: ClusterRecord) {
    this.name = options.name;
    this.store = options.store;
    this.clock = options.clock;
    this.log = options.log;
    this.decisions = options.decisions;
    this.epoch = options.epoch;
    this.lives = new SeenLives(options.decisions);
    this.#place = options.place;
    this.#partitionsCount = options.partitionsCount;
    this.#onRecord = options.onRecord;
    this.#record = record;
    this.#view = new View(record, this.#place, undefined);
    this.#setGroups();
  }

  /** Brings back record and marks; the marks of what the log holds follow when it is replayed (`finishReplay`). */
  async load(): Promise<void> {
    const lives = await this.store.loadState('lives');
    if (lives) this.lives.load(lives);
    const marks = await this.store.loadState('marks');
    const saved = marks && this.marks.load(marks);
    for (const partition of await this.store.heldPartitions()) {
      this.held.add(partition);
      // Saved under another view (or not at all): what that view's change would have marked is not known.
      if (saved?.viewHash !== this.#record.viewHash) this.marks.markPartition(partition);
    }
    await this.store.applyDeletes(this.#record.deletes);
    this.#noteLosses();
  }

  /** The log is replayed: marks are made, and others can be told where it stands. */
  async finishReplay(): Promise<void> {
    this.noteWritten(await this.store.ready());
    // Not before: a cut waits for this, and would else save marks without those of the log that it removes.
    this.store.onLogCut = () => this.marks.encode(this.#view.hash);
    // Whatever was heard of meanwhile: these marks are older.
    this.#lossesHeardAt.clear();
    this.#companyAt = undefined;
    this.#noteLosses();
    this.#startPosition = this.store.recoveredPosition;
  }

  /** What is told of the own log; undefined until it is replayed. */
  get life(): Life | undefined {
    const { epoch: id } = this;
    if (this.#startPosition === undefined) return undefined;
    return { id, startPosition: this.#startPosition, position: this.store.position };
  }

  /** This directory is not what it was when it last told of itself. */
  async abandonStore(reason: string): Promise<void> {
    if (this.#isAbandoned) return;
    this.#isAbandoned = true;
    this.log.error('store-set-back', { reason, remedy: 'it starts again as a new store, and is filled by its peers' });
    await this.store.abandon(reason);
  }

  /** How far peers' logs were seen: a few seconds may be lost with a crash. */
  async saveLives(): Promise<void> {
    const stores = new Set(this.#record.entries.map(({ store }) => store));
    const encoded = this.lives.takeChanged((store) => stores.has(store));
    if (encoded) await this.store.saveState('lives', encoded);
  }

  get record(): ClusterRecord {
    return this.#record;
  }

  get view(): View {
    return this.#view;
  }

  /** The own entry, where it is of this store. */
  get self(): Member | undefined {
    const member = this.#record.member(this.name);
    return member?.store === this.store.id ? member : undefined;
  }

  get selfToken(): OwnerToken {
    return ownerToken(this.name, this.store.id);
  }

  get isMember(): boolean {
    const state = this.self?.state;
    return state === 'active' || state === 'joining' || state === 'leaving';
  }

  /** Whether it takes its full part: "the next node may be stopped when this one is ready". */
  get isServing(): boolean {
    return this.isReady && this.self?.state === 'active';
  }

  isOwner(partition: number): boolean {
    return this.self?.state === 'active' && this.#view.isOwner(this.name, partition);
  }

  /** Samples that a client wrote are synced: marks their pairs, before anybody is told. */
  noteWritten(pairs: ArrayLike<PairKey>): void {
    this.noteCopied(pairs);
    this.marks.markWritten(pairs);
  }

  noteCopied(pairs: ArrayLike<PairKey>): void {
    // Mostly of one window, one after the other: to divide each would cost more than all the rest.
    let firstOfWindow = Number.NaN;
    for (let i = 0; i < pairs.length; i++) {
      const pair = pairs[i] ?? 0;
      if (!isOfWindow(pair, firstOfWindow)) firstOfWindow = pair - pairPartition(pair);
      this.held.add(pair - firstOfWindow);
    }
  }

  /** From now on what is held of the partition counts for nothing, and reads that were planned before are refused. */
  beginDrop(partition: number): void {
    this.held.delete(partition);
    this.#dropping.add(partition);
    this.#droppedAt.set(partition, ++this.dropsCount);
  }

  /** What arrives from now on stays. Where the drop failed, all may still be here, and owners may have changed meanwhile. */
  endDrop(partition: number, isDone: boolean): void {
    this.#dropping.delete(partition);
    this.#droppedAt.set(partition, ++this.dropsCount);
    this.#dropEnd.resolve();
    this.#dropEnd = Promise.withResolvers();
    if (isDone) return;
    this.held.add(partition);
    this.marks.markPartition(partition);
  }

  /** Resolves when none of these partitions is being dropped. */
  async dropsEnded(partitions: readonly number[]): Promise<void> {
    while (partitions.some((partition) => this.#dropping.has(partition))) await this.#dropEnd.promise;
  }

  isDropping(partition: number): boolean {
    return this.#dropping.has(partition);
  }

  /**
   * Whether what was seen of a partition, or appended to it, since the count of drops stood at `dropsCount` stays. A drop takes
   * a while, and takes what arrives meanwhile too: no digest, no append in between counts.
   */
  isKept(partition: number, dropsCount: number): boolean {
    if (this.decisions.countsForNothing(this.#dropping.has(partition))) return false;
    return (this.#droppedAt.get(partition) ?? 0) <= dropsCount;
  }

  /** Those of the partitions that are not kept (`isKept`). */
  unkept(partitions: Iterable<number>, dropsCount: number): number[] {
    if (this.dropsCount === dropsCount && this.#dropping.size === 0) return [];
    return [...partitions].filter((partition) => !this.isKept(partition, dropsCount));
  }

  /** Throws PEER_DROPPED where one of the partitions is not kept. */
  refuseUnkept(partitions: Iterable<number>, dropsCount: number): void {
    const [partition] = this.unkept(partitions, dropsCount);
    if (partition === undefined) return;
    throw new TimbalaError('PEER_DROPPED', `partition ${partition} is just being handed over; ask again`);
  }

  /** For reads: throws where one of the partitions was dropped after the count stood at `dropsCount`, and may be gone. */
  refuseDropped(partitions: Iterable<number>, dropsCount: number): void {
    if (this.dropsCount === dropsCount) return;
    for (const partition of partitions) {
      if ((this.#droppedAt.get(partition) ?? 0) > dropsCount) {
        throw new TimbalaError('PEER_DROPPED', `partition ${partition} was handed over meanwhile; ask again`);
      }
    }
  }

  /** Takes over what another node's record adds. */
  merge(other: ClusterRecord): Promise<void> {
    return this.change((record) => {
      if (record.clusterId === other.clusterId) return record.merge(other);
      throw new TimbalaError(
        'CLUSTER_OTHER',
        `cluster ${other.clusterId} is not ${record.clusterId}; nothing was merged`,
      );
    });
  }

  /** Changes the record: on disk first. Changes follow one another; `step` sees the outcome of those before. */
  change(step: (record: ClusterRecord) => ClusterRecord): Promise<void> {
    const change = this.#changeAfter(this.#changes, step);
    this.#changes = change.catch(() => {});
    return change;
  }

  /** Does what goes by all of the record while no change of it is under way; those that come meanwhile wait. */
  betweenChanges(work: (record: ClusterRecord) => Promise<void>): Promise<void> {
    const done = this.#changes.then(() => work(this.#record));
    this.#changes = done.catch(() => {});
    return done;
  }

  /** Changes the own entry: nothing where `step` says so, or where another store has taken the name over meanwhile. */
  changeOwn(step: (own: Member) => Partial<Member> | undefined): Promise<void> {
    return this.change((record) => this.#withOwn(record, step));
  }

  #withOwn(record: ClusterRecord, step: (own: Member) => Partial<Member> | undefined): ClusterRecord {
    const own = record.member(this.name);
    const change = own?.store === this.store.id ? step(own) : undefined;
    return change ? record.withOwn(this.name, change) : record;
  }

  async #changeAfter(before: Promise<void>, step: (record: ClusterRecord) => ClusterRecord): Promise<void> {
    await before;
    await this.#apply(step(this.#record));
    this.#settle();
  }

  async #apply(changed: ClusterRecord): Promise<void> {
    const isOwn = changed.member(this.name)?.store === this.store.id;
    const next = isOwn ? changed.withSoleActive(this.name) : changed;
    if (next.hash === this.#record.hash) return;
    // Hidden before it is told that it is: who sees this hash relies on it.
    const known = new Set(this.#record.deletes.map(({ id }) => id));
    if (next.deletes.some(({ id }) => !known.has(id))) await this.store.applyDeletes(next.deletes);
    await this.store.saveState('record', next.encode());
    this.#enforce(next);
    if (this.marks.count > 0) await this.store.saveState('marks', this.marks.encode(this.#view.hash));
  }

  /** No pause between its first line and its last: an append sees all of the old view or all of the new one. */
  #enforce(next: ClusterRecord): void {
    const record = this.#record;
    const before = this.#view;
    const after = next.viewHash === before.hash ? before : new View(next, this.#place, before);
    this.#record = next;
    this.#view = after;
    this.#onRecord(next);
    if (after === before) return;
    if (after.placement !== before.placement) this.#setGroups();
    const stays = (partition: number, owner: OwnerToken): boolean =>
      before.ownerTokens(partition).includes(owner) && after.ownerTokens(partition).includes(owner);
    this.marks.retain(stays);
    // Who took a shorter retention for the truth has dropped what others still hold, and what nobody has compared since.
    const isRetainedAnew = !next.hasRetentionOf(record);
    for (const partition of this.held) {
      if (isRetainedAnew || this.decisions.remarks(before.ownerTokens(partition), after.ownerTokens(partition))) {
        this.marks.markPartition(partition);
      }
    }
    this.#noteLosses();
  }

  /** Requests that were cut by the groups before may go to nodes that own some of it no more: those keep them as hints. */
  #setGroups(): void {
    this.store.setGroups(this.#view.writeGroups(this.name, this.#partitionsCount));
  }

  #noteLosses(): void {
    for (const loss of this.#record.losses) {
      if (!this.#lossesHeardAt.has(loss)) this.#lossesHeardAt.set(loss, this.marks.history);
    }
    if (this.#record.actives.length < 2) this.#companyAt = undefined;
    else this.#companyAt ??= this.marks.history;
  }

  /** After marks were cleared: tells, in the own entry, which losses this node has nothing more to say about. */
  async settle(): Promise<void> {
    await this.#changes;
    this.#settle();
    await this.#changes;
  }

  #settle(): void {
    const { self } = this;
    if (!self || !this.isReady || !this.isMember) return;
    const open = this.#record.losses.filter((loss) => !self.cleared.includes(loss));
    if (open.length === 0 && self.alone === 0) return;
    const oldest = this.marks.oldestSince();
    const cleared = open.filter((loss) => (this.#lossesHeardAt.get(loss) ?? Number.POSITIVE_INFINITY) < oldest);
    const endsAlone = self.alone > 0 && this.#companyAt !== undefined && this.#companyAt < oldest;
    if (cleared.length === 0 && !endsAlone) return;
    const change = this.#changes.then(() =>
      this.#apply(
        this.#withOwn(this.#record, (own) => ({
          cleared: [...new Set([...own.cleared, ...cleared])].sort(),
          ...(endsAlone ? { alone: 0 } : {}),
        })),
      ),
    );
    this.#changes = change.catch(() => {});
  }

  /** Marks as old as this, or older, hold up a loss that is not healed, or that a query may do without this node. */
  get unsettledSince(): number {
    const { self } = this;
    const open = this.#record.losses.filter((loss) => !self?.cleared.includes(loss));
    const sinces = open.map((loss) => this.#lossesHeardAt.get(loss) ?? -1);
    return Math.max(-1, ...sinces, (self?.alone ?? 0) > 0 ? (this.#companyAt ?? -1) : -1);
  }

  /** Notes what a peer's clock showed in a message. */
  noteClock(peer: NodeName, sentMs: number): void {
    this.#clockOffsetsMs.set(peer, sentMs - this.clock.nowMs());
  }

  /** False after a start, until any other member was heard: whether the own clock is right is not known. */
  get hasHeardClock(): boolean {
    return this.#clockOffsetsMs.size > 0;
  }

  /** What lies before is past retention, by time or by size; −∞ where nothing is. A clock far off its peers' tells no time. */
  get horizonMs(): number {
    const { retentionMs, floorMs } = this.#record;
    const bySizeMs = floorMs > 0 ? floorMs : Number.NEGATIVE_INFINITY;
    if (retentionMs === 0) return bySizeMs;
    return this.isClockTrusted ? Math.max(this.clock.nowMs() - retentionMs, bySizeMs) : bySizeMs;
  }

  /** Whether the own clock agrees with what others have shown of theirs. */
  get isClockTrusted(): boolean {
    const othersCount = this.#record.members.filter(({ name }) => name !== this.name).length;
    return this.decisions.isClockTrusted([...this.#clockOffsetsMs.values()], othersCount);
  }

  /** Where the first window begins that is still compared; undefined: there is no first. */
  get comparedFromMs(): number | undefined {
    const { horizonMs } = this;
    return Number.isFinite(horizonMs) && !this.decisions.isCompared(true) ? windowStartOf(horizonMs) : undefined;
  }

  /** Whether all of a window is past retention. */
  isExpired(windowStartMs: number): boolean {
    return windowStartMs + windowMs <= this.horizonMs;
  }
}
