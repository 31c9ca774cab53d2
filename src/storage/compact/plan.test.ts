import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { dayMs, gib, hourMs, mib } from '../../base/index.ts';
import type { PartEntry } from '../manifest/manifest-edit.ts';
import { alignedWindow, catalogWindow, catalogWindows } from '../windows.ts';
import { lateRestMs, planMerge, type PlanOptions } from './plan.ts';

const nowMs = Date.UTC(2026, 10, 24, 7, 30);
let lastId = 0;

function part(timeMs: number, level: number, sizeBytes = mib): PartEntry {
  const { startMs, endMs } = alignedWindow(timeMs, level);
  const counts = { seriesCount: 1, samplesCount: 1, sizeBytes, tombstoneSeq: 0 };
  return { id: ++lastId, level, startMs, endMs, minTimeMs: startMs, maxTimeMs: endMs - 1, ...counts };
}

function plan(parts: readonly PartEntry[], options: Partial<PlanOptions> = {}): number[] | undefined {
  return planMerge({ parts, nowMs, ageMs: () => 0, eager: false, mustRewrite: () => false, ...options })?.inputs.map(
    ({ id }) => id,
  );
}

/** Merges until the planner is content; returns the parts left and how often a byte was written on average. */
function mergeAll(
  parts: readonly PartEntry[],
  options: Partial<PlanOptions> = {},
): { left: PartEntry[]; merges: number } {
  const left = [...parts];
  for (let merges = 0; ; merges++) {
    assert.ok(merges < 1000, 'planning comes to an end');
    const decided = planMerge({
      parts: left,
      nowMs,
      ageMs: () => 0,
      eager: false,
      mustRewrite: () => false,
      ...options,
    });
    if (!decided) return { left, merges };
    const { inputs, window } = decided;
    const sizeBytes = inputs.reduce((sum, input) => sum + input.sizeBytes, 0);
    for (const input of inputs) left.splice(left.indexOf(input), 1);
    left.push({ ...part(window.startMs, window.level, sizeBytes) });
  }
}

suite('merge planning', () => {
  test('parts of a day that has settled become one part of that day', () => {
    const yesterday = Math.floor(nowMs / dayMs) * dayMs - dayMs;
    const parts = Array.from({ length: 12 }, (_, i) => part(yesterday + i * 2 * hourMs, 0));
    const decided = planMerge({ parts, nowMs, ageMs: () => 0, eager: false, mustRewrite: () => false });
    assert.deepEqual(decided?.window, alignedWindow(yesterday, 1));
    assert.equal(decided?.inputs.length, 12);
    assert.equal(plan(parts, { nowMs: yesterday + dayMs + hourMs }), undefined, 'not before it has settled');
  });

  test('a year of parts comes down to one per catalog window', () => {
    const parts: PartEntry[] = [];
    const { startMs } = alignedWindow(nowMs - 365 * dayMs, 0);
    for (let timeMs = startMs; timeMs < nowMs; timeMs += 2 * hourMs) parts.push(part(timeMs, 0));
    const { left } = mergeAll(parts);
    const windows = [...catalogWindows(startMs, nowMs - 1, nowMs)];
    assert.equal(left.length, windows.length);
  });

  test('a small late part waits beside its main part until there are many, it is large, or it has rested', () => {
    const timeMs = nowMs - 2 * dayMs;
    const main = part(timeMs, catalogWindow(timeMs, nowMs).level, 1000 * mib);
    const late = (sizeBytes: number): PartEntry => part(timeMs, main.level, sizeBytes);
    assert.equal(plan([main, late(mib)]), undefined);
    const few = [late(mib), late(mib), late(mib), late(mib)];
    assert.deepEqual(
      plan([main, ...few])?.toSorted(),
      few.map(({ id }) => id).toSorted(),
      'late parts among themselves',
    );
    const large = late(200 * mib);
    assert.deepEqual(plan([main, large])?.toSorted(), [main.id, large.id].toSorted());
    const small = late(mib);
    assert.deepEqual(plan([main, small], { ageMs: () => lateRestMs })?.toSorted(), [main.id, small.id].toSorted());
    assert.deepEqual(plan([main, small], { eager: true })?.toSorted(), [main.id, small.id].toSorted());
  });

  test('asked to, parts of the running day are merged too, and later ones join them when it is over', () => {
    const today = [part(nowMs - 5 * hourMs, 0), part(nowMs - 3 * hourMs, 0)];
    assert.equal(plan(today), undefined);
    const decided = planMerge({ parts: today, nowMs, ageMs: () => 0, eager: true, mustRewrite: () => false });
    assert.deepEqual(decided?.window, alignedWindow(nowMs, 1));
    const merged = part(nowMs, 1, 2 * mib);
    const later = part(nowMs, 0);
    assert.equal(plan([merged, later]), undefined);
    assert.deepEqual(plan([merged, later], { nowMs: nowMs + 2 * dayMs })?.toSorted(), [merged.id, later.id].toSorted());
  });

  test('a lone part is left alone, unless deleted samples must go', () => {
    const lone = part(nowMs - 100 * dayMs, 0);
    assert.equal(plan([lone]), undefined);
    assert.equal(plan([lone], { eager: true }), undefined);
    assert.deepEqual(plan([lone], { mustRewrite: () => true }), [lone.id]);
  });

  test('no merge writes more than its limit, and planning ends', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(80), fc.nat(3), fc.integer({ min: 1, max: 40 })), { maxLength: 60 }),
        fc.boolean(),
        (made, eager) => {
          const parts = made.map(([day, level, size]) => part(nowMs - day * dayMs, level, size * gib));
          const decided = planMerge({ parts, nowMs, ageMs: () => 0, eager, mustRewrite: () => false });
          if (decided) {
            const size = decided.inputs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
            assert.ok(size <= 32 * gib);
            assert.ok(decided.inputs.every((input) => input.startMs >= decided.window.startMs));
            assert.ok(decided.inputs.every((input) => input.endMs <= decided.window.endMs));
          }
          mergeAll(parts, { eager });
        },
      ),
    );
  });
});
