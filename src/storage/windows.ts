// Time is cut into aligned windows: half-open, UTC, floor division, each level's windows made of whole windows of the level
// below. At any moment the *catalog* is one partition of all time: the older, the larger its windows. A part covers one
// window, the one that was the catalog's when it was written, so ten years need about 139 parts, and a backfill of ten
// years makes one part per catalog window instead of one per two hours.
import { assert, dayMs, hourMs, present } from '../base/index.ts';

export interface Window {
  /** Index into windowWidthsMs. */
  readonly level: number;
  readonly startMs: number;
  /** Exclusive. */
  readonly endMs: number;
}

/** By level. Each divides the next. */
export const windowWidthsMs: readonly number[] = [2 * hourMs, dayMs, 8 * dayMs, 32 * dayMs];

/**
 * A window above the first level joins the catalog this long after its end: by then the head has been flushed, and a part
 * of it would otherwise be rewritten at once for the last samples.
 */
export const windowSettleMs = 2 * hourMs;

/** The window of a level that contains `timeMs`. */
export function alignedWindow(timeMs: number, level: number): Window {
  const widthMs = present(windowWidthsMs[level], 'window level');
  const startMs = Math.floor(timeMs / widthMs) * widthMs;
  return { level, startMs, endMs: startMs + widthMs };
}

/** The catalog's window for a sample at `timeMs`: the largest that contains it and has settled by `nowMs`. */
export function catalogWindow(timeMs: number, nowMs: number): Window {
  for (let level = windowWidthsMs.length - 1; level > 0; level--) {
    const window = alignedWindow(timeMs, level);
    if (window.endMs + windowSettleMs <= nowMs) return window;
  }
  return alignedWindow(timeMs, 0);
}

/** The catalog's windows that touch [minMs, maxMs] (both inclusive), in order. */
export function* catalogWindows(minMs: number, maxMs: number, nowMs: number): Generator<Window> {
  for (let timeMs = minMs; timeMs <= maxMs;) {
    const window = catalogWindow(timeMs, nowMs);
    yield window;
    assert(window.endMs > timeMs, 'windows move forward');
    timeMs = window.endMs;
  }
}

/** True where `outer` contains all of `inner`. */
export function containsWindow(outer: Window, inner: { readonly startMs: number; readonly endMs: number }): boolean {
  return outer.startMs <= inner.startMs && inner.endMs <= outer.endMs;
}
