// Assertions for programmer errors: on in production, one condition each. Input from outside is validated, never asserted.
import { TimbalaError } from './errors.ts';

/** Throws ASSERTION_FAILED unless `condition` holds. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new TimbalaError('ASSERTION_FAILED', what);
}

/** Marks code that no input can reach; with a `never` argument the type checker proves that a switch is complete. */
export function unreachable(value: never, what = 'unreachable'): never {
  throw new TimbalaError('ASSERTION_FAILED', `${what}: ${String(value)}`);
}

/** The value, asserted to be there: for array reads whose bounds the caller has just established. */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new TimbalaError('ASSERTION_FAILED', `${what} is missing`);
  return value;
}
