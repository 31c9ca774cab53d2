// Go's math package on amd64 against ours (test/golden/math/README.md): equal to the bit but for what goes through exp, where
// Go itself depends on the processor.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import * as mathematics from './index.ts';

const { exp, log, pow } = mathematics;
const functions: Record<string, (...values: number[]) => number> = { ...mathematics } as never;
const ulpsAllowed: Record<string, number> = { exp: 4, sinh: 4, cosh: 4, tanh: 4 };

const cell = new DataView(new ArrayBuffer(8));

function fromHex(hex: string): number {
  cell.setBigUint64(0, BigInt(`0x${hex}`));
  return cell.getFloat64(0);
}

function bitsOf(value: number): bigint {
  cell.setFloat64(0, value);
  return cell.getBigInt64(0);
}

function ulpsBetween(a: number, b: number): number {
  if (Object.is(a, b)) return 0;
  if (Number.isNaN(a) || Number.isNaN(b) || Math.sign(a) !== Math.sign(b)) return Infinity;
  return Math.abs(Number(bitsOf(a) - bitsOf(b)));
}

const golden = new URL('../../../../test/golden/math/go-amd64.txt', import.meta.url);
const lines = readFileSync(process.env['MATH_GOLDEN'] ?? golden, 'utf8')
  .trim()
  .split('\n');
const byName = Map.groupBy(
  lines.map((line) => line.split(' ')),
  ([name]) => name ?? '',
);

for (const [name, rows] of byName) {
  const limit = ulpsAllowed[name] ?? 0;
  test(`${name} is ${limit === 0 ? 'equal to the bit' : `within ${limit} ulp`}`, () => {
    for (const [, ...hexes] of rows) {
      const wanted = fromHex(hexes.pop() ?? '');
      const values = hexes.map(fromHex);
      const got = functions[name]?.(...values) ?? NaN;
      const isFractionalPower = name === 'pow' && !Number.isInteger(values[1]);
      const ulps = ulpsBetween(got, wanted);
      assert.ok(ulps <= (isFractionalPower ? 4 : limit), `${name}(${values.join(', ')}) = ${got}, Go: ${wanted}`);
    }
  });
}

test('powers of integers are what repeated multiplication gives', () => {
  assert.equal(pow(10, 22), 1e22);
  assert.equal(pow(3, 30), 205891132094649);
  assert.equal(pow(-2, 3), -8);
  assert.equal(pow(2, -1074), 5e-324);
  assert.equal(pow(2, 1024), Infinity);
  assert.equal(pow(1.5, 1e6), Infinity);
  assert.equal(pow(-1e300, 1e15 + 1), -Infinity);
  assert.equal(pow(1e-300, 1e15), 0);
  assert.equal(pow(1e-160, 2), 1e-320);
});

test('exp and log undo each other', () => {
  fc.assert(
    fc.property(fc.double({ min: -700, max: 700, noNaN: true }), (x) => {
      assert.ok(Math.abs(log(exp(x)) - x) <= 1e-13 * Math.max(1, Math.abs(x)));
    }),
  );
});
