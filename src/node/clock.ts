// The real clock. Timers are unreferenced: what keeps the process alive is its sockets, not its intervals.
import type { Clock, Timer } from '../ports/index.ts';

export class SystemClock implements Clock {
  nowMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  }
}
