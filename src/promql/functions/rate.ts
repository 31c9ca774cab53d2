// Functions of how a series changes within the window: rate and its family, changes, resets, and linear regression. Every
// operation is in Prometheus's order (extrapolatedRate, instantValue, linearRegression upstream), so that results are bit-equal.
import { durationSeconds, formatFixed } from '../numbers/index.ts';
import { KahanSum } from './kahan.ts';
import type { RangeFunction, RangeWindow } from './range-window.ts';

function absent(window: RangeWindow): number {
  window.absent = true;
  return 0;
}

/** The last value less the first; for counters, what they had before each reset is added, in order. */
function increaseWithin(window: RangeWindow, isCounter: boolean): number {
  const { values, first, end } = window;
  let previous = values[first] as number;
  let increase = (values[end - 1] as number) - previous;
  if (!isCounter) return increase;
  for (let i = first + 1; i < end; i++) {
    const value = values[i] as number;
    if (value < previous) increase += previous;
    previous = value;
  }
  return increase;
}

/**
 * The change over the window, extrapolated to its borders where the first or last sample lies within 1.1 average intervals of
 * them, otherwise by half an interval; a counter is never extrapolated below zero.
 */
function extrapolated(window: RangeWindow, isCounter: boolean, isRate: boolean): number {
  const { timestampsMs, values, first, end, rangeStartMs, rangeEndMs } = window;
  const intervalsCount = end - first - 1;
  if (intervalsCount < 1) return absent(window);
  const firstMs = timestampsMs[first] as number;
  const lastMs = timestampsMs[end - 1] as number;
  const increase = increaseWithin(window, isCounter);

  let toStart = (firstMs - rangeStartMs) / 1000;
  let toEnd = (rangeEndMs - lastMs) / 1000;
  const sampled = (lastMs - firstMs) / 1000;
  const averageInterval = sampled / intervalsCount;
  const threshold = averageInterval * 1.1;

  if (toStart >= threshold) toStart = averageInterval / 2;
  if (isCounter) {
    const firstValue = values[first] as number;
    const toZero = increase > 0 && firstValue >= 0 ? sampled * (firstValue / increase) : toStart;
    if (toZero < toStart) toStart = toZero;
  }
  if (toEnd >= threshold) toEnd = averageInterval / 2;

  let factor = sampled === 0 ? 1 : (sampled + toStart + toEnd) / sampled;
  if (isRate) factor /= durationSeconds(rangeEndMs - rangeStartMs);
  return increase * factor;
}

export const rate: RangeFunction = (window) => extrapolated(window, true, true);
export const increase: RangeFunction = (window) => extrapolated(window, true, false);
export const delta: RangeFunction = (window) => extrapolated(window, false, false);

export const irate: RangeFunction = (window) => {
  const { timestampsMs, values, first, end } = window;
  if (end - first < 2) return absent(window);
  const intervalMs = (timestampsMs[end - 1] as number) - (timestampsMs[end - 2] as number);
  const last = values[end - 1] as number;
  const before = values[end - 2] as number;
  return (last < before ? last : last - before) / (intervalMs / 1000);
};

export const idelta: RangeFunction = (window) => {
  const { values, first, end } = window;
  if (end - first < 2) return absent(window);
  return (values[end - 1] as number) - (values[end - 2] as number);
};

export const resets: RangeFunction = ({ values, first, end }) => {
  let count = 0;
  for (let i = first + 1; i < end; i++) if ((values[i] as number) < (values[i - 1] as number)) count++;
  return count;
};

export const changes: RangeFunction = ({ values, first, end }) => {
  let count = 0;
  for (let i = first + 1; i < end; i++) {
    const value = values[i] as number;
    const previous = values[i - 1] as number;
    if (value !== previous && !(Number.isNaN(value) && Number.isNaN(previous))) count++;
  }
  return count;
};

/** The line of least squares through the window's samples: its slope per second and its value at `originMs`. */
function linearRegression(window: RangeWindow, originMs: number): { slope: number; intercept: number } {
  const { timestampsMs, values, first, end } = window;
  const firstValue = values[first] as number;
  let isConstant = true;
  const x = new KahanSum();
  const y = new KahanSum();
  const xy = new KahanSum();
  const xx = new KahanSum();
  for (let i = first; i < end; i++) {
    const value = values[i] as number;
    if (i > first && value !== firstValue) isConstant = false;
    const seconds = ((timestampsMs[i] as number) - originMs) / 1000;
    x.add(seconds);
    y.add(value);
    xy.add(seconds * value);
    xx.add(seconds * seconds);
  }
  if (isConstant) {
    if (Math.abs(firstValue) === Infinity) return { slope: NaN, intercept: NaN };
    return { slope: 0, intercept: firstValue };
  }
  const count = end - first;
  const covariance = xy.total - (x.total * y.total) / count;
  const variance = xx.total - (x.total * x.total) / count;
  const slope = covariance / variance;
  return { slope, intercept: y.total / count - (slope * x.total) / count };
}

export const deriv: RangeFunction = (window) => {
  if (window.end - window.first < 2) return absent(window);
  // An origin near the samples keeps the sums small and precise.
  return linearRegression(window, window.timestampsMs[window.first] as number).slope;
};

/** Parameter: how many seconds after the evaluation time. */
export const predictLinear: RangeFunction = (window, parameters) => {
  if (window.end - window.first < 2) return absent(window);
  const { slope, intercept } = linearRegression(window, window.stepMs);
  return slope * (parameters[0] as number) + intercept;
};

/** Parameters: smoothing factor and trend factor, both within (0, 1); callers refuse others (smoothingProblem). */
export const doubleExponentialSmoothing: RangeFunction = (window, parameters) => {
  const { values, first, end } = window;
  if (end - first < 2) return absent(window);
  const smoothing = parameters[0] as number;
  const trendFactor = parameters[1] as number;
  let smoothedBefore = 0;
  let smoothed = values[first] as number;
  let trend = (values[first + 1] as number) - smoothed;
  for (let i = first + 1; i < end; i++) {
    const weighted = smoothing * (values[i] as number);
    if (i > first + 1) trend = trendFactor * (smoothed - smoothedBefore) + (1 - trendFactor) * trend;
    const carried = (1 - smoothing) * (smoothed + trend);
    smoothedBefore = smoothed;
    smoothed = weighted + carried;
  }
  return smoothed;
};

/** Why double_exponential_smoothing refuses its parameters, in Prometheus's words. */
export function smoothingProblem(parameters: Float64Array): string | undefined {
  const [smoothing = NaN, trend = NaN] = parameters;
  if (smoothing <= 0 || smoothing >= 1) return factorProblem('smoothing factor. Expected: 0 < sf < 1', smoothing);
  if (trend <= 0 || trend >= 1) return factorProblem('trend factor. Expected: 0 < tf < 1', trend);
  return undefined;
}

function factorProblem(expected: string, got: number): string {
  return `invalid ${expected}, got: ${formatFixed(got, 6)}`;
}
