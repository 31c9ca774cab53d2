// The times at which an expression is evaluated: evenly spaced, inclusive of the start. An instant query is a grid of one
// step; a subquery has a grid of its own, aligned to multiples of its step so that neighbouring windows share their points.

export class Grid {
  readonly startMs: number;
  /** At least 1, even where there is one step only. */
  readonly stepMs: number;
  /** One time was asked for, not a range that happens to hold one step. */
  readonly isInstant: boolean;
  /** 0 where a subquery's window holds no multiple of its step. */
  readonly stepsCount: number;

  constructor(startMs: number, endMs: number, stepMs: number) {
    this.startMs = startMs;
    this.stepMs = stepMs;
    this.isInstant = startMs === endMs;
    this.stepsCount = endMs < startMs ? 0 : Math.floor((endMs - startMs) / stepMs) + 1;
  }

  static instant(timeMs: number): Grid {
    return new Grid(timeMs, timeMs, 1);
  }

  /** The last step, which may lie before the end that was asked for. */
  get lastMs(): number {
    return this.startMs + Math.max(0, this.stepsCount - 1) * this.stepMs;
  }

  timeMs(step: number): number {
    return this.startMs + step * this.stepMs;
  }

  timestampsMs(): Float64Array {
    return this.map((timeMs) => timeMs);
  }

  /** One number per step. */
  map(compute: (timeMs: number, step: number) => number): Float64Array {
    const values = new Float64Array(this.stepsCount);
    for (let step = 0; step < values.length; step++) values[step] = compute(this.timeMs(step), step);
    return values;
  }

  /** The steps from `first` to before `end`, of which there must be one. */
  slice(first: number, end: number): Grid {
    return new Grid(this.timeMs(first), this.timeMs(end - 1), this.stepMs);
  }

  /** The first step alone: where step-invariant expressions are evaluated. */
  first(): Grid {
    return this.stepsCount === 0 ? this : Grid.instant(this.startMs);
  }
}

/**
 * The grid of a subquery inside `parent`: from the first multiple of the subquery's step that lies after the earliest window's
 * start (windows are left-open) up to the end of the latest window.
 */
export function subqueryGrid(parent: Grid, subquery: Reference & { rangeMs: number; stepMs: number }): Grid {
  if (parent.stepsCount === 0) return parent;
  const { rangeMs, stepMs } = subquery;
  const firstEndMs = referenceMs(subquery, parent.startMs);
  const windowStartMs = firstEndMs - rangeMs;
  let startMs = stepMs * Math.trunc(windowStartMs / stepMs);
  if (startMs <= windowStartMs) startMs += stepMs;
  return new Grid(startMs, referenceMs(subquery, parent.lastMs), stepMs);
}

/** Where in time a selector or subquery looks: relative to the step, or fixed by `@`. */
export interface Reference {
  readonly offsetMs: number;
  /** Resolved `@`; undefined: the time of the step. */
  readonly atMs: number | undefined;
}

/** The time that a selector takes for "now" at a step. */
export function referenceMs(reference: Reference, stepTimeMs: number): number {
  return (reference.atMs ?? stepTimeMs) - reference.offsetMs;
}
