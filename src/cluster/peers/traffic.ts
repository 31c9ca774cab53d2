// What the two halves of a connection, asking and answering, share: the way out, the room for what comes in, and limits.
import { errorMessage, TimbalaError } from '../../base/index.ts';
import type { PeerFailure } from '../../wire/index.ts';
import type { ClassLimits, ConnectionClass } from './classes.ts';
import type { PeerCounters } from './counters.ts';
import type { ReceiveWindow } from './inbox.ts';
import type { Outbox } from './outbox.ts';

export interface Traffic {
  readonly connectionClass: ConnectionClass;
  readonly limits: ClassLimits;
  readonly counters: PeerCounters;
  readonly outbox: Outbox;
  readonly window: ReceiveWindow;
  /** Sends a frame at once, which is gone afterwards: for what needs no credit. */
  readonly write: (frame: Uint8Array<ArrayBuffer>) => void;
}

/** Answers up to this size go at once and need no credit: the requests that they answer bound them. */
const smallAnswerBytes = 4_096;

export const isSmall = (hasSamples: boolean, body: Uint8Array): boolean =>
  !hasSamples && body.length <= smallAnswerBytes;

/** An error as it crosses to the other side. */
export function failureOf(error: unknown): PeerFailure {
  if (!(error instanceof TimbalaError)) return { code: 'PEER_FAILED', text: errorMessage(error) };
  return { code: error.code, text: error.message.slice(error.code.length + 2) };
}

export function asTimbalaError(error: unknown): TimbalaError {
  if (error instanceof TimbalaError) return error;
  return new TimbalaError('PEER_FAILED', errorMessage(error), { cause: error });
}
