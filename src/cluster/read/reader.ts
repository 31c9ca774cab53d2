// Reads: first the marks of every member, then a plan, only then data. The order matters: data read before a mark was heard
// of may lack what the mark's absence promises. All replies that are used were given under one view; another view, a dropped
// partition or a node that fails in between begins the plan anew.
import { hasCode, TimbalaError } from '../../base/index.ts';
import type { NodeName, ReadSegment, Scope, Selection } from '../contracts.ts';
import type { Exchange, Question } from '../exchange.ts';
import { readReply, readRequest } from '../messages.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';
import { partitionsIn, type PlanInput, planRead, type ReadPlan } from './plan.ts';
import { Surveyor } from './survey.ts';

const plansMax = 8;
/** Scopes that one read moves to the front. */
const hurriedMax = 16;

type ReadBody = Readonly<{ dropsCount: number; wanted: Uint8Array; segments: readonly ReadSegment[] }> & {
  readonly fromMs: number;
  readonly toMs: number;
};
const readQuestion: Question<ReadBody, { frame: Uint8Array }> = {
  kind: 'read',
  topic: 'read',
  request: readRequest,
  reply: readReply,
};

export interface ClusterRead {
  /** What each source holds of the selection; to be merged by union. */
  readonly frames: readonly { readonly from: NodeName; readonly frame: Uint8Array }[];
  /** What could not be reached; empty where the answer is complete. */
  readonly warnings: readonly string[];
}

export interface ReadCounters {
  plans: number;
  /** Nodes read, over all plans. */
  sources: number;
  warned: number;
}

/** Thrown within: the plan is to be made anew. */
class PlanStale extends Error {}

export class Reader {
  readonly counters: ReadCounters = { plans: 0, sources: 0, warned: 0 };
  readonly #state: NodeState;
  readonly #exchange: Exchange;
  readonly #timing: ClusterTiming;
  readonly #partitionsCount: number;
  readonly #hurry: (scope: Scope) => void;
  readonly #surveyor: Surveyor;

  constructor(
    state: NodeState,
    exchange: Exchange,
    timing: ClusterTiming,
    partitionsCount: number,
    hurry: (scope: Scope) => void,
  ) {
    this.#hurry = hurry;
    this.#state = state;
    this.#exchange = exchange;
    this.#timing = timing;
    this.#partitionsCount = partitionsCount;
    this.#surveyor = new Surveyor(state, exchange, timing);
    exchange.answer(readQuestion, async ({ body }) => {
      const { fromMs, toMs, wanted, segments, dropsCount } = body;
      return { body: { frame: await this.#readOwn({ fromMs, toMs, wanted }, segments, dropsCount) } };
    });
  }

  /** Throws READ_UNSETTLED where the cluster changes faster than plans are made, READ_NOT_MEMBER on a node outside of it. */
  async read(selection: Selection, plan: (input: PlanInput) => ReadPlan = planRead): Promise<ClusterRead> {
    for (let attempt = 0; attempt < plansMax; attempt++) {
      const { self } = this.#state;
      if (!this.#state.isReady || (self?.state !== 'active' && self?.state !== 'leaving')) {
        throw new TimbalaError('READ_NOT_MEMBER', `${this.#state.name} answers no queries now; ask another node`);
      }
      try {
        return await this.#attempt(selection, plan);
      } catch (error) {
        if (!(error instanceof PlanStale)) throw error;
      }
    }
    throw new TimbalaError('READ_UNSETTLED', `the cluster changed during each of ${plansMax} attempts; ask again`);
  }

  async #attempt(selection: Selection, plan: (input: PlanInput) => ReadPlan): Promise<ClusterRead> {
    const { view } = this.#state;
    this.counters.plans++;
    const survey = await this.#surveyor.survey(selection.fromMs, selection.toMs, new Map());
    this.#demandView(view.hash);
    const { sources, ownerlessCount } = plan({
      fromMs: selection.fromMs,
      toMs: selection.toMs,
      partitionsCount: this.#partitionsCount,
      heard: new Map([...survey.heard].map(([name, { marks }]) => [name, marks])),
      owners: (partition) => view.owners(partition),
      token: (name) => view.token(name),
      rank: (name) => (name === this.#state.name ? 0 : 1),
      maySpare: survey.maySpare,
      unsparable: new Set(this.#state.record.members.filter(({ alone }) => alone > 0).map(({ name }) => name)),
    });
    const warnings = [...survey.warnings];
    if (ownerlessCount > 0 && warnings.length === 0) warnings.push(`${ownerlessCount} partitions without any owner`);
    const frames = await Promise.all(
      [...sources].map(async ([name, segments]) => ({
        from: name,
        frame: await this.#readFrom(name, selection, segments, survey.heard.get(name)?.dropsCount ?? 0, view.hash),
      })),
    );
    this.#demandView(view.hash);
    this.counters.sources += frames.length;
    if (warnings.length > 0) this.counters.warned++;
    return { frames, warnings };
  }

  #demandView(viewHash: string): void {
    if (this.#state.view.hash !== viewHash) throw new PlanStale();
  }

  async #readOwn(selection: Selection, segments: readonly ReadSegment[], dropsCount: number): Promise<Uint8Array> {
    const { horizonMs } = this.#state;
    const served = segments
      .filter(({ toMs }) => toMs >= horizonMs)
      .map((segment) => ({ ...segment, fromMs: Math.max(segment.fromMs, horizonMs) }));
    const frame = await this.#state.store.read(selection, served);
    // Looked at after reading: what is dropped from now on has been read.
    for (const { partitions } of segments) this.#state.refuseDropped(partitionsIn(partitions), dropsCount);
    this.#hurryRepair(served);
    return frame;
  }

  /** Read repair: what was read here because it is marked is compared before the rest of the marks. No sample travels for it. */
  #hurryRepair(segments: readonly ReadSegment[]): void {
    let left = hurriedMax;
    for (const { fromMs, toMs, partitions } of segments) {
      for (const { scope } of this.#state.marks.inRange(fromMs, toMs)) {
        if (((partitions[scope.partition >> 3] ?? 0) & (1 << (scope.partition & 7))) === 0) continue;
        this.#hurry(scope);
        if (--left === 0) return;
      }
    }
  }

  async #readFrom(
    name: NodeName,
    selection: Selection,
    segments: readonly ReadSegment[],
    dropsCount: number,
    viewHash: string,
  ): Promise<Uint8Array> {
    try {
      if (name === this.#state.name) return await this.#readOwn(selection, segments, dropsCount);
      const { fromMs, toMs, wanted } = selection;
      const request = { fromMs, toMs, wanted, segments, dropsCount };
      const answer = await this.#exchange.ask(name, readQuestion, request, this.#timing.readDeadlineMs);
      if (answer.viewHash === viewHash && answer.store === this.#state.record.member(name)?.store)
        return answer.body.frame;
    } catch (error) {
      const isPassing = ['PEER_', 'STORE_'].some(
        (prefix) => error instanceof TimbalaError && error.code.startsWith(prefix),
      );
      if (!isPassing && !hasCode(error, 'CLUSTER_OTHER')) throw error;
    }
    throw new PlanStale();
  }
}
