// The highest values of a window that moves over a series: kept from window to window, so that only what leaves and what comes is
// looked at. Held are all values of the window from a threshold on, which is set where there are some more than needed, and
// found anew once they have become too few.

import { assert } from '../../base/index.ts';

/** Beyond this many, keeping them in order costs more than it saves. */
const heldMax = 128;

export class HighestValues {
  /** The held values, highest first; at least as many as the last `moveTo` asked for. */
  readonly descending = new Float64Array(heldMax);
  #count = 0;
  #threshold = Infinity;
  #first = 0;
  #end = 0;
  #gaveUp = false;

  /** Before another series. */
  clear(): void {
    this.#forget();
    this.#gaveUp = false;
  }

  #forget(): void {
    this.#count = 0;
    this.#threshold = Infinity;
    this.#first = 0;
    this.#end = 0;
  }

  /**
   * Moves on to values[first … end − 1]; neither end may go back. False where that many can't be held, because too many are needed
   * or equal. No value may be NaN.
   */
  moveTo(values: Float64Array, first: number, end: number, neededCount: number): boolean {
    const wantedCount = Math.min(end - first, neededCount + 4 + (neededCount >> 1));
    if (this.#gaveUp || wantedCount > heldMax / 2) return false;
    const threshold = this.#threshold;
    for (let i = this.#first; i < Math.min(first, this.#end); i++) {
      if ((values[i] as number) >= threshold) this.#remove(values[i] as number);
    }
    let fits = true;
    for (let i = Math.max(first, this.#end); i < end && fits; i++) {
      if ((values[i] as number) >= threshold) fits = this.#insert(values[i] as number);
    }
    if (!fits || this.#count < neededCount) return this.#findAnew(values, first, end, wantedCount);
    this.#first = first;
    this.#end = end;
    return true;
  }

  #findAnew(values: Float64Array, first: number, end: number, wantedCount: number): boolean {
    this.#forget();
    const { descending } = this;
    for (let i = first; i < end; i++) {
      const value = values[i] as number;
      if (this.#count === wantedCount) {
        if (value <= (descending[wantedCount - 1] as number)) continue;
        this.#count--;
      }
      this.#insert(value);
    }
    const threshold = descending[wantedCount - 1] as number;
    // Of the values equal to the threshold some may be missing.
    let equalCount = 0;
    for (let i = first; i < end; i++) if (values[i] === threshold) equalCount++;
    while (this.#count > 0 && descending[this.#count - 1] === threshold) this.#count--;
    if (this.#count + equalCount > heldMax) {
      this.#gaveUp = true;
      return false;
    }
    descending.fill(threshold, this.#count, this.#count + equalCount);
    this.#count += equalCount;
    this.#threshold = threshold;
    this.#first = first;
    this.#end = end;
    return true;
  }

  /** False where there is no room. */
  #insert(value: number): boolean {
    if (this.#count === heldMax) return false;
    const { descending } = this;
    let at = this.#count++;
    for (; at > 0 && (descending[at - 1] as number) < value; at--) descending[at] = descending[at - 1] as number;
    descending[at] = value;
    return true;
  }

  #remove(value: number): void {
    const { descending } = this;
    let at = 0;
    while (at < this.#count && descending[at] !== value) at++;
    assert(at < this.#count, 'a value that leaves the window was held');
    this.#count--;
    for (; at < this.#count; at++) descending[at] = descending[at + 1] as number;
  }
}
