// From a query to its tree: a Pratt parser (operator precedence by recursion) for the grammar of Prometheus 3.16. It stops at
// the first error, with the text and position that Prometheus gives. What the grammar knows but this version does not evaluate
// is refused by name (PROMQL_NOT_SUPPORTED).
import type { Labels, Matcher } from '../../model/index.ts';
import { functionSignatures } from '../functions/signatures.ts';
import { formatFixed } from '../numbers/index.ts';
import type {
  Aggregation,
  AggregationOperator,
  AtModifier,
  BinaryExpression,
  BinaryOperator,
  Call,
  DurationExpression,
  Expression,
  Parentheses,
  Subquery,
  VectorMatching,
  VectorSelector,
} from './ast.ts';
import {
  durationsExpected,
  isNumberToken,
  literalMs,
  parseNumberLiteral,
  parseOffset,
  parsePositiveDuration,
  signed,
} from './duration-parser.ts';
import { notSupported } from './parse-error.ts';
import { quoteText, unquoteText } from './quote.ts';
import { parseLabelNames, parseLabelSet, parseVectorSelector } from './selector-parser.ts';
import { TokenStream } from './token-stream.ts';
import { aggregators, metricNameKinds, preprocessors, type Token } from './tokens.ts';
import { checkTypes, typeOf } from './type-check.ts';

/**
 * Parses and type-checks a query. Throws PromqlParseError (PROMQL_PARSE), and TimbalaError PROMQL_NOT_SUPPORTED,
 * PROMQL_TOO_DEEP or PROMQL_TOO_LONG.
 */
export function parseExpression(text: string): Expression {
  const tokens = new TokenStream(text);
  if (tokens.peek().kind === 'end-of-input') throw tokens.error({ start: 0, end: 0 }, 'no expression found in input');
  const expression = new Parser(tokens).expression(lowestPrecedence);
  tokens.expect('end-of-input');
  checkTypes(text, expression);
  return expression;
}

/** The matchers of one selector without modifiers (`match[]`). It may match everything: callers decide. Throws likewise. */
export function parseSelector(text: string): readonly Matcher[] {
  const tokens = new TokenStream(text);
  const { matchers } = parseVectorSelector(tokens);
  tokens.expect('end-of-input');
  return matchers;
}

/** The labels of one series, as Prometheus prints them. Throws likewise. */
export function parseMetric(text: string): Labels {
  const tokens = new TokenStream(text);
  const labels = parseLabelSet(tokens);
  tokens.expect('end-of-input');
  return labels;
}

const lowestPrecedence = 1;
const multiplicationPrecedence = 5;
const powerPrecedence = 6;

const precedences: ReadonlyMap<string, number> = new Map([
  ['or', 1],
  ['and', 2],
  ['unless', 2],
  ['==', 3],
  ['!=', 3],
  ['<', 3],
  ['<=', 3],
  ['>', 3],
  ['>=', 3],
  ['</', 3],
  ['>/', 3],
  ['+', 4],
  ['-', 4],
  ['*', multiplicationPrecedence],
  ['/', multiplicationPrecedence],
  ['%', multiplicationPrecedence],
  ['atan2', multiplicationPrecedence],
  ['^', powerPrecedence],
]);

const setOperators: ReadonlySet<string> = new Set(['and', 'or', 'unless']);

class Parser {
  readonly #tokens: TokenStream;
  /** The height of the tree that `expression` returned last: chains of operators nest without recursion. */
  #height = 0;

  constructor(tokens: TokenStream) {
    this.#tokens = tokens;
  }

