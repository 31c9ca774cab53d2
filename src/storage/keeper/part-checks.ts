// Looks for damage in parts: all of a part that a reader stumbled over, and every part about once a month, since a replica
// that has rotted unread helps nobody. A part is read in steps, so that flushes do not wait; parts are immutable, so a check
// needs no lock, and one that is merged away meanwhile is let go.
import { dayMs, errorMessage, hasCode, kib, mib, minuteMs, secondMs } from '../../base/index.ts';
import type { Clock, Disk, Log, Random, Timer } from '../../ports/index.ts';
import { PagesKernel } from '../../wasm/index.ts';
import type { PartEntry } from '../manifest/manifest-edit.ts';
import { openPart, PartCaches } from '../part/index.ts';
import { partPath } from './catalog.ts';

export interface PartChecksOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly pages: WebAssembly.Module;
  /** The parts that there are now. */
  readonly parts: () => ReadonlyMap<number, PartEntry>;
  /** Called once a part: it can not be read as a whole. */
  readonly onDamaged: (part: PartEntry, reason: string) => void;
}

/** Each part is read once in so long... */
const periodMs = 30 * dayMs;
/** ...and not slower than this, in bytes a second: the last part of a small node need not wait for a month. */
const bytesPerSecondMin = 64 * kib;
const turnMs = 10 * secondMs;
/** Where nothing is due. */
const idleMs = 10 * minuteMs;
/** The thread's other work waits for so long at most. */
const sliceMs = 20;
const cacheBytes = 16 * mib;

export class PartChecks {
  readonly #options: PartChecksOptions;
  readonly #kernel: PagesKernel;
  /** When each part was checked, or first seen by the process that wrote it; by monotonic time. */
  readonly #checkedMs = new Map<number, number>();
  readonly #suspects = new Set<number>();
  readonly #damaged = new Map<number, string>();
  /** Parts of earlier runs are up to this one. */
  readonly #lastIdAtStart: number;
  /** Gives parts an order that is another one after each start, so that none is left out where starts are frequent. */
  readonly #salt: number;
  #timer: Timer | undefined;
  #isClosed = false;
  #partsTotal = 0;
  #bytesTotal = 0;

  constructor(options: PartChecksOptions) {
    this.#options = options;
    this.#kernel = new PagesKernel(options.pages);
    this.#lastIdAtStart = Math.max(0, ...options.parts().keys());
    const salt = new Uint32Array(1);
    options.random.fill(new Uint8Array(salt.buffer));
    this.#salt = salt[0] as number;
    this.#schedule(turnMs);
  }

  /** Checks that were ended, what they have read, and parts that were found damaged. */
  get totals(): { readonly parts: number; readonly bytes: number; readonly damaged: number } {
    return { parts: this.#partsTotal, bytes: this.#bytesTotal, damaged: this.#damaged.size };
  }

  /** Parts that can't be read as a whole, with what is wrong; also those that are gone by now. */
  get damaged(): ReadonlyMap<number, string> {
    return this.#damaged;
  }

  isSuspect(id: number): boolean {
    return this.#suspects.has(id);
  }

  /** Somebody could not read it: it is checked at once. */
  suspect(id: number): void {
    if (this.#isClosed || this.#damaged.has(id) || this.#suspects.has(id) || !this.#options.parts().has(id)) return;
    this.#suspects.add(id);
    this.#timer?.cancel();
    this.#schedule(0);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #schedule(delayMs: number): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.setTimer(delayMs, () => {
      void this.#turn().then((restMs) => this.#schedule(restMs));
    });
  }

