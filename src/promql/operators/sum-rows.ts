// `sum_over_time` and `avg_over_time` over all windows of a series, as differences of running totals. That is exact only where
// every partial sum is: all values integers whose magnitudes add up to less than 2⁵³ (docs: exactness). Then the compensated sum of
// Prometheus is exact too, and the two are equal.
import type { SampleBuffer } from '../../model/index.ts';
import type { RowFunction } from './row-function.ts';

export function sumRows(isAverage: boolean): RowFunction {
  let totals = new Float64Array(0);
  return (row, samples, { bounds }) => {
    if (totals.length <= samples.count) totals = new Float64Array(2 * samples.count + 1);
    if (!addUp(samples, totals)) return false;
    let presentCount = 0;
    for (let step = 0; step < row.stepsCount; step++) {
      const first = bounds[2 * step] as number;
      const end = bounds[2 * step + 1] as number;
      if (first === end) {
        row.presence[step] = 0;
        continue;
      }
      const sum = (totals[end] as number) - (totals[first] as number);
      row.values[step] = isAverage ? sum / (end - first) : sum;
      row.presence[step] = 1;
      presentCount++;
    }
    row.presentCount = presentCount;
    return true;
  };
}

/** Writes the sum of the first i values to totals[i]; false where the sums would not be exact. */
function addUp({ values, count }: SampleBuffer, totals: Float64Array): boolean {
  let total = 0;
  let magnitude = 0;
  totals[0] = 0;
  for (let i = 0; i < count; i++) {
    const value = values[i] as number;
    // NaN and the infinities fail too, since their difference to anything is NaN.
    if (value - Math.trunc(value) !== 0) return false;
    total += value;
    magnitude += Math.abs(value);
    totals[i + 1] = total;
  }
  return magnitude < 2 ** 53;
}
