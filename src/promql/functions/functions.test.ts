// Functions of one value, dates and labels: examples from their definitions, and agreement with JavaScript's own calendar.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileRegex, Labels } from '../../model/index.ts';
import { floatFunctions, KahanSum, labelReplace, maxOf, minOf, naturalCompare, smoothingProblem } from './index.ts';
import { functionSignatures } from './signatures.ts';

function call(name: string, value: number, ...parameters: number[]): number {
  const implementation = floatFunctions.get(name);
  assert.ok(implementation, name);
  return implementation(value, Float64Array.from(parameters));
}

/** Prometheus's results, from its own engine. */
const examples: [call: [string, number, ...number[]], result: number][] = [
  [['round', 2.5], 3],
  [['round', -2.5], -2],
  [['round', 0.35, 0.1], 0.4],
  [['round', 1, 0], NaN],
  [['clamp', 5, 0, 3], 3],
  [['clamp', NaN, 0, 3], NaN],
  [['clamp', 1, NaN, 3], NaN],
  [['clamp_min', -1, 0], 0],
  [['clamp_min', NaN, Infinity], Infinity],
  [['clamp_max', 9, 5], 5],
  [['sgn', -0], -0],
  [['sgn', -3], -1],
  [['deg', Math.PI], 180],
  [['rad', 180], Math.PI],
  [['ceil', -0.5], -0],
];

test('functions of one value', () => {
  for (const [[name, value, ...parameters], result] of examples) {
    assert.ok(Object.is(call(name, value, ...parameters), result), `${name}(${value}, ${parameters.join(', ')})`);
  }
});

test('every function of one vector and scalars that the parser lets through is implemented', () => {
  const elsewhere = ['absent', 'scalar', 'sort', 'sort_desc', 'timestamp'];
  for (const { name, argumentTypes, supported } of functionSignatures.values()) {
    const [first, ...others] = argumentTypes;
    if (!supported || first !== 'vector' || others.some((type) => type !== 'scalar')) continue;
    assert.notEqual(floatFunctions.has(name), elsewhere.includes(name), name);
  }
});

test('an infinity wins over NaN in max_of and min_of, as in Go', () => {
  assert.equal(maxOf(NaN, Infinity), Infinity);
  assert.equal(minOf(-Infinity, NaN), -Infinity);
  assert.ok(Number.isNaN(maxOf(NaN, 1)));
  assert.ok(Object.is(maxOf(-0, 0), 0));
});

test('dates agree with JavaScript’s within its range', () => {
  fc.assert(
    fc.property(fc.integer({ min: -8.6e12, max: 8.6e12 }), (seconds) => {
      const date = new Date(seconds * 1000);
      assert.equal(call('year', seconds), date.getUTCFullYear());
      assert.equal(call('month', seconds), date.getUTCMonth() + 1);
      assert.equal(call('day_of_month', seconds), date.getUTCDate());
      assert.equal(call('day_of_week', seconds), date.getUTCDay());
      assert.equal(call('hour', seconds), date.getUTCHours());
      assert.equal(call('minute', seconds), date.getUTCMinutes());
      const newYear = new Date(0).setUTCFullYear(date.getUTCFullYear(), 0, 1);
      assert.equal(call('day_of_year', seconds), Math.floor((date.getTime() - newYear) / 86_400_000) + 1);
      const nextMonth = new Date(0).setUTCFullYear(date.getUTCFullYear(), date.getUTCMonth() + 1, 0);
      assert.equal(call('days_in_month', seconds), new Date(nextMonth).getUTCDate());
    }),
  );
});

test('dates beyond 64-bit seconds are what Go makes of them', () => {
  // Year, month, day, weekday, hour, minute, as printed by Go on amd64.
  const names = ['year', 'month', 'day_of_month', 'day_of_week', 'hour', 'minute'];
  const goResults: [number, number[]][] = [
    [NaN, [292277026596, 12, 4, 0, 15, 30]],
    [1e18, [31688740476, 10, 23, 5, 1, 46]],
    [-1e18, [-31688736537, 3, 10, 2, 22, 13]],
  ];
  for (const [seconds, results] of goResults) {
    assert.deepEqual(
      names.map((name) => call(name, seconds)),
      results,
      String(seconds),
    );
  }
  assert.equal(call('hour', -0.5), 0);
});

test('label_replace fills in groups', () => {
  const replaced = (replacement: string, regex: string, value = 'a-42'): string => {
    const labels = Labels.of({ source: value, kept: 'x' });
    return labelReplace(labels, 'target', replacement, 'source', compileRegex(`^(?s:${regex})$`)).get('target');
  };
  assert.equal(replaced('$2/${1}', '(.*)-(.*)'), '42/a');
  assert.equal(replaced('$1x', '(.*)-.*'), '');
  assert.equal(replaced('${1}x$$', '(.*)-.*'), 'ax$');
  assert.equal(replaced('$name', '(?P<name>.*)-.*'), 'a');
  assert.equal(replaced('$9|$', '.*'), '|$');
  assert.equal(replaced('new', 'nothing'), '');
  assert.equal(replaced('$1', '(a)|(b)', 'b'), '');
  assert.equal(replaced('$2', '(a)|(b)', 'b'), 'b');
});

test('label_replace removes a label that becomes empty and leaves labels alone that do not match', () => {
  const labels = Labels.of({ a: '1', b: '2' });
  assert.deepEqual(labelReplace(labels, 'a', '', 'b', compileRegex('^(?s:2)$')).toObject(), { b: '2' });
  assert.equal(labelReplace(labels, 'a', 'x', 'b', compileRegex('^(?s:3)$')), labels);
});

test('numbers in labels sort by value', () => {
  const sorted = ['node10', 'node9', 'node09', 'node1a', '', 'node', '10', '9'].sort(naturalCompare);
  assert.deepEqual(sorted, ['', '9', '10', 'node', 'node1a', 'node09', 'node9', 'node10']);
});

test('natural order is an order', () => {
  const text = fc.string({ unit: fc.constantFrom('0', '1', '2', 'a', 'b', '-'), maxLength: 6 });
  fc.assert(
    fc.property(text, text, text, (a, b, c) => {
      assert.equal(Math.sign(naturalCompare(a, b)), -Math.sign(naturalCompare(b, a)) + 0);
      if (naturalCompare(a, b) <= 0 && naturalCompare(b, c) <= 0) assert.ok(naturalCompare(a, c) <= 0);
      assert.equal(naturalCompare(a, b) === 0, a === b);
    }),
  );
});

test('compensated sums keep what plain sums lose', () => {
  const sum = new KahanSum();
  for (const value of [1, 1e100, 1, -1e100]) sum.add(value);
  assert.equal(sum.total, 2);
});

test('smoothing factors must lie within (0, 1)', () => {
  assert.equal(smoothingProblem(Float64Array.of(0.5, 0.5)), undefined);
  assert.equal(
    smoothingProblem(Float64Array.of(0, 0.5)),
    'invalid smoothing factor. Expected: 0 < sf < 1, got: 0.000000',
  );
  assert.equal(smoothingProblem(Float64Array.of(0.5, 2)), 'invalid trend factor. Expected: 0 < tf < 1, got: 2.000000');
});
