// Quantiles of samples and of classic histograms (series of cumulative buckets told apart by their label `le`).

/** The φ-quantile by linear interpolation between neighbours; sorts the values in place, NaN first. */
export function quantileOf(quantile: number, values: Float64Array): number {
  const bound = quantileOutOfRange(quantile);
  if (values.length === 0) return NaN;
  if (bound !== undefined) return bound;
  sortNaNFirst(values);
  return interpolate(quantile, values, values.length);
}

/** The same of the first `count` values, which are sorted already, NaN first. */
export function sortedQuantileOf(quantile: number, sorted: Float64Array, count: number): number {
  const bound = quantileOutOfRange(quantile);
  if (count === 0) return NaN;
  return bound ?? interpolate(quantile, sorted, count);
}

function interpolate(quantile: number, values: Float64Array, count: number): number {
  const last = count - 1;
  const rank = quantile * last;
  const lower = Math.floor(rank);
  const weight = rank - lower;
  const lowerValue = values[lower] as number;
  if (weight === 0) return lowerValue;
  return lowerValue * (1 - weight) + (values[Math.min(last, lower + 1)] as number) * weight;
}

/** What every quantile function gives for φ outside [0, 1]. */
function quantileOutOfRange(quantile: number): number | undefined {
  if (Number.isNaN(quantile)) return NaN;
  if (quantile < 0) return -Infinity;
  return quantile > 1 ? Infinity : undefined;
}

/** Go sorts slices of at most this many elements by insertion, which keeps the order of -0 and +0. */
const insertionSortMax = 12;

function sortNaNFirst(values: Float64Array): void {
  if (values.length <= insertionSortMax) {
    insertionSort(values);
    return;
  }
  values.sort();
  // Typed arrays sort NaN behind everything, and -0 before +0; Go leaves the order of zeros open.
  let numbersCount = values.length;
  while (numbersCount > 0 && Number.isNaN(values[numbersCount - 1])) numbersCount--;
  const nanCount = values.length - numbersCount;
  if (nanCount === 0 || numbersCount === 0) return;
  values.copyWithin(nanCount, 0, numbersCount);
  values.fill(NaN, 0, nanCount);
}

/** NaN goes before everything. */
const comesBefore = (value: number, other: number): boolean => value < other || Number.isNaN(value);

function insertionSort(values: Float64Array): void {
  for (let i = 1; i < values.length; i++) {
    const value = values[i] as number;
    let at = i;
    for (; at > 0 && comesBefore(value, values[at - 1] as number); at--) values[at] = values[at - 1] as number;
    values[at] = value;
  }
}

/** Where bucketQuantile had to change counts that fell from one bucket to the next; reused from call to call. */
export class MonotonicityReport {
  forced = false;
  /** Upper bounds of the lowest and highest bucket that were raised. */
  bucketMin = Infinity;
  bucketMax = -Infinity;
  /** The largest amount by which one was raised. */
  differenceMax = 0;

  clear(): void {
    this.forced = false;
    this.bucketMin = Infinity;
    this.bucketMax = -Infinity;
    this.differenceMax = 0;
  }
}

/** Relative differences between buckets below this are taken for rounding errors. */
const differenceTolerance = 1e-12;
const smallestNormal = 2 ** -1022;

/**
 * The φ-quantile of the first `bucketsCount` buckets, which the caller has sorted by upper bound. Equal bounds are merged and
 * falling counts are raised in place. NaN without observations, without a bucket of bound +Inf, or with fewer than two buckets.
 */
export function bucketQuantile(
  quantile: number,
  upperBounds: Float64Array,
  counts: Float64Array,
  bucketsCount: number,
  report: MonotonicityReport,
): number {
  report.clear();
  const bound = quantileOutOfRange(quantile);
  if (bound !== undefined) return bound;
  if (bucketsCount === 0 || upperBounds[bucketsCount - 1] !== Infinity) return NaN;
  const count = mergeEqualBounds(upperBounds, counts, bucketsCount);
  raiseFallingCounts(upperBounds, counts, count, report);
  const observations = counts[count - 1] as number;
  if (count < 2 || observations === 0) return NaN;

  const rank = quantile * observations;
  const bucket = firstBucketReaching(rank, counts, count - 1);
  const upper = upperBounds[bucket] as number;
  if (bucket === count - 1) return upperBounds[count - 2] as number;
  if (bucket === 0 && upper <= 0) return upper;
  // Positive buckets begin at zero.
  const lower = bucket === 0 ? 0 : (upperBounds[bucket - 1] as number);
  const below = bucket === 0 ? 0 : (counts[bucket - 1] as number);
  return lower + (upper - lower) * ((rank - below) / ((counts[bucket] as number) - below));
}

