// Aggregations against what Prometheus does one sample at a time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Accumulator,
  AverageAccumulator,
  CountAccumulator,
  ExtremeAccumulator,
  SumAccumulator,
  VarianceAccumulator,
} from './accumulators.ts';
import { Row } from './operator.ts';

type Column = readonly (number | undefined)[];

const value = fc.oneof(
  fc.double(),
  fc.integer({ min: -5, max: 5 }),
  fc.constantFrom(-0, Infinity, -Infinity, NaN, 1e308, -1e308, 1e-308),
);
const column: fc.Arbitrary<Column> = fc.array(fc.option(value, { nil: undefined, freq: 4 }), { maxLength: 30 });

/** One step per entry, each with the values of a column, so that steps are independent of each other. */
function aggregated(
  accumulator: (groupsCount: number, stepsCount: number) => Accumulator,
  columns: readonly Column[],
): (number | undefined)[] {
  // The middle one of three groups, whose neighbours must stay empty.
  const into = accumulator(3, columns.length);
  const rowsCount = Math.max(0, ...columns.map(({ length }) => length));
  for (let i = 0; i < rowsCount; i++) {
    const row = new Row(columns.length);
    for (const [step, each] of columns.entries()) {
      if (each[i] === undefined) continue;
      row.values[step] = each[i] as number;
      row.presence[step] = 1;
      row.presentCount++;
    }
    if (row.presentCount > 0) into.add(1, row);
  }
  const result = new Row(columns.length);
  for (const neighbour of [0, 2]) {
    into.read(neighbour, result);
    assert.equal(result.presentCount, 0);
  }
  into.read(1, result);
  assert.equal(
    result.presentCount,
    result.presence.reduce((count, present) => count + present, 0),
  );
  return columns.map((_, step) => (result.presence[step] === 1 ? (result.values[step] as number) : undefined));
}

function checkEach(
  accumulator: (groupsCount: number, stepsCount: number) => Accumulator,
  reference: (values: number[]) => number,
): void {
  fc.assert(
    fc.property(fc.array(column, { minLength: 1, maxLength: 4 }), (columns) => {
      const expected = columns.map((each) => {
        const values = each.filter((one) => one !== undefined);
        return values.length === 0 ? undefined : reference(values);
      });
      assert.deepEqual(aggregated(accumulator, columns), expected);
    }),
  );
}

const isInfinite = (number: number): boolean => number === Infinity || number === -Infinity;

function kahanAdd(value: number, sum: number, compensation: number): [number, number] {
  const total = sum + value;
  if (isInfinite(total)) return [total, 0];
  if (Math.abs(sum) >= Math.abs(value)) return [total, compensation + (sum - total + value)];
  return [total, compensation + (value - total + sum)];
}

test('sum is compensated, in the order of the input', () => {
  checkEach(
    (groups, steps) => new SumAccumulator(groups, steps),
    ([first = 0, ...rest]) => {
      let [sum, compensation] = [first, 0];
      for (const each of rest) [sum, compensation] = kahanAdd(each, sum, compensation);
      return sum + compensation;
    },
  );
  const lostWithoutCompensation = [[1, 1e100, 1, -1e100]];
  assert.deepEqual(
    aggregated((groups, steps) => new SumAccumulator(groups, steps), lostWithoutCompensation),
    [2],
  );
});

test('avg goes over to an incremental mean where the sum overflows', () => {
  checkEach(
    (groups, steps) => new AverageAccumulator(groups, steps),
    ([first = 0, ...rest]) => {
      let [sum, mean, compensation, count, isIncremental] = [first, 0, 0, 1, false];
      for (const each of rest) {
        count++;
        if (!isIncremental) {
          const [next, nextCompensation] = kahanAdd(each, sum, compensation);
          if (!isInfinite(next)) {
            [sum, compensation] = [next, nextCompensation];
            continue;
          }
          isIncremental = true;
          mean = sum / (count - 1);
          compensation /= count - 1;
        }
        const share = (count - 1) / count;
        [mean, compensation] = kahanAdd(each / count, share * mean, share * compensation);
      }
      return isIncremental ? mean + compensation : sum / count + compensation / count;
    },
  );
  assert.deepEqual(
    aggregated((groups, steps) => new AverageAccumulator(groups, steps), [[1.5e308, 1.5e308]]),
    [1.5e308],
  );
});

test('count and group', () => {
  checkEach(
    (groups, steps) => new CountAccumulator(groups, steps, false),
    (values) => values.length,
  );
  checkEach(
    (groups, steps) => new CountAccumulator(groups, steps, true),
    () => 1,
  );
});

test('min and max keep the first of equal values and drop NaN for any number', () => {
  for (const isMax of [false, true]) {
    checkEach(
      (groups, steps) => new ExtremeAccumulator(groups, steps, isMax),
      ([first = 0, ...rest]) =>
        rest.reduce((held, each) => ((isMax ? held < each : held > each) || Number.isNaN(held) ? each : held), first),
    );
  }
});

test('stddev and stdvar', () => {
  for (const isDeviation of [false, true]) {
    checkEach(
      (groups, steps) => new VarianceAccumulator(groups, steps, isDeviation),
      ([first = 0, ...rest]) => {
        let [mean, squares, count] = [first, Number.isFinite(first) ? 0 : NaN, 1];
        for (const each of rest) {
          count++;
          const delta = each - mean;
          mean += delta / count;
          squares += delta * (each - mean);
        }
        return isDeviation ? Math.sqrt(squares / count) : squares / count;
      },
    );
  }
});
