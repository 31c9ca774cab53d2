// One read of the cluster as a stream of events, drawn by whoever asked: it holds one frame of each source at most, so a slow
// reader slows its sources down. Whatever changes in between (the view, a drop, a node that fails) begins a new attempt.
import { TimbalaError } from '../../base/index.ts';
import type { Clock, Timer } from '../../ports/index.ts';
import type { NodeName, ReadSegment, RecordHash, Selection } from '../contracts.ts';
import type { ReadCounters } from './counters.ts';
import type { Share } from './shares.ts';
import type { Excluded } from './survey.ts';

/**
 * - `plan`: an attempt begins; forget what came before. `own` is the asking node's share of `selection` (whose range may be
 *   narrower than asked for): read it from its own storage *before* asking for the next event, because `end` vouches for it.
 *   `shared` is what others are read for although it is in `own`.
 * - `frame`: a piece of what a node holds; those of one share of one node come in order. To be merged by union.
 * - `end`: the answer is complete but for what `warnings` say.
 */
export type ReadEvent =
  | {
      readonly kind: 'plan';
      readonly selection: Selection;
      readonly own: readonly ReadSegment[];
      /** Whose frames follow. */
      readonly others: readonly NodeName[];
      readonly shared: readonly Share[];
    }
  | { readonly kind: 'frame'; readonly from: NodeName; readonly isShared: boolean; readonly frame: Uint8Array }
  | { readonly kind: 'end'; readonly warnings: readonly string[] };

export interface ReadStream {
  /**
   * One call at a time. Throws READ_UNSETTLED where the cluster changes faster than plans are made, READ_NOT_MEMBER on a node
   * that answers no queries now, READ_TOO_LARGE, QUERY_TIMEOUT, QUERY_CANCELLED.
   *
   * `wantedOfShared`, after a plan: by node, what it is to be asked for its shared part instead of what the selection wants: the
   * reader knows by then what it has itself.
   */
  next(wantedOfShared?: WantedOfShared): Promise<ReadEvent>;
  /** Gives up what is under way here and at the sources. Does nothing after the end. */
  cancel(): void;
}

export type WantedOfShared = ReadonlyMap<NodeName, Uint8Array>;

/** Thrown within: the plan is to be made anew, without `source` where it is named. */
export class PlanStale extends Error {
  readonly source: NodeName | undefined;
  readonly reason: string;

  constructor(source?: NodeName, reason = '') {
    super(reason);
    this.source = source;
    this.reason = reason;
  }
}

export interface PlannedRead {
  /** Its range is within that of the selection that was asked for. */
  readonly selection: Selection;
  readonly own: readonly ReadSegment[];
  readonly shares: readonly Share[];
  /** What each node's count of drops was when it told of its marks. */
  readonly dropsCounts: ReadonlyMap<NodeName, number>;
  readonly viewHash: RecordHash;
  readonly warnings: readonly string[];
  readonly counters: ReadCounters;
  /** Throws PlanStale where the own share, or what was planned from, may have changed since. */
  demandUnchanged(): void;
}

export interface RemoteRead {
  /** Undefined at the end. Throws PlanStale. */
  next(): Promise<Uint8Array | undefined>;
  close(): void;
}

export interface ReadHost {
  readonly clock: Clock;
  /** Throws PlanStale. */
  plan(excluded: Excluded): Promise<PlannedRead>;
  open(planned: PlannedRead, share: Share, wanted: Uint8Array, signal: AbortSignal): RemoteRead;
  noteStale(stale: PlanStale): void;
}

export const attemptsMax = 8;

interface Offered {
  readonly event: ReadEvent;
  readonly taken: () => void;
}

export class ClusterReadStream implements ReadStream {
  readonly #host: ReadHost;
  readonly #abort = new AbortController();
  readonly #timer: Timer;
  #offered: Offered[] = [];
  /** Whoever waits for an event, and what waits for somebody to wait. */
  #waiting: { resolve(event: ReadEvent): void; reject(error: unknown): void } | undefined;
  #whenAsked: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** The event taken last was a plan. */
  #isPlanTaken = false;
  /** Told what the request after the plan of this attempt says. */
  #afterPlan: ((wanted: WantedOfShared | undefined) => void) | undefined;
  #hasBegun = false;

