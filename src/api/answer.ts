// Answers one API call where queries run: from its endpoint and parameters to a status and chunks of JSON. Never throws.
import type { AnswerChunks, ApiCall, QueryContext, QueryEndpoint } from './call.ts';
import { answerLabels, answerLabelValues, answerSeries } from './discovery.ts';
import { type ApiError, errorBody, toApiError } from './errors.ts';
import { answerFormatQuery, answerParseQuery, answerTsdb } from './expressions.ts';
import { JsonWriter } from './json-writer.ts';
import { answerQuery, answerQueryRange } from './query.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly chunks: AnswerChunks;
  /** What went wrong, for the log and the metrics. */
  readonly error: ApiError | undefined;
}

type Answerer = (context: QueryContext, call: ApiCall) => AnswerChunks | Promise<AnswerChunks>;

const answerers: Readonly<Record<QueryEndpoint, Answerer>> = {
  query: answerQuery,
  query_range: answerQueryRange,
  series: answerSeries,
  labels: answerLabels,
  label_values: answerLabelValues,
  format_query: answerFormatQuery,
  parse_query: answerParseQuery,
  tsdb: answerTsdb,
};

export async function answerCall(context: QueryContext, call: ApiCall): Promise<ApiAnswer> {
  try {
    return { status: 200, chunks: await answerers[call.endpoint](context, call), error: undefined };
  } catch (thrown) {
    const error = toApiError(thrown);
    const writer = new JsonWriter();
    writer.text(errorBody(error));
    return { status: error.status, chunks: [writer.finish()], error };
  }
}
