// The loop that clears marks: batches of partitions with marks of one window (or of all), compared with all their owners at
// once; what differs is sent, paced. Marks are its only backlog: hints to be pushed, partitions to be handed over after a
// change of owners, and windows to be compared are all the same.
//
// An owner that is silent holds up nobody else: the next batch goes to the others, while it is still waited for. One owner is
// asked about one batch at a time.
import { errorMessage, hasCode, mib } from '../../base/index.ts';
import type { Timer } from '../../ports/index.ts';
import {
  allFingerprints,
  type Digest,
  digestsMax,
  type Extent,
  type NodeName,
  type Scope,
  windowMs,
  windowStartOf,
} from '../contracts.ts';
import type { OwnerToken } from '../decisions.ts';
import type { ScopedMark } from '../marks/index.ts';
import type { CopyReason, Finding } from '../messages.ts';
import type { View } from '../view.ts';
import { Auditor } from './audit.ts';
import type { Backoff } from './backoff.ts';
import { BatchPicker } from './batch.ts';
import type { Leases } from './leases.ts';
import { OwnerSession, type RepairContext, wholeSamplesMax } from './session.ts';

/**
 * Partitions sent at once, and about how many samples they may hold together: those that were sent are listed, whatever happens
 * to the next. What both hold is read for digests by both sides first, within the deadline of one question.
 */
const chunkPartitionsMax = 64;
const chunkSamplesMax = 8 * mib;

const sizeGrowth = 1.25;

const nothingHeld: Digest = { samplesCount: 0, sum: 0n };

/** One mark as it was when its comparison began, what was held then, and who has confirmed it since. */
interface Item {
  readonly scope: Scope;
  readonly mark: ScopedMark;
  readonly digest: Digest;
  readonly confirmed: Set<OwnerToken>;
}

/** A batch, as far as it has to be known when an owner's answer comes. */
interface Batch {
  readonly items: readonly Item[];
  readonly fromMs: number | undefined;
  readonly view: View;
  /** Of the marks' history when it began. */
  readonly position: number;
}

/** What one owner is asked of a batch. */
interface Share {
  readonly session: OwnerSession;
  /** Never rejects. */
  readonly done: Promise<void>;
}