/** Binary search as Go's sort.Search: with NaN among the counts, the answer depends on the order of probes. */
function firstBucketReaching(rank: number, counts: Float64Array, end: number): number {
  let low = 0;
  let high = end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((counts[middle] as number) >= rank) high = middle;
    else low = middle + 1;
  }
  return low;
}

function mergeEqualBounds(upperBounds: Float64Array, counts: Float64Array, bucketsCount: number): number {
  let last = 0;
  for (let i = 1; i < bucketsCount; i++) {
    if (upperBounds[i] === upperBounds[last]) {
      counts[last] = (counts[last] as number) + (counts[i] as number);
    } else {
      last++;
      upperBounds[last] = upperBounds[i] as number;
      counts[last] = counts[i] as number;
    }
  }
  return last + 1;
}

function raiseFallingCounts(
  upperBounds: Float64Array,
  counts: Float64Array,
  bucketsCount: number,
  report: MonotonicityReport,
): void {
  let previous = counts[0] as number;
  for (let i = 1; i < bucketsCount; i++) {
    const count = counts[i] as number;
    if (count === previous) continue;
    if (isRoundingError(previous, count)) {
      counts[i] = previous;
    } else if (count < previous) {
      counts[i] = previous;
      report.forced = true;
      report.bucketMin = Math.min(report.bucketMin, upperBounds[i] as number);
      report.bucketMax = Math.max(report.bucketMax, upperBounds[i] as number);
      if (previous - count > report.differenceMax) report.differenceMax = previous - count;
    } else {
      previous = count;
    }
  }
}

function isRoundingError(a: number, b: number): boolean {
  if (Number.isNaN(a) && Number.isNaN(b)) return true;
  const sum = Math.abs(a) + Math.abs(b);
  const difference = Math.abs(a - b);
  if (a === 0 || b === 0 || sum < smallestNormal) return difference < differenceTolerance * smallestNormal;
  return difference / Math.min(sum, Number.MAX_VALUE) < differenceTolerance;
}

/** The share of observations between two values, of buckets as in bucketQuantile. */
export function bucketFraction(
  lower: number,
  upper: number,
  upperBounds: Float64Array,
  counts: Float64Array,
  bucketsCount: number,
): number {
  if (bucketsCount === 0 || upperBounds[bucketsCount - 1] !== Infinity) return NaN;
  const count = mergeEqualBounds(upperBounds, counts, bucketsCount);
  const observations = counts[count - 1] as number;
  if (observations === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return NaN;
  if (lower >= upper) return 0;
  const lowerRank = rankOf(lower, upperBounds, counts, count);
  const upperRank = rankOf(upper, upperBounds, counts, count);
  return (upperRank - lowerRank) / observations;
}

/** How many observations lie below a value, by linear interpolation; at most all. */
function rankOf(value: number, upperBounds: Float64Array, counts: Float64Array, bucketsCount: number): number {
  const observations = counts[bucketsCount - 1] as number;
  // Positive buckets begin at zero.
  let lowerBound = (upperBounds[0] as number) <= 0 ? -Infinity : 0;
  let rank = 0;
  for (let i = 0; i < bucketsCount; i++) {
    const upperBound = upperBounds[i] as number;
    const count = counts[i] as number;
    if (lowerBound >= value) return atMost(rank, observations);
    if (lowerBound < value && upperBound > value) {
      // A bucket without a lower end can't be interpolated: all of it counts.
      if (lowerBound === -Infinity) return atMost(count, observations);
      return atMost(rank + ((count - rank) * (value - lowerBound)) / (upperBound - lowerBound), observations);
    }
    rank = count;
    lowerBound = upperBound;
  }
  return observations;
}

function atMost(rank: number, observations: number): number {
  return rank > observations ? observations : rank;
}
