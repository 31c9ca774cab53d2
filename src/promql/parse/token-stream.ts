// What all parts of the parser share: the tokens with one token of look-ahead (read no sooner than needed, so that errors come
// in Prometheus's order), the context that names an unexpected token's place, and the limit of nesting.
import { TimbalaError } from '../../base/index.ts';
import type { Position } from './ast.ts';
import { Lexer } from './lexer.ts';
import { PromqlParseError } from './parse-error.ts';
import { describeToken, type Token } from './tokens.ts';

/** Trees no deeper than this are built, so that nothing that walks one can run out of stack. */
export const nestingMax = 1000;

/** Queries no longer than this (UTF-16 units) are read. */
export const queryLengthMax = 1 << 20;

export class TokenStream {
  readonly text: string;
  readonly #lexer: Lexer;
  #ahead: Token | undefined;
  #contexts: string[] = [];
  #nesting = 0;

  /** Throws PROMQL_TOO_LONG. */
  constructor(text: string) {
    if (text.length > queryLengthMax) {
      throw new TimbalaError(
        'PROMQL_TOO_LONG',
        `query of ${text.length} characters, at most ${queryLengthMax} are read`,
      );
    }
    this.text = text;
    this.#lexer = new Lexer(text);
  }

  peek(): Token {
    this.#ahead ??= this.#lexer.next();
    return this.#ahead;
  }

  take(): Token {
    const token = this.peek();
    this.#ahead = undefined;
    return token;
  }

  /** The next token if it is of this kind. */
  accept(kind: string): Token | undefined {
    return this.peek().kind === kind ? this.take() : undefined;
  }

  expect(kind: string): Token {
    if (this.peek().kind !== kind) throw this.unexpected();
    return this.take();
  }

  /** Runs a rule; an unexpected token within it (and within no inner context) is said to be ` in context`. */
  within<Result>(context: string, rule: () => Result): Result {
    this.#contexts.push(context);
    const result = rule();
    this.#contexts.pop();
    return result;
  }

  /** Runs a rule that may contain itself. Throws PROMQL_TOO_DEEP. */
  nested<Result>(rule: () => Result): Result {
    this.#nesting++;
    this.checkDepth(this.#nesting);
    const result = rule();
    this.#nesting--;
    return result;
  }

  checkDepth(depth: number): void {
    if (depth > nestingMax) {
      throw new TimbalaError('PROMQL_TOO_DEEP', `query nests deeper than ${nestingMax} expressions; split it up`);
    }
  }

  /** The error for the next token. `context`: "place" or "place, expected …"; by default the innermost that is open. */
  unexpected(context = this.#contexts.at(-1)): PromqlParseError {
    const token = this.peek();
    return this.error(token, `unexpected ${describeToken(token)}${context ? ` in ${context}` : ''}`);
  }

  error({ start, end }: Position, reason: string): PromqlParseError {
    return new PromqlParseError(this.text, { start, end }, reason);
  }
}
