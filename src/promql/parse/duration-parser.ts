// The parts of the grammar that stand for a span of time: numbers and durations as literals, what follows "offset", and the
// arithmetic that is allowed inside brackets (`[5m + step()]`).
import { errorMessage } from '../../base/index.ts';
import { parseDuration, parseQueryNumber } from '../numbers/index.ts';
import type { DurationExpression, NumberLiteral } from './ast.ts';
import type { TokenStream } from './token-stream.ts';
import type { Token } from './tokens.ts';

export const durationsExpected = 'number, duration, step(), or range()';

/** Beyond this, nanoseconds overflow 64 bits. */
const durationSecondsMax = 2 ** 63 / 1e9;

/** The next token, a number or a duration, as a literal in seconds. */
export function parseNumberLiteral(tokens: TokenStream): NumberLiteral {
  const token = tokens.take();
  const { start, end } = token;
  return { kind: 'number', ...numberOf(tokens, token), position: { start, end } };
}

function numberOf(tokens: TokenStream, token: Token): { value: number; isDuration: boolean } {
  try {
    if (token.kind === 'duration') return { value: parseDuration(token.text) / 1000, isDuration: true };
    return { value: parseQueryNumber(token.text), isDuration: false };
  } catch (cause) {
    const reason = errorMessage(cause);
    throw tokens.error(token, token.kind === 'duration' ? reason : `error parsing number: ${reason}`);
  }
}

export function isNumberToken(token: Token): boolean {
  return token.kind === 'number' || token.kind === 'duration';
}

/** The literal with a sign before it. */
export function signed(sign: Token, literal: NumberLiteral): NumberLiteral {
  const value = sign.kind === '-' ? -literal.value : literal.value;
  return { ...literal, value, position: { start: sign.start, end: literal.position.end } };
}

function checkRange(tokens: TokenStream, at: { start: number; end: number }, literal: NumberLiteral): NumberLiteral {
  // Negated, so that NaN is refused too; Prometheus takes it for the smallest integer.
  if (!(Math.abs(literal.value) <= durationSecondsMax)) throw tokens.error(at, 'duration out of range');
  return literal;
}

/** A literal's milliseconds; Prometheus rounds to nanoseconds and drops what is below a millisecond. */
export function literalMs({ value }: NumberLiteral): number {
  const nanoseconds = Math.sign(value) * Math.floor(Math.abs(value) * 1e9 + 0.5);
  return Math.trunc(nanoseconds / 1e6) + 0;
}

/** What follows "offset": a literal with or without sign, a function, or a duration expression in parentheses. */
export function parseOffset(tokens: TokenStream): DurationExpression {
  const first = tokens.peek();
  const sign = first.kind === '+' || first.kind === '-' ? tokens.take() : undefined;
  const next = tokens.peek();
  if (isNumberToken(next)) {
    const literal = parseNumberLiteral(tokens);
    return checkRange(tokens, sign ?? literal.position, sign ? signed(sign, literal) : literal);
  }
  // A parenthesis without a sign may go on: `offset (5m) + 1m` adds before it is an offset.
  if (!sign && next.kind === '(') return parseDurationExpression(tokens);
  const operand = parseOperand(tokens);
  if (sign?.kind !== '-') return operand;
  const position = { start: sign.start, end: operand.position.end };
  return { kind: 'duration-operation', operator: '-', left: undefined, right: operand, position };
}

/** What stands in brackets: as a literal it must be above 0. */
export function parsePositiveDuration(tokens: TokenStream): DurationExpression {
  const expression = parseDurationExpression(tokens);
  if (expression.kind === 'number' && expression.value <= 0) {
    throw tokens.error(expression.position, 'duration must be greater than 0');
  }
  return expression;
}

type DurationOperator = '+' | '-' | '*' | '/' | '%' | '^';

const precedences: ReadonlyMap<string, number> = new Map([
  ['+', 1],
  ['-', 1],
  ['*', 2],
  ['/', 2],
  ['%', 2],
  ['^', 3],
]);

function parseDurationExpression(tokens: TokenStream, precedenceMin = 1): DurationExpression {
  return tokens.nested(() => {
    let left = parseOperand(tokens);
    for (let length = 1; ; length++) {
      const precedence = precedences.get(tokens.peek().kind);
      if (precedence === undefined || precedence < precedenceMin) return left;
      tokens.checkDepth(length);
      const operator = tokens.take();
      const kind = operator.kind as DurationOperator;
      const right = parseDurationExpression(tokens, kind === '^' ? precedence : precedence + 1);
      if ((kind === '/' || kind === '%') && right.kind === 'number' && right.value === 0) {
        throw tokens.error(operator, `${kind === '/' ? 'division' : 'modulo'} by zero`);
      }
      const position = { start: left.position.start, end: right.position.end };
      left = { kind: 'duration-operation', operator: kind, left, right, position };
    }
  });
}

function parseOperand(tokens: TokenStream): DurationExpression {
  const token = tokens.peek();
  if (isNumberToken(token)) {
    const literal = parseNumberLiteral(tokens);
    return checkRange(tokens, literal.position, literal);
  }
  switch (token.kind) {
    case '+':
    case '-':
      return parseSigned(tokens);
    case 'step':
    case 'range': {
      tokens.take();
      tokens.expect('(');
      const { end } = tokens.expect(')');
      return { kind: 'duration-of-query', which: token.kind, position: { start: token.start, end } };
    }
    case 'min_of':
    case 'max_of': {
      tokens.take();
      tokens.expect('(');
      const left = parseDurationExpression(tokens);
      tokens.expect(',');
      const right = parseDurationExpression(tokens);
      const { end } = tokens.expect(')');
      const position = { start: token.start, end };
      return { kind: 'duration-operation', operator: token.kind, left, right, position };
    }
    case '(': {
      tokens.take();
      const expression = parseDurationExpression(tokens);
      const position = { start: token.start, end: tokens.expect(')').end };
      // More than one pair says no more than one.
      if (expression.kind === 'duration-parentheses') return { ...expression, position };
      return { kind: 'duration-parentheses', expression, position };
    }
  }
  throw tokens.unexpected();
}

function parseSigned(tokens: TokenStream): DurationExpression {
  const sign = tokens.take();
  // A sign binds as "*" does: -2^2 is -(2^2).
  const operand = parseDurationExpression(tokens, 3);
  if (operand.kind === 'number') return checkRange(tokens, sign, signed(sign, operand));
  if (sign.kind === '+') return operand;
  const position = { start: sign.start, end: operand.position.end };
  return { kind: 'duration-operation', operator: '-', left: undefined, right: operand, position };
}
