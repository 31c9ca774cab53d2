// The forms that share work between windows against the functions of single windows: equal to the bit, on regular and ragged
// timestamps, with resets, NaN, infinities and negative zeros.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SampleBuffer } from '../../model/index.ts';
import { rangeFunctions } from '../functions/index.ts';
import { LimitedQueryControl } from '../query-control.ts';
import { Grid } from '../plan/grid.ts';
import { Row } from './operator.ts';
import { RangeFunctionOperator } from './range-function.ts';
import { rowFunction } from './row-functions.ts';

const small = fc.integer({ min: -20, max: 20 });
const value = fc.oneof(
  { weight: 20, arbitrary: small },
  { weight: 5, arbitrary: fc.double({ noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity, -0, 2 ** 53, 1e308) },
);
/** Series of one kind each: mixed ones would hardly ever take the fast paths. */
const values = fc.oneof(
  fc.array(fc.constantFrom(0, -0, 1), { maxLength: 150 }),
  // Falling more or less steadily: what was far up in one window is not in the next.
  fc
    .array(fc.integer({ min: -2, max: 12 }), { minLength: 50, maxLength: 150 })
    .map((falls) => falls.map((fall, i) => fall - 5 * i)),
  fc.array(small, { maxLength: 150 }),
  fc
    .array(fc.nat(5), { maxLength: 150 })
    .map((steps) => steps.map((_, i) => steps.slice(0, i + 1).reduce((a, b) => a + b, 0))),
  fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { maxLength: 150 }),
  fc.array(value, { maxLength: 150 }),
);

const control = new LimitedQueryControl();

interface Scene {
  readonly values: readonly number[];
  readonly gaps: readonly number[];
  readonly rangeMs: number;
  readonly stepMs: number;
  readonly shared: boolean;
}

const scene: fc.Arbitrary<Scene> = fc.record({
  values,
  gaps: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
  rangeMs: fc.integer({ min: 1, max: 900 }),
  stepMs: fc.integer({ min: 1, max: 200 }),
  shared: fc.boolean(),
});

function rowOf(
  name: string,
  { values: column, gaps, rangeMs, stepMs, shared }: Scene,
  phi: number,
  isFast: boolean,
): Row {
  const grid = new Grid(-50, 3000, stepMs);
  const parameters = name === 'quantile_over_time' ? [new Float64Array(grid.stepsCount).fill(phi)] : [];
  const compute = rangeFunctions.get(name);
  assert.ok(compute);
  const labels: RangeFunctionOperator['series'] = [];
  const key = {};
  const operator = new RangeFunctionOperator({
    source: {
      series: labels,
      hasEffects: false,
      read: (_index: number, samples: SampleBuffer): void => {
        samples.clear();
        samples.reserve(column.length);
        let timeMs = 0;
        for (const [i, each] of column.entries()) {
          timeMs += gaps[i % gaps.length] ?? 1;
          samples.timestampsMs[i] = timeMs;
          samples.values[i] = each;
        }
        samples.count = column.length;
        samples.timestampsKey = shared ? key : undefined;
      },
    },
    series: labels,
    reference: { offsetMs: 0, atMs: undefined },
    rangeMs,
    grid,
    compute,
    control,
    computeRow: isFast ? rowFunction(name, parameters, control) : undefined,
    parameters,
  });
  const row = new Row(grid.stepsCount);
  // Twice: what is kept from the first reading must serve the second.
  operator.read(0, row);
  operator.read(0, row);
  return row;
}

for (const name of [
  'rate',
  'increase',
  'min_over_time',
  'max_over_time',
  'sum_over_time',
  'avg_over_time',
  'quantile_over_time',
]) {
  test(`${name} over all windows equals ${name} of each window`, () => {
    fc.assert(
      fc.property(scene, fc.constantFrom(0, 0.01, 0.5, 0.9, 0.95, 0.99, 1, 1.5, -1, NaN), (each, phi) => {
        const fast = rowOf(name, each, phi, true);
        const plain = rowOf(name, each, phi, false);
        assert.deepEqual(fast.presence, plain.presence);
        assert.equal(fast.presentCount, plain.presentCount);
        for (let step = 0; step < fast.stepsCount; step++) {
          if (fast.presence[step] === 0) continue;
          assert.ok(
            Object.is(fast.values[step], plain.values[step]),
            `step ${step}: ${fast.values[step]} instead of ${plain.values[step]}`,
          );
        }
      }),
      { numRuns: 150 },
    );
  });
}
