// A comparison that can't find a difference would pass everything.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ApiAnswer, QueryData } from '../support/prometheus-api.ts';
import { answerDifference } from './compare.ts';

function vector(...samples: readonly (readonly [name: string, value: string])[]): ApiAnswer<QueryData> {
  const result = samples.map(([name, value]) => ({ metric: { name }, value: [1, value] as const }));
  return { httpStatus: 200, status: 'success', data: { resultType: 'vector', result } };
}

const failure = (error: string, httpStatus = 422): ApiAnswer<QueryData> => ({
  httpStatus,
  status: 'error',
  errorType: httpStatus === 400 ? 'bad_data' : 'execution',
  error,
});

describe('answerDifference', () => {
  test('ignores the order of series, unless the query sorts', () => {
    const [ab, ba] = [vector(['a', '1'], ['b', '2']), vector(['b', '2'], ['a', '1'])];
    assert.equal(answerDifference('x', ab, ba), undefined);
    assert.match(answerDifference('sort(x)', ab, ba) ?? '', /^order/);
  });

  test('finds a value that differs in its last digit', () => {
    const [a, b] = [vector(['a', '0.1']), vector(['a', '0.10000000000000002'])];
    assert.match(answerDifference('x', a, b) ?? '', /instead of/);
    assert.equal(answerDifference('x', a, a), undefined);
  });

  test('finds series that are missing, new or answered twice', () => {
    const one = vector(['a', '1']);
    assert.match(answerDifference('x', vector(), one) ?? '', /is missing/);
    assert.match(answerDifference('x', one, vector()) ?? '', /should not be there/);
    assert.match(answerDifference('x', vector(['a', '1'], ['a', '1']), one) ?? '', /twice/);
  });

  test('tells NaN from numbers, infinities and zeros from each other', () => {
    const of = (value: string): ApiAnswer<QueryData> => vector(['a', value]);
    assert.equal(answerDifference('x', of('NaN'), of('NaN')), undefined);
    assert(answerDifference('x', of('NaN'), of('1')));
    assert(answerDifference('x', of('+Inf'), of('-Inf')));
    assert(answerDifference('x', of('-0'), of('0')));
  });

  test('compares errors, their status and the notes beside an answer', () => {
    assert.equal(answerDifference('x', failure('a b'), failure('a b')), undefined);
    assert(answerDifference('x', failure('a b'), failure('a c')));
    assert(answerDifference('x', failure('a'), failure('a', 400)));
    assert(answerDifference('x', failure('a'), vector()));
    assert(answerDifference('x', { ...vector(), infos: ['i'] }, vector()));
    assert(answerDifference('x', { ...vector(), warnings: ['w'] }, { ...vector(), warnings: ['v'] }));
  });
});
