// Windows that are written although they have ended: backfill, or clients that were away. Each comparison reads all that both
// sides hold of a pair, and while samples come it is out of date when it ends; so owners' marks of such windows rest until nothing
// has come for a while. What never ceases to come does not keep copies apart: once in so long the window is compared all the same.
import type { Clock } from '../../ports/index.ts';
import type { LayerSummary } from '../marks/index.ts';
import type { ClusterTiming } from '../timing.ts';

interface Seen {
  /** Of the window's last write, in the marks' history. */
  writtenAt: number;
  writtenMs: number;
  /** When the first of these writes was seen, or the window was compared last. */
  restsSinceMs: number;
}

export class LateWrites {
  readonly #clock: Clock;
  readonly #timing: ClusterTiming;
  readonly #windows = new Map<number, Seen>();

  constructor(clock: Clock, timing: ClusterTiming) {
    this.#clock = clock;
    this.#timing = timing;
  }

  /** To be told of all windows that have marks, at every turn. One that was not seen before counts as just written. */
  look(layers: readonly LayerSummary[]): void {
    const nowMs = this.#clock.monotonicMs();
    const gone = new Set(this.#windows.keys());
    for (const { windowStartMs, writtenAt } of layers) {
      if (windowStartMs === undefined) continue;
      gone.delete(windowStartMs);
      const seen = this.#windows.get(windowStartMs);
      if (!seen) {
        this.#windows.set(windowStartMs, { writtenAt, writtenMs: nowMs, restsSinceMs: nowMs });
      } else if (seen.writtenAt !== writtenAt) {
        if (!this.#isWritten(seen)) seen.restsSinceMs = nowMs;
        seen.writtenAt = writtenAt;
        seen.writtenMs = nowMs;
      }
    }
    for (const windowStartMs of gone) this.#windows.delete(windowStartMs);
  }

  #isWritten({ writtenMs }: Seen): boolean {
    return this.#clock.monotonicMs() - writtenMs < this.#timing.lateWritePauseMs;
  }

  rests(windowStartMs: number): boolean {
    const seen = this.#windows.get(windowStartMs);
    if (!seen || !this.#isWritten(seen)) return false;
    return this.#clock.monotonicMs() - seen.restsSinceMs < this.#timing.lateWritePauseMsMax;
  }

  /** All marks of the window were looked at. */
  passed(windowStartMs: number): void {
    const seen = this.#windows.get(windowStartMs);
    if (seen) seen.restsSinceMs = this.#clock.monotonicMs();
  }
}
