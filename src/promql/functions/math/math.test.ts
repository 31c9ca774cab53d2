// Go's math package on amd64 against ours (test/golden/math/README.md): equal to the bit.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { fma } from './fma.ts';
import * as mathematics from './index.ts';

const { exp, log, pow } = mathematics;
const functions: Record<string, (...values: number[]) => number> = { ...mathematics } as never;

const cell = new DataView(new ArrayBuffer(8));

function fromHex(hex: string): number {
  cell.setBigUint64(0, BigInt(`0x${hex}`));
  return cell.getFloat64(0);
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
  test(`${name} equals Go's in every bit`, () => {
    for (const [, ...hexes] of rows) {
      const wanted = fromHex(hexes.pop() ?? '');
      const values = hexes.map(fromHex);
      const got = functions[name]?.(...values) ?? 0;
      assert.ok(Object.is(got, wanted), `${name}(${values.join(', ')}) = ${got}, Go: ${wanted}`);
    }
  });
}

/** value × 2^200, exact for values whose lowest bit weighs 2^-200 or more. */
function scaled(value: number): bigint {
  const [whole, fraction] = [Math.trunc(value), value - Math.trunc(value)];
  return (
    (BigInt(whole) << 200n) + (BigInt(fraction * 2 ** 100) << 100n) + BigInt(((fraction * 2 ** 100) % 1) * 2 ** 100)
  );
}

test('fma rounds once', () => {
  const factor = fc.double({ min: -1e6, max: 1e6, noNaN: true }).filter((x) => x === 0 || Math.abs(x) > 1e-6);
  // Terms near the product's size, among them some that leave a sum half-way between two floats.
  const term = fc.oneof(
    factor,
    fc.tuple(fc.integer(), fc.integer({ min: -40, max: 40 })).map(([n, e]) => n * 2 ** e),
  );
  fc.assert(
    fc.property(factor, factor, term, (a, b, c) => {
      const exact = scaled(a) * scaled(b) + (scaled(c) << 200n);
      const product = fma(a, b, c);
      assert.equal(product, Number(exact) / 2 ** 200 / 2 ** 200);
    }),
    { numRuns: 5000 },
  );
  // 1 + 2^-53 is half-way; what lies below the product's last bit decides.
  assert.equal(fma(1 + 2 ** -30, 2 ** -53 * (1 - 2 ** -30), 1), 1);
  assert.equal(fma(1 + 2 ** -30, 2 ** -53 * (1 + 2 ** -30), 1), 1 + 2 ** -52);
});

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
