// What one side of a connection has to send and may not send yet. Messages go in order while there is credit; one that
// carries series that the other side does not know waits for their definitions, and what is behind it waits too, since it
// may count on them. What needs no credit never comes here (connection.ts).
import { TimbalaError } from '../../base/index.ts';
import { encodePeerFrame, encodePeerSamples, peerBodyBytesMax, type PeerFrameType } from '../../wire/index.ts';
import type { Clock } from '../../ports/index.ts';
import type { LocalStore, PeerFrame } from '../contracts.ts';
import { messageKinds } from './classes.ts';
import type { PeerCounters } from './counters.ts';
import { SentSeries } from './series-dictionary.ts';

export interface Outgoing {
  readonly type: PeerFrameType;
  readonly id: number;
  readonly frame: PeerFrame;
  /** Of the series dictionary that it was sent under. */
  edition?: number;
  /** Of requests: how much longer the answer is waited for, asked when the frame is made; of answers 0. */
  readonly patienceMs: () => number;
  /** Nobody waits for it any more: it is dropped when its turn comes. */
  readonly isAbandoned: () => boolean;
  /** Its turn has come: it is sent now, or dropped. */
  readonly onTaken?: () => void;
  /** It could not be sent, and will not be. */
  readonly fail: (error: unknown) => void;
}

export interface OutboxOptions {
  readonly clock: Clock;
  readonly store: Pick<LocalStore, 'definitionsOf'>;
  readonly counters: PeerCounters;
  /** Gives a frame to the stream; credit to be given back is added there. */
  readonly write: (frame: Uint8Array<ArrayBuffer>) => void;
  /** What is granted beyond it is not used: a window of ours is enough, whatever the other side says that it takes. */
  readonly creditBytesMax: number;
  /** Takes the credit that the next frame gives back to the other side. */
  readonly takeGrant: () => number;
}

const noBytes = new Uint8Array(0);

export class Outbox {
  /** Bytes of the messages that wait. */
  queuedBytes = 0;
  readonly #options: OutboxOptions;
  /** What waits, in order, with the time since when. */
  readonly #queue = new Map<Outgoing, number>();
  readonly #sent = new SentSeries();
  /** None until the other side has said how much it takes. May fall below 0 by the message that used it up. */
  #creditBytes = 0;
  #isDefining = false;
  #isClosed = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get creditBytes(): number {
    return this.#creditBytes;
  }

  add(item: Outgoing): void {
    if (this.#creditBytes <= 0) this.#options.counters.creditWaits++;
    this.#queue.set(item, this.#options.clock.monotonicMs());
    this.queuedBytes += sizeOf(item.frame);
    this.#pump();
  }

  /** Whether it waits for its turn. */
  has(item: Outgoing): boolean {
    return this.#queue.has(item);
  }

  /** Takes back what waits for its turn; false where that has come. */
  drop(item: Outgoing): boolean {
    if (!this.#queue.delete(item)) return false;
    this.queuedBytes -= sizeOf(item.frame);
    return true;
  }

  /** What was defined under this edition is void at the other side: it is all defined anew, unless that has begun. */
  redefine(edition: number): void {
    if (edition !== this.#sent.edition) return;
    this.#options.counters.dictionariesRestarted++;
    this.#sent.restart();
  }

  addCredit(bytes: number): void {
    this.#creditBytes = Math.min(this.#creditBytes + bytes, this.#options.creditBytesMax);
    this.#pump();
  }

  /** Drops what waits; nothing is sent any more. */
  close(): void {
    this.#isClosed = true;
    this.#queue.clear();
    this.queuedBytes = 0;
  }

  #pump(): void {
    // A message longer than all credit must get through as well, so any credit is enough for one.
    while (!this.#isDefining && !this.#isClosed && this.#creditBytes > 0) {
      const [next] = this.#queue;
      if (!next) return;
      const [item, sinceMs] = next;
      this.drop(item);
      const { counters, clock } = this.#options;
      counters.creditWaitMs += clock.monotonicMs() - sinceMs;
      item.onTaken?.();
      if (!item.isAbandoned()) this.#send(item);
    }
  }

  #send(item: Outgoing): void {
    const { samples } = item.frame;
    const due = samples ? this.#sent.due(samples) : undefined;
    if (samples && due && due.length > 0) void this.#define(item, samples.dictionary, due);
    else this.#write(item, noBytes);
  }

  async #define(item: Outgoing, dictionary: number, due: Uint32Array): Promise<void> {
    this.#isDefining = true;
    const { edition } = this.#sent;
    try {
      const definitions = await this.#options.store.definitionsOf(dictionary, due);
      this.#isDefining = false;
      if (this.#isClosed || item.isAbandoned()) return;
      // Meanwhile all was declared void: more is due.
      if (edition !== this.#sent.edition) this.#send(item);
      else if (this.#write(item, definitions)) this.#sent.markSent(due);
    } catch (error) {
      this.#isDefining = false;
      item.fail(error);
    } finally {
      this.#pump();
    }
  }

  /** False where the message is too long. */
  #write(item: Outgoing, definitions: Uint8Array): boolean {
    const { type, id, frame, patienceMs } = item;
    const { counters, takeGrant, write } = this.#options;
    const { samples, body } = frame;
    const { edition } = this.#sent;
    item.edition = edition;
    const parts = samples
      ? encodePeerSamples({ ...samples, edition, message: body, definitions, samples: samples.bytes })
      : [body];
    if (parts.reduce((sum, part) => sum + part.length, 0) > peerBodyBytesMax) {
      item.fail(new TimbalaError('PEER_FRAME_TOO_LARGE', `a ${frame.kind} of ${sizeOf(frame)} bytes was not sent`));
      return false;
    }
    const header = {
      type,
      id,
      kind: messageKinds.indexOf(frame.kind),
      hasSamples: samples !== undefined,
      creditBytes: takeGrant(),
      patienceMs: patienceMs(),
    };
    const bytes = encodePeerFrame(header, parts);
    this.#creditBytes -= bytes.length;
    counters.samplesSent += samples?.samplesCount ?? 0;
    counters.definitionsBytesSent += definitions.length;
    write(bytes);
    return true;
  }
}

/** About what a message takes on the wire, without definitions. */
export function sizeOf({ body, samples }: PeerFrame): number {
  return body.length + (samples?.bytes.length ?? 0);
}
