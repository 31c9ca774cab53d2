// The cluster to its operator: what it looks like from this node, and the two things that only an operator can decide:
// that this node leaves, that another one will not come back.
import type { HttpHandler } from '../ports/index.ts';
import { ApiError, errorAnswer, successAnswer, toApiError } from './errors.ts';
import { Parameters } from './parameters.ts';

export interface ClusterControl {
  /** Anything that JSON can carry. */
  status(): Promise<unknown>;
  decommission(isForced: boolean): Promise<void>;
  remove(node: string): Promise<void>;
}

export function clusterStatusHandler(control: ClusterControl): HttpHandler {
  return async () => {
    try {
      return successAnswer(await control.status());
    } catch (error) {
      return errorAnswer(toApiError(error));
    }
  };
}

/** Answered when the decision is on disk; what follows from it is seen in the status. */
export function decommissionHandler(control: ClusterControl): HttpHandler {
  return async ({ queryText }) => {
    try {
      await control.decommission(new Parameters(queryText).get('force') === 'true');
      return { status: 204, headers: {} };
    } catch (error) {
      return errorAnswer(toApiError(error));
    }
  };
}

export function removeHandler(control: ClusterControl): HttpHandler {
  return async ({ queryText }) => {
    try {
      const node = new Parameters(queryText).get('node');
      if (node === '') throw new ApiError('bad_data', 'the parameter node is missing: the name of the node to give up');
      await control.remove(node);
      return { status: 204, headers: {} };
    } catch (error) {
      return errorAnswer(toApiError(error));
    }
  };
}
