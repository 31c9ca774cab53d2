// The loop that clears marks: batches of partitions with marks of one window (or of all), compared with all their owners at
// once; what differs is mended, paced. Marks are its only backlog: hints to be pushed, partitions to be handed over after a
// change of owners, and windows to be compared are all the same. What queries found short goes first.
import { errorMessage, hasCode } from '../../base/index.ts';
import type { Timer } from '../../ports/index.ts';
import { digestsMax, type NodeName, type Scope, windowMs } from '../contracts.ts';
import type { OwnerToken } from '../decisions.ts';
import type { ScopedMark } from '../marks/index.ts';
import type { CopyReason, Finding } from '../messages.ts';
import type { View } from '../view.ts';
import { Auditor } from './audit.ts';
import { Backoff } from './backoff.ts';
import { OwnerSession, type RepairContext } from './session.ts';

const urgentMax = 4096;
/** Whole partitions are compared in smaller batches: others may fill those that are not in this one. */
const partitionsOfBatchMax = 256;
/** Marks looked at in one turn, due or not. */
const lookedAtMax = 32_768;
/** Comparisons with one owner under way that found a difference. */
const mendingMax = 8;

/** One mark as it was when its comparison began, and who has confirmed it since. */
interface Item {
  readonly scope: Scope;
  readonly mark: ScopedMark;
  readonly confirmed: Set<OwnerToken>;
}

