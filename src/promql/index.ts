export { type EngineOptions, type InstantQuery, PromqlEngine, type RangeQuery } from './engine.ts';
export { LimitedQueryControl, type QueryLimits } from './query-control.ts';
export type { LabelRequest, Queryable, QueryControl, SelectedSeries, Selection, SelectRequest } from './queryable.ts';
export type {
  MatrixResult,
  MatrixSeries,
  QueryResult,
  QueryStats,
  QueryValue,
  ScalarResult,
  StringResult,
  VectorResult,
} from './result.ts';
