// The tokens of PromQL, and how error messages name them. A keyword's kind is its lower-case text; keywords lose their
// meaning inside braces and where the grammar asks for a name.
import { quoteText } from './quote.ts';

const aggregatorWords =
  'sum avg count min max group stddev stdvar topk bottomk count_values quantile limitk limit_ratio'.split(' ');
const modifierWords =
  'offset smoothed anchored by without on ignoring group_left group_right fill fill_left fill_right bool'.split(' ');
const operatorWords = 'and or unless atan2'.split(' ');
const preprocessorWords = 'start end step range max_of min_of'.split(' ');
const operatorSymbols = '+ - * / % ^ == != <= < >= > </ >/ =~ !~ @'.split(' ');

/** Operators that aggregate over series. */
export const aggregators: ReadonlySet<string> = new Set(aggregatorWords);
/** Words that change the meaning of what they stand by. */
const modifiers: ReadonlySet<string> = new Set(modifierWords);
const operators: ReadonlySet<string> = new Set([...operatorSymbols, ...operatorWords]);
/** Keywords that are functions where a parenthesis follows. */
export const preprocessors: ReadonlySet<string> = new Set(preprocessorWords);

export const keywords: ReadonlySet<string> = new Set([
  ...aggregatorWords,
  ...modifierWords,
  ...operatorWords,
  ...preprocessorWords,
]);

const notMetricNames = new Set(['atan2', 'bool', 'group_left', 'group_right', 'ignoring', 'on']);
/** Kinds of tokens that may stand for a metric name. */
export const metricNameKinds: ReadonlySet<string> = new Set([
  'identifier',
  'metric-identifier',
  ...[...keywords].filter((word) => !notMetricNames.has(word)),
]);
/** Kinds of tokens that may stand for a label name in by (…), on (…), group_left (…) and their like. */
export const labelNameKinds: ReadonlySet<string> = new Set([
  'identifier',
  'metric-identifier',
  ...[...keywords].filter((word) => word !== 'without'),
]);

/**
 * `kind`: 'end-of-input', 'number', 'duration', 'string', 'identifier' (no colon inside), 'metric-identifier' (with a colon), or the
 * lower-case text of a keyword, operator or bracket.
 */
export interface Token {
  readonly kind: string;
  /** As written, quotes of strings included. */
  readonly text: string;
  /** UTF-16 offset into the query. */
  readonly start: number;
  readonly end: number;
}

/** How an error message calls a token, in Prometheus's words. */
export function describeToken({ kind, text }: Token): string {
  switch (kind) {
    case 'end-of-input':
      return 'end of input';
    case 'identifier':
      return `identifier ${quoteText(text)}`;
    case 'metric-identifier':
      return `metric identifier ${quoteText(text)}`;
    case 'string':
    case 'number':
    case 'duration':
      return `${kind} ${quoteShort(text)}`;
  }
  if (modifiers.has(kind)) return `<${text}>`;
  if (operators.has(kind)) return `<op:${text}>`;
  if (aggregators.has(kind)) return `<aggr:${text}>`;
  return quoteShort(text);
}

function quoteShort(text: string): string {
  // Prometheus counts bytes to decide, and characters to cut.
  const isLong = text.length > 10 || Buffer.byteLength(text) > 10;
  return isLong ? `${quoteText([...text].slice(0, 10).join(''))}...` : quoteText(text);
}
