// The variants of an instant query that must give the same answer at any time: every selector and outermost subquery pinned by
// `@` to the time of the original. Queries that ask for the time themselves have none.
import type { Expression } from '../../src/promql/parse/index.ts';
import { expressionToString, parseExpression } from '../../src/promql/parse/index.ts';
import { PromqlParseError } from '../../src/promql/parse/parse-error.ts';

export interface Variant {
  readonly text: string;
  readonly timeMs: number;
}

const timeDependent =
  /^(?:days_in_month|day_of_month|day_of_week|day_of_year|hour|minute|month|year|predict_linear|time|timestamp|start|end|step|range)$/;

export function pinnedVariants(text: string, timeMs: number): Variant[] {
  let expression: Expression;
  try {
    expression = parseExpression(text);
  } catch (error) {
    if (error instanceof PromqlParseError || (error instanceof Error && 'code' in error)) return [];
    throw error;
  }
  let asksForTime = false;
  const pin = (node: Expression): Expression => {
    const at = { at: 'time', timeMs } as const;
    switch (node.kind) {
      case 'vector-selector':
        return { ...node, at: node.at ?? at };
      case 'matrix-selector':
        return { ...node, selector: { ...node.selector, at: node.selector.at ?? at } };
      case 'subquery':
        // What lies inside a pinned subquery is left alone, as in Prometheus's runner.
        return { ...node, at: node.at ?? at };
      case 'unary':
      case 'parentheses':
        return { ...node, expression: pin(node.expression) };
      case 'aggregation':
        return { ...node, expression: pin(node.expression), parameter: node.parameter && pin(node.parameter) };
      case 'binary':
        return { ...node, left: pin(node.left), right: pin(node.right) };
      case 'call':
        asksForTime ||= timeDependent.test(node.function);
        return { ...node, arguments: node.arguments.map(pin) };
      default:
        return node;
    }
  };
  const pinned = expressionToString(pin(expression));
  // A literal that is not UTF-8 can't be printed again.
  if (asksForTime || pinned.includes('\uFFFD')) return [];
  const times = timeMs === 0 ? [-1000, 1000] : [-10 * timeMs, 0, Math.trunc(timeMs / 5), timeMs, 10 * timeMs];
  return times.map((each) => ({ text: pinned, timeMs: each }));
}
