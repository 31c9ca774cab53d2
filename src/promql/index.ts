export { type EngineOptions, type InstantQuery, PromqlEngine, type RangeQuery } from './engine.ts';
export { evaluateFragment } from './fragments/evaluate-fragment.ts';
export { fragmentRequestKind } from './fragments/fragment-request.ts';
export { CountedControl, LimitedQueryControl, type QueryLimits } from './query-control.ts';
export type {
  FragmentAnswer,
  FragmentRequest,
  LabelRequest,
  Queryable,
  QueryControl,
  SelectedSeries,
  Selection,
  SelectRequest,
  StepReach,
} from './queryable.ts';
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
