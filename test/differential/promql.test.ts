// Random queries to a real Prometheus and to our node, over the same samples: the answers must be the same text (compare.ts
// says where not to the bit). The seed and the number of queries can be chosen; a failure prints the query to try again.
//   TIMBALA_TEST_SEED=7 TIMBALA_TEST_QUERIES=2000 npm test -- test/differential
// Needs a Prometheus 3 (TIMBALA_TEST_PROMETHEUS or on PATH), since the semantics are those of version 3.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../src/base/index.ts';
import type { ApiAnswer, PrometheusApi, QueryData } from '../support/prometheus-api.ts';
import { findPrometheus } from '../support/servers.ts';
import { answerDifference } from './compare.ts';
import { skipReason, startPair } from './pair.ts';
import { QueryGenerator } from './query-generator.ts';
import { nextQuestion, type Question } from './question.ts';

const seed = Number(process.env['TIMBALA_TEST_SEED'] ?? 1);
const queriesCount = Number(process.env['TIMBALA_TEST_QUERIES'] ?? 600);
const reportedMax = 20;
/** Prometheus is asked again before a difference counts: what it answers differently itself, by hash order, is unspecified. */
const attempts = 8;

const prometheus = findPrometheus(3, false);

async function differenceIn(
  question: Question,
  ours: PrometheusApi,
  theirs: PrometheusApi,
): Promise<string | undefined> {
  const { query, when, path, form } = question;
  const ask = (api: PrometheusApi): Promise<ApiAnswer<QueryData>> => api.call(path, form);
  const ourAnswer = await ask(ours);
  let theirAnswer = await ask(theirs);
  let difference = answerDifference(query, ourAnswer, theirAnswer);
  for (let attempt = 1; attempt < attempts && difference !== undefined; attempt++) {
    const again = await ask(theirs);
    if (answerDifference(query, again, theirAnswer) !== undefined) return undefined;
    theirAnswer = again;
    difference = answerDifference(query, ourAnswer, theirAnswer);
  }
  return difference && `${query}\n  ${when}: ${difference}`;
}

test(
  `random queries are answered as Prometheus answers them (seed ${seed}, ${queriesCount} queries)`,
  { skip: prometheus ? false : skipReason },
  async (t) => {
    assert(prometheus);
    const { ours, theirs } = await startPair(t, prometheus, seed);
    const random = new SeededRandom(seed);
    const generator = new QueryGenerator(random);
    const differences: string[] = [];
    for (let i = 0; i < queriesCount; i++) {
      const difference = await differenceIn(nextQuestion(generator, random), ours, theirs);
      if (difference) differences.push(difference);
    }
    const shown = differences.slice(0, reportedMax).join('\n');
    assert.equal(differences.length, 0, `${differences.length} of ${queriesCount} answers differ:\n${shown}`);
  },
);
