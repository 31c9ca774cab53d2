// Aligned time slots: a series' samples are cut into pages at multiples of a width that suits its density, so that a merge
// into a longer window finds the same pages again (docs/formats/part.md, "Slots and stripes").
import { dayMs, hourMs, minuteMs, secondMs } from '../../base/index.ts';
import { pageSamplesMax } from '../../wasm/index.ts';

/** Each divides the next. A page's timeline names its width by its index here: entries never change, new ones go last. */
export const slotWidthsMs: readonly number[] = [
  secondMs,
  5 * secondMs,
  15 * secondMs,
  minuteMs,
  5 * minuteMs,
  15 * minuteMs,
  30 * minuteMs,
  hourMs,
  2 * hourMs,
  4 * hourMs,
  8 * hourMs,
  dayMs,
  2 * dayMs,
  4 * dayMs,
  8 * dayMs,
  16 * dayMs,
  32 * dayMs,
];

/** The first timestamp of the slot that holds `timeMs`. */
export function slotStartMs(timeMs: number, widthMs: number): number {
  return Math.floor(timeMs / widthMs) * widthMs;
}

/**
 * The index of the widest slot, no wider than the window, that never holds more than a page of these ascending
 * timestamps. The narrowest always suits: timestamps are whole milliseconds.
 */
export function chooseSlotWidth(timestampsMs: Float64Array, count: number, windowMs: number): number {
  for (let index = slotWidthsMs.length - 1; index > 0; index--) {
    const widthMs = slotWidthsMs[index] as number;
    if (widthMs <= windowMs && fits(timestampsMs, count, widthMs)) return index;
  }
  return 0;
}

function fits(timestampsMs: Float64Array, count: number, widthMs: number): boolean {
  for (let from = 0; from + pageSamplesMax < count;) {
    const endMs = slotStartMs(timestampsMs[from] as number, widthMs) + widthMs;
    if ((timestampsMs[from + pageSamplesMax] as number) < endMs) return false;
    from = lowerBound(timestampsMs, from + 1, count, endMs);
  }
  return true;
}

/** The first index in [from, to) whose timestamp is not before `timeMs`, or `to`. */
export function lowerBound(timestampsMs: Float64Array, from: number, to: number, timeMs: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((timestampsMs[middle] as number) < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Most stripes in a part: what a tile holds of each is written side by side. */
const stripesMax = 16;
const stripeMsMin = 8 * hourMs;

/**
 * The width of a window's stripes: pages whose slots begin in one stripe lie together, so that a query of an hour does not
 * read a month, nor one of a month a frame for each hour.
 */
export function stripeWidthMs(windowMs: number): number {
  if (windowMs <= stripeMsMin) return windowMs;
  return slotWidthsMs.find((widthMs) => widthMs >= stripeMsMin && windowMs / widthMs <= stripesMax) ?? windowMs;
}

/** The stripe of a page: of the start of its slot, which in a window of odd borders may lie before the window's. */
export function stripeOf(startMs: number, windowStartMs: number, stripeMs: number): number {
  return Math.max(0, Math.floor((startMs - windowStartMs) / stripeMs));
}
