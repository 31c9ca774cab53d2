// The asking side of repair with one owner: all answers that it uses come from one store under one view. What it proves, and
// the repairer lists with a mark: the owner holds, synced and under this view, all that was held here when the session's
// comparison began. Either the digests were equal, or everything that may have differed was sent.
import { TimbalaError } from '../../base/index.ts';
import {
  allFingerprints,
  type Digest,
  digestsMax,
  type Extent,
  type FingerprintRange,
  type NodeName,
  type SamplesPayload,
  type WindowDigest,
  windowMs,
} from '../contracts.ts';
import { type OwnerToken, ownerToken } from '../decisions.ts';
import type { Answer, Exchange, Question } from '../exchange.ts';
import type { CopyReason, Finding } from '../messages.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';
import type { Pacer } from './pacer.ts';
import { checkQuestion, compareQuestion, copyQuestion, countCopy, type RepairCounters } from './questions.ts';

/** What one pair may hold to be sent whole; of larger ones only the ranges that differ. */
export const wholeSamplesMax = 65_536;
const splitsCount = 16;
/** Of one comparison: about half a mebibyte. */
const questionDigestsMax = 16_384;
const copiesUnderWayMax = 4;

/** What sessions have in common. */
export interface RepairContext {
  readonly state: NodeState;
  readonly exchange: Exchange;
  readonly timing: ClusterTiming;
  readonly counters: RepairCounters;
  readonly pacer: Pacer;
}

/** Windows of which digests are compared: one, or all from `fromMs` to before `toMs` (undefined: without an end). */
export interface CheckedRange {
  readonly windowStartMs: number | undefined;
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  /** Nothing marks it: the owner marks what differs. */
  readonly isAudit: boolean;
}

/** Digests of a range of fingerprints, by partition. */
interface RangeDigests {
  readonly range: FingerprintRange;
  readonly digests: readonly WindowDigest[][];
}

/** A range cut into sixteen. */
function split({ first, last }: FingerprintRange): FingerprintRange[] {
  const width = (last - first + 1) / splitsCount;
  if (width < 1) return [{ first, last }];
  return Array.from({ length: splitsCount }, (_, index) => ({
    first: first + index * width,
    last: first + (index + 1) * width - 1,
  }));
}

/** Windows by their partitions, as extents: windows that follow each other and have the same partitions make one. */
function runsOf(partitionsOf: ReadonlyMap<number, readonly number[]>): Omit<Extent, 'range'>[] {
  const runs: { partitions: Uint32Array; startMs: number; endMs: number }[] = [];
  for (const [startMs, sorted] of [...partitionsOf].sort(([a], [b]) => a - b)) {
    const partitions = Uint32Array.from(sorted);
    const last = runs.at(-1);
    if (last?.endMs === startMs && String(last.partitions) === String(partitions)) last.endMs += windowMs;
    else runs.push({ partitions, startMs, endMs: startMs + windowMs });
  }
  return runs;
}

/** As many of these as go into one question: years of windows make many digests, large pairs many ranges. */
function* inQuestions<Asked extends { readonly digests: readonly unknown[] }>(
  asked: readonly Asked[],
): Generator<Asked[]> {
  let question: Asked[] = [];
  let digestsCount = 0;
  for (const each of asked) {
    const isFull = question.length >= digestsMax || digestsCount + each.digests.length > questionDigestsMax;
    if (question.length > 0 && isFull) {
      yield question;
      [question, digestsCount] = [[], 0];
    }
    question.push(each);
    digestsCount += each.digests.length;
  }
  if (question.length > 0) yield question;
}

export class OwnerSession {
  readonly token: OwnerToken;
  /** When the owner last answered, or the session began; monotonic. */
  heardMs: number;
  /** Partitions that nobody else may fill before this session says so. */
  readonly #leased = new Set<number>();
  readonly #context: RepairContext;
  readonly #owner: NodeName;
  readonly #viewHash: string;

  constructor(context: RepairContext, owner: NodeName) {
    const { view } = context.state;
    this.#context = context;
    this.#owner = owner;
    this.#viewHash = view.hash;
    this.token = view.token(owner);
    this.heardMs = context.state.clock.monotonicMs();
  }

