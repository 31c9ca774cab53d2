// A client's write: decoded once, sent to all owners, acknowledged when every valid sample is synced on a quorum of stores
// that are active in the record as merged with the replies. Where owners do not answer, the next in a partition's order
// stand in and keep hints; where they are busy, nobody does, because overload must not travel.
//
// Partitions with the same owners form a group, which is what is counted: a request over thousands of partitions has a
// handful. A retry after an error is harmless, so whatever is in doubt is an error.
import { discard, errorMessage, hasCode, TimbalaError } from '../../base/index.ts';
import type { Timer } from '../../ports/index.ts';
import { type DecodedWrite, type NodeName, pairPartition, type SamplesPayload, type StoreId } from '../contracts.ts';
import type { Exchange, Question } from '../exchange.ts';
import { nothing, writeRequest } from '../messages.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';
import type { OwnerSet } from '../view.ts';

const writeQuestion: Question<{ isHint: boolean }, object> = {
  kind: 'write',
  topic: 'write',
  request: writeRequest,
  reply: nothing,
};

/** Partitions with the same owners. */
interface Group {
  readonly number: number;
  readonly owners: readonly NodeName[];
  readonly partitions: ReadonlySet<number>;
  readonly acks: Map<NodeName, StoreId>;
  readonly tried: Set<NodeName>;
  waitingCount: number;
  /** An owner was busy: no stand-ins. */
  isBusy: boolean;
}

export interface WriteCounters {
  acknowledged: number;
  unavailable: number;
  hintsSent: number;
  hintsRefused: number;
}

export class Writer {
  readonly counters: WriteCounters = { acknowledged: 0, unavailable: 0, hintsSent: 0, hintsRefused: 0 };
  readonly #state: NodeState;
  readonly #exchange: Exchange;
  readonly #timing: ClusterTiming;

  constructor(state: NodeState, exchange: Exchange, timing: ClusterTiming) {
    this.#state = state;
    this.#exchange = exchange;
    this.#timing = timing;
    exchange.answer(writeQuestion, async ({ body, samples }) => {
      if (!state.isMember) throw new TimbalaError('PEER_NOT_MEMBER', `${state.name} is no member (any more)`);
      if (body.isHint && state.store.isBusy) {
        this.counters.hintsRefused++;
        throw new TimbalaError('PEER_BUSY', `${state.name} takes no hints while its queues are over half`);
      }
      if (samples) await this.#append(() => state.store.append(samples, 'written'));
      return { body: {} };
    });
  }

  /**
   * Marks what was written before anybody hears of it. A partition that was being dropped meanwhile may have lost it: all is
   * appended again when that has ended (no other drop of it begins, since it is marked now). To refuse it would be to refuse
   * the whole request, and owners may each be dropping something else of it.
   */
  async #append(append: () => Promise<Float64Array>): Promise<void> {
    const state = this.#state;
    for (;;) {
      const { dropsCount } = state;
      const pairs = await append();
      state.noteWritten(pairs);
      const lost = state.unkept(partitionsOf(pairs), dropsCount);
      discard(pairs);
      if (lost.length === 0) return;
      await state.dropsEnded(lost);
    }
  }

  /**
   * Resolves when all valid samples are acknowledged. Throws WRITE_UNAVAILABLE (503: to be sent again) otherwise. The
   * decoded write is released in any case: what owners are still being sent was encoded before, and nobody stands in later.
   */
  async write(decoded: DecodedWrite): Promise<void> {
    const state = this.#state.self?.state;
    try {
      if (state !== 'active' && state !== 'leaving') {
        throw new TimbalaError(
          'WRITE_UNAVAILABLE',
          `${this.#state.name} is ${state ?? 'no member'}; send it to another node`,
        );
      }
      await new Attempt(this.#state, this.#exchange, this.#timing, this.counters, decoded, (append) =>
        this.#append(append),
      ).run();
      this.counters.acknowledged++;
    } catch (error) {
      this.counters.unavailable++;
      throw error;
    } finally {
      decoded.release();
    }
  }
}

function* partitionsOf(pairs: Float64Array): Generator<number> {
  for (const pair of pairs) yield pairPartition(pair);
}

type Append = (append: () => Promise<Float64Array>) => Promise<void>;

