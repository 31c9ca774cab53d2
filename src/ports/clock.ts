/** Time as the product sees it. Wall time may jump; monotonic time never goes back. */
export interface Clock {
  /** Wall-clock time, ms since the Unix epoch. */
  nowMs(): number;
  /** Monotonic time, ms with fractions, origin arbitrary. */
  monotonicMs(): number;
  /**
   * Calls `callback` once, `delayMs` from now (0: after the events that are at hand), unless cancelled. Does not keep the
   * process alive.
   */
  setTimer(delayMs: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}