  async #ask<Request, Reply>(
    question: Question<Request, Reply>,
    request: Request,
    samples?: SamplesPayload,
    deadlineMs = this.#context.timing.copyDeadlineMs,
  ): Promise<Answer<Reply>> {
    const { exchange, state } = this.#context;
    const answer = await exchange.ask(this.#owner, question, request, deadlineMs, samples);
    this.heardMs = state.clock.monotonicMs();
    const isSameView = answer.viewHash === this.#viewHash && state.view.hash === this.#viewHash;
    if (isSameView && ownerToken(this.#owner, answer.store) === this.token) return answer;
    throw new TimbalaError('PEER_CHANGED', `${this.#owner} answered as another store or under another record`);
  }

  /** Compares partitions over one range of windows; `digests` are the own ones. Findings come in the order of the partitions. */
  async check(
    range: CheckedRange,
    partitions: readonly number[],
    digests: readonly Digest[],
  ): Promise<readonly Finding[]> {
    const { counters } = this.#context;
    const asked = partitions.map((partition, index) => ({
      partition,
      samplesCount: digests[index]?.samplesCount ?? 0,
      sum: digests[index]?.sum ?? 0n,
    }));
    const { findings } = (await this.#ask(checkQuestion, { ...range, digests: asked })).body;
    counters.comparisons += findings.length;
    for (const [index, finding] of findings.entries()) {
      if (finding === 'equal') counters.equal++;
      else if (finding === 'differs' || finding === 'empty') this.#leased.add(partitions[index] ?? 0);
    }
    return findings;
  }

  /** Sends all that is held of an extent, several partitions in one message. */
  async push(extent: Extent, reason: CopyReason): Promise<void> {
    const underWay = new Set<Promise<void>>();
    let failure: unknown;
    for await (const payload of this.#context.state.store.scan(extent)) {
      await this.#context.pacer.take(payload.bytes.length);
      const copy = this.#copy(payload, reason)
        .catch((error: unknown) => {
          failure ??= error;
        })
        .finally(() => underWay.delete(copy));
      underWay.add(copy);
      if (underWay.size >= copiesUnderWayMax) await Promise.race(underWay);
      if (failure !== undefined) break;
    }
    await Promise.all(underWay);
    if (failure !== undefined) throw failure;
  }

  /**
   * The same for partitions of which both hold something, but only of windows that differ, and of large pairs only of ranges of
   * fingerprints. Resolves with the partitions of which the owner now has all; another node fills the others.
   */
  async pushDiffering(extent: Extent, reason: CopyReason): Promise<readonly number[]> {
    const { state, counters } = this.#context;
    const own = await this.#digests(extent);
    const differing = await this.#compare(extent, [{ range: extent.range, digests: own }]);
    const whole = new Map<number, number[]>();
    const large = new Map<number, number[]>();
    const compared: number[] = [];
    for (const [index, partition] of extent.partitions.entries()) {
      const windows = differing[index];
      if (!windows) continue;
      compared.push(partition);
      // The totals differed, all the windows are equal: one of the two counts wrong, or writes were on their way.
      if (windows.length === 0 && !state.marks.hasPairs(partition)) counters.disagreements++;
      const counts = new Map(own[index]?.map(({ windowStartMs, samplesCount }) => [windowStartMs, samplesCount]));
      for (const windowStartMs of windows) {
        const samplesCount = counts.get(windowStartMs) ?? 0;
        // What only the owner holds is nothing to be sent from here.
        if (samplesCount === 0) continue;
        const group = samplesCount > wholeSamplesMax ? large : whole;
        group.set(windowStartMs, [...(group.get(windowStartMs) ?? []), partition]);
      }
    }
    for (const run of runsOf(whole)) await this.push({ ...run, range: extent.range }, reason);
    const refused = new Set<number>();
    for (const [startMs, partitions] of large) {
      const left = await this.pushRanges(Uint32Array.from(partitions), startMs, reason);
      for (const partition of partitions) if (!left.includes(partition)) refused.add(partition);
    }
    return compared.filter((partition) => !refused.has(partition));
  }

  /** Sends those ranges of fingerprints that differ in one window. Resolves as `pushDiffering`. */
  async pushRanges(partitions: Uint32Array, startMs: number, reason: CopyReason): Promise<readonly number[]> {
    const window = { partitions, startMs, endMs: startMs + windowMs };
    const ranges: RangeDigests[] = [];
    // One after another: each reads all of these pairs, which are large.
    for (const range of split(allFingerprints)) {
      ranges.push({ range, digests: await this.#digests({ ...window, range }) });
    }
    const differing = await this.#compare(window, ranges);
    for (const [rangeIndex, { range }] of ranges.entries()) {
      const asked = partitions.filter(
        (_, index) => (differing[rangeIndex * partitions.length + index]?.length ?? 0) > 0,
      );
      if (asked.length > 0) await this.push({ ...window, partitions: asked, range }, reason);
    }
    return [...partitions].filter((_, index) => ranges.every((__, at) => differing[at * partitions.length + index]));
  }

  /** For each range, and in it for each partition, the windows that differ; undefined where another node fills it. */
  async #compare(
    { partitions, startMs, endMs }: Omit<Extent, 'range'>,
    ranges: readonly RangeDigests[],
  ): Promise<readonly (readonly number[] | undefined)[]> {
    const asked = ranges.flatMap(({ range, digests }) =>
      Array.from(partitions, (partition, index) => ({ partition, range, digests: digests[index] ?? [] })),
    );
    const fromMs = Number.isFinite(startMs) ? startMs : undefined;
    const toMs = Number.isFinite(endMs) ? endMs : undefined;
    const differing: (readonly number[] | undefined)[] = [];
    for (const some of inQuestions(asked)) {
      differing.push(...(await this.#ask(compareQuestion, { fromMs, toMs, asked: some })).body.differing);
    }
    return differing;
  }

  /** Own digests without windows that are past retention: nobody compares those. */
  async #digests(extent: Extent): Promise<WindowDigest[][]> {
    const { state } = this.#context;
    const isCompared = ({ windowStartMs }: WindowDigest): boolean =>
      state.decisions.isCompared(state.isExpired(windowStartMs));
    return (await state.store.digests(extent)).map((windows) => windows.filter(isCompared));
  }

  async #copy(payload: SamplesPayload, reason: CopyReason): Promise<void> {
    await this.#ask(copyQuestion, { reason, ended: [] }, payload);
    countCopy(this.#context.counters, reason, 'Sent', payload);
  }

  /** Lets others fill the partitions. */
  async end(partitions: readonly number[], reason: CopyReason, deadlineMs?: number): Promise<void> {
    await this.#ask(copyQuestion, { reason, ended: partitions }, undefined, deadlineMs);
    for (const partition of partitions) this.#leased.delete(partition);
  }

  /**
   * The same for all that it leaves as they are. If that is not heard, the lease ends with this node's silence: an owner that
   * has just kept it waiting is not waited for as long again.
   */
  async endOpen(): Promise<void> {
    if (this.#leased.size === 0) return;
    await this.end([...this.#leased], 'repair', this.#context.timing.askDeadlineMs).catch(() => {});
  }
}
