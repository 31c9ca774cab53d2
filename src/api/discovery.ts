// What there is to query: /api/v1/series, /api/v1/labels, /api/v1/label/:name/values.
import { errorMessage } from '../base/index.ts';
import type { Matcher } from '../model/index.ts';
import type { LabelRequest } from '../promql/index.ts';
import { type AnswerChunks, type ApiCall, completeness, optionalTimeParameter, type QueryContext } from './call.ts';
import { ApiError, invalidParameter } from './errors.ts';
import { JsonWriter, labelsJson } from './json-writer.ts';
import type { Parameters } from './parameters.ts';
import { truncatedWarning } from './query.ts';
import { annotationsJson } from './result-json.ts';

export async function answerSeries(context: QueryContext, call: ApiCall): Promise<AnswerChunks> {
  if (call.parameters.all('match[]').length === 0) throw new ApiError('bad_data', 'no match[] parameter provided');
  const limit = call.parameters.limit();
  const request = labelRequest(context, call, limit, (reason) => invalidParameter('match[]', reason));
  const series = await context.queryable.series(request, call.control(undefined));
  return listJson(series, limit, completeness(context, call), (labels) => labelsJson(labels.pairs));
}

export async function answerLabels(context: QueryContext, call: ApiCall): Promise<AnswerChunks> {
  const limit = call.parameters.limit();
  const request = labelRequest(context, call, limit, withoutParameterName);
  const names = await context.queryable.labelNames(request, call.control(undefined));
  return listJson(names, limit, completeness(context, call), (name) => JSON.stringify(name));
}

export async function answerLabelValues(context: QueryContext, call: ApiCall): Promise<AnswerChunks> {
  const name = unescapeName(call.labelName);
  if (name === '' || !name.isWellFormed()) {
    throw new ApiError('bad_data', `invalid label name: ${JSON.stringify(name)}`);
  }
  const limit = call.parameters.limit();
  const request = labelRequest(context, call, limit, withoutParameterName);
  const values = await context.queryable.labelValues(name, request, call.control(undefined));
  return listJson(values, limit, completeness(context, call), (value) => JSON.stringify(value));
}

type SelectorError = (reason: unknown) => ApiError;

/** Prometheus names the parameter where series are asked for, and not where labels are. */
const withoutParameterName: SelectorError = (reason) =>
  new ApiError('bad_data', errorMessage(reason).replace(/^PROMQL_\w+: /, ''));

function labelRequest(
  context: QueryContext,
  call: ApiCall,
  limit: number | undefined,
  selectorError: SelectorError,
): LabelRequest {
  const startMs = optionalTimeParameter(context, call, 'start', Number.MIN_SAFE_INTEGER);
  const endMs = optionalTimeParameter(context, call, 'end', Number.MAX_SAFE_INTEGER);
  const selectors = selectorsParameter(context.parse, call.parameters, selectorError);
  // One more tells whether the limit cuts.
  return { selectors, startMs, endMs, limit: limit === undefined ? undefined : limit + 1 };
}

/** What `match[]` says, each a list of matchers that must all hold. */
export function selectorsParameter(
  parse: QueryContext['parse'],
  parameters: Parameters,
  selectorError: SelectorError,
): (readonly Matcher[])[] {
  const selectors = parameters.all('match[]').map((text) => {
    try {
      return parse.parseSelector(text);
    } catch (error) {
      throw selectorError(error);
    }
  });
  // A selector that every series matches is most often a mistake, and a costly one; Prometheus refuses it here.
  const isEmpty = (matchers: readonly Matcher[]): boolean => matchers.every((matcher) => matcher.matchesEmpty);
  if (selectors.some(isEmpty)) throw selectorError('match[] must contain at least one non-empty matcher');
  return selectors;
}

/**
 * Undoes the escaping of names that are no legacy names in URLs: `U__`, then `__` for an underscore and `_2e_` for a
 * character by its hexadecimal code. A name that is not escaped so means itself.
 */
export function unescapeName(escaped: string): string {
  if (!escaped.startsWith('U__')) return escaped;
  const body = escaped.slice(3);
  if (!/^(?:[^_]|__|_[0-9a-fA-F]{1,6}_)*$/u.test(body)) return escaped;
  let isValid = true;
  const name = body.replace(/_([0-9a-fA-F]*)_/g, (_all, hex: string) => {
    if (hex === '') return '_';
    const code = Number.parseInt(hex, 16);
    isValid &&= code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    return isValid ? String.fromCodePoint(code) : '';
  });
  return isValid ? name : escaped;
}

function* listJson<Item>(
  items: readonly Item[],
  limit: number | undefined,
  warnings: readonly string[],
  itemJson: (item: Item) => string,
): AnswerChunks & Generator<Uint8Array<ArrayBuffer>> {
  const writer = new JsonWriter();
  writer.text('{"status":"success","data":[');
  const count = Math.min(items.length, limit ?? Infinity);
  for (let i = 0; i < count; i++) {
    if (i > 0) writer.text(',');
    writer.text(itemJson(items[i] as Item));
    if (writer.isFull) yield writer.take();
  }
  writer.text(`]${annotationsJson(count < items.length ? [...warnings, truncatedWarning] : warnings, [])}}`);
  yield writer.finish();
}
