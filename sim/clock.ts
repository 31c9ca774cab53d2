// Virtual time: stands still until a test moves it, or until `runUntil` has nothing else to do. Wall and monotonic time
// move together; a test may set the wall clock apart from them.
import { assert } from '../src/base/index.ts';
import type { Clock, Timer } from '../src/ports/index.ts';

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

export class SimClock implements Clock {
  #elapsedMs = 0;
  #wallMs: number;
  #timersCount = 0;
  readonly #pending = new Set<Pending>();

  constructor(startMs: number) {
    this.#wallMs = startMs;
  }

  nowMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { dueMs: this.#elapsedMs + Math.max(0, delayMs), order: this.#timersCount++, callback };
    this.#pending.add(timer);
    return { cancel: () => this.#pending.delete(timer) };
  }

  /** Moves time on, firing what falls due, each timer followed by everything it sets off. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#elapsedMs + durationMs;
    for (let next = this.#next(); next && next.dueMs <= endMs; next = this.#next()) {
      this.#fire(next);
      await settle();
    }
    this.#moveTo(endMs);
    await settle();
  }

  /** Lets everything happen, timers too, until `promise` is settled. */
  async runUntil<Result>(promise: Promise<Result>): Promise<Result> {
    const state = { settled: false };
    const mark = (): void => {
      state.settled = true;
    };
    promise.then(mark, mark);
    await settle();
    while (!state.settled) {
      const next = this.#next();
      assert(next, 'something is to happen that settles the promise');
      this.#fire(next);
      await settle();
    }
    return promise;
  }

  #next(): Pending | undefined {
    let first: Pending | undefined;
    for (const timer of this.#pending) {
      if (!first || timer.dueMs < first.dueMs || (timer.dueMs === first.dueMs && timer.order < first.order))
        first = timer;
    }
    return first;
  }

  #fire(timer: Pending): void {
    this.#pending.delete(timer);
    this.#moveTo(Math.max(timer.dueMs, this.#elapsedMs));
    timer.callback();
  }

  #moveTo(elapsedMs: number): void {
    this.#wallMs += elapsedMs - this.#elapsedMs;
    this.#elapsedMs = elapsedMs;
  }
}

/** Until no microtask is left. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
