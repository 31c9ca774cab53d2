// Anti-entropy between two nodes, for one scope: digests first, then smaller ranges of fingerprints, and only what differs
// travels, both ways between owners. A node that owns nothing of it (it holds hints) pushes all it has.
//
// What is proved at the end, and listed with the mark: the owner holds, synced and under this view, all that was held here
// when the comparison began. Either the digests were equal, or everything in the ranges that differed was sent.
import { hasCode, TimbalaError } from '../../base/index.ts';
import {
  allFingerprints,
  type Digest,
  type FingerprintRange,
  type NodeName,
  type Scope,
  type SamplesPayload,
  type WindowDigest,
} from '../contracts.ts';
import { type OwnerToken, ownerToken } from '../decisions.ts';
import type { Answer, Asked, Exchange, Question } from '../exchange.ts';
import { compareReply, compareRequest, copyRequest, nothing, pullReply, pullRequest } from '../messages.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';

interface CompareBody {
  readonly scope: Scope;
  readonly ranges: readonly FingerprintRange[];
  readonly digests: readonly (readonly WindowDigest[])[];
}

const compareQuestion: Question<CompareBody, { readonly differing: readonly (readonly number[])[] }> = {
  kind: 'compare',
  topic: 'compare',
  request: compareRequest,
  reply: compareReply,
};
const copyQuestion: Question<{ readonly partition: number; readonly isLast: boolean }, object> = {
  kind: 'copy',
  topic: 'copy',
  request: copyRequest,
  reply: nothing,
};
const pullQuestion: Question<
  { readonly scope: Scope; readonly range: FingerprintRange },
  { readonly isComplete: boolean }
> = { kind: 'pull', topic: 'pull', request: pullRequest, reply: pullReply };

const empty: Digest = { samplesCount: 0, sum: 0n };
const splitsCount = 16;

/** A range cut into sixteen. */
function split({ first, last }: FingerprintRange): FingerprintRange[] {
  const width = (last - first + 1) / splitsCount;
  if (width < 1) return [{ first, last }];
  return Array.from({ length: splitsCount }, (_, index) => ({
    first: first + index * width,
    last: first + (index + 1) * width - 1,
  }));
}

export interface RepairCounters {
  comparisons: number;
  equal: number;
  samplesPushed: number;
  samplesPulled: number;
  refusedLeased: number;
}

export class Comparer {
  readonly counters: RepairCounters = {
    comparisons: 0,
    equal: 0,
    samplesPushed: 0,
    samplesPulled: 0,
    refusedLeased: 0,
  };
  readonly #state: NodeState;
  readonly #exchange: Exchange;
  readonly #timing: ClusterTiming;
  /** Partitions that another node is filling: a third would send the same once more. */
  readonly #leases = new Map<number, { readonly to: NodeName; readonly untilMs: number }>();

