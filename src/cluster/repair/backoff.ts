// Owners that did not answer are left alone for a while, longer each time: a loop over thousands of marks must not wait for a
// dead node again and again. Whoever is heard of is asked at once.
import { hasCode } from '../../base/index.ts';
import type { Clock } from '../../ports/index.ts';
import type { NodeName } from '../contracts.ts';
import type { Liveness } from '../status.ts';

/** Doubles with each failure in a row up to this many times. */
const doublingsMax = 4;
/** What passes by itself soon: the owner has answered, and only for now has not done what it was asked. */
const passingCodes = ['PEER_BUSY', 'STORE_BUSY', 'PEER_CHANGED', 'PEER_DROPPED', 'PEER_REPLAYING', 'PEER_STARTING'];
/** Then it is asked again after so much less than after silence. */
const passingShare = 20;

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
    const isPassing = passingCodes.some((code) => hasCode(error, code));
    const doublings = this.#isAlive(name) === false ? doublingsMax : Math.min(count - 1, doublingsMax);
    const restMs = isPassing ? this.#firstMs / passingShare : this.#firstMs * 2 ** doublings;
    this.#failures.set(name, { count: isPassing ? count - 1 : count, untilMs: this.#clock.monotonicMs() + restMs });
  }

  /** It has answered something: also called when it was heard of by other ways. */
  succeeded(name: NodeName): void {
    this.#failures.delete(name);
  }
}
