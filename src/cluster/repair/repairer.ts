// The loop that clears marks: one scope after another, paced, the ones that reads found short first. Marks are its backlog:
// hints to be pushed, partitions to be handed over after a change of owners, and windows to be compared are all the same.
import { errorMessage, hasCode } from '../../base/index.ts';
import type { Timer } from '../../ports/index.ts';
import { type NodeName, type Scope, windowMs } from '../contracts.ts';
import type { ScopedMark } from '../marks/index.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';
import type { Comparer } from './compare.ts';

const urgentMax = 256;

export class Repairer {
  cleared = 0;
  readonly #state: NodeState;
  readonly #comparer: Comparer;
  readonly #timing: ClusterTiming;
  readonly #random: () => number;
  readonly #urgent: Scope[] = [];
  readonly #backoffUntilMs = new Map<NodeName, number>();
  #marks: Iterator<ScopedMark>;
  #audited: Iterator<number>;
  #auditDueMs = 0;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(state: NodeState, comparer: Comparer, timing: ClusterTiming, random: () => number) {
    this.#state = state;
    this.#comparer = comparer;
    this.#timing = timing;
    this.#random = random;
    this.#marks = state.marks.all();
    this.#audited = state.held[Symbol.iterator]();
  }

  start(): void {
    this.#timer = this.#state.clock.setTimer(this.#timing.repairIntervalMs, () => {
      void this.#turn().finally(() => {
        if (!this.#isStopped) this.start();
      });
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** A query had to read this scope here because it is marked: it is compared before others. */
  hurry(scope: Scope): void {
    if (this.#urgent.length < urgentMax) this.#urgent.push(scope);
  }

  async #turn(): Promise<void> {
    // Without a clock it would compare, and bring back, what is past retention.
    if (!this.#state.isReady || !this.#state.hasHeardClock) return;
    try {
      const mark = this.#next();
      if (mark) await this.#work(mark);
      await this.#audit();
    } catch (error) {
      this.#state.log.warn('repair-failed', { reason: errorMessage(error) });
    }
  }

  #next(): ScopedMark | undefined {
    for (let urgent = this.#urgent.shift(); urgent; urgent = this.#urgent.shift()) {
      const mark = this.#state.marks.get(urgent);
      if (mark && this.#isDue(urgent)) return { ...mark, scope: urgent };
    }
    // At most one round: marks that are not due are passed over.
    for (let passed = this.#state.marks.count; passed >= 0; passed--) {
      let next = this.#marks.next();
      if (next.done) {
        this.#marks = this.#state.marks.all();
        next = this.#marks.next();
        if (next.done) return undefined;
      }
      if (this.#isDue(next.value.scope)) return next.value;
    }
    return undefined;
  }

  /** Hints are pushed at any time; an owner's open window is still being written, and differs all the time. */
  #isDue({ partition, windowStartMs }: Scope): boolean {
    if (windowStartMs === undefined || !this.#state.isOwner(partition)) return true;
    return windowStartMs + windowMs + this.#timing.windowGraceMs <= this.#state.clock.nowMs();
  }

  async #work({ scope }: ScopedMark): Promise<void> {
    const state = this.#state;
    const { view, marks } = state;
    if (scope.windowStartMs !== undefined && state.isExpired(scope.windowStartMs)) {
      marks.clear(scope);
      await state.settle();
      return;
    }
    for (const owner of view.owners(scope.partition)) {
      // As it is now: comparisons that others asked for may have confirmed something meanwhile.
      const mark = marks.get(scope);
      if (!mark || state.view !== view) return;
      if (owner === state.name || mark.confirmed.includes(view.token(owner)) || this.#isBackedOff(owner)) continue;
      try {
        const token = await this.#comparer.confirm(scope, owner);
        if (state.view === view) marks.confirm(scope, mark.version, token);
      } catch (error) {
        if (!hasCode(error, 'PEER_LEASED')) {
          this.#backoffUntilMs.set(owner, state.clock.monotonicMs() + this.#timing.repairBackoffMs);
        }
        state.log.debug('comparison-failed', { owner, reason: errorMessage(error) });
      }
    }
    const mark = marks.get(scope);
    if (!mark || state.view !== view) return;
    if (!state.decisions.mayClear(view.ownerTokens(scope.partition), mark.confirmed, state.selfToken)) return;
    marks.clear(scope);
    this.cleared++;
    await state.settle();
  }

  #isBackedOff(owner: NodeName): boolean {
    return (this.#backoffUntilMs.get(owner) ?? 0) > this.#state.clock.monotonicMs();
  }

  /** Compares totals of owned partitions, each once in a period, marked or not: finds what no mark tells of. */
  async #audit(): Promise<void> {
    const state = this.#state;
    const nowMs = state.clock.monotonicMs();
    if (nowMs < this.#auditDueMs) return;
    this.#auditDueMs = nowMs + this.#timing.auditPeriodMs / Math.max(1, state.held.size);
    let next = this.#audited.next();
    if (next.done) {
      this.#audited = state.held[Symbol.iterator]();
      next = this.#audited.next();
    }
    const partition = next.value;
    if (partition === undefined || state.marks.isMarked(partition) || !state.isOwner(partition)) return;
    const others = state.view.owners(partition).filter((name) => name !== state.name && !this.#isBackedOff(name));
    const owner = others[Math.floor(this.#random() * others.length)];
    if (owner === undefined) return;
    if (await this.#comparer.differs(partition, owner)) state.marks.markPartition(partition);
  }
}
