// The PromQL engine: text → typed tree → plan → operators → result. It holds no state between queries, so one engine serves
// any number of them. Everything asynchronous happens in one `Queryable.select` before evaluation; evaluation itself is
// synchronous and asks `QueryControl` for leave at every series.
import { TimbalaError } from '../base/index.ts';
import type { QueryControl, Queryable } from './queryable.ts';
import type { QueryResult } from './result.ts';

export interface EngineOptions {
  /** How far an instant vector looks back for a sample; default 5 minutes. */
  readonly lookbackDeltaMs?: number;
  /** The step of subqueries that name none (`[1h:]`); Prometheus's evaluation interval, default 1 minute. */
  readonly subqueryStepMs?: number;
  /** Prometheus's feature flag promql-delayed-name-removal; off by default there and here. */
  readonly delayedNameRemoval?: boolean;
}

export interface InstantQuery {
  readonly text: string;
  readonly timeMs: number;
  readonly lookbackDeltaMs?: number | undefined;
}

export interface RangeQuery {
  readonly text: string;
  readonly startMs: number;
  /** Inclusive. */
  readonly endMs: number;
  readonly stepMs: number;
  readonly lookbackDeltaMs?: number | undefined;
}

export class PromqlEngine {
  readonly options: EngineOptions;

  constructor(options: EngineOptions = {}) {
    this.options = options;
  }

  /**
   * Answers at one time. Throws PROMQL_PARSE (bad_data), PROMQL_NOT_SUPPORTED and PROMQL_EXECUTION (execution), and what
   * `control` and the storage throw; the message after the code and colon is Prometheus's.
   */
  async instantQuery(query: InstantQuery, _queryable: Queryable, _control: QueryControl): Promise<QueryResult> {
    throw new TimbalaError('PROMQL_NOT_SUPPORTED', `${query.text}: evaluation is not built yet`);
  }

  /** Answers at startMs, startMs + stepMs, … up to endMs. Errors as in `instantQuery`. */
  async rangeQuery(query: RangeQuery, _queryable: Queryable, _control: QueryControl): Promise<QueryResult> {
    throw new TimbalaError('PROMQL_NOT_SUPPORTED', `${query.text}: evaluation is not built yet`);
  }
}
