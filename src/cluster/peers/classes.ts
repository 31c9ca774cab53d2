// Which messages share a connection. Each class has a TCP stream of its own to each peer, with its own credit and series
// dictionary, so that no question waits behind a batch of samples, nor a client's write behind a rebalancing, not even in
// the buffers of the system or while a lost segment is sent again.
import { mib } from '../../base/index.ts';
import type { MessageKind } from '../contracts.ts';

/** Numbers on the wire are positions: append only. */
export const messageKinds: readonly MessageKind[] = ['hello', 'write', 'copy', 'marks', 'compare', 'read', 'pull'];
export const connectionClasses = ['control', 'write', 'read', 'background'] as const;
export type ConnectionClass = (typeof connectionClasses)[number];

const classByKind: Readonly<Record<MessageKind, ConnectionClass>> = {
  hello: 'control',
  marks: 'control',
  write: 'write',
  read: 'read',
  compare: 'background',
  copy: 'background',
  pull: 'background',
};

export const classOf = (kind: MessageKind): ConnectionClass => classByKind[kind];

export interface ClassLimits {
  /** Bytes of messages that a node takes on one connection before it has dealt with earlier ones. */
  readonly windowBytes: number;
  /** Bytes of requests that wait for credit or for the connection; more are refused with PEER_BUSY. */
  readonly queuedBytesMax: number;
  /** Requests that a node works on at a time for one connection; more are refused with PEER_BUSY. */
  readonly requestsMax: number;
}

export const classLimits: Readonly<Record<ConnectionClass, ClassLimits>> = {
  control: { windowBytes: 1 * mib, queuedBytesMax: 4 * mib, requestsMax: 256 },
  write: { windowBytes: 8 * mib, queuedBytesMax: 32 * mib, requestsMax: 4_096 },
  read: { windowBytes: 16 * mib, queuedBytesMax: 4 * mib, requestsMax: 256 },
  background: { windowBytes: 4 * mib, queuedBytesMax: 16 * mib, requestsMax: 64 },
};