  /** Checks at most one part; gives how long to rest. */
  async #turn(): Promise<number> {
    const { clock } = this.#options;
    const part = this.#next();
    if (!part) return idleMs;
    const isUrgent = this.#suspects.has(part.id);
    const startMs = clock.monotonicMs();
    try {
      await this.#check(part, isUrgent);
    } catch (error) {
      this.#judge(part, error);
    }
    this.#suspects.delete(part.id);
    this.#checkedMs.set(part.id, clock.monotonicMs());
    this.#forgetGone();
    const dueMs = (part.sizeBytes / this.#bytesPerSecond()) * secondMs;
    return this.#suspects.size > 0 ? 0 : Math.max(turnMs, dueMs - (clock.monotonicMs() - startMs));
  }

  #next(): PartEntry | undefined {
    const parts = this.#options.parts();
    for (const id of this.#suspects) {
      const part = parts.get(id);
      if (part) return part;
      this.#suspects.delete(id);
    }
    const nowMs = this.#options.clock.monotonicMs();
    let next: PartEntry | undefined;
    for (const part of parts.values()) {
      if (this.#damaged.has(part.id) || nowMs - this.#lastCheckedMs(part.id, nowMs) < periodMs) continue;
      if (!next || this.#rank(part.id) < this.#rank(next.id)) next = part;
    }
    return next;
  }

  /** What was just written needs no check. */
  #lastCheckedMs(id: number, nowMs: number): number {
    let checkedMs = this.#checkedMs.get(id);
    if (checkedMs === undefined) {
      checkedMs = id > this.#lastIdAtStart ? nowMs : Number.NEGATIVE_INFINITY;
      this.#checkedMs.set(id, checkedMs);
    }
    return checkedMs;
  }

  #rank(id: number): number {
    return Math.imul(id ^ this.#salt, 0x9e3779b1) >>> 0;
  }

  #bytesPerSecond(): number {
    let bytes = 0;
    for (const { sizeBytes } of this.#options.parts().values()) bytes += sizeBytes;
    return Math.max(bytesPerSecondMin, (bytes / periodMs) * secondMs);
  }

  /** Throws PART_CORRUPT, and the disk's errors. */
  async #check(entry: PartEntry, isUrgent: boolean): Promise<void> {
    const { disk, clock } = this.#options;
    const part = openPart(disk, partPath(entry.id), this.#kernel, new PartCaches({ bytesMax: cacheBytes }));
    const bytesPerSecond = this.#bytesPerSecond();
    const startMs = clock.monotonicMs();
    let sliceStartMs = startMs;
    let read = 0;
    try {
      for (const bytes of part.verifying()) {
        read += bytes;
        const nowMs = clock.monotonicMs();
        const aheadMs = isUrgent ? 0 : (read / bytesPerSecond) * secondMs - (nowMs - startMs);
        if (aheadMs < turnMs && nowMs - sliceStartMs < sliceMs) continue;
        await new Promise<void>((resolve) => clock.setTimer(Math.max(0, aheadMs), resolve));
        if (this.#isClosed || !this.#options.parts().has(entry.id)) return;
        sliceStartMs = clock.monotonicMs();
      }
      this.#partsTotal++;
    } finally {
      this.#bytesTotal += read;
      part.close();
    }
    if (isUrgent) this.#options.log.warn('part-damage-not-found', { part: entry.id, remedy: 'look at the disk' });
  }

  #judge(part: PartEntry, error: unknown): void {
    // A part that was merged away while it was read has lost its files.
    if (this.#isClosed || !this.#options.parts().has(part.id)) return;
    const isDamage = ['PART_CORRUPT', 'DISK_IO', 'DISK_NOT_FOUND'].some((code) => hasCode(error, code));
    if (!isDamage) {
      this.#options.log.error('part-check-failed', { part: part.id, reason: errorMessage(error) });
      return;
    }
    const reason = errorMessage(error);
    this.#damaged.set(part.id, reason);
    this.#options.onDamaged(part, reason);
  }

  #forgetGone(): void {
    const parts = this.#options.parts();
    for (const id of this.#checkedMs.keys()) if (!parts.has(id)) this.#checkedMs.delete(id);
  }
}