  /** An expression whose operators all bind at least this tightly. */
  expression(precedenceMin: number): Expression {
    return this.#tokens.nested(() => {
      let left = this.#withPostfixes(this.#operand());
      for (;;) {
        const precedence = precedences.get(this.#tokens.peek().kind);
        if (precedence === undefined || precedence < precedenceMin) return left;
        const leftHeight = this.#height;
        left = this.#binary(left, this.#tokens.take(), precedence);
        this.#grow(Math.max(leftHeight, this.#height));
      }
    });
  }

  #grow(height: number): void {
    this.#height = height + 1;
    this.#tokens.checkDepth(this.#height);
  }

  #operand(): Expression {
    const tokens = this.#tokens;
    const token = tokens.peek();
    this.#height = 1;
    if (isNumberToken(token)) return parseNumberLiteral(tokens);
    switch (token.kind) {
      case 'string': {
        tokens.take();
        const { start, end } = token;
        return { kind: 'string', value: unquoteText(token.text), position: { start, end } };
      }
      case '+':
      case '-':
        return this.#unary();
      case '(':
        return this.#parentheses();
      case '{':
        return parseVectorSelector(tokens);
    }
    if (metricNameKinds.has(token.kind)) return this.#named(tokens.take());
    throw tokens.unexpected();
  }

  /** What begins with a name: an aggregation, a call or a selector, as the next token tells. */
  #named(name: Token): Expression {
    const next = this.#tokens.peek().kind;
    if (aggregators.has(name.kind) && (next === '(' || next === 'by' || next === 'without'))
      return this.#aggregation(name);
    if (next === '(' && (name.kind === 'identifier' || preprocessors.has(name.kind))) return this.#call(name);
    return parseVectorSelector(this.#tokens, name);
  }

  #unary(): Expression {
    const sign = this.#tokens.take();
    // A sign binds as "*" does: -1^2 is -(1^2), but -a * b is (-a) * b.
    const operand = this.expression(powerPrecedence);
    if (operand.kind === 'number') return signed(sign, operand);
    this.#grow(this.#height);
    const position = { start: sign.start, end: operand.position.end };
    return { kind: 'unary', operator: sign.kind === '-' ? '-' : '+', expression: operand, position };
  }

  #parentheses(): Parentheses {
    const { start } = this.#tokens.take();
    const expression = this.expression(lowestPrecedence);
    this.#grow(this.#height);
    const { end } = this.#tokens.expect(')');
    return { kind: 'parentheses', expression, position: { start, end } };
  }

  #call(name: Token): Call {
    const { arguments: values, end } = this.#argumentList();
    if (!functionSignatures.has(name.text)) {
      throw this.#tokens.error(name, `unknown function with name ${quoteText(name.text)}`);
    }
    return { kind: 'call', function: name.text, arguments: values, position: { start: name.start, end } };
  }

  #argumentList(): { arguments: Expression[]; end: number } {
    const tokens = this.#tokens;
    tokens.expect('(');
    const values: Expression[] = [];
    let height = 0;
    for (let more = tokens.peek().kind !== ')'; more;) {
      values.push(this.expression(lowestPrecedence));
      height = Math.max(height, this.#height);
      const comma = tokens.accept(',');
      if (comma && !startsExpression(tokens.peek())) {
        throw tokens.error(comma, 'trailing commas not allowed in function call args');
      }
      more = comma !== undefined;
    }
    this.#grow(height);
    return { arguments: values, end: tokens.expect(')').end };
  }

  #aggregation(operator: Token): Aggregation {
    const tokens = this.#tokens;
    return tokens.within('aggregation', () => {
      const before = this.#grouping();
      const { arguments: values, end: listEnd } = this.#argumentList();
      const grouping = before ?? this.#grouping();
      const position = { start: operator.start, end: Math.max(listEnd, grouping?.end ?? 0) };
      if (values.length === 0) throw tokens.error(position, 'no arguments for aggregate expression provided');
      const wanted = aggregatorsWithParameter.has(operator.kind) ? 2 : 1;
      const expression = values[wanted - 1];
      if (values.length !== wanted || !expression) {
        const counts = `expected ${wanted}, got ${values.length}`;
        throw tokens.error(position, `wrong number of arguments for aggregate expression provided, ${counts}`);
      }
      return {
        kind: 'aggregation',
        operator: operator.kind as AggregationOperator,
        expression,
        parameter: wanted === 2 ? values[0] : undefined,
        grouping: grouping?.names ?? [],
        without: grouping?.without ?? false,
        position,
      };
    });
  }

  #grouping(): { names: string[]; without: boolean; end: number } | undefined {
    const word = this.#tokens.accept('by') ?? this.#tokens.accept('without');
    return word && { ...parseLabelNames(this.#tokens), without: word.kind === 'without' };
  }

  #binary(left: Expression, operator: Token, precedence: number): BinaryExpression {
    const tokens = this.#tokens;
    const returnsBool = tokens.accept('bool') !== undefined;
    const written = this.#matching(operator.kind);
    const right = this.expression(operator.kind === '^' ? precedence : precedence + 1);
    const position = { start: left.position.start, end: right.position.end };
    if (operator.kind === '</' || operator.kind === '>/') {
      throw notSupported(tokens.text, operator, `operator ${operator.kind} (trimming of native histograms) is`);
    }
    // Labels to match on that make no sense beside a scalar are kept for the type check to find.
    const isNeeded = written.labels.length > 0 || (typeOf(left) === 'vector' && typeOf(right) === 'vector');
    const matching = isNeeded ? written : undefined;
    return { kind: 'binary', operator: operator.kind as BinaryOperator, left, right, returnsBool, matching, position };
  }

  #matching(operator: string): VectorMatching {
    const tokens = this.#tokens;
    const word = tokens.accept('on') ?? tokens.accept('ignoring');
    const labels = word ? parseLabelNames(tokens).names : [];
    const group = word && (tokens.accept('group_left') ?? tokens.accept('group_right'));
    const next = tokens.peek();
    const mayFollow = fillModifiers.has(next.kind) || (startsExpression(next) && next.kind !== '(');
    const include = group && !mayFollow ? parseLabelNames(tokens).names : [];
    const fill = tokens.peek();
    if (fillModifiers.has(fill.kind)) throw notSupported(tokens.text, fill, `modifier ${fill.kind} is`);
    let cardinality: VectorMatching['cardinality'] = setOperators.has(operator) ? 'many-to-many' : 'one-to-one';
    if (group) cardinality = group.kind === 'group_left' ? 'many-to-one' : 'one-to-many';
    return { cardinality, on: word?.kind === 'on', labels, include };
  }

  #withPostfixes(operand: Expression): Expression {
    const tokens = this.#tokens;
    for (let expression = operand; ; this.#grow(this.#height)) {
      const token = tokens.peek();
      switch (token.kind) {
        case '[':
          expression = this.#range(expression);
          break;
        case 'offset':
          expression = this.#offset(expression);
          break;
        case '@':
          expression = this.#at(expression);
          break;
        case 'anchored':
        case 'smoothed':
          throw notSupported(tokens.text, token, `modifier ${token.kind} is`);
        default:
          return expression;
      }
    }
  }

  /** `[5m]` or `[5m:1m]`. */
  #range(expression: Expression): Expression {
    const tokens = this.#tokens;
    const open = tokens.take();
    const range = tokens.within(`subquery or range selector, expected ${durationsExpected}`, () =>
      parsePositiveDuration(tokens),
    );
    if (tokens.accept(':')) return this.#subquery(expression, range);
    if (tokens.peek().kind !== ']') throw tokens.unexpected('subquery or range, expected ":" or "]"');
    const { end } = tokens.take();
    const problem = rangeProblem(expression);
    if (problem !== undefined) throw tokens.error({ start: open.start, end }, problem);
    return {
      kind: 'matrix-selector',
      selector: expression as VectorSelector,
      rangeMs: durationMs(range),
      ...(range.kind !== 'number' && { rangeExpression: range }),
      position: { start: expression.position.start, end },
    };
  }

  #subquery(expression: Expression, range: DurationExpression): Subquery {
    const tokens = this.#tokens;
    const parseStep = (): DurationExpression => parsePositiveDuration(tokens);
    const stepExpected = 'subquery selector, expected number, duration, step(), range(), or "]"';
    const step = tokens.peek().kind === ']' ? undefined : tokens.within(stepExpected, parseStep);
    if (tokens.peek().kind !== ']') throw tokens.unexpected('subquery selector, expected "]"');
    const { end } = tokens.take();
    return {
      kind: 'subquery',
      expression,
      rangeMs: durationMs(range),
      ...(range.kind !== 'number' && { rangeExpression: range }),
      stepMs: step && durationMs(step),
      ...(step && step.kind !== 'number' && { stepExpression: step }),
      offsetMs: 0,
      at: undefined,
      position: { start: expression.position.start, end },
    };
  }

  #offset(expression: Expression): Expression {
    const tokens = this.#tokens;
    tokens.take();
    const offset = tokens.within(`offset, expected ${durationsExpected}`, () => parseOffset(tokens));
    const selector = timedPartOf(expression);
    if (!selector) throw tokens.error(expression.position, mustFollowSelector('offset'));
    if (selector.offsetMs !== 0 || selector.offsetExpression) {
      throw tokens.error(expression.position, 'offset may not be set multiple times');
    }
    const change = { offsetMs: durationMs(offset), ...(offset.kind !== 'number' && { offsetExpression: offset }) };
    return withTiming(expression, change, offset.position.end);
  }

  #at(expression: Expression): Expression {
    const tokens = this.#tokens;
    tokens.take();
    const { at, end } = tokens.within('@, expected timestamp', () => parseAt(tokens));
    if (typeof at === 'number' && !(Math.abs(at) < 2 ** 63)) {
      throw tokens.error(expression.position, `timestamp out of bounds for @ modifier: ${formatFixed(at, 6)}`);
    }
    const selector = timedPartOf(expression);
    if (!selector) throw tokens.error(expression.position, mustFollowSelector('@'));
    if (selector.at) throw tokens.error(expression.position, '@ <timestamp> may not be set multiple times');
    const modifier: AtModifier = typeof at === 'number' ? { at: 'time', timeMs: roundedMs(at) } : { at };
    return withTiming(expression, { at: modifier }, end);
  }
}

