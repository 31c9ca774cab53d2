// Compares two answers of the Prometheus HTTP API. Text must be equal, to the last digit; order counts only where PromQL
// defines it. (Prometheus adds up series that come from anything but a selector in the order of a hash map, so its own last
// digits may change from one answer to the next; the caller asks it again before it believes in a difference.)
import { dataDifference, samplesDifference } from '../support/compare-answers.ts';
import type { ApiAnswer, QueryData, Sample } from '../support/prometheus-api.ts';

/** Where the outermost function orders an instant vector, its values must come in the same order; ties may not. */
function orderDifference(query: string, ours: QueryData, theirs: QueryData): string | undefined {
  if (ours.resultType !== 'vector' || theirs.resultType !== 'vector' || !/^sort(?:_desc)?\(/.test(query))
    return undefined;
  const samples = (data: typeof ours): Sample[] => data.result.map(({ value }) => value);
  const difference = samplesDifference(samples(ours), samples(theirs), 0);
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
  return (
    dataDifference(ours.data, theirs.data, 0) ??
    orderDifference(query, ours.data, theirs.data) ??
    notesDifference('warnings', ours.warnings, theirs.warnings) ??
    notesDifference('infos', ours.infos, theirs.infos)
  );
}
