// Which parts to merge next. Pure: catalog and time in, a decision out.
// A catalog window (windows.ts) should hold one part. Parts of lower levels are merged as soon as their window has become
// part of a larger one. Late parts, which came into a window that has its main part already, first gather: they are merged
// among themselves, and into the main part when they are a tenth of it or have rested.
import { dayMs, gib, hourMs, present } from '../../base/index.ts';
import type { PartEntry } from '../manifest/manifest-edit.ts';
import { alignedWindow, catalogWindow, containsWindow, type Window, windowSettleMs } from '../windows.ts';

/** No merge writes more: it would hold up flushes, and double the space it takes, for too long. */
export const mergeBytesMax = 32 * gib;
const lateShareMin = 0.1;
const latePartsMax = 4;
/** A late part that is older than this is merged whatever its size. */
export const lateRestMs = hourMs;

export interface MergePlan {
  readonly inputs: readonly PartEntry[];
  readonly window: Window;
}

export interface PlanOptions {
  readonly parts: Iterable<PartEntry>;
  readonly nowMs: number;
  /** How long a part has been there, as far as this process knows. */
  readonly ageMs: (part: PartEntry) => number;
  /** Merge everything that can be merged, without waiting for more; also today's parts, as if the day were over. */
  readonly eager: boolean;
  /** Parts that must be rewritten (deleted samples), alone if need be. */
  readonly mustRewrite: (part: PartEntry) => boolean;
  readonly bytesMax?: number;
}

/** The next merge, oldest window first; undefined where there is nothing to do. */
export function planMerge(options: PlanOptions): MergePlan | undefined {
  const catalogMs = options.eager ? options.nowMs + dayMs + windowSettleMs : options.nowMs;
  for (const { window, parts } of groupByWindow(options.parts, catalogMs)) {
    const inputs = chooseInputs(parts, window, options);
    if (inputs.length > 0) return { inputs, window };
  }
  return undefined;
}

interface Group {
  readonly window: Window;
  readonly parts: PartEntry[];
}

/** Parts by the window that the catalog has for their time now, or their own where that is larger (the clock went back). */
function groupByWindow(parts: Iterable<PartEntry>, nowMs: number): Group[] {
  const groups = new Map<string, Group>();
  for (const part of parts) {
    const current = catalogWindow(part.startMs, nowMs);
    const window = containsWindow(current, part) ? current : alignedWindow(part.startMs, part.level);
    const key = `${window.level}:${window.startMs}`;
    const group = groups.get(key);
    if (group) group.parts.push(part);
    else groups.set(key, { window, parts: [part] });
  }
  return [...groups.values()].sort((a, b) => a.window.startMs - b.window.startMs);
}

function chooseInputs(parts: readonly PartEntry[], window: Window, options: PlanOptions): PartEntry[] {
  const bytesMax = options.bytesMax ?? mergeBytesMax;
  const sorted = parts.toSorted((a, b) => a.startMs - b.startMs || b.sizeBytes - a.sizeBytes || a.id - b.id);
  const lower = sorted.filter((part) => part.level < window.level);
  const whole = lower.length > 0 || options.eager ? fittingRun(sorted, bytesMax) : [];
  if (whole.length > 1) return whole;
  const late = chooseLate(sorted, options, bytesMax);
  if (late.length > 1) return late;
  return sorted.filter(options.mustRewrite).slice(0, 1);
}

/** The first run of neighbours, at least two, that together stay within the limit. */
function fittingRun(parts: readonly PartEntry[], bytesMax: number): PartEntry[] {
  let run: PartEntry[] = [];
  for (const part of parts) {
    if (sizeOf(run) + part.sizeBytes > bytesMax) {
      if (run.length > 1) return run;
      run = [];
    }
    if (part.sizeBytes <= bytesMax) run.push(part);
  }
  return run.length > 1 ? run : [];
}

function chooseLate(parts: readonly PartEntry[], options: PlanOptions, bytesMax: number): PartEntry[] {
  if (parts.length < 2) return [];
  const bySize = parts.toSorted((a, b) => b.sizeBytes - a.sizeBytes || a.id - b.id);
  const main = present(bySize[0], 'largest part');
  const late = bySize.slice(1);
  const rested = late.some((part) => options.ageMs(part) >= lateRestMs);
  const intoMain = rested || sizeOf(late) >= lateShareMin * main.sizeBytes;
  if (intoMain && sizeOf(bySize) <= bytesMax) return bySize;
  return late.length >= latePartsMax ? fittingRun(late, bytesMax) : [];
}

function sizeOf(parts: readonly PartEntry[]): number {
  return parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
