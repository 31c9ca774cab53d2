// Random questions to the query API: an expression, sometimes one that can't be read, at a time or over a range.
import type { SeededRandom } from '../../src/base/index.ts';
import { dataEndMs, dataStartMs } from './data.ts';
import type { QueryGenerator } from './query-generator.ts';

const malformedOneIn = 6;

export interface Question {
  readonly query: string;
  /** For people. */
  readonly when: string;
  readonly path: 'query' | 'query_range';
  readonly form: Readonly<Record<string, string>>;
}

const seconds = (ms: number): string => (ms / 1000).toFixed(3);

export function nextQuestion(generator: QueryGenerator, random: SeededRandom): Question {
  const accepted = generator.next();
  const query = random.below(malformedOneIn) === 0 ? generator.malform(accepted) : accepted;
  const timeMs = dataStartMs + random.below(dataEndMs - dataStartMs + 600_000);
  const lookback = ['', '', '', '1m', '20s', '1h'][random.below(6)] ?? '';
  const form = { query, lookback_delta: lookback };
  const behind = lookback === '' ? '' : `, lookback ${lookback}`;
  if (random.below(2) === 0) {
    return { query, when: `at ${timeMs / 1000}${behind}`, path: 'query', form: { ...form, time: seconds(timeMs) } };
  }
  const stepMs = [15_000, 60_000, 47_001, 300_000][random.below(4)] ?? 60_000;
  const endMs = timeMs + stepMs * random.below(60);
  return {
    query,
    when: `from ${timeMs / 1000} to ${endMs / 1000} by ${stepMs / 1000}${behind}`,
    path: 'query_range',
    form: { ...form, start: seconds(timeMs), end: seconds(endMs), step: seconds(stepMs) },
  };
}
