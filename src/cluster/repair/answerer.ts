// The owner's side of repair: compares digests with those of who asks, and takes what it is sent.
// Everything it says of its own data is synced and of the merged set; what is past retention is not compared.
import { TimbalaError } from '../../base/index.ts';
import {
  allFingerprints,
  type Digest,
  digestsMax,
  type NodeName,
  pairPartition,
  type Scope,
  type StoreId,
  type WindowDigest,
  windowMs,
} from '../contracts.ts';
import { ownerToken } from '../decisions.ts';
import type { Asked } from '../exchange.ts';
import type { Mark } from '../marks/index.ts';
import type { Finding } from '../messages.ts';
import type { NodeState } from '../state.ts';
import { isDue } from './batch.ts';
import type { Leases } from './leases.ts';
import {
  type CheckBody,
  checkQuestion,
  type CompareBody,
  compareQuestion,
  type CopyBody,
  copyQuestion,
  countCopy,
  type RepairCounters,
} from './questions.ts';
import type { RepairContext } from './session.ts';

const empty: Digest = { samplesCount: 0, sum: 0n };

interface Difference {
  readonly from: NodeName;
  readonly store: StoreId;
  readonly scope: Scope;
  readonly mark: Mark | undefined;
  readonly theirs: Digest;
  readonly ours: Digest;
}

export class RepairAnswerer {
  readonly #context: RepairContext;
  readonly #state: NodeState;
  readonly #counters: RepairCounters;
  readonly #leases: Leases;

