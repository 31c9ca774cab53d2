// Owners that did not answer are left alone for a while, longer each time: a loop over thousands of marks must not wait for a
// dead node again and again. Whoever is heard of is asked at once.
import { hasCode } from '../../base/index.ts';
import type { Clock } from '../../ports/index.ts';
import type { NodeName } from '../contracts.ts';
import type { Liveness } from '../status.ts';

/** Doubles with each failure in a row up to this many times. */
const doublingsMax = 4;

export class Backoff {
  readonly #clock: Clock;
  readonly #firstMs: number;
  readonly #isAlive: Liveness;
  readonly #failures = new Map<NodeName, { readonly count: number; readonly untilMs: number }>();

  constructor(clock: Clock, firstMs: number, isAlive: Liveness) {
    this.#clock = clock;
    this.#firstMs = firstMs;
    this.#isAlive = isAlive;
  }

  isWaiting(name: NodeName): boolean {
    return (this.#failures.get(name)?.untilMs ?? 0) > this.#clock.monotonicMs();
  }

  failed(name: NodeName, error: unknown): void {
    const count = (this.#failures.get(name)?.count ?? 0) + 1;
    // Busy, replaying, or under another record: that passes soon. Silence of who is believed dead does not.
    const isPassing = ['PEER_BUSY', 'STORE_BUSY', 'PEER_CHANGED', 'PEER_REPLAYING'].some((code) =>
      hasCode(error, code),
    );
    const doublings = this.#isAlive(name) === false ? doublingsMax : isPassing ? 0 : Math.min(count - 1, doublingsMax);
    this.#failures.set(name, { count, untilMs: this.#clock.monotonicMs() + this.#firstMs * 2 ** doublings });
  }

  /** It has answered something: also called when it was heard of by other ways. */
  succeeded(name: NodeName): void {
    this.#failures.delete(name);
  }
}
