// Errors of evaluation, with Prometheus's texts.
import { TimbalaError } from '../../base/index.ts';

export function executionError(text: string): TimbalaError {
  return new TimbalaError('PROMQL_EXECUTION', text);
}

/** Two series of one vector ended up with the same labels at the same time. */
export function duplicateLabelsError(): TimbalaError {
  return executionError('vector cannot contain metrics with the same labelset');
}