export class Repairer {
  readonly #context: RepairContext;
  readonly #backoff: Backoff;
  readonly #auditor: Auditor;
  #urgent: Scope[] = [];
  #marks: Iterator<ScopedMark>;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(context: RepairContext, backoff: Backoff, random: () => number) {
    this.#context = context;
    this.#backoff = backoff;
    this.#auditor = new Auditor(context, backoff, random);
    this.#marks = context.state.marks.all();
  }

  start(delayMs = this.#context.timing.repairIntervalMs): void {
    this.#timer = this.#context.state.clock.setTimer(delayMs, () => {
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    const hasMoved = await this.#turn();
    if (!this.#isStopped) this.start(hasMoved ? this.#context.timing.repairPauseMs : undefined);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** A query had to read this scope here because it is marked: it is compared before others. */
  hurry(scope: Scope): void {
    if (this.#urgent.length < urgentMax && !this.#isOpen(scope.windowStartMs)) this.#urgent.push(scope);
  }

  /** Marks that could be cleared now, if their owners answered. */
  dueCount(): number {
    const { marks, unsettledSince } = this.#context.state;
    let count = 0;
    for (const mark of marks.all()) if (this.#isDue(mark, unsettledSince)) count++;
    return count;
  }

  /** True where there was something to do and it got on. */
  async #turn(): Promise<boolean> {
    const { state } = this.#context;
    // Without a clock it would compare, and bring back, what is past retention.
    if (!state.isReady || !state.hasHeardClock) return false;
    try {
      const batch = this.#nextBatch();
      const hasMoved = batch.length > 0 && (await this.#work(batch));
      await this.#auditor.turn();
      return hasMoved;
    } catch (error) {
      state.log.warn('repair-failed', { reason: errorMessage(error) });
      return false;
    }
  }

  /** Marks that are due and have an owner to ask, all of one window. */
  #nextBatch(): ScopedMark[] {
    const { marks, unsettledSince } = this.#context.state;
    const batch = new Map<number, ScopedMark>();
    const isFull = (): boolean => batch.size >= (this.#isOfPartitions(batch) ? partitionsOfBatchMax : digestsMax);
    const add = (mark: ScopedMark): boolean => {
      const [first] = batch.values();
      if (first && first.scope.windowStartMs !== mark.scope.windowStartMs) return false;
      if (this.#isDue(mark, unsettledSince) && this.#hasOwnersToAsk(mark)) batch.set(mark.scope.partition, mark);
      return true;
    };
    const later: Scope[] = [];
    for (const scope of this.#urgent) {
      const mark = marks.get(scope);
      if (mark && (isFull() || !add({ ...mark, scope }))) later.push(scope);
    }
    this.#urgent = later;
    const count = Math.min(marks.count, lookedAtMax);
    for (let looked = 0; looked < count && !isFull(); looked++) {
      let next = this.#marks.next();
      if (next.done) {
        this.#marks = marks.all();
        next = this.#marks.next();
        if (next.done) break;
      }
      if (!add(next.value) && batch.size > 0) break;
    }
    return [...batch.values()].sort((a, b) => a.scope.partition - b.scope.partition);
  }

  #isOfPartitions(batch: ReadonlyMap<number, ScopedMark>): boolean {
    const [first] = batch.values();
    return first !== undefined && first.scope.windowStartMs === undefined;
  }

  #isOpen(windowStartMs: number | undefined): boolean {
    const { state, timing } = this.#context;
    return windowStartMs !== undefined && windowStartMs + windowMs + timing.windowGraceMs > state.clock.nowMs();
  }

  /**
   * Hints are pushed at any time; an owner's open window is still being written, and differs all the time. It is compared once
   * nevertheless where a loss is not healed before.
   */
  #isDue({ scope, since }: ScopedMark, unsettledSince: number): boolean {
    const { partition, windowStartMs } = scope;
    return !this.#isOpen(windowStartMs) || !this.#context.state.isOwner(partition) || since <= unsettledSince;
  }

  #missingOwners({ scope, confirmed }: ScopedMark, view: View): NodeName[] {
    const { names, tokens } = view.ownersOf(scope.partition);
    return names.filter((name, index) => name !== this.#context.state.name && !confirmed.includes(tokens[index] ?? ''));
  }

  /** In an open window all of them: who has confirmed would have to again after every write, as long as one is away. */
  #hasOwnersToAsk(mark: ScopedMark): boolean {
    const missing = this.#missingOwners(mark, this.#context.state.view);
    const isAsked = (name: NodeName): boolean => !this.#backoff.isWaiting(name);
    if (missing.length === 0) return true;
    return this.#isOpen(mark.scope.windowStartMs) ? missing.every(isAsked) : missing.some(isAsked);
  }

  async #work(batch: readonly ScopedMark[]): Promise<boolean> {
    const { state } = this.#context;
    const { view, marks } = state;
    const windowStartMs = batch[0]?.scope.windowStartMs;
    if (windowStartMs !== undefined && state.isExpired(windowStartMs)) {
      for (const { scope } of batch) marks.clear(scope);
      await state.settle();
      return true;
    }
    const position = marks.history;
    const items: Item[] = batch.map((mark) => ({ scope: mark.scope, mark, confirmed: new Set(mark.confirmed) }));
    const toAsk = new Map<NodeName, Item[]>();
    for (const item of items) {
      for (const owner of this.#missingOwners(item.mark, view)) {
        if (!this.#backoff.isWaiting(owner)) toAsk.set(owner, [...(toAsk.get(owner) ?? []), item]);
      }
    }
    const fromMs = state.comparedFromMs;
    const digests = await state.store.digestsOf(
      Uint32Array.from(items, ({ scope }) => scope.partition),
      windowStartMs ?? fromMs ?? Number.NEGATIVE_INFINITY,
      windowStartMs === undefined ? Number.POSITIVE_INFINITY : windowStartMs + windowMs,
    );
    const digestOf = new Map(items.map((item, index) => [item, digests[index] ?? { samplesCount: 0, sum: 0n }]));
    const range = { windowStartMs, fromMs, toMs: undefined };
    await Promise.all(
      [...toAsk].map(([owner, asked]) =>
        this.#confirmBy(owner, asked, async (session) => {
          const partitions = asked.map(({ scope }) => scope.partition);
          return session.check(
            range,
            partitions,
            asked.map((item) => digestOf.get(item) ?? { samplesCount: 0, sum: 0n }),
          );
        }),
      ),
    );
    return this.#finish(items, view, position);
  }

  /** Asks one owner for all items; lists it with the marks of those that it holds. Failures let the owner rest. */
  async #confirmBy(
    owner: NodeName,
    items: readonly Item[],
    check: (session: OwnerSession) => Promise<readonly Finding[]>,
  ): Promise<void> {
    const { state, pacer } = this.#context;
    const session = new OwnerSession(this.#context, owner);
    const fail = (error: unknown): void => {
      if (hasCode(error, 'PEER_BUSY') || hasCode(error, 'STORE_BUSY')) pacer.slowDown();
      this.#backoff.failed(owner, error);
      state.log.debug('comparison-failed', { owner, reason: errorMessage(error) });
    };
    let findings: readonly Finding[];
    try {
      findings = await check(session);
    } catch (error) {
      fail(error);
      return;
    }
    this.#backoff.succeeded(owner);
    const differing: { item: Item; finding: Finding }[] = [];
    for (const [index, item] of items.entries()) {
      const finding = findings[index] ?? 'leased';
      if (finding === 'equal') this.#confirm(item, session.token);
      else if (finding !== 'leased') differing.push({ item, finding });
    }
    const mend = async (): Promise<void> => {
      for (let next = differing.pop(); next; next = differing.pop()) {
        try {
          await session.mend(next.item.scope, next.finding, this.#reasonOf(next.item.scope));
          this.#confirm(next.item, session.token);
        } catch (error) {
          if (hasCode(error, 'PEER_LEASED')) continue;
          differing.length = 0;
          fail(error);
        }
      }
    };
    await Promise.all(Array.from({ length: mendingMax }, mend));
  }

  #reasonOf({ partition, windowStartMs }: Scope): CopyReason {
    if (windowStartMs === undefined) return 'handover';
    return this.#context.state.isOwner(partition) ? 'repair' : 'hint';
  }

  #confirm(item: Item, token: OwnerToken): void {
    item.confirmed.add(token);
    this.#context.state.marks.confirm(item.scope, item.mark.version, token);
  }

  /** Clears what all owners have confirmed; what was written meanwhile stays marked, but is no older than the comparison. */
  async #finish(items: readonly Item[], view: View, position: number): Promise<boolean> {
    const { state, counters } = this.#context;
    const { marks, decisions, selfToken } = state;
    if (state.view !== view) return true;
    let hasMoved = false;
    for (const { scope, mark, confirmed } of items) {
      const current = marks.get(scope);
      if (!current) continue;
      hasMoved ||= confirmed.size > mark.confirmed.length;
      const owners = view.ownerTokens(scope.partition);
      if (current.version === mark.version && decisions.mayClear(owners, current.confirmed, selfToken)) {
        marks.clear(scope);
        counters.marksCleared++;
        hasMoved = true;
      } else if (decisions.mayClear(owners, [...confirmed], selfToken)) marks.advance(scope, position + 1);
    }
    await state.settle();
    return hasMoved;
  }
}