  constructor(context: RepairContext, leases: Leases) {
    const { state, exchange, counters } = context;
    this.#context = context;
    this.#state = state;
    this.#counters = counters;
    this.#leases = leases;
    exchange.answer(checkQuestion, async (asked) => ({ body: { findings: await this.#check(asked) } }));
    exchange.answer(compareQuestion, async (asked) => ({ body: { differing: await this.#compare(asked) } }));
    exchange.answer(copyQuestion, async (asked) => {
      await this.#take(asked);
      return { body: {} };
    });
  }

  #demandReady(): void {
    const { isReady, name } = this.#state;
    if (!isReady) throw new TimbalaError('PEER_REPLAYING', `${name} is replaying its log`);
  }

  /** Equality proves it both ways: the requester holds what is held here. */
  async #check({ from, store, body }: Asked<CheckBody>): Promise<Finding[]> {
    this.#demandReady();
    const { windowStartMs, fromMs, toMs, digests } = body;
    if (digests.length > digestsMax) throw new TimbalaError('PEER_FAILED', `${digests.length} digests in one question`);
    const state = this.#state;
    // Past retention here, if not there: nobody promises anything of it.
    if (windowStartMs !== undefined && !this.#isCompared(windowStartMs)) return digests.map(() => 'equal');
    const { view, dropsCount } = state;
    // A range with an end says nothing of all that a mark stands for.
    const isAll = windowStartMs !== undefined || toMs === undefined;
    const marks = digests.map(({ partition }) => (isAll ? state.marks.get({ partition, windowStartMs }) : undefined));
    const own = await state.store.digestsOf(
      ascending(digests.map(({ partition }) => partition)),
      windowStartMs ?? fromMs ?? Number.NEGATIVE_INFINITY,
      windowStartMs === undefined ? (toMs ?? Number.POSITIVE_INFINITY) : windowStartMs + windowMs,
    );
    return digests.map((theirs, index) => {
      const ours = own[index] ?? empty;
      const { partition } = theirs;
      // What is about to go proves nothing: to be asked again when it has gone.
      if (!state.isKept(partition, dropsCount)) return 'leased';
      const mark = marks[index];
      const isEqual = state.decisions.confirms(theirs, ours);
      if (!isEqual && body.isAudit) {
        if (state.isOwner(partition) && !state.marks.isMarked(partition)) state.marks.markPartition(partition);
        return 'differs';
      }
      if (!isEqual) return this.#differs({ from, store, scope: { partition, windowStartMs }, mark, theirs, ours });
      if (mark && state.view === view) this.#confirm({ partition, windowStartMs }, mark.version, from, store);
      // Also where the message that was to end its lease got lost.
      this.#leases.end(partition, from);
      return 'equal';
    });
  }

  #differs({ from, store, scope, mark, theirs, ours }: Difference): Finding {
    const { name, view } = this.#state;
    const { partition } = scope;
    // Soon, that is: an open window may wait for its end, and who asks for the sake of a loss would wait as long.
    const willSend =
      mark !== undefined &&
      view.isOwner(from, partition) &&
      !mark.confirmed.includes(ownerToken(from, store)) &&
      isDue(this.#context, scope, mark);
    if (willSend && ours.samplesCount > theirs.samplesCount) return 'more';
    // Both ask each other at this moment: one of them goes first.
    const goesFirst =
      ours.samplesCount === theirs.samplesCount && this.#leases.isAsking(from, partition) && name < from;
    if (goesFirst || this.#leases.holder(partition, from, view.hash) !== undefined) {
      this.#counters.refusedLeased++;
      return 'leased';
    }
    this.#leases.grant(partition, from, view.hash);
    return ours.samplesCount === 0 ? 'empty' : 'differs';
  }

  #confirm(scope: Scope, version: number, from: NodeName, store: StoreId): void {
    const { marks, view } = this.#state;
    const requester = ownerToken(from, store);
    if (view.ownerTokens(scope.partition).includes(requester)) marks.confirm(scope, version, requester);
  }

  #isCompared(windowStartMs: number): boolean {
    return this.#state.decisions.isCompared(this.#state.isExpired(windowStartMs));
  }

  async #compare({ from, body }: Asked<CompareBody>): Promise<(number[] | undefined)[]> {
    this.#demandReady();
    const { asked } = body;
    if (asked.length > digestsMax) throw new TimbalaError('PEER_FAILED', `${asked.length} ranges in one question`);
    const { decisions, view, dropsCount } = this.#state;
    const own = await this.#digests(body);
    return asked.map((theirs, index) => {
      const { partition } = theirs;
      // What is about to go proves nothing: to be asked again when it has gone.
      if (!this.#state.isKept(partition, dropsCount)) return undefined;
      if (this.#leases.holder(partition, from, view.hash) !== undefined) {
        this.#counters.refusedLeased++;
        return undefined;
      }
      const windows = differingWindows(theirs.digests, own[index] ?? [], (a, b) => decisions.confirms(a, b))
        // The requester may not trust its clock, and then compares what is past retention too.
        .filter((windowStartMs) => this.#isCompared(windowStartMs));
      if (windows.length > 0) this.#leases.grant(partition, from, view.hash);
      return windows;
    });
  }

  /** The own digests of what is asked for, in its order; those of one range are worked out together. */
  async #digests({ fromMs, toMs, asked }: CompareBody): Promise<WindowDigest[][]> {
    const [startMs, endMs] = [fromMs ?? Number.NEGATIVE_INFINITY, toMs ?? Number.POSITIVE_INFINITY];
    const digests: WindowDigest[][] = [];
    const byRange = Map.groupBy(asked.keys(), (index) => Object.values(asked[index]?.range ?? {}).join());
    for (const indexes of byRange.values()) {
      const { range = allFingerprints } = asked[indexes[0] ?? 0] ?? {};
      const partitions = ascending(indexes.map((index) => asked[index]?.partition ?? 0));
      const found = await this.#state.store.digests({ partitions, startMs, endMs, range });
      for (const [at, index] of indexes.entries()) digests[index] = found[at] ?? [];
    }
    return digests;
  }

  async #take({ from, body, samples }: Asked<CopyBody>): Promise<void> {
    const state = this.#state;
    this.#leases.heard(from);
    if (samples) {
      if (state.store.isBusy) throw new TimbalaError('PEER_BUSY', `${state.name} takes no copies while it is busy`);
      const { dropsCount } = state;
      const pairs = await state.store.append(samples, 'copied');
      state.noteCopied(pairs);
      state.refuseUnkept(partitionsOf(pairs), dropsCount);
      countCopy(this.#counters, body.reason, 'Received', samples);
    }
    for (const partition of body.ended) this.#leases.end(partition, from);
  }
}

function* partitionsOf(pairs: Float64Array): Generator<number> {
  for (const pair of pairs) yield pairPartition(pair);
}

/** Storage answers by position, and takes them in order only. */
function ascending(partitions: readonly number[]): Uint32Array {
  const isAscending = partitions.every((partition, index) => index === 0 || partition > (partitions[index - 1] ?? 0));
  if (!isAscending) throw new TimbalaError('PEER_FAILED', 'partitions of a question are not in ascending order');
  return Uint32Array.from(partitions);
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
