import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Grid, referenceMs, subqueryGrid } from './grid.ts';

test('a grid includes its end only where a step falls on it', () => {
  assert.deepEqual([...new Grid(10, 30, 10).timestampsMs()], [10, 20, 30]);
  assert.deepEqual([...new Grid(10, 39, 10).timestampsMs()], [10, 20, 30]);
  assert.equal(new Grid(10, 9, 10).stepsCount, 0);
  assert.equal(new Grid(10, 19, 10).isInstant, false);
  assert.equal(Grid.instant(10).isInstant, true);
});

test('@ replaces the time of the step, the offset still counts', () => {
  assert.equal(referenceMs({ offsetMs: 5, atMs: undefined }, 100), 95);
  assert.equal(referenceMs({ offsetMs: 5, atMs: 50 }, 100), 45);
});

test('the steps of a subquery are the multiples of its step inside the left-open windows of all steps', () => {
  const ms = fc.integer({ min: -5000, max: 5000 });
  const positiveMs = fc.integer({ min: 1, max: 700 });
  fc.assert(
    fc.property(
      ms,
      fc.nat(20),
      positiveMs,
      positiveMs,
      positiveMs,
      ms,
      (startMs, steps, stepMs, rangeMs, innerMs, offsetMs) => {
        const parent = new Grid(startMs, startMs + steps * stepMs, stepMs);
        const grid = subqueryGrid(parent, { rangeMs, stepMs: innerMs, offsetMs, atMs: undefined });
        const expected: number[] = [];
        const windowStartMs = startMs - offsetMs - rangeMs;
        const windowEndMs = parent.lastMs - offsetMs;
        for (let timeMs = windowStartMs + 1; timeMs <= windowEndMs; timeMs++)
          if (timeMs % innerMs === 0) expected.push(timeMs);
        assert.deepEqual([...grid.timestampsMs()], expected);
      },
    ),
    { numRuns: 60 },
  );
});
