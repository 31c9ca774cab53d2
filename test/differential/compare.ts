// Compares two answers of the Prometheus HTTP API. Text must be equal; order counts only where PromQL defines it. Where
// Prometheus itself is not reproducible to the bit, a relative difference is allowed, and only there:
// - exp, sinh, cosh, tanh and ^ (Go picks instructions by processor),
// - aggregates over anything but a selector: Prometheus adds up series in the order of a hash map.
import { type ApiAnswer, metricKey, type QueryData, type Sample } from '../support/prometheus-api.ts';

const toleratedRelative = 1e-12;

export function toleranceOf(query: string): number {
  if (/\b(?:exp|sinh|cosh|tanh)\(|\^/.test(query)) return toleratedRelative;
  const aggregates = /\b(?:sum|avg|stddev|stdvar|quantile)\b(?!_)/;
  return aggregates.test(query) ? toleratedRelative : 0;
}

function numberOf(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return Number(text);
}

function sameValue(ours: string, theirs: string, tolerance: number): boolean {
  if (ours === theirs) return true;
  const a = numberOf(ours);
  const b = numberOf(theirs);
  return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));
}

function sampleDifference(ours: Sample, theirs: Sample, tolerance: number): string | undefined {
  if (ours[0] === theirs[0] && sameValue(ours[1], theirs[1], tolerance)) return undefined;
  return `${JSON.stringify(ours)} instead of ${JSON.stringify(theirs)}`;
}

function samplesDifference(ours: readonly Sample[], theirs: readonly Sample[], tolerance: number): string | undefined {
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

/** Where the outermost function orders an instant vector, its values must come in the same order; ties may not. */
function orderDifference(query: string, ours: QueryData, theirs: QueryData, tolerance: number): string | undefined {
  if (ours.resultType !== 'vector' || theirs.resultType !== 'vector' || !/^sort(?:_desc)?\(/.test(query))
    return undefined;
  const samples = (data: typeof ours): Sample[] => data.result.map(({ value }) => value);
  const difference = samplesDifference(samples(ours), samples(theirs), tolerance);
  return difference && `order: ${difference}`;
}

/** Some messages list series or label sets, whose order is that of a hash map. */
function comparableMessage(message: string | undefined): string {
  return (message ?? '')
    .split(/[ ,[\]{};]+/)
    .sort()
    .join(' ');
}

function notesDifference(
  name: string,
  ours: readonly string[] = [],
  theirs: readonly string[] = [],
): string | undefined {
  const [our, their] = [ours, theirs].map((notes) => JSON.stringify(notes.toSorted()));
  return our === their ? undefined : `${name}: ${our} instead of ${their}`;
}

/** What differs, in words; undefined where the answers agree. */
export function answerDifference(
  query: string,
  ours: ApiAnswer<QueryData>,
  theirs: ApiAnswer<QueryData>,
): string | undefined {
  if (ours.status !== theirs.status || ours.errorType !== theirs.errorType || ours.httpStatus !== theirs.httpStatus) {
    const describe = (answer: ApiAnswer<QueryData>): string =>
      `${answer.httpStatus} ${answer.status} ${answer.errorType ?? ''} ${answer.error ?? ''}`;
    return `${describe(ours)} instead of ${describe(theirs)}`;
  }
  if (!ours.data || !theirs.data) {
    if (comparableMessage(ours.error) === comparableMessage(theirs.error)) return undefined;
    return `error ${JSON.stringify(ours.error)} instead of ${JSON.stringify(theirs.error)}`;
  }
  if (ours.data.resultType !== theirs.data.resultType) {
    return `a ${ours.data.resultType} instead of a ${theirs.data.resultType}`;
  }
  const tolerance = toleranceOf(query);
  return (
    seriesDifference(seriesOf(ours.data), seriesOf(theirs.data), tolerance) ??
    orderDifference(query, ours.data, theirs.data, tolerance) ??
    notesDifference('warnings', ours.warnings, theirs.warnings) ??
    notesDifference('infos', ours.infos, theirs.infos)
  );
}
