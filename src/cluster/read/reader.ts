// Reads: first the marks of every member, then a plan, only then data. The order matters: data read before a mark was heard
// of may lack what the mark's absence promises. All replies that are used were given under one view; another view, a dropped
// partition or a node that fails in between begins the plan anew (read-stream.ts).
import { hasCode, TimbalaError } from '../../base/index.ts';
import type { StepReach } from '../../promql/index.ts';
import type { NodeName, ReadSegment, RecordHash, Scope, Selection } from '../contracts.ts';
import type { Exchange } from '../exchange.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';
import { AloneMemory, mayBeServedAlone, planAlone } from './plan-alone.ts';
import { noReads } from './counters.ts';
import { partitionsIn, type PlanInput, PlanMemory, planRead, type ReadPlan } from './plan.ts';
import { ReadOfPeer } from './read-of-peer.ts';
import {
  attemptsMax,
  ClusterReadStream,
  type PlannedRead,
  PlanStale,
  type ReadHost,
  type ReadStream,
} from './read-stream.ts';
import { ReadServer } from './serve.ts';
import { sharesOf } from './shares.ts';
import { type Excluded, Surveyor } from './survey.ts';

/** Scopes that one read moves to the front. */
const hurriedMax = 16;
/** So many times as long as a frame of it is waited for, a node that failed is not read where others will do. */
const suspicionFactor = 3;

export interface ClusterRead {
  /** What the sources hold of the selection; to be merged by union. */
  readonly frames: readonly { readonly from: NodeName; readonly isShared: boolean; readonly frame: Uint8Array }[];
  /** What could not be reached; empty where the answer is complete. */
  readonly warnings: readonly string[];
}

export interface ReadOptions {
  /** How long it may take, all attempts together. */
  readonly deadlineMs: number;
  /** Whom to read; by default as few as the marks allow. */
  readonly plan?: (input: PlanInput) => ReadPlan;
  /**
   * For what is added up, and so may count nothing twice: steps that read this far. The read then is of the longest stretch that
   * single owners serve, each partition from one node; `open`, or `next`, throws READ_NOT_SHARED where that is not worth it.
   */
  readonly alone?: StepReach | undefined;
}

/** What was worked out of the marks under one view. */
class ViewMemory {
  readonly viewHash: RecordHash;
  readonly plans = new PlanMemory();
  readonly alone = new AloneMemory();
  /** Whether the node owns every partition, as in a cluster of three. */
  ownsAll: boolean | undefined;

  constructor(viewHash: RecordHash) {
    this.viewHash = viewHash;
  }
}

