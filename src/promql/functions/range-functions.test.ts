// The results of Prometheus 3.16's own engine over random windows (counters with resets, gauges, decimals, huge values, NaN and
// infinities), compared bit for bit. test/golden/functions/README.md says how the file was made.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { rangeFunctions, type RangeWindow } from './index.ts';

interface Case {
  rangeMs: number;
  stepMs: number;
  timestampsMs: number[];
  /** Bits of floats, in hexadecimal. */
  values: string[];
  parameters: Record<string, string[]>;
  /** null: no result. */
  results: Record<string, string | null>;
}

const cell = new DataView(new ArrayBuffer(8));

function fromHex(hex: string): number {
  cell.setBigUint64(0, BigInt(`0x${hex}`));
  return cell.getFloat64(0);
}

function toHex(value: number): string {
  cell.setFloat64(0, value);
  return cell.getBigUint64(0).toString(16).padStart(16, '0');
}

const golden = new URL('../../../test/golden/functions/range-functions.jsonl', import.meta.url);
const cases = readFileSync(process.env['RANGE_FUNCTIONS_GOLDEN'] ?? golden, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Case);

function run(name: string, { rangeMs, stepMs, timestampsMs, values, parameters }: Case): string | null {
  const implementation = rangeFunctions.get(name);
  assert.ok(implementation, name);
  // Samples around the window must not matter.
  const window: RangeWindow = {
    timestampsMs: Float64Array.from([stepMs - rangeMs - 5, ...timestampsMs, stepMs + 5]),
    values: Float64Array.from([12345, ...values.map(fromHex), -54321]),
    first: 1,
    end: 1 + timestampsMs.length,
    rangeStartMs: stepMs - rangeMs,
    rangeEndMs: stepMs,
    stepMs,
    absent: false,
  };
  const result = implementation(window, Float64Array.from((parameters[name] ?? []).map(fromHex)));
  if (window.absent) return null;
  return Number.isNaN(result) ? 'NaN' : toHex(result);
}

for (const name of rangeFunctions.keys()) {
  test(`${name} equals Prometheus in every bit`, () => {
    for (const item of cases) {
      const wanted = item.results[name];
      const isNaN = typeof wanted === 'string' && Number.isNaN(fromHex(wanted));
      assert.equal(run(name, item), isNaN ? 'NaN' : (wanted ?? null), JSON.stringify(item));
    }
  });
}

test('every function of a range vector that the parser lets through is implemented', async () => {
  const { functionSignatures } = await import('./signatures.ts');
  for (const { name, argumentTypes, supported } of functionSignatures.values()) {
    if (!argumentTypes.includes('matrix') || !supported || name === 'absent_over_time') continue;
    assert.ok(rangeFunctions.has(name), name);
  }
});
