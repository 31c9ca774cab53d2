// The tree in the shape that Prometheus's /api/v1/parse_query answers, which its interface draws.
import type { Matcher } from '../../model/index.ts';
import { functionSignatures } from '../functions/signatures.ts';
import { formatFloat } from '../numbers/index.ts';
import type { AtModifier, DurationExpression, Expression, VectorMatching, VectorSelector } from './ast.ts';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

export function toParseQueryJson(expression: Expression): JsonValue {
  switch (expression.kind) {
    case 'number':
      return { type: 'numberLiteral', val: formatFloat(expression.value) };
    case 'string':
      return { type: 'stringLiteral', val: expression.value };
    case 'vector-selector':
      return { type: 'vectorSelector', ...selectorFields(expression) };
    case 'matrix-selector':
      return {
        type: 'matrixSelector',
        range: expression.rangeMs,
        rangeExpr: durationJson(expression.rangeExpression),
        ...selectorFields(expression.selector),
      };
    case 'subquery':
      return {
        type: 'subquery',
        expr: toParseQueryJson(expression.expression),
        range: expression.rangeMs,
        rangeExpr: durationJson(expression.rangeExpression),
        offset: expression.offsetMs,
        offsetExpr: durationJson(expression.offsetExpression),
        step: expression.stepMs ?? 0,
        stepExpr: durationJson(expression.stepExpression),
        ...atFields(expression.at),
      };
    case 'unary':
      return { type: 'unaryExpr', op: expression.operator, expr: toParseQueryJson(expression.expression) };
    case 'parentheses':
      return { type: 'parenExpr', expr: toParseQueryJson(expression.expression) };
    case 'binary':
      return {
        type: 'binaryExpr',
        op: expression.operator,
        lhs: toParseQueryJson(expression.left),
        rhs: toParseQueryJson(expression.right),
        matching: matchingJson(expression.matching),
        bool: expression.returnsBool,
      };
    case 'aggregation':
      return {
        type: 'aggregation',
        op: expression.operator,
        expr: toParseQueryJson(expression.expression),
        param: expression.parameter ? toParseQueryJson(expression.parameter) : null,
        grouping: expression.grouping,
        without: expression.without,
      };
    case 'call':
      return {
        type: 'call',
        func: functionJson(expression.function),
        args: expression.arguments.map(toParseQueryJson),
      };
  }
}

function selectorFields(selector: VectorSelector): { readonly [key: string]: JsonValue } {
  return {
    name: selector.name,
    offset: selector.offsetMs,
    offsetExpr: durationJson(selector.offsetExpression),
    matchers: selector.matchers.map(({ name, value, operator }: Matcher) => ({ name, value, type: operator })),
    ...atFields(selector.at),
    anchored: false,
    smoothed: false,
  };
}

function atFields(at: AtModifier | undefined): { readonly timestamp: JsonValue; readonly startOrEnd: JsonValue } {
  return { timestamp: at?.at === 'time' ? at.timeMs : null, startOrEnd: at && at.at !== 'time' ? at.at : null };
}

function matchingJson(matching: VectorMatching | undefined): JsonValue {
  if (!matching) return null;
  const { cardinality, labels, on, include } = matching;
  return { card: cardinality, labels, on, include, fillValues: { lhs: null, rhs: null } };
}

function functionJson(name: string): JsonValue {
  const signature = functionSignatures.get(name);
  if (!signature) return null;
  const { argumentTypes, variadic, returnType } = signature;
  return { name, argTypes: argumentTypes, variadic, returnType };
}

function durationJson(expression: DurationExpression | undefined): JsonValue {
  switch (expression?.kind) {
    case undefined:
      return null;
    case 'number':
      return { type: 'numberLiteral', val: formatFloat(expression.value), duration: expression.isDuration };
    case 'duration-of-query':
      return { type: 'durationExpr', op: expression.which, lhs: null, rhs: null, wrapped: false };
    case 'duration-parentheses': {
      // Prometheus has no node for parentheses: it marks what is in them, a literal as an operand of a sign.
      const { expression: inner } = expression;
      if (inner.kind !== 'number') return { ...(durationJson(inner) as object), wrapped: true };
      return { type: 'durationExpr', op: '+', lhs: null, rhs: durationJson(inner), wrapped: true };
    }
    case 'duration-operation': {
      const { operator, left, right } = expression;
      return { type: 'durationExpr', op: operator, lhs: durationJson(left), rhs: durationJson(right), wrapped: false };
    }
  }
}
