// The asking side of repair with one owner: all answers that it uses come from one store under one view. What it proves, and
// the repairer lists with a mark: the owner holds, synced and under this view, all that was held here when the session's
// comparison began. Either the digests were equal, or everything that may have differed was sent.
import { TimbalaError } from '../../base/index.ts';
import {
  allFingerprints,
  type Digest,
  type FingerprintRange,
  type NodeName,
  type SamplesPayload,
  type Scope,
  type WindowDigest,
} from '../contracts.ts';
import { type OwnerToken, ownerToken } from '../decisions.ts';
import type { Answer, Exchange, Question } from '../exchange.ts';
import type { CopyReason, Finding } from '../messages.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';
import type { Pacer } from './pacer.ts';
import { checkQuestion, compareQuestion, copyQuestion, countCopy, type RepairCounters } from './questions.ts';

const splitsCount = 16;
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
    for (const [index, finding] of findings.entries()) {
      if (finding === 'equal') counters.equal++;
      else if (finding === 'differs' || finding === 'empty') this.#leased.add(partitions[index] ?? 0);
    }
    return findings;
  }

  /** Sends all that is held of some partitions in a range of windows, several partitions in one message. */
  async pushAll(partitions: readonly number[], startMs: number, endMs: number, reason: CopyReason): Promise<void> {
    const underWay = new Set<Promise<void>>();
    let failure: unknown;
    const sorted = Uint32Array.from(partitions).sort();
    for await (const payload of this.#context.state.store.scanMany(sorted, startMs, endMs)) {
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

  /** The same for one partition of which both hold something: only windows, and ranges of fingerprints, that differ. */
  async pushDiffering(scope: Scope, reason: CopyReason): Promise<void> {
    if (scope.windowStartMs !== undefined) {
      await this.#pushWindow(scope, scope.windowStartMs, reason);
      return;
    }
    const { state, counters } = this.#context;
    const digests = await this.#digests(scope);
    const answer = await this.#ask(compareQuestion, { scope, ranges: [allFingerprints], digests: [digests] });
    const [windows = []] = answer.body.differing;
    // The totals differed, all the windows are equal: one of the two counts wrong, or writes were on their way.
    if (windows.length === 0 && !state.marks.hasPairs(scope.partition)) counters.disagreements++;
    for (const windowStartMs of windows) await this.#pushWindow(scope, windowStartMs, reason);
  }

  async #pushWindow({ partition }: Scope, windowStartMs: number, reason: CopyReason): Promise<void> {
    const scope = { partition, windowStartMs };
    for (const range of await this.#differingRanges(scope)) {
      for await (const payload of this.#context.state.store.scan(scope, range)) {
        await this.#context.pacer.take(payload.bytes.length);
        await this.#copy(payload, reason);
      }
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

  async #copy(payload: SamplesPayload, reason: CopyReason): Promise<void> {
    await this.#ask(copyQuestion, { reason, ended: [] }, payload);
    countCopy(this.#context.counters, reason, 'Sent', payload);
  }

  /** Lets others fill the partitions. */
  async end(partitions: readonly number[], reason: CopyReason): Promise<void> {
    await this.#ask(copyQuestion, { reason, ended: partitions });
    for (const partition of partitions) this.#leased.delete(partition);
  }

  /** The same for all that it leaves as they are. If that is not heard, the lease ends with this node's silence. */
  async endOpen(): Promise<void> {
    if (this.#leased.size === 0) return;
    await this.end([...this.#leased], 'repair').catch(() => {});
  }
}
