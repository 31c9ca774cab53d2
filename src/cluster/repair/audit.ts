// Compares what no mark tells of: the totals of all owned partitions, each once in a period, with an owner chosen at random. A
// difference (bits that rotted, a bug) becomes a mark. Open windows are left out: writes on their way differ all the time.
import { dayMs, errorMessage } from '../../base/index.ts';
import { digestsMax, type NodeName, windowStartOf } from '../contracts.ts';
import type { Backoff } from './backoff.ts';
import { OwnerSession, type RepairContext } from './session.ts';

/** What the largest parts cover. */
const partMsMax = 32 * dayMs;
/** How many questions of `digestsMax` a period is cut into at least: many, so that each is little work. */
const turnsOfPeriod = 64;

export class Auditor {
  readonly #context: RepairContext;
  readonly #backoff: Backoff;
  readonly #random: () => number;
  #partitions: Iterator<number>;
  #dueMs = 0;

  constructor(context: RepairContext, backoff: Backoff, random: () => number) {
    this.#context = context;
    this.#backoff = backoff;
    this.#random = random;
    this.#partitions = context.state.held[Symbol.iterator]();
  }

  async turn(): Promise<void> {
    const { state, timing } = this.#context;
    const nowMs = state.clock.monotonicMs();
    if (nowMs < this.#dueMs) return;
    const count = Math.min(digestsMax, Math.ceil(state.held.size / turnsOfPeriod));
    this.#dueMs = nowMs + (timing.auditPeriodMs * count) / Math.max(1, state.held.size);
    const endMs = windowStartOf(state.clock.nowMs() - timing.windowGraceMs);
    const byOwner = new Map<NodeName, number[]>();
    for (const partition of this.#next(count, endMs)) {
      const others = state.view
        .owners(partition)
        .filter((name) => name !== state.name && !this.#backoff.isWaiting(name));
      const owner = others[Math.floor(this.#random() * others.length)];
      if (owner !== undefined) byOwner.set(owner, [...(byOwner.get(owner) ?? []), partition]);
    }
    for (const [owner, partitions] of byOwner) {
      try {
        await this.#compare(owner, partitions, endMs);
      } catch (error) {
        this.#backoff.failed(owner, error);
        state.log.debug('audit-failed', { owner, reason: errorMessage(error) });
      }
    }
  }

  /** The next of the owned partitions that nothing marks before `endMs`. */
  #next(count: number, endMs: number): number[] {
    const { state } = this.#context;
    const partitions: number[] = [];
    for (let looked = 0; looked < count; looked++) {
      const next = this.#partitions.next();
      if (next.done) {
        this.#partitions = state.held[Symbol.iterator]();
        break;
      }
      if (state.isDropping(next.value)) continue;
      if (state.isOwner(next.value) && !state.marks.isMarkedBefore(next.value, endMs)) partitions.push(next.value);
    }
    return partitions;
  }

  async #compare(owner: NodeName, partitions: readonly number[], toMs: number): Promise<void> {
    const { state, counters } = this.#context;
    const fromMs = auditedFrom(state.comparedFromMs, toMs);
    const session = new OwnerSession(this.#context, owner);
    const digests = await state.store.digestsOf(Uint32Array.from(partitions), fromMs ?? Number.NEGATIVE_INFINITY, toMs);
    const findings = await session.check(
      { windowStartMs: undefined, fromMs, toMs, isAudit: true },
      partitions,
      digests,
    );
    counters.audited += findings.length;
    for (const [index, partition] of partitions.entries()) {
      const finding = findings[index];
      if (finding === 'equal' || finding === 'leased') continue;
      // What the other one has more, it sends by the mark that the question made there.
      counters.auditsDiffering++;
      state.marks.markPartition(partition);
    }
  }
}

/** Rounded up to where the largest parts begin: a part that is compared as a whole need not be read for it. */
function auditedFrom(comparedFromMs: number | undefined, toMs: number): number | undefined {
  const roundedMs = Math.ceil((comparedFromMs ?? 0) / partMsMax) * partMsMax;
  return comparedFromMs === undefined || roundedMs >= toMs ? comparedFromMs : roundedMs;
}
