// A node's answers to reads of others: the first frame with the question, further ones as they are asked for. What is under way
// for others is bounded in number, two frames ahead each, and forgotten when nobody asks for more. Who comes when all places are
// taken waits: a refusal would make the asking node do without this one.
import { TimbalaError } from '../../base/index.ts';
import type { Timer } from '../../ports/index.ts';
import type { NodeName, PeerWork, ReadSegment, Selection } from '../contracts.ts';
import type { Exchange, Question } from '../exchange.ts';
import { nothing, openRead, readMore, readReply, readRequest } from '../messages.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';
import type { ReadCounters } from './counters.ts';
import { partitionsIn } from './plan.ts';

type ReadBody = Selection & { readonly dropsCount: number; readonly segments: readonly ReadSegment[] };
/** Names a read under way: numbers begin anew with every start of a process. */
export interface OpenReadId {
  readonly epoch: number;
  readonly readId: number;
}

interface ReadMore {
  readonly read: OpenReadId;
  readonly number: number;
}

export interface ReadPiece {
  readonly read: OpenReadId;
  readonly frame: Uint8Array;
  readonly isLast: boolean;
}

export const readQuestion: Question<ReadBody, ReadPiece> = {
  kind: 'read',
  topic: 'read',
  request: readRequest,
  reply: readReply,
};

export const readMoreQuestion: Question<ReadMore, ReadPiece> = {
  kind: 'read',
  topic: 'read-more',
  request: readMore,
  reply: readReply,
};

/** Nobody will ask for more. */
export const readEndQuestion: Question<OpenReadId, object> = {
  kind: 'read',
  topic: 'read-end',
  request: openRead,
  reply: nothing,
};

const readsMax = 64;
const waitingMax = 1000;
const noFrame = new Uint8Array(0);

export type ReadOwn = (
  selection: Selection,
  segments: readonly ReadSegment[],
  signal: AbortSignal,
) => AsyncIterable<Uint8Array>;

interface OpenRead {
  readonly from: NodeName;
  /** Ends the work on a frame that nobody wants any more. */
  readonly stop: AbortController;
  readonly frames: AsyncIterator<Uint8Array>;
  /** The frames that follow the one given last; two, so that it is known which is the last. */
  readonly ahead: Promise<IteratorResult<Uint8Array>>[];
  /** The number of the frame given last, and it. */
  number: number;
  given: Promise<ReadPiece>;
  idle: Timer | undefined;
}

export class ReadServer {
  readonly #state: NodeState;
  readonly #timing: ClusterTiming;
  readonly #counters: ReadCounters;
  readonly #readOwn: ReadOwn;
  readonly #reads = new Map<number, OpenRead>();
  readonly #waiting = new Set<() => void>();
  #placesTaken = 0;
  #nextId = 1;

  constructor(state: NodeState, exchange: Exchange, timing: ClusterTiming, counters: ReadCounters, readOwn: ReadOwn) {
    this.#state = state;
    this.#timing = timing;
    this.#counters = counters;
    this.#readOwn = readOwn;
    exchange.answer(readQuestion, async ({ from, body, work }) => ({ body: await this.#open(from, body, work) }));
    exchange.answer(readMoreQuestion, async ({ from, body }) => ({ body: await this.#more(from, body) }));
    exchange.answer(readEndQuestion, async ({ from, body }) => {
      if (this.#find(from, body)) this.#close(body.readId);
      return { body: {} };
    });
  }

  async #open(
    from: NodeName,
    { fromMs, toMs, wanted, segments, dropsCount }: ReadBody,
    { signal }: PeerWork,
  ): Promise<ReadPiece> {
    const stop = new AbortController();
    // Reads nothing yet: the state is taken when the first frame is asked for.
    const frames = this.#readOwn({ fromMs, toMs, wanted }, segments, stop.signal)[Symbol.asyncIterator]();
    await this.#enter(signal);
    // It is not heard any more.
    if (signal.aborted) {
      this.#leave();
      throw cancelled();
    }
    this.#counters.served++;
    const readId = this.#nextId++;
    const ahead = [nextOf(frames), nextOf(frames)];
    const read = { from, stop, frames, ahead, number: 0, idle: undefined };
    const given = this.#give(readId, read);
    this.#reads.set(readId, Object.assign(read, { given }));
    const giveUp = (): void => this.#close(readId);
    signal.addEventListener('abort', giveUp);
    try {
      const piece = await given;
      // Looked at after the state was taken: what is dropped from now on has been read.
      for (const { partitions } of segments) this.#state.refuseDropped(partitionsIn(partitions), dropsCount);
      return piece;
    } catch (error) {
      this.#close(readId);
      throw error;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** Takes a place, which closing the read gives back. Throws PEER_BUSY, and PEER_CANCELLED when nobody waits any more. */
  async #enter(signal: AbortSignal): Promise<void> {
    if (this.#placesTaken < readsMax) {
      this.#placesTaken++;
      return;
    }
    if (this.#waiting.size >= waitingMax) {
      this.#counters.refused++;
      throw new TimbalaError('PEER_BUSY', `${waitingMax} reads wait already for ${this.#state.name}`);
    }
    await new Promise<void>((resolve, reject) => {
      const giveUp = (): void => {
        this.#waiting.delete(admit);
        reject(cancelled());
      };
      const admit = (): void => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiting.add(admit);
    });
  }

  /** The place is handed on: it is never free in between. */
  #leave(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#placesTaken--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }

  #find(from: NodeName, { epoch, readId }: OpenReadId): OpenRead | undefined {
    const read = this.#reads.get(readId);
    return epoch === this.#state.epoch && read?.from === from ? read : undefined;
  }

  async #more(from: NodeName, { read: id, number }: ReadMore): Promise<ReadPiece> {
    const read = this.#find(from, id);
    if (!read || (number !== read.number && number !== read.number + 1)) {
      throw new TimbalaError('PEER_DROPPED', 'the read was given up meanwhile; ask again');
    }
    if (number > read.number) {
      read.number = number;
      read.given = this.#give(id.readId, read);
    }
    try {
      return await read.given;
    } catch (error) {
      this.#close(id.readId);
      throw error;
    }
  }

  async #give(readId: number, read: Omit<OpenRead, 'given'>): Promise<ReadPiece> {
    const { ahead, frames } = read;
    read.idle?.cancel();
    const current = await ahead.shift();
    ahead.push(nextOf(frames));
    const isLast = (await ahead[0])?.done === true;
    if (isLast) this.#close(readId);
    else read.idle = this.#state.clock.setTimer(this.#timing.readDeadlineMs, () => this.#close(readId));
    const frame = current?.done === false ? current.value : noFrame;
    return { read: { epoch: this.#state.epoch, readId }, frame, isLast };
  }

  #close(readId: number): void {
    const read = this.#reads.get(readId);
    if (!read) return;
    this.#reads.delete(readId);
    this.#leave();
    read.idle?.cancel();
    read.stop.abort();
    // Whatever it fails with, nobody waits for it.
    read.frames.return?.().then(undefined, () => undefined);
  }
}

function cancelled(): TimbalaError {
  return new TimbalaError('PEER_CANCELLED', 'nobody waits for the read any more');
}

/** Its failure is told when it is asked for. */
function nextOf(frames: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
  const next = frames.next();
  next.catch(() => undefined);
  return next;
}