const aggregatorsWithParameter: ReadonlySet<string> = new Set(
  'topk bottomk count_values quantile limitk limit_ratio'.split(' '),
);

const fillModifiers: ReadonlySet<string> = new Set(['fill', 'fill_left', 'fill_right']);

const expressionStarts: ReadonlySet<string> = new Set(['number', 'duration', 'string', '+', '-', '(', '{']);

function startsExpression({ kind }: Token): boolean {
  return expressionStarts.has(kind) || metricNameKinds.has(kind);
}

/** Seconds, or the word. */
function parseAt(tokens: TokenStream): { at: number | 'start' | 'end'; end: number } {
  const token = tokens.peek();
  if (token.kind === 'start' || token.kind === 'end') {
    tokens.take();
    tokens.expect('(');
    return { at: token.kind, end: tokens.expect(')').end };
  }
  const sign = token.kind === '+' || token.kind === '-' ? tokens.take() : undefined;
  if (!isNumberToken(tokens.peek())) throw tokens.unexpected();
  const { value, position } = parseNumberLiteral(tokens);
  return { at: sign?.kind === '-' ? -value : value, end: position.end };
}

/** Prometheus rounds half a millisecond away from zero. */
function roundedMs(seconds: number): number {
  return Math.sign(seconds) * Math.floor(Math.abs(seconds * 1000) + 0.5) + 0;
}

