// Duration expressions (`[5m + step()]`) turned into milliseconds, once the query's step and range are known.
import { TimbalaError } from '../../base/index.ts';
import { maxOf, minOf } from '../functions/float-functions.ts';
import { pow } from '../functions/math/index.ts';
import type { DurationExpression, Expression, VectorSelector } from './ast.ts';

export interface QueryTiming {
  /** 0 for an instant query. */
  readonly stepMs: number;
  /** From the first step to the last. */
  readonly rangeMs: number;
}

/**
 * The tree with every duration expression replaced by its milliseconds; the same tree where there is none. Throws
 * PROMQL_DURATION (with Prometheus's text) for durations that are not finite, or not above 0 where they have to be.
 */
export function resolveDurations(expression: Expression, timing: QueryTiming): Expression {
  const resolve = (child: Expression): Expression => resolveDurations(child, timing);
  switch (expression.kind) {
    case 'vector-selector':
      return resolveSelector(expression, timing);
    case 'matrix-selector': {
      const selector = resolveSelector(expression.selector, timing);
      const { rangeExpression, ...rest } = expression;
      if (!rangeExpression) return selector === expression.selector ? expression : { ...expression, selector };
      return { ...rest, selector, rangeMs: durationMs(rangeExpression, timing, false) };
    }
    case 'subquery': {
      const { rangeExpression, stepExpression, offsetExpression, ...rest } = expression;
      const inner = resolve(expression.expression);
      if (!rangeExpression && !stepExpression && !offsetExpression) {
        return inner === expression.expression ? expression : { ...expression, expression: inner };
      }
      return {
        ...rest,
        expression: inner,
        offsetMs: offsetExpression ? durationMs(offsetExpression, timing, true) : rest.offsetMs,
        stepMs: stepExpression ? durationMs(stepExpression, timing, false) : rest.stepMs,
        rangeMs: rangeExpression ? durationMs(rangeExpression, timing, false) : rest.rangeMs,
      };
    }
    case 'unary':
    case 'parentheses': {
      const inner = resolve(expression.expression);
      return inner === expression.expression ? expression : { ...expression, expression: inner };
    }
    case 'binary': {
      const left = resolve(expression.left);
      const right = resolve(expression.right);
      return left === expression.left && right === expression.right ? expression : { ...expression, left, right };
    }
    case 'aggregation': {
      const inner = resolve(expression.expression);
      const parameter = expression.parameter && resolve(expression.parameter);
      const isSame = inner === expression.expression && parameter === expression.parameter;
      return isSame ? expression : { ...expression, expression: inner, parameter };
    }
    case 'call': {
      const values = expression.arguments.map(resolve);
      const isSame = values.every((value, index) => value === expression.arguments[index]);
      return isSame ? expression : { ...expression, arguments: values };
    }
    case 'number':
    case 'string':
      return expression;
  }
}

function resolveSelector(selector: VectorSelector, timing: QueryTiming): VectorSelector {
  const { offsetExpression, ...rest } = selector;
  return offsetExpression ? { ...rest, offsetMs: durationMs(offsetExpression, timing, true) } : selector;
}

/** Prometheus keeps nanoseconds in 64 bits. */
const durationSecondsMax = 2 ** 63 / 1e9;

function durationMs(expression: DurationExpression, timing: QueryTiming, mayBeNegative: boolean): number {
  const seconds = evaluate(expression, timing);
  if (!Number.isFinite(seconds)) throw durationError(expression, 'duration is NaN or infinite');
  if (seconds <= 0 && !mayBeNegative) throw durationError(expression, 'duration must be greater than 0');
  if (Math.abs(seconds) > durationSecondsMax) throw durationError(expression, 'duration is out of range');
  return Math.trunc(seconds * 1000) + 0;
}

function durationError({ position }: DurationExpression, reason: string): TimbalaError {
  return new TimbalaError('PROMQL_DURATION', `${position.start}:${position.end}: ${reason}`);
}

/** In seconds. */
function evaluate(expression: DurationExpression, timing: QueryTiming): number {
  switch (expression.kind) {
    case 'number':
      return expression.value;
    case 'duration-of-query':
      return (expression.which === 'step' ? timing.stepMs : timing.rangeMs) / 1000;
    case 'duration-parentheses':
      return evaluate(expression.expression, timing);
    case 'duration-operation':
      break;
  }
  const right = evaluate(expression.right, timing);
  if (!expression.left) return expression.operator === '-' ? -right : right;
  const left = evaluate(expression.left, timing);
  switch (expression.operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      if (right === 0) throw durationError(expression, 'division by zero');
      return left / right;
    case '%':
      if (right === 0) throw durationError(expression, 'modulo by zero');
      return left % right;
    case '^':
      return pow(left, right);
    case 'min_of':
      return minOf(left, right);
    case 'max_of':
      return maxOf(left, right);
  }
}
