// Expressions as text: on one line (`expressionToString`, Prometheus's canonical form) and over several where they are long
// (`formatExpression`, what format_query answers).
import { TimbalaError } from '../../base/index.ts';
import { compareUtf8, metricNameLabel } from '../../model/index.ts';
import { formatDuration, formatFixed, formatFloat } from '../numbers/index.ts';
import type {
  Aggregation,
  AtModifier,
  BinaryExpression,
  DurationExpression,
  Expression,
  NumberLiteral,
  Subquery,
  VectorSelector,
} from './ast.ts';
import { quoteText, writeLabelName } from './quote.ts';

/** The expression on one line. */
export function expressionToString(expression: Expression): string {
  switch (expression.kind) {
    case 'number':
      return numberText(expression);
    case 'string':
      return quoteText(expression.value);
    case 'vector-selector':
      return selectorText(expression) + timingText(expression);
    case 'matrix-selector': {
      const { selector, rangeMs, rangeExpression } = expression;
      return `${selectorText(selector)}[${spanText(rangeMs, rangeExpression)}]${timingText(selector)}`;
    }
    case 'subquery':
      return expressionToString(expression.expression) + subquerySuffix(expression);
    case 'unary':
      return expression.operator + expressionToString(expression.expression);
    case 'parentheses':
      return `(${expressionToString(expression.expression)})`;
    case 'binary':
      return `${expressionToString(expression.left)} ${operatorText(expression)} ${expressionToString(expression.right)}`;
    case 'aggregation': {
      const values = [expression.parameter, expression.expression].filter((value) => value !== undefined);
      return `${aggregationText(expression)}(${values.map(expressionToString).join(', ')})`;
    }
    case 'call':
      return `${expression.function}(${expression.arguments.map(expressionToString).join(', ')})`;
  }
}

function numberText({ value, isDuration }: NumberLiteral): string {
  return isDuration ? formatDuration(value * 1000) : formatFloat(value);
}

function selectorText({ name, matchers }: VectorSelector): string {
  const texts: string[] = [];
  for (const matcher of matchers) {
    const isName = matcher.name === metricNameLabel && matcher.operator === '=' && matcher.value === name;
    if (isName && name !== '') continue;
    texts.push(`${writeLabelName(matcher.name)}${matcher.operator}${quoteText(matcher.value)}`);
  }
  return texts.length === 0 ? name : `${name}{${texts.sort(compareUtf8).join(',')}}`;
}

interface Timing {
  readonly at: AtModifier | undefined;
  readonly offsetMs: number;
  readonly offsetExpression?: DurationExpression;
}

function timingText({ at, offsetMs, offsetExpression }: Timing): string {
  let text = '';
  if (at) text += ` @ ${at.at === 'time' ? formatFixed(at.timeMs / 1000, 3) : `${at.at}()`}`;
  if (offsetMs !== 0 || offsetExpression) text += ` offset ${spanText(offsetMs, offsetExpression)}`;
  return text;
}

function subquerySuffix(subquery: Subquery): string {
  const range = spanText(subquery.rangeMs, subquery.rangeExpression);
  const { stepMs, stepExpression } = subquery;
  const step = stepMs === undefined ? '' : spanText(stepMs, stepExpression);
  return `[${range}:${step}]${timingText(subquery)}`;
}

function spanText(milliseconds: number, expression: DurationExpression | undefined): string {
  return expression ? durationExpressionText(expression) : formatDuration(milliseconds);
}

function durationExpressionText(expression: DurationExpression): string {
  switch (expression.kind) {
    case 'number':
      return numberText(expression);
    case 'duration-of-query':
      return `${expression.which}()`;
    case 'duration-parentheses':
      return `(${durationExpressionText(expression.expression)})`;
    case 'duration-operation': {
      const right = durationExpressionText(expression.right);
      if (!expression.left) return `${expression.operator}${right}`;
      const left = durationExpressionText(expression.left);
      const isCall = expression.operator === 'min_of' || expression.operator === 'max_of';
      return isCall ? `${expression.operator}(${left}, ${right})` : `${left} ${expression.operator} ${right}`;
    }
  }
}

