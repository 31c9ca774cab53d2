// What has gone over peer connections since the start, by class; plain numbers, added to where things happen.
import { type ConnectionClass, connectionClasses } from './classes.ts';

export interface PeerCounters {
  /** Connections on which both sides have agreed, and those of them that have ended. */
  connectionsOpened: number;
  connectionsEnded: number;
  /** Refused at the opening, by either side, or never answered. */
  connectionsFailed: number;
  framesSent: number;
  bytesSent: number;
  framesReceived: number;
  bytesReceived: number;
  requestsSent: number;
  requestsReceived: number;
  requestsTimedOut: number;
  /** Refused by us because a queue was full: requests of our own, and requests of peers. */
  requestsRefused: number;
  samplesSent: number;
  samplesReceived: number;
  definitionsBytesSent: number;
  /** Times that a message had to wait for credit. */
  creditWaits: number;
}

export type PeerCountersByClass = Readonly<Record<ConnectionClass, PeerCounters>>;

const zero: PeerCounters = {
  connectionsOpened: 0,
  connectionsEnded: 0,
  connectionsFailed: 0,
  framesSent: 0,
  bytesSent: 0,
  framesReceived: 0,
  bytesReceived: 0,
  requestsSent: 0,
  requestsReceived: 0,
  requestsTimedOut: 0,
  requestsRefused: 0,
  samplesSent: 0,
  samplesReceived: 0,
  definitionsBytesSent: 0,
  creditWaits: 0,
};

export function createCounters(): PeerCountersByClass {
  return Object.fromEntries(connectionClasses.map((name) => [name, { ...zero }])) as PeerCountersByClass;
}