function rangeProblem(expression: Expression): string | undefined {
  if (expression.kind !== 'vector-selector') return 'ranges only allowed for vector selectors';
  if (expression.offsetMs !== 0 || expression.offsetExpression) return 'no offset modifiers allowed before range';
  return expression.at && 'no @ modifiers allowed before range';
}

/** The node that carries the expression's `offset` and `@`. */
function timedPartOf(expression: Expression): VectorSelector | Subquery | undefined {
  if (expression.kind === 'matrix-selector') return expression.selector;
  return expression.kind === 'vector-selector' || expression.kind === 'subquery' ? expression : undefined;
}

type Timing = Partial<Pick<VectorSelector, 'offsetMs' | 'offsetExpression' | 'at'>>;

/** The selector with its timing changed; the text of the change ends at `end`. */
function withTiming(expression: Expression, change: Timing, end: number): Expression {
  const position = { start: expression.position.start, end };
  if (expression.kind === 'matrix-selector') {
    return { ...expression, selector: { ...expression.selector, ...change }, position };
  }
  return { ...expression, ...change, position } as Expression;
}

function mustFollowSelector(modifier: string): string {
  return `${modifier} modifier must be preceded by an instant vector selector or range vector selector or a subquery`;
}

/** 0 where only the query's step and range will tell. */
function durationMs(duration: DurationExpression): number {
  return duration.kind === 'number' ? literalMs(duration) : 0;
}
