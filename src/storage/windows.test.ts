import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dayMs, hourMs, yearMs } from '../base/index.ts';
import { alignedWindow, catalogWindow, catalogWindows, containsWindow, windowWidthsMs } from './windows.ts';

const nowMs = Date.UTC(2026, 10, 24, 7, 30);

test('ten years are about 139 windows, without gap or overlap, shrinking towards now', () => {
  const windows = [...catalogWindows(nowMs - 10 * yearMs, nowMs, nowMs)];
  assert.ok(windows.length >= 120 && windows.length <= 160, `${windows.length}`);
  for (const [index, window] of windows.entries()) {
    const next = windows[index + 1];
    if (next) {
      assert.equal(next.startMs, window.endMs);
      assert.ok(next.level <= window.level);
    }
  }
});

test('every time lies in its window, windows nest, and times before 1970 are floored too', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -yearMs, max: 80 * yearMs }),
      fc.integer({ min: 0, max: 80 * yearMs }),
      (timeMs, now) => {
        const window = catalogWindow(timeMs, now);
        assert.ok(window.startMs <= timeMs && timeMs < window.endMs);
        for (let level = 0; level < window.level; level++) {
          assert.ok(containsWindow(window, alignedWindow(timeMs, level)));
        }
        assert.ok(window.level === 0 || window.endMs <= now);
      },
    ),
  );
});

test('a window only ever grows as time passes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 200 * dayMs }),
      fc.nat(90 * dayMs),
      fc.nat(90 * dayMs),
      (timeMs, age, more) => {
        assert.ok(containsWindow(catalogWindow(timeMs, timeMs + age + more), catalogWindow(timeMs, timeMs + age)));
      },
    ),
  );
});

test('fresh samples and samples from the future get the smallest window', () => {
  assert.equal(catalogWindow(nowMs, nowMs).level, 0);
  assert.equal(catalogWindow(nowMs + hourMs, nowMs).level, 0);
  assert.equal(catalogWindow(nowMs - 400 * dayMs, nowMs).level, windowWidthsMs.length - 1);
});