export class Reader {
  readonly counters = noReads();
  readonly #state: NodeState;
  readonly #exchange: Exchange;
  readonly #timing: ClusterTiming;
  readonly #partitionsCount: number;
  readonly #hurry: (scope: Scope) => void;
  readonly #surveyor: Surveyor;
  readonly #suspectUntilMs = new Map<NodeName, number>();
  #remembered = new ViewMemory('');

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
    // It registers itself as who answers.
    void new ReadServer(state, exchange, timing, this.counters, (selection, segments, signal) => {
      const served = this.#unexpired(segments);
      this.#hurryRepair(served);
      return state.store.read(selection, served, signal);
    });
  }

  /** A read whose own share the caller reads itself, from the node's storage. */
  open(selection: Selection, { deadlineMs, alone, plan = this.#planner(selection, alone) }: ReadOptions): ReadStream {
    const host: ReadHost = {
      clock: this.#state.clock,
      plan: (excluded) => this.#plan(selection, excluded, plan),
      noteStale: ({ source }) => {
        this.counters.stale++;
        if (source === undefined) return;
        this.counters.failedSources++;
        const suspicionMs = suspicionFactor * this.#timing.readDeadlineMs;
        this.#suspectUntilMs.set(source, this.#state.clock.monotonicMs() + suspicionMs);
      },
      open: (planned, share, wanted, signal) =>
        new ReadOfPeer(this.#state, this.#exchange, this.#timing, { planned, share, wanted }, signal),
    };
    return new ClusterReadStream(host, deadlineMs);
  }

  /** All of a read, the own share through the store. Errors as ReadStream.next. */
  async read(selection: Selection, plan?: (input: PlanInput) => ReadPlan): Promise<ClusterRead> {
    const { name, store } = this.#state;
    const deadlineMs = attemptsMax * this.#timing.readDeadlineMs;
    const stream = this.open(selection, plan ? { deadlineMs, plan } : { deadlineMs });
    let frames: { from: NodeName; isShared: boolean; frame: Uint8Array }[] = [];
    try {
      for (;;) {
        const event = await stream.next();
        if (event.kind === 'end') return { frames, warnings: event.warnings };
        if (event.kind === 'frame') frames.push(event);
        else {
          frames = [];
          if (event.own.length === 0) continue;
          for await (const frame of store.read(event.selection, event.own))
            frames.push({ from: name, isShared: false, frame });
        }
      }
    } finally {
      stream.cancel();
    }
  }

  /** Throws READ_NOT_MEMBER, PlanStale. */
  async #plan(selection: Selection, excluded: Excluded, plan: (input: PlanInput) => ReadPlan): Promise<PlannedRead> {
    const { self, name, isReady, view, record } = this.#state;
    if (!isReady || (self?.state !== 'active' && self?.state !== 'leaving')) {
      throw new TimbalaError('READ_NOT_MEMBER', `${name} answers no queries now; ask another node`);
    }
    this.counters.plans++;
    const {
      heard,
      warnings: missing,
      maySpare,
    } = await this.#surveyor.survey(selection.fromMs, selection.toMs, excluded);
    this.#demandView(view.hash);
    const planned = plan({
      fromMs: selection.fromMs,
      toMs: selection.toMs,
      partitionsCount: this.#partitionsCount,
      heard: new Map([...heard].map(([member, { marks }]) => [member, marks])),
      owners: (partition) => view.owners(partition),
      token: (member) => view.token(member),
      rank: (member) => (member === name ? 0 : 1),
      maySpare,
      suspects: this.#suspects(),
      unsparable: new Set(record.members.filter(({ alone }) => alone > 0).map((member) => member.name)),
    });
    const { sources, ownerlessCount } = planned;
    const warnings = [...missing];
    if (ownerlessCount > 0 && warnings.length === 0) warnings.push(`${ownerlessCount} partitions without any owner`);
    this.counters.sources += sources.size;
    if (warnings.length > 0) this.counters.warned++;
    const own = this.#unexpired(sources.get(name) ?? []);
    this.#hurryRepair(own);
    const dropsCounts = new Map([...heard].map(([member, { dropsCount }]) => [member, dropsCount]));
    return {
      selection: planned.selection ?? selection,
      own,
      shares: sharesOf(sources, name, own),
      dropsCounts,
      viewHash: view.hash,
      warnings,
      demandUnchanged: () => {
        this.#demandView(view.hash);
        this.#demandKept(own, dropsCounts.get(name) ?? 0);
      },
      counters: this.counters,
    };
  }

  #suspects(): Set<NodeName> {
    const nowMs = this.#state.clock.monotonicMs();
    for (const [name, untilMs] of this.#suspectUntilMs) if (untilMs <= nowMs) this.#suspectUntilMs.delete(name);
    return new Set([...this.#suspectUntilMs.keys()].sort());
  }

  #planner(selection: Selection, alone: StepReach | undefined): (input: PlanInput) => ReadPlan {
    if (!alone) return (input) => planRead(input, this.#memory.plans);
    if (!mayBeServedAlone(alone, this.#state.clock.nowMs()) || this.#ownsAll()) {
      throw new TimbalaError('READ_NOT_SHARED', 'the steps are too new, or all is here');
    }
    this.counters.shared++;
    return (input) => {
      try {
        return planAlone(input, selection, alone, this.#memory.alone);
      } catch (error) {
        this.counters.notShared++;
        throw error;
      }
    };
  }

  #ownsAll(): boolean {
    const memory = this.#memory;
    const { view, name } = this.#state;
    memory.ownsAll ??= !Array.from({ length: this.#partitionsCount }, (_, partition) => view.owners(partition)).some(
      (owners) => !owners.includes(name),
    );
    return memory.ownsAll;
  }

  /** Plans of the current view. */
  get #memory(): ViewMemory {
    const { hash } = this.#state.view;
    if (this.#remembered.viewHash !== hash) this.#remembered = new ViewMemory(hash);
    return this.#remembered;
  }

  #demandView(viewHash: string): void {
    if (this.#state.view.hash !== viewHash) throw new PlanStale();
  }

  #demandKept(segments: readonly ReadSegment[], dropsCount: number): void {
    try {
      for (const { partitions } of segments) this.#state.refuseDropped(partitionsIn(partitions), dropsCount);
    } catch (error) {
      throw hasCode(error, 'PEER_DROPPED') ? new PlanStale() : error;
    }
  }

  /** Without what is past retention. */
  #unexpired(segments: readonly ReadSegment[]): ReadSegment[] {
    const { horizonMs } = this.#state;
    return segments
      .filter(({ toMs }) => toMs >= horizonMs)
      .map((segment) => ({ ...segment, fromMs: Math.max(segment.fromMs, horizonMs) }));
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
}
