// Which marks are worked on next: those that queries found short, then layer after layer (whole partitions, then windows), so
// that a batch is of one range of time. Open windows are passed over without a look at each of their many marks.
import { digestsMax, type NodeName, type Scope, windowMs } from '../contracts.ts';
import type { Mark, ScopedMark } from '../marks/index.ts';
import type { View } from '../view.ts';
import { HintPauses } from './hint-pauses.ts';
import { LateWrites } from './late-writes.ts';
import type { Leases } from './leases.ts';
import type { RepairContext } from './session.ts';

/** Still being written, or just now. */
function isOpen({ state, timing }: RepairContext, windowStartMs: number | undefined): boolean {
  return windowStartMs !== undefined && windowStartMs + windowMs + timing.windowGraceMs > state.clock.nowMs();
}

/**
 * Whether a mark is worked on now. Hints are pushed at any time; an owner's open window is still being written, and differs all
 * the time. It is compared once nevertheless where a loss is not healed before.
 */
export function isDue(
  context: RepairContext,
  { partition, windowStartMs }: Scope,
  { since }: Mark,
  unsettledSince = context.state.unsettledSince,
  isWindowOpen = isOpen(context, windowStartMs),
): boolean {
  return since <= unsettledSince || !isWindowOpen || !context.state.isOwner(partition);
}

const urgentMax = 4096;
/** Whole partitions are compared in smaller batches: others may fill those that are not in this one. */
const partitionsOfBatchMax = 256;
/** Marks looked at for one batch, due or not. */
const lookedAtMax = 32_768;

/** A look at a whole layer that found nothing due: it needs none before something of this changes. */
interface Idle {
  readonly shape: number;
  readonly view: View;
  readonly unsettledSince: number;
}

export class BatchPicker {
  readonly #context: RepairContext;
  readonly #leases: Leases;
  readonly #mayAsk: (owner: NodeName) => boolean;
  #urgent: Scope[] = [];
  /** Where the next look begins. */
  #windowStartMs: number | undefined;
  #partition = 0;
  /** Where the marks' history stood when the look at this layer began. */
  #passPosition = 0;
  readonly #idle = new Map<number, Idle>();
  readonly #pauses: HintPauses;
  readonly #lateWrites: LateWrites;

  /** `mayAsk`: whether an owner may be asked now, or answers something else, or rests. */
  constructor(context: RepairContext, leases: Leases, mayAsk: (owner: NodeName) => boolean) {
    this.#context = context;
    this.#leases = leases;
    this.#mayAsk = mayAsk;
    this.#pauses = new HintPauses(context.state.clock, context.timing.hintPauseMs);
    this.#lateWrites = new LateWrites(context.state.clock, context.timing);
  }

