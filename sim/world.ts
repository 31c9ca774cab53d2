// A world in virtual time: a heap of events by (time, order of scheduling), run one after another in one thread, without a
// microtask between two. The same seed and the same calls give the same events, which the trace hash proves. What is
// asynchronous (opening sockets) is done between two runs, while time stands still.
import { crc32 } from 'node:zlib';
import { SeededRandom } from '../src/base/index.ts';
import type { Clock, Timer } from '../src/ports/index.ts';

interface Scheduled {
  readonly dueMs: number;
  readonly order: number;
  /** Undefined once cancelled; cancelled events stay in the heap until they come up. */
  callback: (() => void) | undefined;
}

const isBefore = (a: Scheduled, b: Scheduled): boolean =>
  a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);

export class SimWorld {
  /** All chance in the world but that of the nodes, which should have generators of their own. */
  readonly random: SeededRandom;
  readonly clock: Clock;
  #nowMs = 0;
  #scheduledCount = 0;
  readonly #heap: Scheduled[] = [];
  #traceHash = 0;
  #tracedCount = 0;

  constructor(seed: number, startMs = 1_700_000_000_000) {
    this.random = new SeededRandom(seed);
    this.clock = {
      nowMs: () => startMs + this.#nowMs,
      monotonicMs: () => this.#nowMs,
      setTimer: (delayMs, callback) => this.schedule(delayMs, callback),
    };
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** The same for two runs exactly when (but for one in 2³²) everything that was traced happened alike, at the same times. */
  get traceHash(): string {
    return `${this.#tracedCount}-${this.#traceHash.toString(16).padStart(8, '0')}`;
  }

  /** Adds something that happens now to the trace. */
  trace(what: string, bytes?: Uint8Array): void {
    this.#tracedCount++;
    this.#traceHash = crc32(`${this.#nowMs} ${what}`, this.#traceHash);
    if (bytes) this.#traceHash = crc32(bytes, this.#traceHash);
  }

  schedule(delayMs: number, callback: () => void): Timer {
    const event: Scheduled = {
      dueMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#scheduledCount++,
      callback,
    };
    this.#push(event);
    return {
      cancel: () => {
        event.callback = undefined;
      },
    };
  }

  /** Lets so much time pass, and everything happen that falls into it. */
  run(durationMs: number): void {
    this.#runTo(this.#nowMs + durationMs, () => false);
  }

  /** Lets time pass until the condition holds, asked after each event; false where it does not within the time. */
  runUntil(condition: () => boolean, withinMs: number): boolean {
    return condition() || this.#runTo(this.#nowMs + withinMs, condition);
  }

  /** Like `runUntil` for a world in which promises do the work: each event is followed by everything that it settles. */
  async runSettledUntil(condition: () => boolean, withinMs: number): Promise<boolean> {
    const endMs = this.#nowMs + withinMs;
    await settle();
    for (let next = this.#heap[0]; next && next.dueMs <= endMs && !condition(); next = this.#heap[0]) {
      this.#pop();
      const { callback } = next;
      if (!callback) continue;
      this.#nowMs = next.dueMs;
      callback();
      await settle();
    }
    if (condition()) return true;
    this.#nowMs = endMs;
    return false;
  }

  #runTo(endMs: number, isOver: () => boolean): boolean {
    for (let next = this.#heap[0]; next && next.dueMs <= endMs; next = this.#heap[0]) {
      this.#pop();
      const { callback } = next;
      if (!callback) continue;
      this.#nowMs = next.dueMs;
      callback();
      if (isOver()) return true;
    }
    this.#nowMs = endMs;
    return false;
  }

  #push(event: Scheduled): void {
    let at = this.#heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#heap[parent];
      if (!above || !isBefore(event, above)) break;
      this.#heap[at] = above;
      at = parent;
    }
    this.#heap[at] = event;
  }

  #pop(): void {
    const last = this.#heap.pop();
    const { length } = this.#heap;
    if (!last || length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      const left = this.#heap[child];
      const right = this.#heap[child + 1];
      if (left && right && isBefore(right, left)) child++;
      const below = this.#heap[child];
      if (!below || !isBefore(below, last)) break;
      this.#heap[at] = below;
      at = child;
    }
    this.#heap[at] = last;
  }
}

/** Until no microtask is left. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
