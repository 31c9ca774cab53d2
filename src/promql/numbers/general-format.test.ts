import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatGeneral } from './general-format.ts';

test("numbers look as Go's %g prints them", () => {
  const cases: readonly (readonly [number, string, string])[] = [
    [1e5, '100000', '1e+05'],
    [1e6, '1e+06', '1e+06'],
    [1234567, '1.234567e+06', '1.2e+06'],
    [123456789.125, '1.23456789125e+08', '1.2e+08'],
    [2.5, '2.5', '2.5'],
    [0.0001, '0.0001', '0.0001'],
    [0.00001, '1e-05', '1e-05'],
    [-3, '-3', '-3'],
    [10, '10', '10'],
    [0.07, '0.07', '0.07'],
    [1e300, '1e+300', '1e+300'],
  ];
  for (const [value, shortest, twoDigits] of cases) {
    assert.equal(formatGeneral(value), shortest);
    assert.equal(formatGeneral(value, 2), twoDigits);
  }
  assert.deepEqual(
    [NaN, Infinity, -Infinity, 0, -0].map((value) => formatGeneral(value)),
    ['NaN', '+Inf', '-Inf', '0', '-0'],
  );
});
