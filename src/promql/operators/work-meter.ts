// Asks for leave to go on, now and then: loops over many windows of one series can take seconds, and a query that has timed out or
// whose client has left must end within a fraction of one.
import type { QueryControl } from '../queryable.ts';

/** Samples looked at between two questions: well under a millisecond. */
const samplesBetween = 1 << 16;

export class WorkMeter {
  readonly #control: QueryControl;
  #samplesCount = 0;

  constructor(control: QueryControl) {
    this.#control = control;
  }

  /** Throws what QueryControl.check throws. */
  add(samplesCount: number): void {
    this.#samplesCount += samplesCount;
    if (this.#samplesCount < samplesBetween) return;
    this.#samplesCount = 0;
    this.#control.check();
  }
}
