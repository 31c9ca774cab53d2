// What main says to the lane and to the compactor. Bodies of writes lie in shared buffers that main owns; the lane is done
// with a buffer when it answers.
import type { WriteBody, WriteResult } from '../api/index.ts';
import type { Channel } from '../ports/index.ts';
import type {
  DeleteRuleRequest,
  KeeperStatus,
  LaneStatus,
  MetricMetadata,
  ReplayReport,
  StoreIdentity,
} from '../storage/index.ts';

/** A query worker that reads from the lane or the keeper; forgotten when the worker has died. */
export interface ReaderConnection {
  readonly readerId: number;
  readonly channel: Channel;
}

export type LaneHandlers = {
  /** One result per body, when all that was accepted is on disk. */
  readonly write: (bodies: readonly WriteBody[]) => Promise<readonly WriteResult[]>;
  readonly connectReader: (connection: ReaderConnection) => void;
  readonly disconnectReader: (argument: { readonly readerId: number }) => void;
  /** Resolves when the log of earlier runs is in the head. */
  readonly replayed: (argument: undefined) => Promise<ReplayReport>;
  /** Which store the directory is; in a cluster only. */
  readonly identify: (argument: undefined) => StoreIdentity;
  readonly status: (argument: undefined) => LaneStatus;
  readonly metadata: (argument: { readonly metric: string | undefined }) => readonly MetricMetadata[];
  readonly flush: (argument: undefined) => Promise<void>;
  readonly close: (argument: undefined) => Promise<void>;
};

export type CompactorHandlers = {
  readonly connectReader: (connection: ReaderConnection) => void;
  readonly disconnectReader: (argument: { readonly readerId: number }) => void;
  readonly status: (argument: undefined) => KeeperStatus;
  /** Resolves when the deletes are durable. */
  readonly applyRules: (rules: readonly DeleteRuleRequest[]) => Promise<void>;
  readonly compact: (argument: undefined) => Promise<void>;
  readonly close: (argument: undefined) => Promise<void>;
};
