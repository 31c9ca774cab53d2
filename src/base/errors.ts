// The errors that people meet: a stable code, what went wrong and where, the consequence, and how to mend it.
// The message always begins with the code, so that logs and HTTP answers can be searched for it.

/** An error with a stable, upper-case code; `message` reads `CODE: what, where; consequence or remedy`. */
export class TimbalaError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(`${code}: ${message}`, options);
    this.name = 'TimbalaError';
    this.code = code;
  }
}

/** True for errors with this code, whichever thread they were made in (codes survive structured clones, classes do not). */
export function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}

/** The text of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
