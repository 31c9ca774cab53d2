// Compares the data of two answers of the Prometheus HTTP API: the same series, the same timestamps, and the same text of
// values or, where a tolerance is given, values that differ by no more than this relative to the larger. Order is ignored.
import { metricKey, type QueryData, type Sample } from './prometheus-api.ts';

function numberOf(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return Number(text);
}

function sameValue(ours: string, theirs: string, tolerance: number): boolean {
  if (ours === theirs) return true;
  // Text is stricter than numbers: -0 is not 0.
  if (tolerance === 0) return false;
  const a = numberOf(ours);
  const b = numberOf(theirs);
  if (!Number.isFinite(a) || !Number.isFinite(b)) return false;
  return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));
}

function sampleDifference(ours: Sample, theirs: Sample, tolerance: number): string | undefined {
  if (ours[0] === theirs[0] && sameValue(ours[1], theirs[1], tolerance)) return undefined;
  return `${JSON.stringify(ours)} instead of ${JSON.stringify(theirs)}`;
}

/** The first difference between two lists of samples, in words. */
export function samplesDifference(
  ours: readonly Sample[],
  theirs: readonly Sample[],
  tolerance: number,
): string | undefined {
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    const our = ours[i];
    const their = theirs[i];
    if (!our || !their) {
      return `${ours.length} samples instead of ${theirs.length}, first difference at ${JSON.stringify(our ?? their)}`;
    }
    const difference = sampleDifference(our, their, tolerance);
    if (difference) return difference;
  }
  return undefined;
}

type Series = { readonly metric: Readonly<Record<string, string>>; readonly samples: readonly Sample[] };

function seriesDifference(ours: readonly Series[], theirs: readonly Series[], tolerance: number): string | undefined {
  const ourSeries = new Map(ours.map((series) => [metricKey(series.metric), series.samples]));
  const theirSeries = new Map(theirs.map((series) => [metricKey(series.metric), series.samples]));
  if (ourSeries.size !== ours.length) return 'a label set is answered twice';
  for (const key of theirSeries.keys()) if (!ourSeries.has(key)) return `series ${key} is missing`;
  for (const [key, samples] of ourSeries) {
    const expected = theirSeries.get(key);
    if (!expected) return `series ${key} should not be there`;
    const difference = samplesDifference(samples, expected, tolerance);
    if (difference) return `${key}: ${difference}`;
  }
  return undefined;
}

function seriesOf(data: QueryData): Series[] {
  if (data.resultType === 'vector') return data.result.map(({ metric, value }) => ({ metric, samples: [value] }));
  if (data.resultType === 'matrix') return data.result.map(({ metric, values }) => ({ metric, samples: values }));
  return [{ metric: {}, samples: [data.result] }];
}

/** What differs, in words; undefined where the data agree. */
export function dataDifference(ours: QueryData, theirs: QueryData, tolerance: number): string | undefined {
  if (ours.resultType !== theirs.resultType) return `a ${ours.resultType} instead of a ${theirs.resultType}`;
  return seriesDifference(seriesOf(ours), seriesOf(theirs), tolerance);
}