  hurry(scope: Scope): void {
    if (this.#urgent.length < urgentMax && !this.#isOpen(scope.windowStartMs)) this.#urgent.push(scope);
  }

  dueCount(): number {
    const { marks, unsettledSince } = this.#context.state;
    let count = 0;
    for (const { windowStartMs, marksCount, shape } of marks.layers()) {
      if (!this.#isOpen(windowStartMs)) count += marksCount;
      else if (!this.#isIdle(windowStartMs, shape, unsettledSince)) {
        for (const mark of marks.marksIn(windowStartMs))
          if (isDue(this.#context, mark.scope, mark, unsettledSince, true)) count++;
      }
    }
    return count;
  }

  /** Marks of one layer that are due and have somebody to ask, by partition; `sizeMax` at most. */
  next(sizeMax: number): ScopedMark[] {
    const hurried = this.#nextUrgent(sizeMax);
    return hurried.length > 0 ? hurried : this.#nextInTurn(sizeMax);
  }

  #nextUrgent(sizeMax: number): ScopedMark[] {
    const { marks } = this.#context.state;
    const batch = new Map<number, ScopedMark>();
    const later: Scope[] = [];
    for (const scope of this.#urgent) {
      const mark = marks.get(scope);
      if (!mark) continue;
      const [first] = batch.values();
      const fits = !first || first.scope.windowStartMs === scope.windowStartMs;
      if (!fits || batch.size >= Math.min(partitionsOfBatchMax, sizeMax)) later.push(scope);
      else if (this.#isWorkable({ ...mark, scope })) batch.set(scope.partition, { ...mark, scope });
    }
    this.#urgent = later;
    return [...batch.values()].sort((a, b) => a.scope.partition - b.scope.partition);
  }

  #nextInTurn(sizeMax: number): ScopedMark[] {
    const { marks, unsettledSince, view } = this.#context.state;
    const layers = marks.layers();
    this.#lateWrites.look(layers);
    const from = Math.max(
      0,
      layers.findIndex(({ windowStartMs }) => windowStartMs === this.#windowStartMs),
    );
    let leftCount = lookedAtMax;
    for (let step = 0; step <= layers.length && leftCount > 0; step++) {
      const layer = layers[(from + step) % layers.length];
      if (!layer) break;
      const { windowStartMs, shape } = layer;
      const first = step === 0 ? this.#partition : 0;
      if (this.#isIdle(windowStartMs, shape, unsettledSince)) continue;
      const isResting = this.#isResting(windowStartMs);
      let restingCount = 0;
      const batch: ScopedMark[] = [];
      let isDone = true;
      let dueCount = 0;
      const isWindowOpen = this.#isOpen(windowStartMs);
      const openMs = isWindowOpen ? windowStartMs : undefined;
      if (first === 0) this.#passPosition = marks.history;
      const full = Math.min(windowStartMs === undefined ? partitionsOfBatchMax : digestsMax, sizeMax);
      for (const mark of marks.marksIn(windowStartMs, first)) {
        if (batch.length >= full || leftCount-- <= 0) {
          [this.#windowStartMs, this.#partition, isDone] = [windowStartMs, mark.scope.partition, false];
          break;
        }
        if (!isDue(this.#context, mark.scope, mark, unsettledSince, isWindowOpen)) continue;
        dueCount++;
        if (isResting && mark.since > unsettledSince && this.#context.state.isOwner(mark.scope.partition)) {
          restingCount++;
          continue;
        }
        // What is due in an open window is a hint, unless a loss is not healed before.
        const hintsOfMs = mark.since > unsettledSince ? openMs : undefined;
        if (hintsOfMs !== undefined && this.#pauses.rests(hintsOfMs, mark)) continue;
        if (!this.#isWorkable(mark)) continue;
        if (hintsOfMs !== undefined) this.#pauses.picked(hintsOfMs, mark);
        batch.push(mark);
      }
      if (isDone) {
        const next = layers[(from + step + 1) % layers.length];
        [this.#windowStartMs, this.#partition] = [next?.windowStartMs, 0];
        if (first === 0 && dueCount === restingCount && windowStartMs !== undefined) {
          this.#idle.set(windowStartMs, { shape, view, unsettledSince });
        }
        if (openMs !== undefined) this.#pauses.passed(openMs, this.#passPosition);
        else if (windowStartMs !== undefined && !isResting) this.#lateWrites.passed(windowStartMs);
      }
      if (batch.length > 0) return batch;
    }
    for (const start of this.#idle.keys()) if (!this.#isLeft(start)) this.#idle.delete(start);
    return [];
  }

  #isIdle(windowStartMs: number | undefined, shape: number, unsettledSince: number): boolean {
    if (windowStartMs === undefined || !this.#isLeft(windowStartMs)) return false;
    const idle = this.#idle.get(windowStartMs);
    return idle?.shape === shape && idle.view === this.#context.state.view && idle.unsettledSince === unsettledSince;
  }

  /** Owners' marks in it are left until it is written no more. */
  #isLeft(windowStartMs: number): boolean {
    return this.#isOpen(windowStartMs) || this.#isResting(windowStartMs);
  }

  #isOpen(windowStartMs: number | undefined): boolean {
    return isOpen(this.#context, windowStartMs);
  }

  /**
   * Has ended, and is written all the same: owners' marks in it rest. Others are worked on: what is written goes to owners, and a
   * node that has handed a partition over is to be rid of it.
   */
  #isResting(windowStartMs: number | undefined): boolean {
    return windowStartMs !== undefined && !this.#isOpen(windowStartMs) && this.#lateWrites.rests(windowStartMs);
  }

  /**
   * Has an owner to ask, and nobody fills the partition here just now. In an open window all owners have to answer: who has
   * confirmed would have to again after every write, as long as one is away.
   */
  #isWorkable(mark: ScopedMark): boolean {
    const { state } = this.#context;
    const { partition, windowStartMs } = mark.scope;
    if (state.isDropping(partition)) return false;
    if (this.#leases.holder(partition, state.name, state.view.hash) !== undefined) return false;
    const missing = this.missingOwners(mark);
    if (missing.length === 0) return true;
    return this.#isOpen(windowStartMs) ? missing.every(this.#mayAsk) : missing.some(this.#mayAsk);
  }

  /** Other owners that are not listed. */
  missingOwners({ scope, confirmed }: ScopedMark): NodeName[] {
    const { view, name: self } = this.#context.state;
    const { names, tokens } = view.ownersOf(scope.partition);
    return names.filter((name, index) => name !== self && !confirmed.includes(tokens[index] ?? ''));
  }
}