class Attempt {
  readonly #state: NodeState;
  readonly #exchange: Exchange;
  readonly #timing: ClusterTiming;
  readonly #counters: WriteCounters;
  readonly #decoded: DecodedWrite;
  readonly #append: Append;
  readonly #groups: Group[];
  readonly #failures: string[] = [];
  #openCount = 0;
  #late: Timer | undefined;
  #settled: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(
    state: NodeState,
    exchange: Exchange,
    timing: ClusterTiming,
    counters: WriteCounters,
    decoded: DecodedWrite,
    append: Append,
  ) {
    this.#state = state;
    this.#exchange = exchange;
    this.#timing = timing;
    this.#counters = counters;
    this.#decoded = decoded;
    this.#append = append;
    this.#groups = groupByOwners(state, decoded.partitions);
  }

  async run(): Promise<void> {
    if (this.#groups.length === 0) return;
    const { clock } = this.#state;
    const deadline = clock.setTimer(this.#timing.writeDeadlineMs, () => this.#fail('the deadline has passed'));
    try {
      await new Promise<void>((resolve, reject) => {
        this.#settled = { resolve, reject };
        this.#standInAfter(this.#timing.standInAfterMs);
        this.#sendToOwners();
      });
    } finally {
      this.#settled = undefined;
      deadline.cancel();
      this.#late?.cancel();
    }
  }

  /** And then again, each time after twice as long: who stands in may be silent, too. */
  #standInAfter(delayMs: number): void {
    this.#late = this.#state.clock.setTimer(delayMs, () => {
      this.#standIn(true);
      if (this.#settled) this.#standInAfter(2 * delayMs);
    });
  }

  #sendToOwners(): void {
    const groupsOf = new Map<NodeName, Group[]>();
    for (const group of this.#groups) {
      for (const owner of group.owners) {
        const groups = groupsOf.get(owner);
        if (groups) groups.push(group);
        else groupsOf.set(owner, [group]);
      }
    }
    // Owners of the same groups are given the very same set: what is encoded for one of them serves the others.
    const sets = new Map<string, ReadonlySet<number>>();
    for (const [owner, groups] of groupsOf) {
      const key = groups.map(({ number }) => number).join();
      const partitions = sets.get(key) ?? union(groups);
      sets.set(key, partitions);
      void this.#send(owner, groups, partitions, false);
    }
    if (groupsOf.size === 0) this.#fail('no member owns anything yet');
  }

  async #send(to: NodeName, groups: readonly Group[], partitions: ReadonlySet<number>, isHint: boolean): Promise<void> {
    for (const group of groups) {
      group.tried.add(to);
      group.waitingCount++;
    }
    this.#openCount++;
    try {
      const store = await this.#deliver(to, partitions, isHint);
      for (const group of groups) group.acks.set(to, store);
    } catch (error) {
      this.#failures.push(errorMessage(error));
      const isBusy = hasCode(error, 'PEER_BUSY') || hasCode(error, 'STORE_BUSY');
      if (isBusy) for (const group of groups) group.isBusy = true;
    }
    for (const group of groups) group.waitingCount--;
    this.#openCount--;
    this.#check();
  }

  async #deliver(to: NodeName, partitions: ReadonlySet<number>, isHint: boolean): Promise<StoreId> {
    if (to === this.#state.name) {
      await this.#append(() => this.#decoded.append(partitions));
      return this.#state.store.id;
    }
    if (isHint) this.#counters.hintsSent++;
    const payload: SamplesPayload = await this.#decoded.payloadFor(partitions);
    const answer = await this.#exchange.ask(to, writeQuestion, { isHint }, this.#timing.writeDeadlineMs, payload);
    return answer.store;
  }

  #countedAcks(group: Group): number {
    const { decisions, record } = this.#state;
    return [...group.acks].filter(([name, store]) => decisions.countsAck(record, name, store)).length;
  }

  #check(): void {
    if (!this.#settled) return;
    const quorum = this.#state.decisions.quorum(this.#state.record, this.#state.name);
    if (this.#groups.every((group) => this.#countedAcks(group) >= quorum)) {
      this.#settled.resolve();
      return;
    }
    this.#standIn(false);
  }

  /** Sends to the next in order where the acknowledgements at hand and under way (or at hand, when late) are too few. */
  #standIn(isLate: boolean): void {
    if (!this.#settled) return;
    const quorum = this.#state.decisions.quorum(this.#state.record, this.#state.name);
    for (const group of this.#groups) {
      const expected = this.#countedAcks(group) + (isLate ? 0 : group.waitingCount);
      if (group.isBusy || expected >= quorum) continue;
      const [partition = 0] = group.partitions;
      const next = this.#state.view.order(partition).filter((name) => !group.tried.has(name));
      for (const name of next.slice(0, quorum - expected)) void this.#send(name, [group], group.partitions, true);
      if (next.length === 0 && group.waitingCount === 0) this.#fail('all members were tried');
    }
    if (this.#openCount === 0) this.#fail('owners are busy');
  }

  #fail(why: string): void {
    const storedCount = Math.min(...this.#groups.map((group) => this.#countedAcks(group)));
    const quorum = this.#state.decisions.quorum(this.#state.record, this.#state.name);
    const reasons = [`${storedCount} of ${quorum} have`, ...new Set(this.#failures)].slice(0, 4).join('; ');
    const message = `too few nodes have stored it: ${why} (${reasons}); send it again`;
    this.#settled?.reject(new TimbalaError('WRITE_UNAVAILABLE', message));
    this.#settled = undefined;
  }
}

function groupByOwners(state: NodeState, partitions: Uint32Array): Group[] {
  const groups = new Map<OwnerSet, Set<number>>();
  for (const partition of partitions) {
    const { set } = state.view.ownersOf(partition);
    const group = groups.get(set);
    if (group) group.add(partition);
    else groups.set(set, new Set([partition]));
  }
  return [...groups].map(([{ names }, members], number) => ({
    number,
    owners: names,
    partitions: members,
    acks: new Map(),
    tried: new Set(),
    waitingCount: 0,
    isBusy: false,
  }));
}

function union(groups: readonly Group[]): ReadonlySet<number> {
  const [first, second] = groups;
  if (first && !second) return first.partitions;
  const all = new Set<number>();
  for (const { partitions } of groups) for (const partition of partitions) all.add(partition);
  return all;
}
