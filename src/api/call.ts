// One API call that is answered where queries run, and what answers it: the engine, the storage's reader, and PromQL's
// front end. They are handed in, so that the same handlers answer in a worker, inline, and over a memory storage in tests.
import type { QueryControl, Queryable } from '../promql/index.ts';
import type { PromqlEngine } from '../promql/index.ts';
import type * as PromqlNumbers from '../promql/numbers/index.ts';
import type * as PromqlParse from '../promql/parse/index.ts';
import type { TsdbStatus } from '../storage/index.ts';
import { ApiError, invalidParameter } from './errors.ts';
import type { Parameters } from './parameters.ts';

export type QueryEndpoint =
  | 'query'
  | 'query_range'
  | 'series'
  | 'labels'
  | 'label_values'
  | 'format_query'
  | 'parse_query'
  | 'tsdb';

export interface QueryContext {
  readonly engine: PromqlEngine;
  readonly queryable: Queryable;
  readonly parse: typeof PromqlParse;
  readonly numbers: typeof PromqlNumbers;
  tsdbStatus(rowsMax: number): Promise<TsdbStatus>;
  /** Monotonic, ms: for the timings of `stats`. */
  monotonicMs(): number;
}

export interface ApiCall {
  readonly endpoint: QueryEndpoint;
  readonly parameters: Parameters;
  /** Of label/:name/values, decoded; '' elsewhere. */
  readonly labelName: string;
  /** Wall-clock time at arrival: what a query without a time means. */
  readonly nowMs: number;
  /** How long the call waited in the queue. */
  readonly queuedMs: number;
  /** Limits of this call; `timeoutMs` counts from its arrival, undefined for the server's own limit. */
  control(timeoutMs: number | undefined): QueryControl;
}

/** A query that answers holds everything it says before it says anything. */
export type AnswerChunks = Iterable<Uint8Array<ArrayBuffer>>;

/** `time`, and start and end of queries. */
export function timeParameter(context: QueryContext, call: ApiCall, name: string): number {
  try {
    return context.numbers.parseTimestampMs(call.parameters.get(name));
  } catch (error) {
    throw invalidParameter(name, error);
  }
}

/** As `timeParameter`, `fallbackMs` where it is not set; Prometheus words the error differently there. */
export function optionalTimeParameter(
  context: Pick<QueryContext, 'numbers'>,
  { parameters }: Pick<ApiCall, 'parameters'>,
  name: string,
  fallbackMs: number,
): number {
  const text = parameters.get(name);
  if (text === '') return fallbackMs;
  try {
    return context.numbers.parseTimestampMs(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalidParameter(name, `invalid time value for '${name}': ${reason}`);
  }
}

/**
 * What an answer may lack, as warnings. Throws `unavailable` where the call wants all or nothing (`partial_response=false`) and
 * something may be missing.
 */
export function completeness({ queryable }: QueryContext, { parameters }: ApiCall): readonly string[] {
  const text = parameters.get('partial_response');
  if (!['', 'true', 'false'].includes(text)) {
    throw invalidParameter('partial_response', `cannot parse ${JSON.stringify(text)}: "true" or "false" is expected`);
  }
  const warnings = queryable.warnings?.() ?? [];
  if (text === 'false' && warnings.length > 0) {
    throw new ApiError('unavailable', `READ_INCOMPLETE: ${warnings.join('; ')}`);
  }
  return warnings;
}
