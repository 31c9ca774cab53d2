// `quantile_over_time` over all windows of a series, two ways. Far up (φ = 0.95, 0.99) only the window's highest
// values are kept in order. Otherwise the sorted samples of one window become those of the next by taking out what left and merging in
// what came. Series with NaN or −0, whose order is a matter of its own, are left to the function of single windows.
import type { SampleBuffer } from '../../model/index.ts';
import { sortedQuantileOf } from '../functions/index.ts';
import type { QueryControl } from '../queryable.ts';
import { HighestValues } from './highest-values.ts';
import type { RowFunction } from './row-function.ts';
import { WorkMeter } from './work-meter.ts';

/** `quantiles`: φ at each step. */
export function quantileRows(quantiles: Float64Array, control: QueryControl): RowFunction {
  const work = new WorkMeter(control);
  let window = new SortedWindow(64);
  const highest = new HighestValues();
  return (row, samples, { bounds }) => {
    if (!isPlainlyOrdered(samples)) return false;
    const sizeMax = largestWindow(bounds);
    if (sizeMax > window.capacity) window = new SortedWindow(2 * sizeMax);
    window.clear();
    highest.clear();
    let presentCount = 0;
    for (let step = 0; step < row.stepsCount; step++) {
      const first = bounds[2 * step] as number;
      const end = bounds[2 * step + 1] as number;
      if (first === end) {
        row.presence[step] = 0;
        continue;
      }
      work.add(end - first);
      row.values[step] =
        highQuantile(highest, quantiles[step] as number, samples.values, first, end) ??
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

/** The quantile from the window's highest values; undefined where it is not far enough up. */
function highQuantile(
  highest: HighestValues,
  quantile: number,
  values: Float64Array,
  first: number,
  end: number,
): number | undefined {
  const last = end - first - 1;
  const rank = quantile * last;
  const lower = Math.floor(rank);
  const neededCount = last - lower + 1;
  // Negated, so that a φ of NaN or above 1 is refused too.
  if (!(quantile <= 1 && 4 * neededCount <= last)) return undefined;
  if (!highest.moveTo(values, first, end, neededCount)) return undefined;
  const lowerValue = highest.descending[last - lower] as number;
  const weight = rank - lower;
  // As functions/quantile.ts does it.
  if (weight === 0) return lowerValue;
  return lowerValue * (1 - weight) + (highest.descending[last - lower - 1] as number) * weight;
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