  constructor(host: ReadHost, deadlineMs: number) {
    this.#host = host;
    this.#timer = host.clock.setTimer(deadlineMs, () =>
      this.#fail(new TimbalaError('QUERY_TIMEOUT', 'query timed out while nodes were read')),
    );
  }

  next(wantedOfShared?: WantedOfShared): Promise<ReadEvent> {
    if (this.#isPlanTaken) this.#afterPlan?.(wantedOfShared);
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.#run().catch((error: unknown) => this.#fail(error));
    }
    const offered = this.#offered.shift();
    if (offered) {
      offered.taken();
      this.#isPlanTaken = offered.event.kind === 'plan';
      return Promise.resolve(offered.event);
    }
    if (this.#failure) return Promise.reject(this.#failure.error);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#whenAsked?.();
    });
  }

  cancel(): void {
    this.#fail(new TimbalaError('QUERY_CANCELLED', 'query was canceled while nodes were read'));
  }

  #fail(error: unknown): void {
    if (this.#failure) return;
    this.#failure = { error };
    this.#timer.cancel();
    this.#abort.abort();
    this.#forget();
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  /** Resolves when the event was taken, or will not be. */
  #offer(event: ReadEvent): Promise<void> {
    if (this.#failure) return Promise.resolve();
    if (this.#waiting) {
      this.#waiting.resolve(event);
      this.#waiting = undefined;
      this.#isPlanTaken = event.kind === 'plan';
      return Promise.resolve();
    }
    return new Promise((taken) => this.#offered.push({ event, taken }));
  }

  #forget(): void {
    for (const { taken } of this.#offered) taken();
    this.#offered = [];
    this.#whenAsked?.();
  }

  /** Resolves when all that was offered was taken and more is asked for. */
  async #drained(): Promise<void> {
    if (this.#waiting || this.#failure) return;
    await new Promise<void>((resolve) => (this.#whenAsked = resolve));
    this.#whenAsked = undefined;
  }

  async #run(): Promise<void> {
    const excluded = new Map<NodeName, string>();
    const forgiven = new Set<NodeName>();
    for (let attempt = 0; attempt < attemptsMax && !this.#failure; attempt++) {
      try {
        const planned = await this.#host.plan(excluded);
        // Connections end after a cut, or where a peer was silent: before an answer is given up, those are asked on new ones.
        const failedOnce =
          planned.warnings.length === 0 ? [] : [...excluded.keys()].filter((name) => !forgiven.has(name));
        if (failedOnce.length === 0) {
          await this.#attempt(planned);
          return;
        }
        for (const name of failedOnce) {
          forgiven.add(name);
          excluded.delete(name);
        }
      } catch (error) {
        if (!(error instanceof PlanStale)) throw error;
        // Nobody wants it any more: nothing was wrong with the plan.
        if (this.#failure) return;
        this.#host.noteStale(error);
        if (error.source !== undefined) excluded.set(error.source, error.reason);
        this.#forget();
      }
    }
    throw new TimbalaError('READ_UNSETTLED', `the cluster changed during each of ${attemptsMax} attempts; ask again`);
  }

  async #attempt(planned: PlannedRead): Promise<void> {
    if (this.#failure) return;
    const abort = new AbortController();
    const signal = AbortSignal.any([this.#abort.signal, abort.signal]);
    const { selection, own, shares } = planned;
    const others = [...new Set(shares.map(({ from }) => from))];
    const shared = shares.filter(({ isShared }) => isShared);
    // What comes with a request that follows an earlier plan is not meant.
    this.#isPlanTaken = false;
    const wanted = new Promise<WantedOfShared | undefined>((resolve) => (this.#afterPlan = resolve));
    const told = this.#offer({ kind: 'plan', selection, own, others, shared });
    const reads = shares.map(async (share) => {
      const wantedHere = share.isShared ? (await wanted)?.get(share.from) : undefined;
      if (!signal.aborted) await this.#forward(planned, share, wantedHere ?? selection.wanted, signal);
    });
    try {
      await Promise.all([told, ...reads]);
    } finally {
      // Those that are still reading, where one has failed.
      abort.abort();
    }
    await this.#drained();
    if (this.#failure) return;
    planned.demandUnchanged();
    this.#timer.cancel();
    await this.#offer({ kind: 'end', warnings: planned.warnings });
  }

  /** Offers what one node holds of its share, frame by frame. */
  async #forward(planned: PlannedRead, share: Share, wanted: Uint8Array, signal: AbortSignal): Promise<void> {
    const { from, isShared } = share;
    const source = this.#host.open(planned, share, wanted, signal);
    try {
      for (;;) {
        const frame = await source.next();
        if (!frame || signal.aborted) return;
        if (frame.length > 0) await this.#offer({ kind: 'frame', from, isShared, frame });
        if (signal.aborted) return;
      }
    } finally {
      source.close();
    }
  }
}