export class Repairer {
  readonly #context: RepairContext;
  readonly #backoff: Backoff;
  readonly #leases: Leases;
  readonly #picker: BatchPicker;
  readonly #auditor: Auditor;
  /** About how many partitions owners are asked at most that did not answer in time when they were asked about twice as many. */
  readonly #sizes = new Map<NodeName, number>();
  /** Owners that have not answered all of a batch yet. */
  readonly #underWay = new Set<NodeName>();
  #isAuditing = false;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(context: RepairContext, backoff: Backoff, leases: Leases, random: () => number) {
    this.#context = context;
    this.#backoff = backoff;
    this.#leases = leases;
    this.#picker = new BatchPicker(context, leases, (owner) => this.#mayAsk(owner));
    this.#auditor = new Auditor(context, backoff, random);
  }

  start(delayMs = this.#context.timing.repairIntervalMs): void {
    this.#timer = this.#context.state.clock.setTimer(delayMs, () => {
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    const hasMoved = await this.#turn();
    if (!this.#isStopped) this.start(hasMoved ? this.#context.timing.repairPauseMs : undefined);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** A query had to read this scope here because it is marked: it is compared before others. */
  hurry(scope: Scope): void {
    this.#picker.hurry(scope);
  }

  /** Marks that could be cleared now, if their owners answered. */
  dueCount(): number {
    return this.#picker.dueCount();
  }

  /** True where there was something to do and it got on. */
  async #turn(): Promise<boolean> {
    const { state } = this.#context;
    // Without a clock it would compare, and bring back, what is past retention.
    if (!state.isReady || !state.hasHeardClock) return false;
    try {
      const batch = this.#picker.next(this.#sizeMax);
      const hasMoved = batch.length > 0 && (await this.#work(batch));
      void this.#audit();
      return hasMoved;
    } catch (error) {
      state.log.warn('repair-failed', { reason: errorMessage(error) });
      return false;
    }
  }

  /** Beside the batches: whom it asks may be silent. */
  async #audit(): Promise<void> {
    if (this.#isAuditing) return;
    this.#isAuditing = true;
    try {
      await this.#auditor.turn();
    } catch (error) {
      this.#context.state.log.warn('audit-failed', { reason: errorMessage(error) });
    } finally {
      this.#isAuditing = false;
    }
  }

  #mayAsk(owner: NodeName): boolean {
    return !this.#underWay.has(owner) && !this.#backoff.isWaiting(owner);
  }

  /** Of the next batch: what the slowest can do of those that may be asked. */
  get #sizeMax(): number {
    let sizeMax = digestsMax;
    for (const [owner, size] of this.#sizes) if (this.#mayAsk(owner)) sizeMax = Math.min(sizeMax, size);
    return sizeMax;
  }

  /** Owners that need long (a slow machine, years in each partition) are asked about less, and more again by and by. */
  #askLess(owner: NodeName, askedCount: number): void {
    this.#sizes.set(owner, Math.max(1, Math.floor(askedCount / 2)));
  }

  #askMore(owner: NodeName): void {
    const size = Math.ceil((this.#sizes.get(owner) ?? digestsMax) * sizeGrowth);
    if (size < digestsMax) this.#sizes.set(owner, size);
    else this.#sizes.delete(owner);
  }

  async #work(marked: readonly ScopedMark[]): Promise<boolean> {
    const { state } = this.#context;
    const { view, marks } = state;
    const windowStartMs = marked[0]?.scope.windowStartMs;
    if (windowStartMs !== undefined && state.isExpired(windowStartMs)) {
      for (const { scope } of marked) marks.clear(scope);
      await state.settle();
      return true;
    }
    const position = marks.history;
    const missing = marked.map((mark) => this.#picker.missingOwners(mark));
    const fromMs = state.comparedFromMs;
    const digests = await state.store.digestsOf(
      Uint32Array.from(marked, ({ scope }) => scope.partition),
      windowStartMs ?? fromMs ?? Number.NEGATIVE_INFINITY,
      windowStartMs === undefined ? Number.POSITIVE_INFINITY : windowStartMs + windowMs,
    );
    const items = marked.map((mark, index) => ({
      scope: mark.scope,
      mark,
      digest: digests[index] ?? nothingHeld,
      confirmed: new Set(mark.confirmed),
    }));
    const batch = { items, fromMs, view, position };
    const toAsk = new Map<NodeName, Item[]>();
    for (const [index, item] of items.entries()) {
      for (const owner of missing[index] ?? []) {
        if (!this.#mayAsk(owner)) continue;
        const asked = toAsk.get(owner);
        if (asked) asked.push(item);
        else toAsk.set(owner, [item]);
      }
    }
    // An owner of which nothing is to be asked must not keep batches small for ever.
    for (const owner of this.#sizes.keys()) if (this.#mayAsk(owner) && !toAsk.has(owner)) this.#askMore(owner);
    const shares = [...toAsk].map(([owner, asked]): Share => {
      const session = new OwnerSession(this.#context, owner);
      return { session, done: this.#confirmBy(owner, session, asked, fromMs) };
    });
    // What comes too late for the batch counts as well: marks remember who has confirmed, and for which version.
    for (const { done } of await this.#silentOf(shares)) void done.then(() => this.#finish(batch));
    return this.#finish(batch);
  }

  /** Waits for all; resolves with those that are not done, and were not heard for a while. */
  async #silentOf(shares: readonly Share[]): Promise<Iterable<Share>> {
    const { state, timing } = this.#context;
    const left = new Set(shares);
    const all = Promise.all(shares.map((share) => share.done.then(() => left.delete(share))));
    for (;;) {
      const patience = Promise.withResolvers<void>();
      const timer = state.clock.setTimer(timing.repairPatienceMs, patience.resolve);
      await Promise.race([all, patience.promise]);
      timer.cancel();
      const sinceMs = state.clock.monotonicMs() - timing.repairPatienceMs;
      if ([...left].every(({ session }) => session.heardMs <= sinceMs)) return left;
    }
  }

  /** Lists the owner with the marks of those items that it holds. Failures let it rest. */
  async #confirmBy(
    owner: NodeName,
    session: OwnerSession,
    items: readonly Item[],
    fromMs: number | undefined,
  ): Promise<void> {
    const { state, pacer } = this.#context;
    this.#underWay.add(owner);
    this.#leases.asks(owner, new Set(items.map(({ scope }) => scope.partition)));
    try {
      await this.#compareWith(session, items, fromMs);
      this.#backoff.succeeded(owner);
      if (items.length >= (this.#sizes.get(owner) ?? digestsMax)) this.#askMore(owner);
    } catch (error) {
      if (hasCode(error, 'PEER_TIMEOUT')) this.#askLess(owner, items.length);
      if (hasCode(error, 'PEER_BUSY') || hasCode(error, 'STORE_BUSY')) pacer.slowDown();
      this.#backoff.failed(owner, error);
      state.log.debug('comparison-failed', { owner, reason: errorMessage(error) });
    } finally {
      this.#leases.asks(owner, undefined);
      this.#underWay.delete(owner);
    }
  }

  async #compareWith(session: OwnerSession, items: readonly Item[], fromMs: number | undefined): Promise<void> {
    const windowStartMs = items[0]?.scope.windowStartMs;
    const partitions = items.map(({ scope }) => scope.partition);
    const findings = await session.check(
      { windowStartMs, fromMs, toMs: undefined, isAudit: false },
      partitions,
      items.map(({ digest }) => digest),
    );
    for (const [index, item] of items.entries()) if (findings[index] === 'equal') this.#confirm(item, session.token);
    try {
      await this.#sendLacking(session, items, findings, fromMs);
    } finally {
      await session.endOpen();
    }
  }

  async #sendLacking(
    session: OwnerSession,
    items: readonly Item[],
    findings: readonly Finding[],
    fromMs: number | undefined,
  ): Promise<void> {
    const windowStartMs = items[0]?.scope.windowStartMs;
    const lacking = items.filter((_, index) => findings[index] === 'empty');
    const differing = items.filter((_, index) => findings[index] === 'differs');
    if (windowStartMs !== undefined) {
      const isLarge = ({ digest }: Item): boolean => digest.samplesCount > wholeSamplesMax;
      await this.#send(session, [...lacking, ...differing.filter((item) => !isLarge(item))], fromMs);
      await this.#sendDiffering(session, differing.filter(isLarge), fromMs);
      return;
    }
    // A new owner has what was written since it came, and lacks the rest: sent whole, unless it has some of that.
    const sinceMs = windowStartOf(this.#context.state.clock.nowMs());
    const { old, rest } = await this.#splitByAge(session, differing, fromMs, sinceMs);
    await this.#send(session, [...lacking, ...old], fromMs);
    await this.#sendDiffering(session, rest, fromMs);
  }

  /** Of partitions that differ those of which the owner has nothing before the open window. */
  async #splitByAge(
    session: OwnerSession,
    differing: readonly Item[],
    fromMs: number | undefined,
    toMs: number,
  ): Promise<{ old: readonly Item[]; rest: readonly Item[] }> {
    if (differing.length === 0) return { old: [], rest: [] };
    const partitions = differing.map(({ scope }) => scope.partition);
    const { store } = this.#context.state;
    const digests = await store.digestsOf(Uint32Array.from(partitions), fromMs ?? Number.NEGATIVE_INFINITY, toMs);
    const findings = await session.check(
      { windowStartMs: undefined, fromMs, toMs, isAudit: false },
      partitions,
      digests,
    );
    const isOld = (_: Item, index: number): boolean => findings[index] === 'empty';
    const isKnown = (finding: Finding | undefined): boolean => finding === 'differs' || finding === 'equal';
    return { old: differing.filter(isOld), rest: differing.filter((_, index) => isKnown(findings[index])) };
  }

  async #send(session: OwnerSession, items: readonly Item[], fromMs: number | undefined): Promise<void> {
    await this.#inChunks(session, items, fromMs, async (extent, reason) => {
      await session.push(extent, reason);
      return [...extent.partitions];
    });
  }

  /** Of partitions that both hold, or of large pairs, only what differs. */
  async #sendDiffering(session: OwnerSession, items: readonly Item[], fromMs: number | undefined): Promise<void> {
    await this.#inChunks(session, items, fromMs, (extent, reason) =>
      items[0]?.scope.windowStartMs === undefined
        ? session.pushDiffering(extent, reason)
        : session.pushRanges(extent.partitions, extent.startMs, reason),
    );
  }

  /** Confirms what `send` resolves with, chunk after chunk. */
  async #inChunks(
    session: OwnerSession,
    items: readonly Item[],
    fromMs: number | undefined,
    send: (extent: Extent, reason: CopyReason) => Promise<readonly number[]>,
  ): Promise<void> {
    const { windowStartMs } = items[0]?.scope ?? {};
    const startMs = windowStartMs ?? fromMs ?? Number.NEGATIVE_INFINITY;
    const endMs = windowStartMs === undefined ? Number.POSITIVE_INFINITY : windowStartMs + windowMs;
    const sorted = items.toSorted((a, b) => a.scope.partition - b.scope.partition);
    for (const chunk of inChunks(sorted)) {
      const partitions = Uint32Array.from(chunk, ({ scope }) => scope.partition);
      const reason = this.#reasonOf(chunk);
      const sent = new Set(await send({ partitions, startMs, endMs, range: allFingerprints }, reason));
      for (const item of chunk) if (sent.has(item.scope.partition)) this.#confirm(item, session.token);
      await session.end([...sent], reason);
    }
  }

  #reasonOf([item]: readonly Item[]): CopyReason {
    if (item?.scope.windowStartMs === undefined) return 'handover';
    return this.#context.state.isOwner(item.scope.partition) ? 'repair' : 'hint';
  }

  #confirm(item: Item, token: OwnerToken): void {
    item.confirmed.add(token);
    this.#context.state.marks.confirm(item.scope, item.mark.version, token);
  }

  /** Clears what all owners have confirmed; what was written meanwhile stays marked, but is no older than the comparison. */
  async #finish({ items, view, position }: Batch): Promise<boolean> {
    const { state, counters } = this.#context;
    const { marks, decisions, selfToken } = state;
    if (state.view !== view) return true;
    let hasMoved = false;
    for (const { scope, mark, confirmed } of items) {
      const current = marks.get(scope);
      if (!current) continue;
      hasMoved ||= confirmed.size > mark.confirmed.length;
      const owners = view.ownerTokens(scope.partition);
      if (current.version === mark.version && decisions.mayClear(owners, current.confirmed, selfToken)) {
        marks.clear(scope);
        counters.marksCleared++;
        hasMoved = true;
      } else if (decisions.mayClear(owners, [...confirmed], selfToken)) marks.advance(scope, position + 1);
    }
    await state.settle();
    return hasMoved;
  }
}

function* inChunks(items: readonly Item[]): Generator<Item[]> {
  let chunk: Item[] = [];
  let samplesCount = 0;
  for (const item of items) {
    samplesCount += item.digest.samplesCount;
    if (chunk.length >= chunkPartitionsMax || (chunk.length > 0 && samplesCount > chunkSamplesMax)) {
      yield chunk;
      [chunk, samplesCount] = [[], item.digest.samplesCount];
    }
    chunk.push(item);
  }
  if (chunk.length > 0) yield chunk;
}
