// How fast copies between nodes go: a budget of bytes a second that gives way to clients. It is halved whenever this node's own
// storage or a peer is busy, and comes back by and by.
import { mib, secondMs } from '../../base/index.ts';
import type { Clock } from '../../ports/index.ts';

const fastestBytesPerSecond = 64 * mib;
const slowestBytesPerSecond = mib;
/** What the budget grows by in a second without a complaint. */
const growth = 1.25;
/** A refusal in many places at once is one complaint. */
const complaintMs = secondMs;

export class Pacer {
  readonly #clock: Clock;
  #bytesPerSecond = fastestBytesPerSecond;
  /** When the bytes that were let through so far are paid for. */
  #paidMs = 0;
  #changedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  /** Somebody who is asked to take copies, or to give them, is busy with clients. */
  slowDown(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#changedMs < complaintMs) return;
    this.#changedMs = nowMs;
    this.#bytesPerSecond = Math.max(slowestBytesPerSecond, this.#bytesPerSecond / 2);
  }

  /** Resolves when so many bytes more may be sent. */
  async take(bytesCount: number): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#changedMs >= secondMs) {
      this.#changedMs = nowMs;
      this.#bytesPerSecond = Math.min(fastestBytesPerSecond, this.#bytesPerSecond * growth);
    }
    const waitMs = this.#paidMs - nowMs;
    this.#paidMs = Math.max(this.#paidMs, nowMs) + (bytesCount / this.#bytesPerSecond) * secondMs;
    if (waitMs > 0) await new Promise<void>((resolve) => this.#clock.setTimer(waitMs, resolve));
  }
}
