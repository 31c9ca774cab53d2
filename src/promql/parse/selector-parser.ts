// Selectors (`name{label="value"}`), label sets and lists of label names.
import { hasCode } from '../../base/index.ts';
import { Labels, Matcher, metricNameLabel, nameMatcher } from '../../model/index.ts';
import type { VectorSelector } from './ast.ts';
import { quoteText, unquoteText } from './quote.ts';
import type { TokenStream } from './token-stream.ts';
import { labelNameKinds, metricNameKinds, type Token } from './tokens.ts';

const matchOperators = new Map([
  ['=', '='],
  ['!=', '!='],
  ['=~', '=~'],
  ['!~', '!~'],
] as const);

/** A selector of an instant vector, whose name may have been taken already; its modifiers follow outside. */
export function parseVectorSelector(tokens: TokenStream, taken?: Token): VectorSelector {
  const nameToken = taken ?? (metricNameKinds.has(tokens.peek().kind) ? tokens.take() : undefined);
  const { start } = nameToken ?? tokens.peek();
  const name = nameToken?.text ?? '';
  const matchers: Matcher[] = [];
  let end = nameToken?.end ?? start;
  if (tokens.peek().kind === '{')
    end = parseBraces(tokens, 'label matching', () => matchers.push(parseMatcher(tokens)));
  else if (!nameToken) throw tokens.unexpected();
  if (nameToken) matchers.push(nameMatcher(name));
  const position = { start, end };
  return { kind: 'vector-selector', name, matchers, offsetMs: 0, at: undefined, position };
}

/** Items in braces, with commas between and perhaps after them; returns where the closing brace ends. */
function parseBraces(tokens: TokenStream, place: string, parseItem: () => void): number {
  tokens.expect('{');
  for (let isFirst = true; tokens.peek().kind !== '}'; isFirst = false) {
    if (!isFirst) {
      if (!tokens.accept(',')) throw tokens.unexpected(`${place}, expected "," or "}"`);
      if (tokens.peek().kind === '}') break;
    }
    parseItem();
  }
  return tokens.take().end;
}

function parseMatcher(tokens: TokenStream): Matcher {
  const label = tokens.peek();
  if (label.kind !== 'identifier' && label.kind !== 'string') {
    throw tokens.unexpected('label matching, expected identifier or "}"');
  }
  tokens.take();
  const name = label.kind === 'string' ? unquoteText(label.text) : label.text;
  const operator = matchOperators.get(tokens.peek().kind as '=');
  if (!operator) {
    // A string alone is a metric's name.
    if (label.kind === 'string') return nameMatcher(name);
    throw tokens.unexpected('label matching, expected label matching operator');
  }
  tokens.take();
  const value = tokens.peek();
  if (value.kind !== 'string') throw tokens.unexpected('label matching, expected string');
  tokens.take();
  try {
    return new Matcher(name, operator, unquoteText(value.text));
  } catch (error) {
    if (!hasCode(error, 'REGEX_INVALID') || !(error instanceof Error)) throw error;
    throw tokens.error({ start: label.start, end: value.end }, error.message.replace(/^REGEX_INVALID: /, ''));
  }
}

/** Names in parentheses, as after `by`, `on` and `group_left`; returns where the closing parenthesis ends too. */
export function parseLabelNames(tokens: TokenStream): { names: string[]; end: number } {
  if (!tokens.accept('(')) throw tokens.unexpected('grouping opts, expected "("');
  const names: string[] = [];
  while (tokens.peek().kind !== ')') {
    if (names.length > 0) {
      if (!tokens.accept(',')) throw tokens.unexpected('grouping opts, expected "," or ")"');
      if (tokens.peek().kind === ')') break;
    }
    names.push(parseLabelName(tokens));
  }
  return { names, end: tokens.take().end };
}

function parseLabelName(tokens: TokenStream): string {
  const token = tokens.peek();
  if (labelNameKinds.has(token.kind)) return tokens.take().text;
  if (token.kind !== 'string') throw tokens.unexpected('grouping opts, expected label');
  tokens.take();
  const name = unquoteText(token.text);
  if (name === '') throw tokens.error(token, `invalid label name for grouping: ${quoteText(name)}`);
  return name;
}

/** A series' labels, as Prometheus prints them: `name{label="value"}`. */
export function parseLabelSet(tokens: TokenStream): Labels {
  const entries: [string, string][] = [];
  const nameToken: Token | undefined = metricNameKinds.has(tokens.peek().kind) ? tokens.take() : undefined;
  if (tokens.peek().kind === '{') parseBraces(tokens, 'label set', () => entries.push(parseLabel(tokens)));
  if (nameToken) entries.push([metricNameLabel, nameToken.text]);
  return Labels.of(entries);
}

function parseLabel(tokens: TokenStream): [string, string] {
  const label = tokens.peek();
  if (label.kind !== 'identifier' && label.kind !== 'string') {
    throw tokens.unexpected('label set, expected identifier or "}"');
  }
  tokens.take();
  const name = label.kind === 'string' ? unquoteText(label.text) : label.text;
  if (!tokens.accept('=')) {
    if (label.kind === 'string') return [metricNameLabel, name];
    throw tokens.unexpected('label set, expected "="');
  }
  const value = tokens.peek();
  if (value.kind !== 'string') throw tokens.unexpected('label set, expected string');
  tokens.take();
  return [name, unquoteText(value.text)];
}
