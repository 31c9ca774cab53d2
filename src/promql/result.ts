// What a query answers: columns, complete before the first byte is sent (an error can't follow a 200), to be formatted series
// by series. The arrays belong to the caller; nothing of the engine refers to them afterwards. Arrays of timestamps may be
// shared between series: compare them by identity to format them once, and don't write to them.
import type { Labels } from '../model/index.ts';

export interface ScalarResult {
  readonly kind: 'scalar';
  readonly timeMs: number;
  readonly value: number;
}

export interface StringResult {
  readonly kind: 'string';
  readonly timeMs: number;
  readonly value: string;
}

/** Series in the order of the query (`sort`, `topk`); every sample lies at `timeMs`. */
export interface VectorResult {
  readonly kind: 'vector';
  readonly timeMs: number;
  readonly labels: readonly Labels[];
  readonly values: Float64Array;
}

/** A range query, or an instant query for a range vector (`x[5m]`). Series are sorted by labels and have samples. */
export interface MatrixResult {
  readonly kind: 'matrix';
  readonly series: readonly MatrixSeries[];
}

export interface MatrixSeries {
  readonly labels: Labels;
  /** Ascending; one for each value. Series with points at the same steps, without a gap between, share one array. */
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
}

export type QueryValue = ScalarResult | StringResult | VectorResult | MatrixResult;

export interface QueryStats {
  /** Samples handed over by the storage, stale markers included. */
  samplesLoadedCount: number;
  /** Series handed over by the storage, once for every selector. */
  seriesLoadedCount: number;
  /** Points in the result. */
  samplesReturnedCount: number;
}

export interface QueryResult {
  readonly value: QueryValue;
  /** Texts as Prometheus gives them, with the position in the query; deduplicated. */
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  readonly stats: Readonly<QueryStats>;
}
