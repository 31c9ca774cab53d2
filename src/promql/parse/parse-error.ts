// What the parser throws, and how positions in a query are printed: line and column, both from 1, the column in UTF-8 bytes,
// as Prometheus prints them.
import { TimbalaError } from '../../base/index.ts';
import type { Position } from './ast.ts';

/** A query that is not PromQL. The message is Prometheus's: `1:5: parse error: …`. */
export class PromqlParseError extends Error {
  readonly code = 'PROMQL_PARSE';
  readonly position: Position;
  /** The message without its position and without "parse error". */
  readonly reason: string;

  constructor(text: string, position: Position, reason: string) {
    super(`${formatPosition(text, position.start)}: parse error: ${reason}`);
    this.name = 'PromqlParseError';
    this.position = position;
    this.reason = reason;
  }
}

/** A query that is PromQL, but beyond what is evaluated here. */
export function notSupported(text: string, position: Position, what: string): TimbalaError {
  return new TimbalaError(
    'PROMQL_NOT_SUPPORTED',
    `${formatPosition(text, position.start)}: ${what} not supported yet; rewrite the query without it`,
  );
}

/** `line:column` of a UTF-16 offset into a query; annotations print positions with it too. */
export function formatPosition(text: string, offset: number): string {
  if (text === '') return 'unknown position';
  if (offset < 0 || offset > text.length) return 'invalid position';
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  const line = before.split('\n').length;
  return `${line}:${Buffer.byteLength(before.slice(lineStart)) + 1}`;
}
