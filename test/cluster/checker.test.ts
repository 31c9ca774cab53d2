// The end-to-end runs are worth what their checker sees: each kind of wrong answer has to be told from a right one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiAnswer, MatrixEntry } from '../support/prometheus-api.ts';
import { questions, rawSamples } from './checker.ts';
import { Fleet } from './fleet.ts';
import { Journal } from './journal.ts';
import { openMachineRoom } from './machines.ts';
import { Writer } from './writers.ts';

const journal = new Journal(() => undefined);
journal.stalls.stop();
const fleet = new Fleet(openMachineRoom('unused'), journal, []);
const options = { name: 'w', seriesPerStep: 3, groupsCount: 2, startMs: 1_000_000, stepMs: 5_000, pauseMs: 0 };
const writer = new Writer(options, fleet, journal);
const steps = { writer, from: 4, end: 10 };

/** The right answer to a question about raw samples. */
function rightMatrix(): { metric: Record<string, string>; values: [number, string][] }[] {
  const values = new Map<number, [number, string][]>();
  for (let step = steps.from; step < steps.end; step++) {
    for (const series of writer.seriesOf(step)) {
      const sample: [number, string] = [writer.timestampMs(step) / 1000, String(writer.valueOf(series, step))];
      values.set(series, [...(values.get(series) ?? []), sample]);
    }
  }
  return [...values].map(([series, samples]) => ({ metric: { series: String(series) }, values: samples }));
}

const matrix = (result: readonly MatrixEntry[]): ApiAnswer<unknown> => ({
  httpStatus: 200,
  status: 'success',
  data: { resultType: 'matrix', result },
});

test('the right samples are right, and less of them only with a warning', () => {
  assert.equal(rawSamples.problem(matrix(rightMatrix()), steps, false), undefined);
  const lacking = rightMatrix();
  lacking[1]?.values.pop();
  assert.match(rawSamples.problem(matrix(lacking), steps, false) ?? '', /1 of 18 samples are missing/);
  assert.equal(rawSamples.problem(matrix(lacking), steps, true), undefined);
});

test('a changed value, a sample that was never sent, and one that is there twice are wrong, warning or not', () => {
  const wrong = (change: (result: ReturnType<typeof rightMatrix>) => void): void => {
    const result = rightMatrix();
    change(result);
    assert.notEqual(rawSamples.problem(matrix(result), steps, true), undefined);
  };
  wrong((result) => Object.assign(result[0]?.values[0] ?? [], { 1: '1' }));
  wrong((result) => result[0]?.values.push([writer.timestampMs(10) / 1000, String(writer.valueOf(0, 10))]));
  wrong((result) => Object.assign(result[0]?.values[0] ?? [], { 0: writer.timestampMs(5) / 1000 }));
  wrong((result) => result[0]?.values.push(result[0].values.at(-1) ?? [0, '']));
  wrong((result) => result.push(...result.slice(0, 1)));
});

test('aggregations are worked out anew: a value that is off by one is wrong', () => {
  const sum = questions.find(({ what }) => what.startsWith('sum('));
  assert.ok(sum);
  const values = Array.from({ length: 6 }, (_, index): [number, string] => {
    const step = steps.from + index;
    const expected = writer.seriesOf(step).reduce((total, series) => total + writer.valueOf(series, step), 0);
    return [writer.timestampMs(step) / 1000, String(expected)];
  });
  assert.equal(sum.problem(matrix([{ metric: {}, values }]), steps, false), undefined);
  const [first, ...rest] = values;
  const off: [number, string] = [first?.[0] ?? 0, String(Number(first?.[1]) + 1)];
  assert.match(sum.problem(matrix([{ metric: {}, values: [off, ...rest] }]), steps, false) ?? '', /step 4/);
  assert.match(sum.problem(matrix([{ metric: {}, values: rest }]), steps, false) ?? '', /step 4/);
});
