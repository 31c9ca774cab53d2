// The asking side of repair with one owner: all answers that it uses come from one store under one view. What it proves, and
// the repairer lists with a mark: the owner holds, synced and under this view, all that was held here when the session's
// comparison began. Either the digests were equal, or everything that may have differed was sent.
import { hasCode, TimbalaError } from '../../base/index.ts';
import {
  allFingerprints,
  type Digest,
  type FingerprintRange,
  type NodeName,
  type SamplesPayload,
  type Scope,
  type WindowDigest,
  windowMs,
} from '../contracts.ts';
import { type OwnerToken, ownerToken } from '../decisions.ts';
import type { Answer, Exchange, Question } from '../exchange.ts';
import type { CopyReason, Finding } from '../messages.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';
import type { Pacer } from './pacer.ts';
import {
  checkQuestion,
  compareQuestion,
  copyQuestion,
  countCopy,
  pullQuestion,
  type RepairCounters,
} from './questions.ts';

/** What a window holds up to this many samples is sent whole: telling ranges apart would cost more. */
const wholeSamplesMax = 8192;
const splitsCount = 16;

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

export class OwnerSession {
  readonly token: OwnerToken;
  readonly #context: RepairContext;
  readonly #owner: NodeName;
  readonly #viewHash: string;

  constructor(context: RepairContext, owner: NodeName) {
    const { view } = context.state;
    this.#context = context;
    this.#owner = owner;
    this.#viewHash = view.hash;
    this.token = view.token(owner);
  }

  async #ask<Request, Reply>(
    question: Question<Request, Reply>,
    request: Request,
    samples?: SamplesPayload,
  ): Promise<Answer<Reply>> {
    const { exchange, timing, state } = this.#context;
    const answer = await exchange.ask(this.#owner, question, request, timing.copyDeadlineMs, samples);
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
    for (const finding of findings) if (finding === 'equal') counters.equal++;
    return findings;
  }

  /** After a check that found more than equality: sends what the owner lacks, and fetches what an owner lacks here. */
  async mend(scope: Scope, finding: Finding, reason: CopyReason): Promise<void> {
    if (finding === 'empty') await this.#pushAll(scope, reason);
    else if (scope.windowStartMs !== undefined) await this.#mendWindow(scope, scope.windowStartMs, reason);
    else await this.#mendPartition(scope, reason);
    await this.end(scope.partition, reason);
  }

  async #mendPartition(scope: Scope, reason: CopyReason): Promise<void> {
    const { state, counters } = this.#context;
    const digests = await this.#digests(scope);
    const { differing } = (await this.#ask(compareQuestion, { scope, ranges: [allFingerprints], digests: [digests] }))
      .body;
    const [windows = []] = differing;
    // The totals differed, all the windows are equal: one of the two counts wrong, or writes were on their way.
    if (windows.length === 0 && !state.marks.hasPairs(scope.partition)) counters.disagreements++;
    for (const windowStartMs of windows) await this.#mendWindow(scope, windowStartMs, reason);
  }

  async #mendWindow({ partition }: Scope, windowStartMs: number, reason: CopyReason): Promise<void> {
    const { state } = this.#context;
    const scope = { partition, windowStartMs };
    const [own] = await this.#digests(scope);
    let ranges = [allFingerprints];
    if ((own?.samplesCount ?? 0) > wholeSamplesMax) ranges = await this.#differingRanges(scope);
    for (const range of ranges) {
      if (own) await this.#push(scope, range, reason);
      if (state.isOwner(partition)) await this.#pull(scope, range, reason);
    }
  }

  async #differingRanges(scope: Scope): Promise<FingerprintRange[]> {
    const ranges = split(allFingerprints);
    const own = await Promise.all(ranges.map((range) => this.#context.state.store.digests(scope, range)));
    const { differing } = (await this.#ask(compareQuestion, { scope, ranges, digests: own })).body;
    return ranges.filter((_, index) => (differing[index]?.length ?? 0) > 0);
  }

  /** Digests without windows that are past retention: nobody compares those. */
  async #digests(scope: Scope): Promise<WindowDigest[]> {
    const { store, decisions } = this.#context.state;
    const digests = await store.digests(scope, allFingerprints);
    return digests.filter(({ windowStartMs }) => decisions.isCompared(this.#context.state.isExpired(windowStartMs)));
  }

  async #pushAll({ partition, windowStartMs }: Scope, reason: CopyReason): Promise<void> {
    const { state } = this.#context;
    const startMs = windowStartMs ?? state.comparedFromMs ?? Number.NEGATIVE_INFINITY;
    const endMs = windowStartMs === undefined ? Number.POSITIVE_INFINITY : windowStartMs + windowMs;
    for await (const payload of state.store.scanMany(Uint32Array.of(partition), startMs, endMs)) {
      await this.#copy(partition, payload, reason);
    }
  }

  async #push(scope: Scope, range: FingerprintRange, reason: CopyReason): Promise<void> {
    for await (const payload of this.#context.state.store.scan(scope, range)) {
      await this.#copy(scope.partition, payload, reason);
    }
  }

  async #copy(partition: number, payload: SamplesPayload, reason: CopyReason): Promise<void> {
    const { counters, pacer } = this.#context;
    await pacer.take(payload.bytes.length);
    await this.#ask(copyQuestion, { partition, reason, isLast: false }, payload);
    countCopy(counters, reason, 'Sent', payload);
  }

  async #pull(scope: Scope, range: FingerprintRange, reason: CopyReason, page = 0): Promise<void> {
    const { state, counters, pacer, exchange } = this.#context;
    const { body, samples } = await this.#ask(pullQuestion, { scope, range, page, reason });
    if (samples) {
      await pacer.take(samples.bytes.length);
      try {
        state.noteCopied(await state.store.append(samples, 'copied'));
      } catch (error) {
        // For requests the connection sees to it; of an answer it can't know.
        if (hasCode(error, 'PEER_DICTIONARY')) exchange.forgetSeries(this.#owner);
        throw error;
      }
      countCopy(counters, reason, 'Received', samples);
    }
    if (body.isComplete) return;
    if (range.first === range.last) await this.#pull(scope, range, reason, page + 1);
    else for (const part of split(range)) await this.#pull(scope, part, reason);
  }

  /** Lets others fill the partition. */
  async end(partition: number, reason: CopyReason): Promise<void> {
    await this.#ask(copyQuestion, { partition, reason, isLast: true });
  }
}
