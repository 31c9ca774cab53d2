// How many queries may be under way at a time. The rest wait in order, for no longer than a query may take at all.
import { ApiError } from '../api/index.ts';
import type { Clock } from '../ports/index.ts';
import { queriesWaitingMax, queryTimeoutMs } from './limits.ts';

interface Waiting {
  admit(): void;
}

export class QueryGate {
  readonly #clock: Clock;
  readonly #activeMax: number;
  readonly #waiting = new Set<Waiting>();
  #activeCount = 0;

  constructor(clock: Clock, activeMax: number) {
    this.#clock = clock;
    this.#activeMax = activeMax;
  }

  get activeCount(): number {
    return this.#activeCount;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves to a function that gives the place back (further calls of it do nothing). Throws `timeout` when none became
   * free in time, `unavailable` when too many wait already, `canceled` when `cancelled` resolves first.
   */
  async enter(cancelled: Promise<void>): Promise<() => void> {
    if (this.#activeCount < this.#activeMax) this.#activeCount++;
    else await this.#wait(cancelled);
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      const [next] = this.#waiting;
      // The place is handed on: it is never free in between.
      if (next) next.admit();
      else this.#activeCount--;
    };
  }

  #wait(cancelled: Promise<void>): Promise<void> {
    if (this.#waiting.size >= queriesWaitingMax) {
      throw new ApiError(
        'unavailable',
        `QUERY_QUEUE_FULL: ${this.#waiting.size} queries wait already; ask again later`,
      );
    }
    return new Promise((resolve, reject) => {
      const leave = (error: ApiError): void => {
        if (this.#waiting.delete(waiting)) reject(error);
        timer.cancel();
      };
      const waiting: Waiting = {
        admit: () => {
          this.#waiting.delete(waiting);
          timer.cancel();
          resolve();
        },
      };
      const timer = this.#clock.setTimer(queryTimeoutMs, () =>
        leave(new ApiError('timeout', 'query timed out in query queue')),
      );
      this.#waiting.add(waiting);
      void cancelled.then(() => leave(new ApiError('canceled', 'query was canceled in query queue')));
    });
  }
}
