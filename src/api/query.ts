// /api/v1/query and /api/v1/query_range.
import type { QueryResult, QueryValue } from '../promql/index.ts';
import {
  type AnswerChunks,
  type ApiCall,
  completeness,
  optionalTimeParameter,
  type QueryContext,
  timeParameter,
} from './call.ts';
import { ApiError, invalidParameter } from './errors.ts';
import { queryResultJson } from './result-json.ts';

/** Steps of a range query, as in Prometheus: enough for 60 s over a week, or an hour over a year. */
const stepsMax = 11_000;

export const truncatedWarning = 'results truncated due to limit';

export async function answerQuery(context: QueryContext, call: ApiCall): Promise<AnswerChunks> {
  const { parameters } = call;
  const limit = parameters.limit();
  const timeMs = optionalTimeParameter(context, call, 'time', call.nowMs);
  const control = call.control(timeoutParameter(context, call));
  const lookbackDeltaMs = lookbackParameter(context, call);
  const startedMs = context.monotonicMs();
  const query = { text: parameters.get('query'), timeMs, lookbackDeltaMs };
  const result = await context.engine.instantQuery(query, context.queryable, control);
  return answer(context, call, result, limit, startedMs);
}

export async function answerQueryRange(context: QueryContext, call: ApiCall): Promise<AnswerChunks> {
  const { parameters } = call;
  const limit = parameters.limit();
  const startMs = timeParameter(context, call, 'start');
  const endMs = timeParameter(context, call, 'end');
  if (endMs < startMs) throw invalidParameter('end', 'end timestamp must not be before start time');
  const stepMs = durationParameter(context, call, 'step');
  if (stepMs <= 0) {
    const reason = 'zero or negative query resolution step widths are not accepted. Try a positive integer';
    throw invalidParameter('step', reason);
  }
  if ((endMs - startMs) / stepMs > stepsMax) {
    const reason = 'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution';
    throw new ApiError('bad_data', `${reason} (?step=XX)`);
  }
  const control = call.control(timeoutParameter(context, call));
  const lookbackDeltaMs = lookbackParameter(context, call);
  const startedMs = context.monotonicMs();
  const query = { text: parameters.get('query'), startMs, endMs, stepMs, lookbackDeltaMs };
  const result = await context.engine.rangeQuery(query, context.queryable, control);
  return answer(context, call, result, limit, startedMs);
}

function answer(
  context: QueryContext,
  call: ApiCall,
  result: QueryResult,
  limit: number | undefined,
  startedMs: number,
): AnswerChunks {
  const stats = call.parameters.get('stats');
  const warnings = [...completeness(context, call), ...result.warnings];
  if (stats !== '' && stats !== 'true' && stats !== 'all') {
    const what = `value ${JSON.stringify(stats)} for parameter "stats" is deprecated`;
    warnings.push(`${what} and will be rejected in the next major release, use "true" or "all"`);
  }
  const value = limit === undefined ? result.value : truncated(result.value, limit);
  if (value !== result.value) warnings.push(truncatedWarning);
  const statsJson = stats === '' ? '' : statsText(result, call.queuedMs, context.monotonicMs() - startedMs);
  return queryResultJson(value, { statsJson, warnings, infos: result.infos }, context.numbers);
}

/** The first `limit` series; the same object where no more are there. */
function truncated(value: QueryValue, limit: number): QueryValue {
  if (value.kind === 'matrix' && value.series.length > limit) {
    return { kind: 'matrix', series: value.series.slice(0, limit) };
  }
  if (value.kind === 'vector' && value.labels.length > limit) {
    return { ...value, labels: value.labels.slice(0, limit), values: value.values.subarray(0, limit) };
  }
  return value;
}

/** Prometheus's fields; evaluation is not timed in parts, so the parts that it names are 0. */
function statsText({ stats }: QueryResult, queuedMs: number, evaluationMs: number): string {
  return JSON.stringify({
    timings: {
      evalTotalTime: evaluationMs / 1000,
      resultSortTime: 0,
      queryPreparationTime: 0,
      innerEvalTime: evaluationMs / 1000,
      execQueueTime: queuedMs / 1000,
      execTotalTime: (queuedMs + evaluationMs) / 1000,
    },
    samples: {
      totalQueryableSamples: stats.samplesLoadedCount,
      samplesRead: stats.samplesLoadedCount,
      seriesTouched: stats.seriesLoadedCount,
      peakSamples: stats.samplesLoadedCount + stats.samplesReturnedCount,
    },
  });
}

function durationParameter(context: QueryContext, call: ApiCall, name: string): number {
  try {
    return context.numbers.parseDurationParameter(call.parameters.get(name));
  } catch (error) {
    throw invalidParameter(name, error);
  }
}

function timeoutParameter(context: QueryContext, call: ApiCall): number | undefined {
  const text = call.parameters.get('timeout');
  if (text === '') return undefined;
  const timeoutMs = durationParameter(context, call, 'timeout');
  // Less than a millisecond is a time, too.
  if (timeoutMs <= 0 && !(Number(text) > 0)) {
    throw invalidParameter('timeout', `timeout must be positive, got ${context.numbers.formatDuration(timeoutMs)}`);
  }
  return timeoutMs;
}

/** Undefined: the engine's own; so are values that are not positive. */
function lookbackParameter(context: QueryContext, call: ApiCall): number | undefined {
  const text = call.parameters.get('lookback_delta');
  if (text === '') return undefined;
  try {
    const lookbackMs = context.numbers.parseDurationParameter(text);
    return lookbackMs > 0 ? lookbackMs : undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ApiError('bad_data', `error parsing lookback delta duration: ${reason}`, { cause: error });
  }
}
