// /api/v1/format_query and /api/v1/parse_query, and /api/v1/status/tsdb: small answers that are made where queries run.
import type { CardinalityRow } from '../storage/index.ts';
import type { AnswerChunks, ApiCall, QueryContext } from './call.ts';
import { ApiError } from './errors.ts';
import { JsonWriter } from './json-writer.ts';

export function answerFormatQuery({ parse }: QueryContext, { parameters }: ApiCall): AnswerChunks {
  return dataJson(parse.formatExpression(parse.parseExpression(parameters.get('query'))));
}

export function answerParseQuery({ parse }: QueryContext, { parameters }: ApiCall): AnswerChunks {
  return dataJson(parse.toParseQueryJson(parse.parseExpression(parameters.get('query'))));
}

const tsdbRowsDefault = 10;
const tsdbRowsMax = 10_000;

export async function answerTsdb(context: QueryContext, { parameters }: ApiCall): Promise<AnswerChunks> {
  const errorText = 'limit must be a positive number';
  const rowsCount = parameters.integer('limit', tsdbRowsDefault, errorText);
  if (rowsCount < 1) throw new ApiError('bad_data', errorText);
  if (rowsCount > tsdbRowsMax) throw new ApiError('bad_data', `limit must not exceed ${tsdbRowsMax}`);
  const status = await context.tsdbStatus(rowsCount);
  const rows = (list: readonly CardinalityRow[]): readonly CardinalityRow[] => list.slice(0, rowsCount);
  return dataJson({
    headStats: {
      numSeries: status.seriesCount,
      numLabelPairs: status.labelPairsCount,
      // Chunks are no unit here; the field is kept for programs that insist on it.
      chunkCount: status.seriesCount,
      minTime: status.minMs ?? 0,
      maxTime: status.maxMs ?? 0,
    },
    seriesCountByMetricName: rows(status.seriesCountByMetricName),
    labelValueCountByLabelName: rows(status.labelValueCountByLabelName),
    memoryInBytesByLabelName: rows(status.memoryBytesByLabelName),
    seriesCountByLabelValuePair: rows(status.seriesCountByLabelPair),
  });
}

function dataJson(data: unknown): AnswerChunks {
  const writer = new JsonWriter();
  writer.text(JSON.stringify({ status: 'success', data }));
  return [writer.finish()];
}