const labelList = (names: readonly string[]): string => `(${names.map(writeLabelName).join(', ')})`;

/** The operator of an aggregation and its grouping, before the parenthesis. */
function aggregationText({ operator, grouping, without }: Aggregation): string {
  if (without) return `${operator} without ${labelList(grouping)} `;
  return grouping.length > 0 ? `${operator} by ${labelList(grouping)} ` : operator;
}

/** The operator with its modifiers. */
function operatorText({ operator, returnsBool, matching }: BinaryExpression): string {
  let text: string = operator;
  if (returnsBool) text += ' bool';
  if (!matching) return text;
  const { cardinality, on, labels, include } = matching;
  const isGrouped = cardinality === 'many-to-one' || cardinality === 'one-to-many';
  if (labels.length > 0 || on || isGrouped) text += ` ${on ? 'on' : 'ignoring'} ${labelList(labels)}`;
  if (isGrouped) text += ` ${cardinality === 'many-to-one' ? 'group_left' : 'group_right'} ${labelList(include)}`;
  return text;
}

const lineLengthMax = 100;
/** Deep and wide trees would grow by a factor of a thousand. */
const indentationBytesMax = 1 << 23;

/**
 * The expression indented: nodes that do not fit a line (of 100 bytes, indentation not counted) are split over several.
 * Throws PROMQL_TOO_LONG where indentation would take megabytes.
 */
export function formatExpression(expression: Expression): string {
  return new Formatter().format(expression, 0);
}

class Formatter {
  readonly #fits = new Map<Expression, string | undefined>();
  #indentationBytes = 0;

  /**
   * The node's text, or undefined where it is too long for a line. Kept for each node, and not made where a child is too long
   * already: a tree of n nodes would otherwise take n² steps.
   */
  #oneLine(expression: Expression): string | undefined {
    if (this.#fits.has(expression)) return this.#fits.get(expression);
    const tooLong = childrenOf(expression).some((child) => this.#oneLine(child) === undefined);
    const text = tooLong ? undefined : expressionToString(expression);
    const fitting = text !== undefined && Buffer.byteLength(text) <= lineLengthMax ? text : undefined;
    this.#fits.set(expression, fitting);
    return fitting;
  }

  format(expression: Expression, level: number): string {
    const indent = '  '.repeat(level);
    this.#indentationBytes += indent.length;
    if (this.#indentationBytes > indentationBytesMax) {
      throw new TimbalaError(
        'PROMQL_TOO_LONG',
        'formatted query exceeds 8 MiB; it nests too deep to be laid out in lines',
      );
    }
    switch (expression.kind) {
      case 'number':
      case 'string':
      case 'vector-selector':
      case 'matrix-selector':
        return indent + expressionToString(expression);
      case 'unary':
        return indent + expression.operator + this.format(expression.expression, level).trim();
      case 'subquery':
        return this.#oneLine(expression) ?? this.format(expression.expression, level) + subquerySuffix(expression);
    }
    const line = this.#oneLine(expression);
    if (line !== undefined) return indent + line;
    switch (expression.kind) {
      case 'parentheses':
        return `${indent}(\n${this.format(expression.expression, level + 1)}\n${indent})`;
      case 'binary': {
        const left = this.format(expression.left, level + 1);
        return `${left}\n${indent}${operatorText(expression)}\n${this.format(expression.right, level + 1)}`;
      }
      case 'aggregation':
      case 'call': {
        const head = expression.kind === 'call' ? expression.function : aggregationText(expression);
        const values = childrenOf(expression).map((value) => this.format(value, level + 1));
        return `${indent}${head}(\n${values.join(',\n')}\n${indent})`;
      }
    }
  }
}

function childrenOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'subquery':
    case 'unary':
    case 'parentheses':
      return [expression.expression];
    case 'binary':
      return [expression.left, expression.right];
    case 'aggregation':
      return expression.parameter ? [expression.parameter, expression.expression] : [expression.expression];
    case 'call':
      return expression.arguments;
    default:
      return [];
  }
}
