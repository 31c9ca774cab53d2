// The typed syntax tree of PromQL. Nodes are plain, immutable data; `kind` tells them apart. Positions are UTF-16 offsets
// into the query text, end exclusive. Durations and times are integers in ms. The parser (parser.ts) makes trees that the
// type check (type-check.ts) has passed: every node has the type that its parent wants.
import type { Matcher } from '../../model/index.ts';

export type ValueType = 'none' | 'scalar' | 'string' | 'vector' | 'matrix';

export interface Position {
  readonly start: number;
  readonly end: number;
}

export type Expression =
  | NumberLiteral
  | StringLiteral
  | VectorSelector
  | MatrixSelector
  | Subquery
  | UnaryExpression
  | BinaryExpression
  | Aggregation
  | Call
  | Parentheses;

export interface NumberLiteral {
  readonly kind: 'number';
  readonly value: number;
  /** True where it was written as a duration ("5m" = 300); format_query prints it so. */
  readonly isDuration: boolean;
  readonly position: Position;
}

export interface StringLiteral {
  readonly kind: 'string';
  readonly value: string;
  readonly position: Position;
}

/** `@ 1609746000`, `@ start()`, `@ end()`. */
export type AtModifier = { readonly at: 'time'; readonly timeMs: number } | { readonly at: 'start' | 'end' };

/**
 * An arithmetic expression in the place of a duration: `[5m + 1m]`, `offset (1h / 2)`, `[step() * 4]`; in seconds. Only
 * resolveDurations (durations.ts) turns one into the ms beside it; until then those are 0.
 */
export type DurationExpression =
  | NumberLiteral
  | {
      readonly kind: 'duration-operation';
      /** Without `left`: a sign. */
      readonly operator: '+' | '-' | '*' | '/' | '%' | '^' | 'min_of' | 'max_of';
      readonly left: DurationExpression | undefined;
      readonly right: DurationExpression;
      readonly position: Position;
    }
  /** `step()` or `range()`: the query's resolution step and its length. */
  | { readonly kind: 'duration-of-query'; readonly which: 'step' | 'range'; readonly position: Position }
  | { readonly kind: 'duration-parentheses'; readonly expression: DurationExpression; readonly position: Position };

export interface VectorSelector {
  readonly kind: 'vector-selector';
  /** The metric name written before the braces; '' where it was written inside them or not at all. */
  readonly name: string;
  /** All matchers, the one of the name included. */
  readonly matchers: readonly Matcher[];
  readonly offsetMs: number;
  readonly offsetExpression?: DurationExpression;
  readonly at: AtModifier | undefined;
  readonly position: Position;
}

export interface MatrixSelector {
  readonly kind: 'matrix-selector';
  /** Offset and `@` lie in the vector selector. */
  readonly selector: VectorSelector;
  readonly rangeMs: number;
  readonly rangeExpression?: DurationExpression;
  readonly position: Position;
}

export interface Subquery {
  readonly kind: 'subquery';
  readonly expression: Expression;
  readonly rangeMs: number;
  readonly rangeExpression?: DurationExpression;
  /** Undefined: the server's default evaluation interval. */
  readonly stepMs: number | undefined;
  readonly stepExpression?: DurationExpression;
  readonly offsetMs: number;
  readonly offsetExpression?: DurationExpression;
  readonly at: AtModifier | undefined;
  readonly position: Position;
}

export interface UnaryExpression {
  readonly kind: 'unary';
  readonly operator: '+' | '-';
  readonly expression: Expression;
  readonly position: Position;
}

export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%' | '^' | 'atan2';
export type ComparisonOperator = '==' | '!=' | '>' | '<' | '>=' | '<=';
export type SetOperator = 'and' | 'or' | 'unless';
export type BinaryOperator = ArithmeticOperator | ComparisonOperator | SetOperator;

export interface VectorMatching {
  readonly cardinality: 'one-to-one' | 'many-to-one' | 'one-to-many' | 'many-to-many';
  /** True for `on (…)`, false for `ignoring (…)` and where neither was written. */
  readonly on: boolean;
  readonly labels: readonly string[];
  /** Labels of group_left (…) or group_right (…), copied from the "one" side. */
  readonly include: readonly string[];
}

export interface BinaryExpression {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
  /** Comparison gives 0 or 1 instead of filtering. */
  readonly returnsBool: boolean;
  /** Present exactly where both sides are vectors. */
  readonly matching: VectorMatching | undefined;
  readonly position: Position;
}

export type AggregationOperator =
  | 'sum'
  | 'avg'
  | 'count'
  | 'min'
  | 'max'
  | 'group'
  | 'stddev'
  | 'stdvar'
  | 'topk'
  | 'bottomk'
  | 'count_values'
  | 'quantile'
  | 'limitk'
  | 'limit_ratio';

export interface Aggregation {
  readonly kind: 'aggregation';
  readonly operator: AggregationOperator;
  readonly expression: Expression;
  /** k, φ or the label's name. */
  readonly parameter: Expression | undefined;
  readonly grouping: readonly string[];
  /** `without (…)` instead of `by (…)`. */
  readonly without: boolean;
  readonly position: Position;
}

export interface Call {
  readonly kind: 'call';
  /** A name in the table of functions (functions/signatures.ts). */
  readonly function: string;
  readonly arguments: readonly Expression[];
  readonly position: Position;
}

export interface Parentheses {
  readonly kind: 'parentheses';
  readonly expression: Expression;
  readonly position: Position;
}
