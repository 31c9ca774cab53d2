// Which messages share a connection. Each class has a TCP stream of its own to each peer, with its own credit and series
// dictionary, so that no question waits behind a batch of samples, nor a client's write behind a rebalancing, not even in
// the buffers of the system or while a lost segment is sent again.
import { kib, mib } from '../../base/index.ts';
import { peerBodyBytesMax } from '../../wire/index.ts';
import type { MessageKind } from '../contracts.ts';

/** Numbers on the wire are positions: append only. */
export const messageKinds: readonly MessageKind[] = ['hello', 'write', 'copy', 'marks', 'compare', 'read'];
export const connectionClasses = ['control', 'write', 'read', 'background'] as const;
export type ConnectionClass = (typeof connectionClasses)[number];

const classByKind: Readonly<Record<MessageKind, ConnectionClass>> = {
  hello: 'control',
  marks: 'control',
  write: 'write',
  read: 'read',
  compare: 'background',
  copy: 'background',
};

export const classOf = (kind: MessageKind): ConnectionClass => classByKind[kind];

export interface ClassLimits {
  /** Bytes of messages that a node takes on one connection before it has dealt with earlier ones. */
  readonly windowBytes: number;
  /** Bytes of requests that wait for credit or for the connection; more are refused with PEER_BUSY. */
  readonly queuedBytesMax: number;
  /** Bytes of answers that wait for credit; while there are more, no further request is begun. */
  readonly answersBytesMax: number;
  /** Requests that a node has in hand at a time for one connection; more are refused with PEER_BUSY. */
  readonly requestsMax: number;
  /** Of those, worked on at a time; the others wait their turn. */
  readonly workMax: number;
  /** A request that waits so long for the credit of a peer that is alive fails with PEER_BUSY. */
  readonly creditWaitMsMax: number | undefined;
}

export const classLimits: Readonly<Record<ConnectionClass, ClassLimits>> = {
  control: {
    windowBytes: 1 * mib,
    queuedBytesMax: 4 * mib,
    answersBytesMax: 4 * mib,
    requestsMax: 256,
    workMax: 256,
    creditWaitMsMax: undefined,
  },
  write: {
    windowBytes: 8 * mib,
    queuedBytesMax: 32 * mib,
    answersBytesMax: 1 * mib,
    requestsMax: 4_096,
    workMax: 4_096,
    // Shorter than a coordinator waits before others stand in: nobody stands in for a node that is busy.
    creditWaitMsMax: 500,
  },
  read: {
    windowBytes: 16 * mib,
    // Questions that say what is known of 100,000 series are of 3 MiB, and who is refused is done without.
    queuedBytesMax: 64 * mib,
    answersBytesMax: 16 * mib,
    requestsMax: 256,
    // More than the queries of one node ask at a time (20, four fragments each): those that wait for a place to read would
    // otherwise keep those from going on that have one.
    workMax: 96,
    creditWaitMsMax: undefined,
  },
  background: {
    windowBytes: 4 * mib,
    queuedBytesMax: 16 * mib,
    answersBytesMax: 8 * mib,
    requestsMax: 64,
    workMax: 16,
    creditWaitMsMax: undefined,
  },
};

/**
 * Bytes that wait for the other side of a connection to read them; who leaves more is cut off. Who reads never has so much
 * waiting: a window and one message, and what short answers to all that it may ask at a time take.
 */
export const unsentBytesMax = classLimits.read.windowBytes + peerBodyBytesMax + 16 * mib;
/** The same in frames, of which a short one takes a kilobyte of memory while it waits: more than any peer asks at a time. */
export const unsentFramesMax = 65_536;

/** With more peers than this each gets less, so that what all of them can make a node hold stays the same. */
const peersWithFullShare = 16;
const windowBytesMin = 256 * kib;

export function limitsAmong(peersCount: number, connectionClass: ConnectionClass): ClassLimits {
  const limits = classLimits[connectionClass];
  if (peersCount <= peersWithFullShare) return limits;
  const share = (bytes: number): number =>
    Math.max(windowBytesMin, Math.floor((bytes * peersWithFullShare) / peersCount));
  return {
    ...limits,
    windowBytes: share(limits.windowBytes),
    queuedBytesMax: share(limits.queuedBytesMax),
    answersBytesMax: share(limits.answersBytesMax),
  };
}
