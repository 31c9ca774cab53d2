// What a query worker asks of main when its query needs the whole cluster. The worker draws: main holds a frame of each source.
import type { ReadEvent, Selection, WantedOfShared } from '../../cluster/index.ts';
import type { StepReach } from '../../promql/index.ts';

export interface ReadCall {
  /** Chosen by the worker; unique on its channel. */
  readonly readId: number;
  /** The API call that it is for: when its client leaves, main ends the read. */
  readonly callId: number;
  readonly selection: Selection;
  readonly deadlineMs: number;
  /** As in ReadOptions. */
  readonly alone?: StepReach | undefined;
}

export interface NextCall {
  readonly readId: number;
  /** As of ReadStream.next. */
  readonly wantedOfShared?: WantedOfShared | undefined;
}

/** Served by main to each query worker. Errors of a read are those of ReadStream.next. */
export type ClusterReadHandlers = {
  /** The first event. */
  readonly open: (call: ReadCall) => Promise<ReadEvent>;
  readonly next: (argument: NextCall) => Promise<ReadEvent>;
  readonly cancel: (argument: { readonly readId: number }) => void;
};
