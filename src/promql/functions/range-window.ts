// The window that a range function sees: part of one series' samples, as columns, stale markers already removed.

/**
 * One reused object per operator. A function reads samples `first` ≤ i < `end`, in time order, and returns a value; where
 * it has no result it sets `absent` and returns anything. It keeps no reference to the arrays.
 */
export interface RangeWindow {
  timestampsMs: Float64Array;
  values: Float64Array;
  first: number;
  /** Exclusive; `end === first` never reaches a function unless it asked for empty windows. */
  end: number;
  /** The window is (rangeStartMs, rangeEndMs], left-open as in Prometheus 3. */
  rangeStartMs: number;
  rangeEndMs: number;
  /** Evaluation time of the step, ms (differs from rangeEndMs by offset and `@`). */
  stepMs: number;
  absent: boolean;
}

/** `parameters`: the function's scalar arguments at this step, in their order. */
export type RangeFunction = (window: RangeWindow, parameters: Float64Array) => number;
