// The asking half of a connection: requests of our own, from the moment that they are made until their answer, their failure,
// or the end of anyone's interest in it. Each is settled once.
import { TimbalaError } from '../../base/index.ts';
import type { Clock, Timer } from '../../ports/index.ts';
import { controlFrame, encodePeerFrame, peerFrameTypes } from '../../wire/index.ts';
import type { PeerFrame, ReceivedFrame } from '../contracts.ts';
import { type Outgoing, sizeOf } from './outbox.ts';
import { asTimbalaError, type Traffic } from './traffic.ts';

/** Of a request whose series the other side does not know: it may be numbering them anew just then. */
const triesMax = 3;

interface Pending {
  readonly resolve: (frame: ReceivedFrame) => void;
  readonly reject: (error: TimbalaError) => void;
  readonly item: Outgoing;
  triesCount: number;
  /** Ends the timers and stops listening to the asker's signal. */
  readonly release: () => void;
}

export interface AskingOptions {
  readonly clock: Clock;
  readonly traffic: Traffic;
  /** Of the other side, for errors. */
  readonly peerName: () => string;
  /** A request was not answered in the time that it was given. */
  readonly onUnanswered: (patienceMs: number) => void;
  /** The other side has sent something lately: if it keeps us waiting it is busy, not away. */
  readonly isPeerAlive: () => boolean;
}

export class Asking {
  readonly #options: AskingOptions;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  constructor(options: AskingOptions) {
    this.#options = options;
  }

  get waitingCount(): number {
    return this.#pending.size;
  }

  /** Rejects with PEER_TIMEOUT, PEER_BUSY, PEER_CANCELLED, or the failure that the other side answers. */
  request(frame: PeerFrame, patienceMs: number, signal: AbortSignal | undefined): Promise<ReceivedFrame> {
    const { clock, traffic, peerName } = this.#options;
    const { outbox, counters, limits } = traffic;
    if (signal?.aborted) return Promise.reject(cancelled(frame));
    const { queuedBytes } = outbox;
    if (queuedBytes > 0 && queuedBytes + sizeOf(frame) > limits.queuedBytesMax) {
      counters.requestsHeldBack++;
      return Promise.reject(new TimbalaError('PEER_BUSY', `${queuedBytes} bytes wait to be sent to ${peerName()}`));
    }
    const dueMs = clock.monotonicMs() + patienceMs;
    this.#lastId = (this.#lastId + 1) >>> 0;
    const id = this.#lastId;
    counters.requestsSent++;
    return new Promise((resolve, reject) => {
      const item: Outgoing = {
        type: peerFrameTypes.request,
        id,
        frame,
        patienceMs: () => Math.max(1, Math.ceil(dueMs - clock.monotonicMs())),
        isAbandoned: () => !this.#pending.has(id),
        fail: (error) => this.fail(id, asTimbalaError(error)),
      };
      const timers = [clock.setTimer(patienceMs, () => this.#timeOut(id, frame, patienceMs))];
      const cancel = (): void => {
        counters.requestsCancelled++;
        this.#withdraw(id, cancelled(frame));
      };
      signal?.addEventListener('abort', cancel, { once: true });
      const release = (): void => {
        for (const timer of timers) timer.cancel();
        signal?.removeEventListener('abort', cancel);
      };
      this.#pending.set(id, { resolve, reject, item, release, triesCount: 1 });
      outbox.add(item);
      if (limits.creditWaitMsMax !== undefined && outbox.has(item)) timers.push(this.#watchCredit(id, item));
    });
  }

  #watchCredit(id: number, item: Outgoing): Timer {
    const { clock, traffic, peerName, isPeerAlive } = this.#options;
    const waitMs = traffic.limits.creditWaitMsMax ?? 0;
    return clock.setTimer(waitMs, () => {
      if (!traffic.outbox.has(item) || !isPeerAlive()) return;
      traffic.counters.requestsHeldBack++;
      this.#withdraw(id, new TimbalaError('PEER_BUSY', `${peerName()} had no room for it in ${waitMs} ms`));
    });
  }

  #timeOut(id: number, { kind }: PeerFrame, patienceMs: number): void {
    const { traffic, peerName } = this.#options;
    traffic.counters.requestsTimedOut++;
    this.#options.onUnanswered(patienceMs);
    const text = `${kind} to ${peerName()}: no answer within ${patienceMs} ms`;
    this.#withdraw(id, new TimbalaError('PEER_TIMEOUT', text));
  }

  /** Nobody waits any more: what waits to be sent is dropped, and of what was sent the other side is told. */
  #withdraw(id: number, error: TimbalaError): void {
    const pending = this.#settle(id);
    if (!pending) return;
    const { outbox, window, write } = this.#options.traffic;
    if (!outbox.drop(pending.item)) {
      write(encodePeerFrame(controlFrame(peerFrameTypes.cancel, id, window.takeGrant()), []));
    }
    pending.reject(error);
  }

  answered(id: number, frame: ReceivedFrame): void {
    this.#settle(id)?.resolve(frame);
  }

  /**
   * The other side has answered with a failure. Where it has forgotten the series of the samples, or mixed them up, nothing of
   * them was kept: they are sent again with all definitions.
   */
  refused(id: number, error: TimbalaError): void {
    const pending = this.#pending.get(id);
    const { outbox } = this.#options.traffic;
    if (pending?.item.frame.samples && error.code === 'PEER_DICTIONARY' && pending.triesCount < triesMax) {
      pending.triesCount++;
      if (pending.item.edition !== undefined) outbox.redefine(pending.item.edition);
      outbox.add(pending.item);
      return;
    }
    this.fail(id, error);
  }

  fail(id: number, error: TimbalaError): void {
    this.#settle(id)?.reject(error);
  }

  /** The connection has ended. */
  end(error: TimbalaError): void {
    for (const id of this.#pending.keys()) this.fail(id, error);
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    pending?.release();
    this.#pending.delete(id);
    return pending;
  }
}

const cancelled = ({ kind }: PeerFrame): TimbalaError =>
  new TimbalaError('PEER_CANCELLED', `nobody waits for the answer to this ${kind}`);
