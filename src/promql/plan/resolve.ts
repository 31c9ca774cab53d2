// From the syntax tree to the first plan: everything that depends on the query's own times becomes a number here, so that
// later stages never ask again whether they serve an instant or a range query.
import type { AtModifier, Expression } from '../parse/ast.ts';
import type { PlanNode } from './plan-node.ts';

export interface QueryTimes {
  readonly startMs: number;
  readonly endMs: number;
  /** 0 for an instant query. */
  readonly stepMs: number;
  /** For subqueries without a step. */
  readonly subqueryStepMs: number;
}

export function resolve(expression: Expression, times: QueryTimes): PlanNode {
  const { position } = expression;
  switch (expression.kind) {
    case 'number':
      return { kind: 'number', value: expression.value, position };
    case 'string':
      return { kind: 'string', value: expression.value, position };
    case 'parentheses':
      return resolve(expression.expression, times);
    case 'vector-selector': {
      const { matchers, offsetMs, at } = expression;
      return { kind: 'instant-selector', matchers, offsetMs, atMs: resolveAt(at, times), position };
    }
    case 'matrix-selector': {
      const { matchers, offsetMs, at } = expression.selector;
      const { rangeMs } = expression;
      return { kind: 'range-selector', matchers, offsetMs, atMs: resolveAt(at, times), rangeMs, position };
    }
    case 'subquery': {
      const { rangeMs, offsetMs, at } = expression;
      const stepMs = expression.stepMs ?? times.subqueryStepMs;
      const inner = resolve(expression.expression, times);
      return { kind: 'subquery', expression: inner, rangeMs, stepMs, offsetMs, atMs: resolveAt(at, times), position };
    }
    case 'unary': {
      const inner = resolve(expression.expression, times);
      return expression.operator === '+' ? inner : { kind: 'negation', expression: inner, position };
    }
    case 'binary': {
      const { operator, returnsBool, matching } = expression;
      const left = resolve(expression.left, times);
      const right = resolve(expression.right, times);
      return { kind: 'binary', operator, left, right, returnsBool, matching, position };
    }
    case 'aggregation': {
      const { operator, grouping, without } = expression;
      const inner = resolve(expression.expression, times);
      const parameter = expression.parameter && resolve(expression.parameter, times);
      return { kind: 'aggregation', operator, expression: inner, parameter, grouping, without, position };
    }
    case 'call': {
      const value = queryTimeFunction(expression.function, times);
      if (value !== undefined) return { kind: 'number', value, position };
      const inner = expression.arguments.map((argument) => resolve(argument, times));
      return { kind: 'call', function: expression.function, arguments: inner, position };
    }
  }
}

function resolveAt(at: AtModifier | undefined, times: QueryTimes): number | undefined {
  if (at === undefined) return undefined;
  if (at.at === 'time') return at.timeMs;
  return at.at === 'start' ? times.startMs : times.endMs;
}

/** The value, in seconds, of the functions that ask for the query's times. */
function queryTimeFunction(name: string, times: QueryTimes): number | undefined {
  switch (name) {
    case 'start':
      return times.startMs / 1000;
    case 'end':
      return times.endMs / 1000;
    case 'range':
      return (times.endMs - times.startMs) / 1000;
    case 'step':
      return times.startMs === times.endMs ? 0 : times.stepMs / 1000;
    default:
      return undefined;
  }
}
