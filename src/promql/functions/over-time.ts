// Aggregations over the window of a series, in Prometheus's order of operations.
import { KahanSum } from './kahan.ts';
import { quantileOf } from './quantile.ts';
import type { RangeFunction, RangeWindow } from './range-window.ts';

export const sumOverTime: RangeFunction = ({ values, first, end }) => {
  let sum = 0;
  let compensation = 0;
  for (let i = first; i < end; i++) {
    const value = values[i] as number;
    const next = sum + value;
    if (next === Infinity || next === -Infinity) compensation = 0;
    else if (Math.abs(sum) >= Math.abs(value)) compensation += sum - next + value;
    else compensation += value - next + sum;
    sum = next;
  }
  return sum === Infinity || sum === -Infinity ? sum : sum + compensation;
};

/** The sum divided by the count; should the sum overflow, the rest goes on as an incremental mean. */
export const avgOverTime: RangeFunction = ({ values, first, end }) => {
  let sum = values[first] as number;
  let compensation = 0;
  for (let i = first + 1; i < end; i++) {
    const value = values[i] as number;
    const next = sum + value;
    if (next === Infinity || next === -Infinity) {
      return incrementalMean(values, i, end, i - first, sum, compensation);
    }
    if (Math.abs(sum) >= Math.abs(value)) compensation += sum - next + value;
    else compensation += value - next + sum;
    sum = next;
  }
  const count = end - first;
  return sum / count + compensation / count;
};

/** Continues a mean of `count` values, whose sum is known, with the values from `from` on. */
function incrementalMean(
  values: Float64Array,
  from: number,
  end: number,
  count: number,
  sum: number,
  compensation: number,
): number {
  const mean = new KahanSum();
  mean.sum = sum / count;
  mean.compensation = compensation / count;
  let counted = count;
  for (let i = from; i < end; i++) {
    counted++;
    const share = (counted - 1) / counted;
    mean.sum *= share;
    mean.compensation *= share;
    mean.add((values[i] as number) / counted);
  }
  return mean.total;
}

export const countOverTime: RangeFunction = ({ first, end }) => end - first;
export const presentOverTime: RangeFunction = () => 1;
export const firstOverTime: RangeFunction = ({ values, first }) => values[first] as number;
export const lastOverTime: RangeFunction = ({ values, end }) => values[end - 1] as number;

/** Of equal values the first counts (±0); NaN gives way to anything. */
export const maxOverTime: RangeFunction = ({ values, first, end }) => {
  let max = values[first] as number;
  for (let i = first; i < end; i++) {
    const value = values[i] as number;
    if (value > max || Number.isNaN(max)) max = value;
  }
  return max;
};

export const minOverTime: RangeFunction = ({ values, first, end }) => {
  let min = values[first] as number;
  for (let i = first; i < end; i++) {
    const value = values[i] as number;
    if (value < min || Number.isNaN(min)) min = value;
  }
  return min;
};

const seconds = ({ timestampsMs }: RangeWindow, index: number): number => (timestampsMs[index] as number) / 1000;

export const tsOfFirstOverTime: RangeFunction = (window) => seconds(window, window.first);
export const tsOfLastOverTime: RangeFunction = (window) => seconds(window, window.end - 1);

/** Of equal values the last counts, unlike in max_over_time. */
export const tsOfMaxOverTime: RangeFunction = (window) => {
  const { values, first, end } = window;
  let at = first;
  for (let i = first; i < end; i++) {
    const max = values[at] as number;
    if ((values[i] as number) >= max || Number.isNaN(max)) at = i;
  }
  return seconds(window, at);
};

export const tsOfMinOverTime: RangeFunction = (window) => {
  const { values, first, end } = window;
  let at = first;
  for (let i = first; i < end; i++) {
    const min = values[at] as number;
    if ((values[i] as number) <= min || Number.isNaN(min)) at = i;
  }
  return seconds(window, at);
};

/** Welford's algorithm, compensated. */
export const stdvarOverTime: RangeFunction = ({ values, first, end }) => {
  const mean = new KahanSum();
  const squares = new KahanSum();
  let count = 0;
  for (let i = first; i < end; i++) {
    const value = values[i] as number;
    count++;
    const deviation = value - mean.total;
    mean.add(deviation / count);
    squares.add(deviation * (value - mean.total));
  }
  return squares.total / count;
};

export const stddevOverTime: RangeFunction = (window, parameters) => Math.sqrt(stdvarOverTime(window, parameters));

/** Parameter: φ. */
export const quantileOverTime: RangeFunction = ({ values, first, end }, parameters) =>
  quantileOf(parameters[0] as number, values.slice(first, end));

/** The median of the distances from the median; NaN if any value is NaN. */
export const madOverTime: RangeFunction = ({ values, first, end }) => {
  const window = values.slice(first, end);
  if (window.some((value) => Number.isNaN(value))) return NaN;
  const median = quantileOf(0.5, window);
  for (let i = 0; i < window.length; i++) window[i] = Math.abs((window[i] as number) - median);
  return quantileOf(0.5, window);
};

/** How `integral` takes the value between two samples. */
const leftPoint = 0;
const rightPoint = 1;
const trapezoidal = 2;

/** False for a strategy that integral does not know; it then takes the default. */
export function isIntegralStrategy(strategy: number): boolean {
  return strategy === leftPoint || strategy === rightPoint || strategy === trapezoidal;
}

/** Parameter (may be missing): the strategy. The area under the samples, in value × seconds; NaN counts as 0. */
export const integral: RangeFunction = ({ timestampsMs, values, first, end }, parameters) => {
  const asked = parameters[0] ?? trapezoidal;
  const strategy = isIntegralStrategy(asked) ? asked : trapezoidal;
  const area = new KahanSum();
  for (let i = first + 1; i < end; i++) {
    const before = zeroForNaN(values[i - 1] as number);
    const after = zeroForNaN(values[i] as number);
    const height = strategy === trapezoidal ? meanOf(before, after) : new KahanSum();
    if (strategy === leftPoint) height.sum = before;
    else if (strategy === rightPoint) height.sum = after;
    if (height.sum === 0 && height.compensation === 0) continue;
    const seconds = ((timestampsMs[i] as number) - (timestampsMs[i - 1] as number)) / 1000;
    area.compensation += height.compensation * seconds;
    area.add(height.sum * seconds);
  }
  return Math.abs(area.sum) === Infinity ? area.sum : area.total;
};

const zeroForNaN = (value: number): number => (Number.isNaN(value) ? 0 : value);

/** The mean of two values with what rounding has lost; halves are added where the sum would overflow. */
function meanOf(before: number, after: number): KahanSum {
  const mean = new KahanSum();
  if (before === 0 && after === 0) return mean;
  mean.sum = before;
  mean.add(after);
  if (Math.abs(mean.sum) === Infinity && Number.isFinite(before) && Number.isFinite(after)) {
    mean.compensation = 0;
    mean.sum = before / 2;
    mean.add(after / 2);
    return mean;
  }
  mean.sum /= 2;
  mean.compensation /= 2;
  return mean;
}
