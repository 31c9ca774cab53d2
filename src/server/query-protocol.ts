// What main and a query worker say to each other. A call is answered by its head as soon as nothing can go wrong any more;
// further chunks are pulled one by one, so that a slow client holds one chunk in main and none in flight.
import type { QueryEndpoint } from '../api/index.ts';
import type { ContentEncoding } from './answer-encoder.ts';

export interface QueryCall {
  readonly id: number;
  readonly endpoint: QueryEndpoint;
  /** Urlencoded: the form in the body, then the query string. */
  readonly parameterTexts: readonly string[];
  readonly labelName: string;
  readonly encoding: ContentEncoding;
  readonly receivedMs: number;
  readonly queuedMs: number;
  /** One Int32: not 0 once the client has gone. */
  readonly cancelled: SharedArrayBuffer;
}

export interface AnswerHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly chunk: Uint8Array<ArrayBuffer>;
  /** False: the rest waits to be pulled by `next`, or given up by `drop`. */
  readonly isLast: boolean;
  /** Code or type of the error that was answered, for the log. */
  readonly errorText: string | undefined;
}

export interface AnswerChunk {
  readonly chunk: Uint8Array<ArrayBuffer>;
  readonly isLast: boolean;
}

/** Served by a query worker. Chunks are transferred. */
export type QueryHandlers = {
  readonly answer: (call: QueryCall) => Promise<AnswerHead>;
  readonly next: (argument: { readonly id: number }) => AnswerChunk;
  readonly drop: (argument: { readonly id: number }) => void;
};
