// How often the hints of an open window are pushed. While an owner is slow more of them come all the time, and each push is of
// all that is held of a pair: pushed as fast as they come, the same samples would travel again and again, be dropped again and
// again, and make slow owners slower. So pairs that were written again since the last pass over a window rest, longer each time;
// those that could not be sent then are tried again at once.
import type { Clock } from '../../ports/index.ts';
import type { Mark } from '../marks/index.ts';

/** The first pause doubles up to so many times. */
const doublingsMax = 6;

interface Pause {
  readonly doublings: number;
  /** Position in the marks' history: marks with later versions were written again. */
  readonly position: number;
  readonly untilMs: number;
  /** Hints that come later are the first again. */
  readonly forgottenMs: number;
}

export class HintPauses {
  readonly #clock: Clock;
  readonly #firstMs: number;
  /** By window. */
  readonly #pauses = new Map<number, Pause>();
  /** Windows of which hints were picked, in the pass that is under way, that no earlier pass had picked. */
  readonly #picked = new Set<number>();

  constructor(clock: Clock, firstMs: number) {
    this.#clock = clock;
    this.#firstMs = firstMs;
  }

  rests(windowStartMs: number, { version }: Mark): boolean {
    const pause = this.#pauses.get(windowStartMs);
    return pause !== undefined && version > pause.position && pause.untilMs > this.#clock.monotonicMs();
  }

  picked(windowStartMs: number, { version }: Mark): void {
    if (version > (this.#pauses.get(windowStartMs)?.position ?? -1)) this.#picked.add(windowStartMs);
  }

  /** All marks of the window were looked at, from when the marks' history stood at `position`. */
  passed(windowStartMs: number, position: number): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [start, { forgottenMs }] of this.#pauses) if (forgottenMs < nowMs) this.#pauses.delete(start);
    if (!this.#picked.delete(windowStartMs)) return;
    const doublings = Math.min((this.#pauses.get(windowStartMs)?.doublings ?? -1) + 1, doublingsMax);
    const lengthMs = this.#firstMs * 2 ** doublings;
    const [untilMs, forgottenMs] = [nowMs + lengthMs, nowMs + 2 * lengthMs];
    this.#pauses.set(windowStartMs, { doublings, position, untilMs, forgottenMs });
  }
}
