// States put together against one aggregation over all values, in whatever shares the values come.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../base/index.ts';
import { Labels } from '../../model/index.ts';
import { type PartialOperator, partialAccumulatorOf } from '../operators/aggregation.ts';
import { Row } from '../operators/operator.ts';
import { mergePartials, type PartialSeries, PartialsOperator } from './partials.ts';

const group = Labels.of({ group: 'a' });
const sharesMax = 4;

interface Shared {
  readonly value: number;
  readonly share: number;
}

const shared = (value: fc.Arbitrary<number>): fc.Arbitrary<Shared[]> =>
  fc.array(fc.record({ value, share: fc.nat(sharesMax - 1) }), { minLength: 1, maxLength: 40 });

function rowOf(value: number): Row {
  const row = new Row(1);
  row.fill(value);
  return row;
}

function stateOf(operator: PartialOperator, values: readonly number[]): PartialSeries {
  const accumulator = partialAccumulatorOf(operator, 1, 1);
  for (const value of values) accumulator.add(0, rowOf(value));
  const { presence, columns } = accumulator.partial(0);
  return { labels: group, first: group, presence: presence.slice(), columns: columns.map((each) => each.slice()) };
}

function together(operator: PartialOperator, values: readonly number[]): number {
  const accumulator = partialAccumulatorOf(operator, 1, 1);
  for (const value of values) accumulator.add(0, rowOf(value));
  const row = new Row(1);
  accumulator.read(0, row);
  return row.values[0] as number;
}

/** Undefined where the shares can't be put together. */
function inShares(operator: PartialOperator, all: readonly Shared[]): number | undefined {
  const shares = Array.from({ length: sharesMax }, (_, share) => all.filter((each) => each.share === share));
  try {
    const states = shares
      .filter(({ length }) => length > 0)
      .map((of) => [
        stateOf(
          operator,
          of.map(({ value }) => value),
        ),
      ]);
    const row = new Row(1);
    new PartialsOperator(operator, mergePartials(operator, states)).read(0, row);
    return row.values[0] as number;
  } catch (error) {
    assert(hasCode(error, 'PARTIAL_INEXACT'));
    return undefined;
  }
}

const valuesOf = (all: readonly Shared[]): number[] => all.map(({ value }) => value);
const special = fc.constantFrom(-0, 0, NaN, Infinity, -Infinity, 1e308, -1e308);

test('count, group, min and max are the same to the bit, or refused', () => {
  const value = fc.oneof(fc.double(), fc.integer({ min: -3, max: 3 }), special);
  fc.assert(
    fc.property(shared(value), fc.constantFrom('count', 'group', 'min', 'max'), (all, operator) => {
      const found = inShares(operator, all);
      if (found !== undefined) assert(Object.is(found, together(operator, valuesOf(all))));
      else
        assert(
          valuesOf(all).some((each) => Object.is(each, -0)),
          'refused without need',
        );
    }),
  );
});

test('sums and means of integers are the same to the bit', () => {
  fc.assert(
    fc.property(
      shared(fc.integer({ min: -(2 ** 46), max: 2 ** 46 })),
      fc.constantFrom('sum', 'avg'),
      (all, operator) => {
        assert.equal(inShares(operator, all), together(operator, valuesOf(all)));
      },
    ),
  );
});

test('sums and means of any numbers differ by their last place at most, but for cancellation', () => {
  const epsilon = 2 ** -53;
  const value = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e300, max: 1e300 }),
    fc.double({ noNaN: true, min: -1, max: 1 }),
  );
  fc.assert(
    fc.property(shared(value), fc.constantFrom('sum', 'avg'), (all, operator) => {
      const values = valuesOf(all);
      const expected = together(operator, values);
      const found = inShares(operator, all);
      assert(found !== undefined);
      const magnitude =
        values.reduce((sum, each) => sum + Math.abs(each), 0) / (operator === 'avg' ? values.length : 1);
      const bound =
        6 * epsilon * Math.abs(expected) + (2 * values.length * epsilon) ** 2 * magnitude + Number.MIN_VALUE;
      assert(Math.abs(found - expected) <= bound, `${found}, not ${expected}`);
    }),
  );
});

test('sums that leave the range of finite numbers are refused, those with NaN are NaN', () => {
  const of = (...values: number[]): Shared[] => values.map((value, at) => ({ value, share: at % sharesMax }));
  for (const operator of ['sum', 'avg'] as const) {
    assert.equal(inShares(operator, of(1, Infinity)), undefined);
    assert.equal(inShares(operator, of(1e308, 1e308)), undefined);
    assert.equal(
      inShares(operator, [
        { value: 1e308, share: 0 },
        { value: 1e308, share: 0 },
        { value: -1e308, share: 0 },
      ]),
      undefined,
    );
    assert.equal(inShares(operator, of(1, NaN, 2)), NaN);
  }
});

test('groups come in the order of their first series, whichever share has it', () => {
  const named = (name: string, first: string): PartialSeries => ({
    ...stateOf('count', [1]),
    labels: Labels.of({ group: name }),
    first: Labels.of({ series: first }),
  });
  const merged = mergePartials('count', [
    [named('a', '5'), named('b', '2')],
    [named('c', '3'), named('a', '1')],
  ]);
  assert.deepEqual(
    merged.map(({ labels, first, columns }) => [labels.get('group'), first.get('series'), columns[0]?.[0]]),
    [
      ['a', '1', 2],
      ['b', '2', 1],
      ['c', '3', 1],
    ],
  );
});
