// Errors as Prometheus's API gives them: a type, a status code, a text. What a query, the storage or the queue threw is
// known by its code; anything unknown is `internal`, with its message, because a hidden error helps nobody.
import { errorMessage } from '../base/index.ts';
import type { HttpAnswer } from '../ports/index.ts';

export type ErrorType =
  | 'bad_data'
  | 'execution'
  | 'timeout'
  | 'canceled'
  | 'unavailable'
  | 'internal'
  | 'not_found'
  | 'not_acceptable';

const statusByType: Readonly<Record<ErrorType, number>> = {
  bad_data: 400,
  not_found: 404,
  not_acceptable: 406,
  execution: 422,
  // nginx's "client closed request", which Prometheus uses too.
  canceled: 499,
  internal: 500,
  timeout: 503,
  unavailable: 503,
};

export class ApiError extends Error {
  readonly type: ErrorType;
  readonly status: number;

  constructor(type: ErrorType, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ApiError';
    this.type = type;
    this.status = statusByType[type];
  }
}

/** Prometheus's words for a parameter that it can't read. */
export function invalidParameter(name: string, reason: unknown): ApiError {
  return new ApiError('bad_data', `invalid parameter ${JSON.stringify(name)}: ${errorMessage(reason)}`);
}

const typeByCode: Readonly<Record<string, ErrorType>> = {
  PROMQL_EXECUTION: 'execution',
  PROMQL_NOT_SUPPORTED: 'execution',
  QUERY_TOO_MANY_SAMPLES: 'execution',
  QUERY_TOO_MUCH_MEMORY: 'execution',
  QUERY_TIMEOUT: 'timeout',
  QUERY_CANCELLED: 'canceled',
  HTTP_BODY_TOO_LARGE: 'bad_data',
  HTTP_DISCONNECTED: 'canceled',
  STORAGE_REPLAYING: 'unavailable',
  READ_TOO_LARGE: 'execution',
  READ_NOT_MEMBER: 'unavailable',
  READ_UNSETTLED: 'unavailable',
  DELETE_UNAVAILABLE: 'unavailable',
  DELETE_TOO_MANY: 'execution',
  RPC_CLOSED: 'unavailable',
  CLUSTER_NOT_JOINED: 'unavailable',
  CLUSTER_STANDALONE: 'bad_data',
  CLUSTER_NOT_ACTIVE: 'execution',
  CLUSTER_TOO_SMALL: 'execution',
  CLUSTER_ALIVE: 'execution',
  CLUSTER_REMOVE_SELF: 'bad_data',
  CLUSTER_UNKNOWN_NODE: 'not_found',
};

/** What is wrong with the text of a query. */
const badQueryCodes: ReadonlySet<string> = new Set([
  'PROMQL_PARSE',
  'PROMQL_INVALID',
  'PROMQL_DURATION',
  'PROMQL_TOO_DEEP',
  'PROMQL_TOO_LONG',
]);

/** Texts that Prometheus's users know stand alone; our own errors keep their code. */
const textOnly = /^(?:PROMQL_\w+|QUERY_TOO_MANY_SAMPLES|QUERY_TIMEOUT|QUERY_CANCELLED): /;

/** Whatever was thrown while an API call was answered. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const message = errorMessage(error);
  if (badQueryCodes.has(code)) return invalidParameter('query', message.replace(textOnly, ''));
  if (error instanceof RangeError && /allocation failed|Invalid (?:typed )?array/.test(message)) {
    return new ApiError('execution', `QUERY_TOO_MUCH_MEMORY: ${message}; narrow the query's selectors or its range`);
  }
  return new ApiError(typeByCode[code] ?? 'internal', message.replace(textOnly, ''), { cause: error });
}

export const jsonHeaders: Readonly<Record<string, string>> = { 'content-type': 'application/json' };

export function errorBody(error: ApiError): string {
  return JSON.stringify({ status: 'error', errorType: error.type, error: error.message });
}

export function errorAnswer(error: ApiError): HttpAnswer {
  return { status: error.status, headers: jsonHeaders, body: errorBody(error) };
}

export function successAnswer(data: unknown): HttpAnswer {
  return { status: 200, headers: jsonHeaders, body: JSON.stringify({ status: 'success', data }) };
}
