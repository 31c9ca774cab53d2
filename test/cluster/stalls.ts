// Notices when this machine is too busy for time limits to mean anything: the test's own timer then comes late too. What is
// refused or slow in such a stretch is the machine's fault, not the cluster's; what is wrong or lost never is.

const periodMs = 50;
const lateMsMin = 400;
/** What happened shortly before still waits in queues. */
const echoMs = 5_000;

export class StallWatch {
  count = 0;
  #lastStallMs = Number.NEGATIVE_INFINITY;
  #expectedMs = performance.now() + periodMs;
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      if (nowMs - this.#expectedMs > lateMsMin) {
        this.count++;
        this.#lastStallMs = nowMs;
      }
      this.#expectedMs = nowMs + periodMs;
    }, periodMs);
  }

  /** Whether the machine stalled after, or shortly before, this moment of performance.now(). */
  since(startedMs: number): boolean {
    const nowMs = performance.now();
    return nowMs - this.#expectedMs > lateMsMin || this.#lastStallMs > startedMs - echoMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
