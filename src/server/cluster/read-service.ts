// Main's side of cluster reads: opens them for query workers, hands on their events, and ends them when the worker, or the
// client behind it, has gone.
import { RpcPeer, TimbalaError, Transferred } from '../../base/index.ts';
import type { ReadEvent, ReadOptions, ReadStream, Selection } from '../../cluster/index.ts';
import type { Channel } from '../../ports/index.ts';
import type { ClusterReadHandlers, NextCall, ReadCall } from './read-protocol.ts';

/** ClusterNode's reads. `open` throws READ_NOT_MEMBER or CLUSTER_NOT_JOINED while there is no cluster to read. */
export interface ClusterReads {
  open(selection: Selection, options: ReadOptions): ReadStream;
}

export class ReadService {
  readonly #reads: ClusterReads;
  /** Of all workers, by API call. */
  readonly #streamsByCall = new Map<number, Set<ReadStream>>();

  constructor(reads: ClusterReads) {
    this.#reads = reads;
  }

  /** Serves a worker; what is returned ends its reads: the worker has gone. */
  serve(channel: Channel): () => void {
    const open = new Map<number, { readonly call: ReadCall; readonly stream: ReadStream }>();
    const end = (readId: number): void => {
      const read = open.get(readId);
      open.delete(readId);
      if (!read) return;
      read.stream.cancel();
      this.#forget(read.call.callId, read.stream);
    };
    const next = async ({ readId, wantedOfShared }: NextCall): Promise<Transferred<ReadEvent>> => {
      const read = open.get(readId);
      if (!read) throw new TimbalaError('QUERY_CANCELLED', 'the read has been given up');
      try {
        const event = await read.stream.next(wantedOfShared);
        if (event.kind === 'end') end(readId);
        return transferred(event);
      } catch (error) {
        end(readId);
        throw error;
      }
    };
    // `Transferred` is how a handler says what moves; the caller sees what ClusterReadHandlers says.
    const handlers = {
      open: (call: ReadCall) => {
        const { selection, deadlineMs, alone } = call;
        const stream = this.#reads.open(selection, { deadlineMs, alone });
        open.set(call.readId, { call, stream });
        this.#keep(call.callId, stream);
        return next(call);
      },
      next,
      cancel: ({ readId }: { readonly readId: number }) => end(readId),
    } satisfies Record<keyof ClusterReadHandlers, unknown>;
    void new RpcPeer(channel, handlers);
    return () => {
      for (const readId of open.keys()) end(readId);
      channel.close();
    };
  }

  #keep(callId: number, stream: ReadStream): void {
    const streams = this.#streamsByCall.get(callId);
    if (streams) streams.add(stream);
    else this.#streamsByCall.set(callId, new Set([stream]));
  }

  #forget(callId: number, stream: ReadStream): void {
    const streams = this.#streamsByCall.get(callId);
    streams?.delete(stream);
    if (streams?.size === 0) this.#streamsByCall.delete(callId);
  }

  /** The client of an API call has gone. */
  cancelCall(callId: number): void {
    for (const stream of this.#streamsByCall.get(callId) ?? []) stream.cancel();
  }
}

/** Frames arrive inside larger messages; the copy lies at a multiple of eight, as readers of columns need it, and moves. */
function transferred(event: ReadEvent): Transferred<ReadEvent> {
  if (event.kind !== 'frame') return new Transferred(event, []);
  const frame = event.frame.slice();
  return new Transferred({ ...event, frame }, [frame.buffer]);
}
