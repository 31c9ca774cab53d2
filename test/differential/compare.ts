// Compares two answers of the Prometheus HTTP API. Text must be equal; order counts only where PromQL defines it. Where
// Prometheus itself is not reproducible to the bit, a relative difference is allowed, and only there:
// - exp, sinh, cosh, tanh and ^ (Go picks instructions by processor),
// - aggregates over anything but a selector: Prometheus adds up series in the order of a hash map.
import { dataDifference, samplesDifference } from '../support/compare-answers.ts';
import type { ApiAnswer, QueryData, Sample } from '../support/prometheus-api.ts';

const toleratedRelative = 1e-12;
const byProcessor = /\b(?:exp|sinh|cosh|tanh)\(|\^/;
/** Turn a difference in the last digit into another number, or into a sample more or less. */
const amplifiers = [
  /\b(?:sin|cos|tan|ceil|floor|round|sgn|changes|resets|count_values|topk|bottomk|quantile)\b/,
  /\b(?:day_of_\w+|days_in_month|month|year|hour|minute)\b/,
  /%|[=!<>]=?\s/,
];
const aggregates = /\b(?:sum|avg|stddev|stdvar|quantile)\b(?!_)/;

/** How far values may differ, relative to the larger; undefined where nothing can be said about them. */
export function toleranceOf(query: string): number | undefined {
  if (byProcessor.test(query)) {
    return amplifiers.some((pattern) => pattern.test(query)) ? undefined : toleratedRelative;
  }
  return aggregates.test(query) ? toleratedRelative : 0;
}

/** Where the outermost function orders an instant vector, its values must come in the same order; ties may not. */
function orderDifference(query: string, ours: QueryData, theirs: QueryData, tolerance: number): string | undefined {
  if (ours.resultType !== 'vector' || theirs.resultType !== 'vector' || !/^sort(?:_desc)?\(/.test(query))
    return undefined;
  const samples = (data: typeof ours): Sample[] => data.result.map(({ value }) => value);
  const difference = samplesDifference(samples(ours), samples(theirs), tolerance);
  return difference && `order: ${difference}`;
}

/** Which of several groups with duplicate series a message names, and which two of them, depends on who looks first. */
function comparableMessage(message = ''): string {
  return message
    .replace(/match group \{.*\} on/, 'match group {…} on')
    .replace(/operation: \[.*\];/, 'operation: […];');
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
  const tolerance = toleranceOf(query);
  if (tolerance === undefined) return undefined;
  return (
    dataDifference(ours.data, theirs.data, tolerance) ??
    orderDifference(query, ours.data, theirs.data, tolerance) ??
    notesDifference('warnings', ours.warnings, theirs.warnings) ??
    notesDifference('infos', ours.infos, theirs.infos)
  );
}