  constructor(state: NodeState, exchange: Exchange, timing: ClusterTiming) {
    this.#state = state;
    this.#exchange = exchange;
    this.#timing = timing;
    exchange.answer(compareQuestion, async (asked) => ({ body: { differing: await this.#compared(asked) } }));
    exchange.answer(copyQuestion, async ({ from, body, samples }) => {
      if (samples) {
        const { dropsCount } = state;
        const pairs = await state.store.append(samples, 'copied');
        state.noteCopied(pairs);
        state.refuseDropped([body.partition], dropsCount);
      }
      if (body.isLast && this.#leases.get(body.partition)?.to === from) this.#leases.delete(body.partition);
      return { body: {} };
    });
    exchange.answer(pullQuestion, async ({ body }) => {
      const payload = await this.#onePayload(body.scope, body.range);
      return { body: { isComplete: payload !== 'many' }, samples: payload === 'many' ? undefined : payload };
    });
  }

  /** All of a range, if one payload holds it. */
  async #onePayload(scope: Scope, range: FingerprintRange): Promise<SamplesPayload | 'many' | undefined> {
    let only: SamplesPayload | undefined;
    for await (const payload of this.#state.store.scan(scope, range)) {
      if (only && range.last > range.first) return 'many';
      only = payload;
    }
    return only;
  }

  /** Digests without windows that are past retention: nobody compares those. */
  async #digests(scope: Scope, range: FingerprintRange): Promise<WindowDigest[]> {
    const digests = await this.#state.store.digests(scope, range);
    return digests.filter(({ windowStartMs }) => this.#isCompared(windowStartMs));
  }

  #isCompared(windowStartMs: number): boolean {
    return this.#state.decisions.isCompared(this.#state.isExpired(windowStartMs));
  }

  async #compared({ from, store, body }: Asked<CompareBody>): Promise<number[][]> {
    const state = this.#state;
    if (!state.isReady) throw new TimbalaError('PEER_REPLAYING', `${state.name} is replaying its log`);
    const { scope, ranges } = body;
    const lease = this.#leases.get(scope.partition);
    const nowMs = state.clock.monotonicMs();
    if (lease && lease.to !== from && lease.untilMs > nowMs) {
      this.counters.refusedLeased++;
      throw new TimbalaError('PEER_LEASED', `${lease.to} is filling partition ${scope.partition}; compare it later`);
    }
    const mark = state.marks.get(scope);
    const view = state.view;
    const differing: number[][] = [];
    for (const [index, range] of ranges.entries()) {
      const own = await this.#digests(scope, range);
      const windows = differingWindows(body.digests[index] ?? [], own, (a, b) => state.decisions.confirms(a, b));
      // The requester may not trust its clock, and then compares what is past retention too.
      differing.push(windows.filter((windowStartMs) => this.#isCompared(windowStartMs)));
    }
    const isWhole = ranges.length === 1 && ranges[0]?.first === 0 && ranges[0].last === allFingerprints.last;
    if (differing.some((windows) => windows.length > 0)) {
      this.#leases.set(scope.partition, { to: from, untilMs: nowMs + this.#timing.leaseMs });
    } else if (isWhole && mark && state.view === view) {
      // Equality proves it both ways: the requester holds what is held here.
      const requester = ownerToken(from, store);
      if (view.ownerTokens(scope.partition).includes(requester)) state.marks.confirm(scope, mark.version, requester);
    }
    return differing;
  }

  /**
   * Resolves when the owner is known to hold all that was held here of the scope. Throws PEER_… errors; whatever was sent
   * until then stays sent.
   */
  async confirm(scope: Scope, owner: NodeName): Promise<OwnerToken> {
    const session = new Session(this.#state, this.#exchange, this.#timing, this.counters, scope, owner);
    this.counters.comparisons++;
    if (this.#state.isOwner(scope.partition)) await this.#confirmAsOwner(session, scope);
    else {
      const windows = await this.#digests(scope, allFingerprints);
      for (const { windowStartMs } of windows) await session.push(windowStartMs, allFingerprints);
    }
    return session.token;
  }

  async #confirmAsOwner(session: Session, scope: Scope): Promise<void> {
    const digests = await this.#digests(scope, allFingerprints);
    const [windows = []] = await session.compare(scope, [allFingerprints], [digests]);
    if (windows.length === 0) {
      this.counters.equal++;
      return;
    }
    const ranges = split(allFingerprints);
    for (const windowStartMs of windows) {
      const window = { ...scope, windowStartMs };
      const own: WindowDigest[][] = [];
      for (const range of ranges) own.push(await this.#digests(window, range));
      const differing = await session.compare(window, ranges, own);
      for (const [index, range] of ranges.entries()) {
        if ((differing[index]?.length ?? 0) === 0) continue;
        await session.push(windowStartMs, range);
        await session.pull(windowStartMs, range);
      }
    }
    await session.end();
  }

  /** Whether the owner's total of a partition differs from the own one. */
  async differs(partition: number, owner: NodeName): Promise<boolean> {
    const scope = { partition, windowStartMs: undefined };
    const session = new Session(this.#state, this.#exchange, this.#timing, this.counters, scope, owner);
    const digests = await this.#digests(scope, allFingerprints);
    const [windows = []] = await session.compare(scope, [allFingerprints], [digests]);
    if (windows.length > 0) await session.end();
    return windows.length > 0;
  }
}

function differingWindows(
  theirs: readonly WindowDigest[],
  own: readonly WindowDigest[],
  confirms: (theirs: Digest, own: Digest) => boolean,
): number[] {
  const byWindow = new Map(own.map((digest) => [digest.windowStartMs, digest]));
  const windows = new Set([...theirs, ...own].map(({ windowStartMs }) => windowStartMs));
  const asked = new Map(theirs.map((digest) => [digest.windowStartMs, digest]));
  return [...windows].filter((window) => !confirms(asked.get(window) ?? empty, byWindow.get(window) ?? empty));
}

/** One comparison with one owner: all its answers come from one store under one view. */
class Session {
  readonly token: OwnerToken;
  readonly #state: NodeState;
  readonly #exchange: Exchange;
  readonly #timing: ClusterTiming;
  readonly #counters: RepairCounters;
  readonly #scope: Scope;
  readonly #owner: NodeName;
  readonly #viewHash: string;

  constructor(
    state: NodeState,
    exchange: Exchange,
    timing: ClusterTiming,
    counters: RepairCounters,
    scope: Scope,
    owner: NodeName,
  ) {
    this.#state = state;
    this.#exchange = exchange;
    this.#timing = timing;
    this.#counters = counters;
    this.#scope = scope;
    this.#owner = owner;
    this.#viewHash = state.view.hash;
    this.token = state.view.token(owner);
  }

  #checked<Reply>(answer: Answer<Reply>): Answer<Reply> {
    const isSameView = answer.viewHash === this.#viewHash && this.#state.view.hash === this.#viewHash;
    if (isSameView && ownerToken(this.#owner, answer.store) === this.token) return answer;
    throw new TimbalaError('PEER_CHANGED', `${this.#owner} answered as another store or under another record`);
  }

  async #ask<Request, Reply>(
    question: Question<Request, Reply>,
    request: Request,
    samples?: SamplesPayload,
  ): Promise<Answer<Reply>> {
    return this.#checked(
      await this.#exchange.ask(this.#owner, question, request, this.#timing.copyDeadlineMs, samples),
    );
  }

  async compare(
    scope: Scope,
    ranges: readonly FingerprintRange[],
    digests: readonly (readonly WindowDigest[])[],
  ): Promise<readonly (readonly number[])[]> {
    return (await this.#ask(compareQuestion, { scope, ranges, digests })).body.differing;
  }

  async push(windowStartMs: number, range: FingerprintRange): Promise<void> {
    const { partition } = this.#scope;
    for await (const payload of this.#state.store.scan({ partition, windowStartMs }, range)) {
      await this.#ask(copyQuestion, { partition, isLast: false }, payload);
      this.#counters.samplesPushed += payload.samplesCount;
    }
  }

  async pull(windowStartMs: number, range: FingerprintRange): Promise<void> {
    const scope = { partition: this.#scope.partition, windowStartMs };
    const { body, samples } = await this.#ask(pullQuestion, { scope, range });
    if (!body.isComplete) {
      for (const part of split(range)) await this.pull(windowStartMs, part);
      return;
    }
    if (!samples) return;
    try {
      this.#state.noteCopied(await this.#state.store.append(samples, 'copied'));
    } catch (error) {
      // For requests the connection sees to it; of an answer it can't know.
      if (hasCode(error, 'PEER_DICTIONARY')) this.#exchange.forgetSeries(this.#owner);
      throw error;
    }
    this.#counters.samplesPulled += samples.samplesCount;
  }

  async end(): Promise<void> {
    await this.#ask(copyQuestion, { partition: this.#scope.partition, isLast: true });
  }
}
