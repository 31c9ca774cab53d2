// /api/v1/admin/tsdb/delete_series, as in Prometheus. What is deleted stays deleted: samples of matching series in the range are
// refused, or hidden, also when they come later.
import type { Matcher } from '../model/index.ts';
import type { HttpHandler } from '../ports/index.ts';
import { optionalTimeParameter, type QueryContext } from './call.ts';
import { selectorsParameter } from './discovery.ts';
import { ApiError, errorAnswer, invalidParameter, toApiError } from './errors.ts';
import { readParameters } from './parameters.ts';

export interface DeleteSeriesDependencies {
  /** PromQL's front end, loaded when it is first needed. */
  frontEnd(): Promise<Pick<QueryContext, 'parse' | 'numbers'>>;
  /** Resolves when the delete is durable. A series is deleted that all matchers of one selector match. */
  deleteSeries(selectors: readonly (readonly Matcher[])[], startMs: number, endMs: number): Promise<void>;
  nowMs(): number;
}

export function deleteSeriesHandler({ frontEnd, deleteSeries, nowMs }: DeleteSeriesDependencies): HttpHandler {
  return async (request) => {
    try {
      const parameters = await readParameters(request);
      if (parameters.all('match[]').length === 0) throw new ApiError('bad_data', 'no match[] parameter provided');
      const { parse, numbers } = await frontEnd();
      const startMs = optionalTimeParameter({ numbers }, { parameters }, 'start', Number.MIN_SAFE_INTEGER);
      const endMs = optionalTimeParameter({ numbers }, { parameters }, 'end', Number.MAX_SAFE_INTEGER);
      const selectors = selectorsParameter(parse, parameters, (reason) => invalidParameter('match[]', reason));
      // What is to come is not deleted: a range without an end means everything until now.
      const untilMs = Math.min(endMs, nowMs());
      if (startMs <= untilMs) await deleteSeries(selectors, startMs, untilMs);
      return { status: 204, headers: {} };
    } catch (error) {
      return errorAnswer(toApiError(error));
    }
  };
}
