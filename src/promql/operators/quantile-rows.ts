// `quantile_over_time` over all windows of a series, two ways. Far up (φ = 0.95, 0.99) a scan picks the few samples beyond the
// quantile. Otherwise the sorted samples of one window become those of the next by taking out what left and merging in
// what came. Series with NaN or −0, whose order is a matter of its own, are left to the function of single windows.
import type { SampleBuffer } from '../../model/index.ts';
import { sortedQuantileOf } from '../functions/index.ts';
import type { RowFunction } from './row-functions.ts';

/** `quantiles`: φ at each step. */
export function quantileRows(quantiles: Float64Array): RowFunction {
  let window = new SortedWindow(64);
  const tail = new TailSelection();
  return (row, samples, { bounds }) => {
    if (!isPlainlyOrdered(samples)) return false;
    const sizeMax = largestWindow(bounds);
    if (sizeMax > window.capacity) window = new SortedWindow(2 * sizeMax);
    window.clear();
    tail.clear();
    let presentCount = 0;
    for (let step = 0; step < row.stepsCount; step++) {
      const first = bounds[2 * step] as number;
      const end = bounds[2 * step + 1] as number;
      if (first === end) {
        row.presence[step] = 0;
        continue;
      }
      row.values[step] =
        tail.quantileOf(quantiles[step] as number, samples.values, first, end) ??
        window.quantileOf(quantiles[step] as number, samples.values, first, end);
      row.presence[step] = 1;
      presentCount++;
    }
    row.presentCount = presentCount;
    return true;
  };
}

function isPlainlyOrdered({ values, count }: SampleBuffer): boolean {
  for (let i = 0; i < count; i++) {
    const value = values[i] as number;
    if (Number.isNaN(value) || (value === 0 && 1 / value < 0)) return false;
  }
  return true;
}

function largestWindow(bounds: Int32Array): number {
  let max = 0;
  for (let i = 0; i < bounds.length; i += 2) max = Math.max(max, (bounds[i + 1] as number) - (bounds[i] as number));
  return max;
}

class SortedWindow {
  readonly capacity: number;
  /** The window's values, ascending; as many as the window is long. */
  #sorted: Float64Array;
  #spare: Float64Array;
  readonly #leaving: Float64Array;
  readonly #coming: Float64Array;
  #first = 0;
  #end = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#sorted = new Float64Array(capacity);
    this.#spare = new Float64Array(capacity);
    this.#leaving = new Float64Array(capacity + 1);
    this.#coming = new Float64Array(capacity + 1);
  }

  clear(): void {
    this.#first = 0;
    this.#end = 0;
  }

  quantileOf(quantile: number, values: Float64Array, first: number, end: number): number {
    this.#moveTo(values, first, end);
    return sortedQuantileOf(quantile, this.#sorted, end - first);
  }

  #moveTo(values: Float64Array, first: number, end: number): void {
    const stayingCount = this.#end - first;
    const leavingCount = first - this.#first;
    // Merging pays as long as less than half of the window changes.
    if (2 * stayingCount > end - first && leavingCount < stayingCount) this.#merge(values, first, end);
    else copySorted(values, first, end, this.#sorted);
    this.#first = first;
    this.#end = end;
  }

  #merge(values: Float64Array, first: number, end: number): void {
    const sorted = this.#sorted;
    const merged = this.#spare;
    const leaving = this.#leaving;
    const coming = this.#coming;
    const leavingCount = copySorted(values, this.#first, first, leaving);
    const comingCount = copySorted(values, this.#end, end, coming);
    // NaN equals nothing and is below nothing: it ends both lists without a count to compare.
    leaving[leavingCount] = NaN;
    coming[comingCount] = NaN;
    const heldCount = this.#end - this.#first;
    let left = 0;
    let came = 0;
    let written = 0;
    for (let i = 0; i < heldCount; i++) {
      const value = sorted[i] as number;
      if (leaving[left] === value) {
        left++;
        continue;
      }
      while ((coming[came] as number) < value) merged[written++] = coming[came++] as number;
      merged[written++] = value;
    }
    while (came < comingCount) merged[written++] = coming[came++] as number;
    this.#sorted = merged;
    this.#spare = sorted;
  }
}

/**
 * Picks high quantiles: a scan gathers the values that are not below a threshold, and only those are sorted. The threshold is where
 * the last window had a few values more than needed, which the next rarely misses; if it does, it is found anew.
 */
class TailSelection {
  /** The largest values, descending. */
  readonly #largest = new Float64Array(tailCountMax);
  #threshold = Infinity;

  clear(): void {
    this.#threshold = Infinity;
  }

  /** Undefined where the quantile is not far enough up. */
  quantileOf(quantile: number, values: Float64Array, first: number, end: number): number | undefined {
    const last = end - first - 1;
    const rank = quantile * last;
    const lower = Math.floor(rank);
    const neededCount = last - lower + 1;
    const wantedCount = neededCount + tailSlackCount;
    // Negated, so that a φ of NaN or above 1 is refused too.
    if (!(quantile <= 1 && wantedCount <= tailCountMax / 2 && 4 * neededCount <= last)) return undefined;
    let count = gatherDescending(values, first, end, this.#threshold, this.#largest);
    if (count < neededCount || count > tailCountMax) {
      count = wantedCount;
      selectLargest(values, first, end, this.#largest, count);
    }
    this.#threshold = this.#largest[Math.min(count, wantedCount) - 1] as number;
    const upper = Math.min(last, lower + 1);
    return interpolate(this.#largest[last - lower] as number, this.#largest[last - upper] as number, rank - lower);
  }
}

const tailCountMax = 64;
const tailSlackCount = 4;

/** As functions/quantile.ts does it. */
function interpolate(lower: number, upper: number, weight: number): number {
  return weight === 0 ? lower : lower * (1 - weight) + upper * weight;
}

/** Writes the values from `threshold` on, largest first, as long as there is room; returns how many there are. */
function gatherDescending(
  values: Float64Array,
  first: number,
  end: number,
  threshold: number,
  into: Float64Array,
): number {
  let count = 0;
  for (let i = first; i < end; i++) {
    const value = values[i] as number;
    if (value < threshold) continue;
    let at = count++;
    if (count > into.length) return count;
    for (; at > 0 && (into[at - 1] as number) < value; at--) into[at] = into[at - 1] as number;
    into[at] = value;
  }
  return count;
}

/** Writes the `count` largest values, largest first. */
function selectLargest(values: Float64Array, first: number, end: number, into: Float64Array, count: number): void {
  let held = 0;
  for (let i = first; i < end; i++) {
    const value = values[i] as number;
    if (held === count && value <= (into[held - 1] as number)) continue;
    let at = held === count ? held - 1 : held++;
    for (; at > 0 && (into[at - 1] as number) < value; at--) into[at] = into[at - 1] as number;
    into[at] = value;
  }
}

/** Copies values[first … end − 1] in ascending order; returns how many there are. */
function copySorted(values: Float64Array, first: number, end: number, into: Float64Array): number {
  const count = end - first;
  if (count > insertionSortMax) {
    into.set(values.subarray(first, end));
    into.subarray(0, count).sort();
    return count;
  }
  for (let i = 0; i < count; i++) {
    const value = values[first + i] as number;
    let at = i;
    for (; at > 0 && (into[at - 1] as number) > value; at--) into[at] = into[at - 1] as number;
    into[at] = value;
  }
  return count;
}

const insertionSortMax = 32;
