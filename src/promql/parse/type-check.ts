// Types: which of scalar, string, instant vector and range vector an expression gives, and whether every node gets what it
// wants. Runs on a tree of correct syntax; the checks come in Prometheus's order, since the first that fails is the one shown.
import { Matcher, metricNameLabel } from '../../model/index.ts';
import { functionSignatures } from '../functions/signatures.ts';
import type { Aggregation, BinaryExpression, Call, Expression, Position, ValueType, VectorSelector } from './ast.ts';
import { notSupported, PromqlParseError } from './parse-error.ts';
import { quoteText } from './quote.ts';

/** Types of operations, kept since a chain of n operators would otherwise take n² steps. Trees don't change. */
const operationTypes = new WeakMap<BinaryExpression, ValueType>();

/** The type of an expression that has passed the check. */
export function typeOf(expression: Expression): ValueType {
  switch (expression.kind) {
    case 'number':
      return 'scalar';
    case 'string':
      return 'string';
    case 'vector-selector':
    case 'aggregation':
      return 'vector';
    case 'matrix-selector':
    case 'subquery':
      return 'matrix';
    case 'unary':
    case 'parentheses':
      return typeOf(expression.expression);
    case 'binary': {
      const known = operationTypes.get(expression);
      if (known) return known;
      const sides = [typeOf(expression.left), typeOf(expression.right)];
      const type = sides.every((side) => side === 'scalar') ? 'scalar' : 'vector';
      operationTypes.set(expression, type);
      return type;
    }
    case 'call':
      return functionSignatures.get(expression.function)?.returnType ?? 'none';
  }
}

/** What users call a type. */
export function describeType(type: ValueType): string {
  if (type === 'vector') return 'instant vector';
  return type === 'matrix' ? 'range vector' : type;
}

const comparisonOperators: ReadonlySet<string> = new Set(['==', '!=', '>', '<', '>=', '<=']);
const setOperators: ReadonlySet<string> = new Set(['and', 'or', 'unless']);

/** Throws PromqlParseError, or PROMQL_NOT_SUPPORTED for a call of a function that is not evaluated yet. */
export function checkTypes(text: string, expression: Expression): void {
  new TypeCheck(text).check(expression);
}

class TypeCheck {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  #error(position: Position, reason: string): PromqlParseError {
    return new PromqlParseError(this.#text, position, reason);
  }

  /** Checks an expression and all in it; returns its type. */
  check(expression: Expression): ValueType {
    switch (expression.kind) {
      case 'number':
      case 'string':
        break;
      case 'vector-selector':
        this.#selector(expression);
        break;
      case 'matrix-selector':
        this.#selector(expression.selector);
        break;
      case 'subquery': {
        const type = this.check(expression.expression);
        if (type !== 'vector') {
          throw this.#error(expression.position, `subquery is only allowed on instant vector, got ${type} instead`);
        }
        break;
      }
      case 'unary': {
        const type = this.check(expression.expression);
        if (type !== 'scalar' && type !== 'vector') {
          const got = quoteText(describeType(type));
          const reason = `unary expression only allowed on expressions of type scalar or instant vector, got ${got}`;
          throw this.#error(expression.position, reason);
        }
        break;
      }
      case 'parentheses':
        return this.check(expression.expression);
      case 'binary':
        this.#binary(expression);
        break;
      case 'aggregation':
        this.#aggregation(expression);
        break;
      case 'call':
        this.#call(expression);
        break;
    }
    return typeOf(expression);
  }

  #expect(expression: Expression, wanted: ValueType, place: string): void {
    const type = this.check(expression);
    if (type === wanted) return;
    const reason = `expected type ${describeType(wanted)} in ${place}, got ${describeType(type)}`;
    throw this.#error(expression.position, reason);
  }

  #selector({ name, matchers, position }: VectorSelector): void {
    if (name !== '') {
      const other = matchers.slice(0, -1).find((matcher) => matcher.name === metricNameLabel);
      if (!other) return;
      const names = `${quoteText(name)} or ${quoteText(other.value)}`;
      throw this.#error(position, `metric name must not be set twice: ${names}`);
    }
    // Otherwise a typo would read every series there is.
    if (matchers.every((matcher: Matcher) => matcher.matchesEmpty)) {
      throw this.#error(position, 'vector selector must contain at least one non-empty matcher');
    }
  }

  #aggregation({ operator, expression, parameter }: Aggregation): void {
    this.#expect(expression, 'vector', 'aggregation expression');
    if (!parameter) return;
    this.#expect(parameter, operator === 'count_values' ? 'string' : 'scalar', 'aggregation parameter');
  }

  #binary(expression: BinaryExpression): void {
    const { left, right, operator, returnsBool, matching, position } = expression;
    const types = [this.check(left), this.check(right)];
    const isComparison = comparisonOperators.has(operator);
    if (returnsBool && !isComparison) {
      throw this.#error(this.#operatorPosition(expression), 'bool modifier can only be used on comparison operators');
    }
    if (isComparison && !returnsBool && types.every((type) => type === 'scalar')) {
      throw this.#error(this.#operatorPosition(expression), 'comparisons between scalars must use BOOL modifier');
    }
    const repeated = matching?.on ? matching.labels.find((label) => matching.include.includes(label)) : undefined;
    if (repeated !== undefined) {
      const reason = `label ${quoteText(repeated)} must not occur in ON and GROUP clause at once`;
      throw this.#error(this.#operatorPosition(expression), reason);
    }
    for (const [index, side] of [left, right].entries()) {
      if (types[index] === 'scalar' || types[index] === 'vector') continue;
      throw this.#error(side.position, 'binary expression must contain only scalar and instant vector types');
    }
    if (types.includes('scalar')) {
      if (matching && matching.labels.length > 0) {
        throw this.#error(position, 'vector matching only allowed between instant vectors');
      }
      if (setOperators.has(operator)) {
        throw this.#error(position, `set operator ${quoteText(operator)} not allowed in binary scalar expression`);
      }
    } else if (setOperators.has(operator) && matching?.cardinality !== 'many-to-many') {
      throw this.#error(position, `no grouping allowed for ${quoteText(operator)} operation`);
    }
  }

  /** Where the operator stands, found again as the parser of Prometheus finds it. */
  #operatorPosition({ left, right }: BinaryExpression): Position {
    let start = left.position.end;
    while (/[ \t\r\n]/.test(this.#text.charAt(start))) start++;
    return { start, end: right.position.start };
  }

  #call({ function: name, arguments: values, position }: Call): void {
    const signature = functionSignatures.get(name);
    if (!signature) return;
    if (!signature.supported) throw notSupported(this.#text, position, `function ${name}() is`);
    const { argumentTypes, variadic } = signature;
    const countMin = variadic === 0 ? argumentTypes.length : argumentTypes.length - 1;
    const countMax = variadic < 0 ? Infinity : countMin + variadic;
    if (values.length < countMin || values.length > countMax) {
      const bound = variadic === 0 ? '' : values.length < countMin ? 'at least ' : 'at most ';
      const wanted = values.length < countMin ? countMin : countMax;
      const reason = `expected ${bound}${wanted} argument(s) in call to ${quoteText(name)}, got ${values.length}`;
      throw this.#error(position, reason);
    }
    for (const [index, value] of values.entries()) {
      const wanted = argumentTypes[Math.min(index, argumentTypes.length - 1)] ?? 'none';
      this.#expect(value, wanted, `call to function ${quoteText(name)}`);
    }
  }
}
