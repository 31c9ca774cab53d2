import assert from 'node:assert/strict';
import { test } from 'node:test';
import { samplesDifference } from './compare-answers.ts';

test('a tolerance is relative to the larger value, and does not hold for NaN and infinities', () => {
  const differs = (ours: string, theirs: string, tolerance: number): boolean =>
    samplesDifference([[1, ours]], [[1, theirs]], tolerance) !== undefined;
  assert(!differs('100', '100.00000001', 1e-9));
  assert(differs('100', '100.000001', 1e-9));
  assert(differs('100', '100.00000001', 0));
  assert(differs('+Inf', '-Inf', 1));
  assert(differs('+Inf', '1e308', 1));
  assert(differs('NaN', '1', 1));
  assert(!differs('NaN', 'NaN', 0));
});
