import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dayMs, hourMs, minuteMs, secondMs } from '../../base/index.ts';
import { pageSamplesMax } from '../../wasm/index.ts';
import { chooseSlotWidth, lowerBound, slotStartMs, slotWidthsMs, stripeOf, stripeWidthMs } from './slots.ts';

const widthOf = (timestamps: readonly number[], windowMs: number) =>
  slotWidthsMs[chooseSlotWidth(Float64Array.from(timestamps), timestamps.length, windowMs)];

test('slot widths nest, so that pages of a window are pages of a longer one', () => {
  for (let i = 1; i < slotWidthsMs.length; i++) {
    assert.equal((slotWidthsMs[i] as number) % (slotWidthsMs[i - 1] as number), 0);
  }
});

test('the slot width suits the density', () => {
  const every = (intervalMs: number, durationMs: number) =>
    Array.from({ length: durationMs / intervalMs }, (_, i) => i * intervalMs);
  assert.equal(widthOf(every(15 * secondMs, 2 * hourMs), 2 * hourMs), 2 * hourMs);
  assert.equal(widthOf(every(15 * secondMs, dayMs), dayMs), 8 * hourMs);
  assert.equal(widthOf(every(15 * secondMs, 8 * dayMs), 8 * dayMs), 8 * hourMs);
  assert.equal(widthOf(every(minuteMs, 8 * dayMs), 8 * dayMs), dayMs);
  assert.equal(widthOf(every(secondMs, 2 * hourMs), 2 * hourMs), 30 * minuteMs);
  assert.equal(widthOf(every(1, 10 * secondMs), 2 * hourMs), secondMs);
  assert.equal(widthOf([5], 32 * dayMs), 32 * dayMs);
});

test('no slot of the chosen width holds more than a page, and the next wider one would', () => {
  const gaps = fc.array(fc.constantFrom(1, 2, 500, 1000, 15_000, 3_600_000), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(gaps, fc.integer({ min: 1, max: 400 }), (pattern, repeats) => {
      const timestamps: number[] = [];
      let at = 1_700_000_000_000;
      for (const gap of pattern) for (let i = 0; i < repeats; i++) timestamps.push((at += gap));
      const index = chooseSlotWidth(Float64Array.from(timestamps), timestamps.length, 32 * dayMs);
      assert.ok(fullest(timestamps, slotWidthsMs[index] as number) <= pageSamplesMax);
      const wider = slotWidthsMs[index + 1];
      if (wider !== undefined) assert.ok(fullest(timestamps, wider) > pageSamplesMax);
    }),
  );
});

function fullest(timestamps: readonly number[], widthMs: number): number {
  const counts = new Map<number, number>();
  for (const timestamp of timestamps) {
    const slot = slotStartMs(timestamp, widthMs);
    counts.set(slot, (counts.get(slot) ?? 0) + 1);
  }
  return Math.max(...counts.values());
}

test('windows have at most sixteen stripes', () => {
  for (const windowMs of [2 * hourMs, dayMs, 8 * dayMs, 32 * dayMs]) {
    assert.ok(windowMs / stripeWidthMs(windowMs) <= 16);
    assert.equal(windowMs % stripeWidthMs(windowMs), 0);
  }
  assert.equal(stripeOf(-5, 0, 10), 0);
  assert.equal(stripeOf(25, 0, 10), 2);
});

test('lowerBound finds the first timestamp that is not before', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(100)), fc.nat(100), (list, wanted) => {
      const sorted = Float64Array.from(list).sort();
      assert.equal(lowerBound(sorted, 0, sorted.length, wanted), sorted.filter((time) => time < wanted).length);
    }),
  );
});
