import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { planQuery } from '../plan/planner.ts';
import { collectSelectors } from '../plan/selectors.ts';
import { findPushable, type Pushable, stepsWithin } from './pushable.ts';

const times = { startMs: 1_000_000, endMs: 1_600_000, stepMs: 60_000, subqueryStepMs: 60_000 };
const lookbackDeltaMs = 300_000;

function pushablesOf(text: string): Pushable[] {
  const { root, grid } = planQuery({ text, ...times });
  return findPushable(root, grid, lookbackDeltaMs);
}

const textsOf = (text: string): string[] =>
  pushablesOf(text).map(({ aggregation: { position } }) => text.slice(position.start, position.end));

test('aggregations of one selector, of functions of it, and of arithmetic with scalars are pushed down', () => {
  for (const text of [
    'sum(x)',
    'avg by (a) (rate(x[5m]))',
    'min without (a) (abs(x) * 2 - time())',
    'max(-x)',
    'count(x > 5)',
    'group(5 < bool x)',
    'topk(3, x)',
    'bottomk by (a) (time() / 1e9, round(x, 0.1))',
    'sum(quantile_over_time(0.9, x[5m]))',
    'sum(max_over_time(rate(x[1m])[10m:1m]))',
    'sum(x offset -5m)',
    'sum(timestamp(x)) ',
    'sum(clamp(x, 1, pi()))',
  ]) {
    assert.deepEqual(textsOf(text), [text.trim()], text);
  }
});

test('what mixes series, makes some of nothing, renames them, or asks others for a number stays', () => {
  for (const text of [
    'x',
    'sum(x + y)',
    'sum(x and y)',
    'sum(x * scalar(y))',
    'topk(scalar(y), x)',
    'sum(absent(x))',
    'sum(absent_over_time(x[5m]))',
    'sum(vector(1))',
    'sum(hour())',
    'sum(label_replace(x, "a", "b", "c", "d"))',
    'sum(sort(x))',
    'sum(histogram_quantile(0.9, x))',
    'quantile(0.9, x)',
    'stddev(x)',
    'count_values("v", x)',
    'limitk(2, x)',
    'sum(deriv(x[5m] @ 5) + time())',
  ]) {
    assert.deepEqual(textsOf(text), [], text);
  }
});

test('the innermost aggregations are pushed down, wherever they stand', () => {
  assert.deepEqual(textsOf('topk(2, sum by (a) (x)) / on (a) max by (a) (y + 1)'), [
    'sum by (a) (x)',
    'max by (a) (y + 1)',
  ]);
  assert.deepEqual(textsOf('max_over_time(sum(x)[1h:1m]) + sum(x @ 5)'), ['sum(x)', 'sum(x @ 5)']);
});

test('the reach of a step holds every sample that is selected for it', () => {
  const texts = [
    'sum(x)',
    'sum(x offset 7m)',
    'sum(x offset -7m)',
    'sum(rate(x[10m] offset 3s))',
    'sum(max_over_time(rate(x[90s] offset 1m)[10m:47s] offset -2m))',
    'max_over_time(sum(rate(x[5m]))[30m:13s])',
    'sum(x @ 700 offset 1m)',
  ];
  for (const text of texts) {
    const pushables = pushablesOf(text);
    assert.equal(pushables.length, 1, text);
    const { aggregation, grid, reach } = pushables[0] as Pushable;
    for (let step = 0; step < grid.stepsCount; step++) {
      const [request] = collectSelectors(aggregation, grid.slice(step, step + 1), lookbackDeltaMs).requests;
      const timeMs = grid.timeMs(step);
      assert(request && request.startMs >= timeMs - reach.beforeMs && request.endMs <= timeMs + reach.afterMs, text);
    }
  }
});

test('the steps within a range are those whose reach is, in one piece', () => {
  const ms = fc.integer({ min: -500, max: 500 });
  const reaches = fc.record({
    startMs: ms,
    stepMs: fc.integer({ min: 1, max: 60 }),
    stepsCount: fc.integer({ min: 1, max: 20 }),
    beforeMs: ms,
    afterMs: ms,
  });
  fc.assert(
    fc.property(reaches, ms, fc.nat(800), (reach, fromMs, lengthMs) => {
      const toMs = fromMs + lengthMs;
      const inside = Array.from({ length: reach.stepsCount }, (_, step) => step).filter((step) => {
        const timeMs = reach.startMs + step * reach.stepMs;
        return timeMs - reach.beforeMs >= fromMs && timeMs + reach.afterMs <= toMs;
      });
      const { first, end } = stepsWithin(reach, fromMs, toMs);
      assert.deepEqual(
        inside,
        Array.from({ length: end - first }, (_, at) => first + at),
      );
    }),
  );
});
