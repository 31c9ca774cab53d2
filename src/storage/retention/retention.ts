// What retention takes away: whole parts, once all of their samples are before the horizon. By age the horizon follows the
// clock; by size it moves to just behind the oldest parts that must go, and never back.
import type { Retention } from '../contracts.ts';
import type { PartEntry } from '../manifest/manifest-edit.ts';
import { alignedWindow } from '../windows.ts';

export interface RetentionDecision {
  /** Samples before this are gone. */
  readonly horizonMs: number;
  readonly obsolete: readonly PartEntry[];
  /** Set where the horizon by size has to move. */
  readonly sizeHorizonMs?: number;
}

export function decideRetention(
  parts: Iterable<PartEntry>,
  retention: Retention,
  nowMs: number,
  sizeHorizonMs: number,
): RetentionDecision {
  const oldestFirst = [...parts].sort((a, b) => a.maxTimeMs - b.maxTimeMs || a.id - b.id);
  let horizonMs = Math.max(nowMs - retention.timeMs, sizeHorizonMs);
  let moved = false;
  let keptBytes = oldestFirst.reduce((sum, part) => sum + (part.maxTimeMs < horizonMs ? 0 : part.sizeBytes), 0);
  for (const part of oldestFirst) {
    if (retention.sizeBytes === undefined || keptBytes <= retention.sizeBytes) break;
    if (part.maxTimeMs < horizonMs) continue;
    horizonMs = part.maxTimeMs + 1;
    keptBytes -= part.sizeBytes;
    moved = true;
  }
  const obsolete = oldestFirst.filter((part) => part.maxTimeMs < horizonMs);
  return moved ? { horizonMs, obsolete, sizeHorizonMs: horizonMs } : { horizonMs, obsolete };
}

/** The start of the oldest window that a limit by size leaves room for; −∞ where nothing had to go yet. */
export function sizeFloorMs(
  parts: Iterable<PartEntry>,
  retention: Retention,
  nowMs: number,
  sizeHorizonMs: number,
): number {
  const wishedMs = decideRetention(parts, retention, nowMs, sizeHorizonMs).sizeHorizonMs ?? sizeHorizonMs;
  return wishedMs === Number.MIN_SAFE_INTEGER ? Number.NEGATIVE_INFINITY : alignedWindow(wishedMs - 1, 0).endMs;
}
