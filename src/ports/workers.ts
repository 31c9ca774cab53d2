// Workers and the channels between them. In production a worker is a thread and a channel a MessagePort; inline (tests,
// simulation) both live in the calling thread and messages are delivered by a later microtask, in order, uncloned.
// Sample values cross only inside buffers: structured clone may quiet a signalling NaN.

/** One end of an ordered, reliable, two-way message channel. */
export interface Channel {
  /** `transfer`: ArrayBuffers (and Channels) that the receiver will own; the sender must not touch them again. */
  post(message: unknown, transfer?: readonly (ArrayBuffer | Channel)[]): void;
  /** Replaces the handler; messages that came before the first handler are delivered to it. */
  onMessage(handler: (message: unknown) => void): void;
  close(): void;
}

export interface WorkerHandle {
  readonly channel: Channel;
  /** Resolves when the worker has ended: undefined after `terminate` or a clean end, the error otherwise. */
  readonly ended: Promise<unknown>;
  terminate(): Promise<void>;
}

export interface Workers {
  /**
   * Starts a worker of a role (a name known to the worker entry) with start-up data that survives structured clone, and
   * further channels to give it.
   */
  spawn(role: string, start: unknown, channels?: Readonly<Record<string, Channel>>): WorkerHandle;
  /** Two connected ends, to be handed to two workers. */
  createChannel(): [Channel, Channel];
}
