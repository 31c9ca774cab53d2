// What PromQL needs of a storage: a Queryable. The engine knows nothing else of where samples come from, so that the same
// engine answers from a node's own parts and head, from a test's memory, and from other nodes.
import type { Labels, Matcher, SampleBuffer } from '../model/index.ts';

export interface SelectRequest {
  readonly matchers: readonly Matcher[];
  /** Inclusive on both sides, ms. */
  readonly startMs: number;
  readonly endMs: number;
}

/** One series that matches. Valid until the query ends. */
export interface SelectedSeries {
  readonly labels: Labels;
  /**
   * Replaces what `into` holds by the series' samples within the request's range: in time order, one per timestamp, stale
   * markers included. Synchronous, so that an evaluation never waits half-way. May throw QUERY_CANCELLED, PART_CORRUPT.
   */
  read(into: SampleBuffer): void;
}

export interface Selection {
  /** Sorted by `Labels.compare`, no two equal. Series without a sample in the range may be included. */
  readonly series: readonly SelectedSeries[];
}

/** Limits and cancellation of one query, checked wherever work is done. */
export interface QueryControl {
  /** Throws QUERY_CANCELLED or QUERY_TIMEOUT where the query should stop. Cheap enough for every batch. */
  check(): void;
  /** Counts samples loaded into the query; throws QUERY_TOO_MANY_SAMPLES over the limit. */
  addSamples(count: number): void;
  /** Takes (or, negative, gives back) memory for intermediate results; throws QUERY_TOO_MUCH_MEMORY over the limit. */
  addBytes(count: number): void;
  /** How long the query may still take: a deadline for who waits for others. Undefined: no limit. */
  remainingMs?(): number;
}

export interface LabelRequest {
  /** Each a list of matchers that must all hold; a series counts where any list does. Empty: every series. */
  readonly selectors: readonly (readonly Matcher[])[];
  readonly startMs: number;
  readonly endMs: number;
  /** Only so many are needed, the first ones; more may be answered. Undefined: all. */
  readonly limit?: number | undefined;
}

/** Evenly spaced steps, and how far from its own time each of them reads samples. */
export interface StepReach {
  readonly startMs: number;
  readonly stepMs: number;
  readonly stepsCount: number;
  /** The step at t reads from t − beforeMs to t + afterMs, inclusive; either may be negative (`offset`). */
  readonly beforeMs: number;
  readonly afterMs: number;
}

/** An aggregation that can be evaluated where the series lie, each node aggregating its share of them. */
export interface FragmentRequest {
  /** For `evaluateFragment` at the other end; opaque in between. */
  readonly encoded: Uint8Array;
  readonly reach: StepReach;
}

/** Every matching series was aggregated in exactly one of the frames, with all its samples from fromMs to toMs. */
export interface FragmentAnswer {
  /** The steps whose whole reach lies in this range were evaluated. */
  readonly fromMs: number;
  readonly toMs: number;
  /** What `evaluateFragment` gave, one from each node. */
  readonly frames: readonly Uint8Array[];
}

export interface Queryable {
  /** One selection per request, in their order. Everything asynchronous happens here. */
  select(requests: readonly SelectRequest[], control: QueryControl): Promise<Selection[]>;
  /**
   * Where other nodes hold the series: asks them to aggregate. Undefined: not worth it, or not possible now; then, and for the
   * steps that the answer leaves out, the engine selects samples. Must not throw for what may be mended by that.
   */
  fragments?(request: FragmentRequest, control: QueryControl): Promise<FragmentAnswer | undefined>;
  /** Label sets of matching series that may have a sample in the range, sorted. */
  series(request: LabelRequest, control: QueryControl): Promise<Labels[]>;
  /** Sorted by UTF-8 bytes. */
  labelNames(request: LabelRequest, control: QueryControl): Promise<string[]>;
  /** Sorted by UTF-8 bytes. */
  labelValues(name: string, request: LabelRequest, control: QueryControl): Promise<string[]>;
  /** What the answers given so far may lack, and why; asked when the query has ended. Left out where nothing can be lacking. */
  warnings?(): readonly string[];
}
