// `rate` and `increase` over all windows of a series. What depends on timestamps alone (how far to extrapolate, and by which
// factor) is worked out once for all series that share them; resets are found in one pass. A window then costs a
// subtraction, a division and a multiplication, in the order of functions/rate.ts.
import type { SampleBuffer } from '../../model/index.ts';
import { durationSeconds } from '../numbers/index.ts';
import type { Row } from './operator.ts';
import type { RowFunction, Windows } from './row-function.ts';

/** By step, in seconds; steps with fewer than two samples have a factor of NaN. */
interface Extrapolation {
  readonly sampled: Float64Array;
  readonly toStart: Float64Array;
  readonly toEnd: Float64Array;
  /** By which the increase is multiplied, unless the counter would begin below zero. */
  readonly factor: Float64Array;
}

export function counterRows(isRate: boolean): RowFunction {
  const byBounds = new WeakMap<Int32Array, Extrapolation>();
  return (row, samples, windows) => {
    // Without a key the bounds are scratch that the next series overwrites.
    const kept = samples.timestampsKey && byBounds.get(windows.bounds);
    const extrapolation = kept ?? extrapolate(samples.timestampsMs, windows, isRate);
    if (samples.timestampsKey && !kept) byBounds.set(windows.bounds, extrapolation);
    const rangeSeconds = isRate ? durationSeconds(windows.rangeMs) : 1;
    fillRow(row, samples.values, findResets(samples), windows.bounds, extrapolation, rangeSeconds);
    return true;
  };
}

function extrapolate(timestampsMs: Float64Array, windows: Windows, isRate: boolean): Extrapolation {
  const { bounds, references, rangeMs } = windows;
  const stepsCount = references.length;
  const rangeSeconds = durationSeconds(rangeMs);
  const sampledAt = new Float64Array(stepsCount);
  const toStartAt = new Float64Array(stepsCount);
  const toEndAt = new Float64Array(stepsCount);
  const factorAt = new Float64Array(stepsCount).fill(NaN);
  for (let step = 0; step < stepsCount; step++) {
    const first = bounds[2 * step] as number;
    const intervalsCount = (bounds[2 * step + 1] as number) - first - 1;
    if (intervalsCount < 1) continue;
    const firstMs = timestampsMs[first] as number;
    const lastMs = timestampsMs[first + intervalsCount] as number;
    const endMs = references[step] as number;
    const sampled = (lastMs - firstMs) / 1000;
    const averageInterval = sampled / intervalsCount;
    const threshold = averageInterval * 1.1;
    let toStart = (firstMs - (endMs - rangeMs)) / 1000;
    let toEnd = (endMs - lastMs) / 1000;
    if (toStart >= threshold) toStart = averageInterval / 2;
    if (toEnd >= threshold) toEnd = averageInterval / 2;
    const factor = (sampled + toStart + toEnd) / sampled;
    sampledAt[step] = sampled;
    toStartAt[step] = toStart;
    toEndAt[step] = toEnd;
    factorAt[step] = isRate ? factor / rangeSeconds : factor;
  }
  return { sampled: sampledAt, toStart: toStartAt, toEnd: toEndAt, factor: factorAt };
}

/** Indexes of samples that are lower than the one before. */
function findResets({ values, count }: SampleBuffer): number[] {
  const resets: number[] = [];
  let previous = values[0] as number;
  for (let i = 1; i < count; i++) {
    const value = values[i] as number;
    if (value < previous) resets.push(i);
    previous = value;
  }
  return resets;
}

function fillRow(
  row: Row,
  values: Float64Array,
  resets: readonly number[],
  bounds: Int32Array,
  { sampled, toStart, toEnd, factor }: Extrapolation,
  rangeSeconds: number,
): void {
  const { presence } = row;
  const resetsCount = resets.length;
  let presentCount = 0;
  let nextReset = 0;
  for (let step = 0; step < row.stepsCount; step++) {
    let stepFactor = factor[step] as number;
    if (Number.isNaN(stepFactor)) {
      presence[step] = 0;
      continue;
    }
    const first = bounds[2 * step] as number;
    const end = bounds[2 * step + 1] as number;
    const firstValue = values[first] as number;
    let increase = (values[end - 1] as number) - firstValue;
    while (nextReset < resetsCount && (resets[nextReset] as number) <= first) nextReset++;
    for (let i = nextReset; i < resetsCount && (resets[i] as number) < end; i++) {
      increase += values[(resets[i] as number) - 1] as number;
    }
    if (increase > 0 && firstValue >= 0) {
      const stepSampled = sampled[step] as number;
      const toZero = stepSampled * (firstValue / increase);
      // A counter is not extrapolated to before it was zero.
      if (toZero < (toStart[step] as number)) {
        stepFactor = (stepSampled + toZero + (toEnd[step] as number)) / stepSampled / rangeSeconds;
      }
    }
    row.values[step] = increase * stepFactor;
    presence[step] = 1;
    presentCount++;
  }
  row.presentCount = presentCount;
}
