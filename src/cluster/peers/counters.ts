// What has gone over peer connections since the start, by class; plain numbers, added to where things happen.
import { type ConnectionClass, connectionClasses } from './classes.ts';

const zero = {
  /** Connections on which both sides have agreed, and those of them that have ended. */
  connectionsOpened: 0,
  connectionsEnded: 0,
  /** Refused at the opening, by either side, or never answered. */
  connectionsFailed: 0,
  framesSent: 0,
  bytesSent: 0,
  framesReceived: 0,
  bytesReceived: 0,
  requestsSent: 0,
  requestsReceived: 0,
  /** Requests of our own that failed at once: no connection, and none to be tried now. */
  requestsUnreachable: 0,
  requestsTimedOut: 0,
  /** Requests of our own that nobody waited for any more. */
  requestsCancelled: 0,
  /** Requests of our own that were not sent: the queue was full, or credit did not come in time. */
  requestsHeldBack: 0,
  /** Failures that peers answered with, and of those the refusals by busy ones. */
  failuresReceived: 0,
  busyReceived: 0,
  /** Failures that we answered with, and of those: too many requests in hand; its time was over before its turn came. */
  failuresSent: 0,
  requestsRefused: 0,
  requestsLate: 0,
  /** Requests of peers that had to wait for their turn: too many were worked on, or answers waited for credit. */
  requestsDelayed: 0,
  /** Requests of peers that were given up because nobody waited for the answer any more. */
  requestsAbandoned: 0,
  samplesSent: 0,
  samplesReceived: 0,
  /** Times that the other side numbered its series anew, and all definitions were sent again. */
  dictionariesRestarted: 0,
  definitionsBytesSent: 0,
  definitionsBytesReceived: 0,
  /** Times that a message had to wait for credit, and the time that they waited. */
  creditWaits: 0,
  creditWaitMs: 0,
};

export type PeerCounters = typeof zero;
export type PeerCountersByClass = Readonly<Record<ConnectionClass, PeerCounters>>;

export function createCounters(): PeerCountersByClass {
  return Object.fromEntries(connectionClasses.map((name) => [name, { ...zero }])) as PeerCountersByClass;
}
