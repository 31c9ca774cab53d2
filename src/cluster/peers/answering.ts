// The answering half of a connection: requests of the other side, from their arrival until the answer is on its way. What is
// in hand is bounded, and given up when nobody waits for it any more.
import { discard, errorMessage, TimbalaError } from '../../base/index.ts';
import type { Clock, Log, Timer } from '../../ports/index.ts';
import {
  controlFrame,
  encodePeerFailure,
  encodePeerFrame,
  peerFrameTypes,
  type PeerFrameHeader,
} from '../../wire/index.ts';
import type { PeerFrame, PeerWork, ReceivedFrame } from '../contracts.ts';
import { messageKinds } from './classes.ts';
import type { Outgoing } from './outbox.ts';
import { failureOf, isSmall, type Traffic } from './traffic.ts';

export interface AnsweringOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly traffic: Traffic;
  readonly peerName: () => string;
  readonly onRequest: (frame: ReceivedFrame, work: PeerWork) => Promise<PeerFrame>;
  /** Credit may be due. */
  readonly onFreed: () => void;
  /** Samples of this edition named series wrongly: nothing that was defined under it can be trusted. */
  readonly onVoid: (edition: number) => void;
}

/** A request in hand. */
class Work implements PeerWork {
  readonly dueMs: number;
  readonly id: number;
  /** Of the series dictionary that its samples were sent under. */
  readonly edition: number | undefined;
  isAbandoned = false;
  /** Its answer, while that waits for credit. */
  answer: Outgoing | undefined;
  readonly #clock: Clock;
  readonly #onAbandoned: (work: Work) => void;
  /** Its share of the window. */
  #heldBytes: number;
  /** Made when it is asked for: most requests are short, and nobody looks. */
  #controller: AbortController | undefined;
  #timer: Timer | undefined;

  constructor(
    clock: Clock,
    { id, patienceMs }: PeerFrameHeader,
    heldBytes: number,
    edition: number | undefined,
    onAbandoned: (work: Work) => void,
  ) {
    this.#clock = clock;
    this.edition = edition;
    this.id = id;
    this.#heldBytes = heldBytes;
    this.#onAbandoned = onAbandoned;
    this.dueMs = clock.monotonicMs() + patienceMs;
  }

  get isLate(): boolean {
    return this.#clock.monotonicMs() >= this.dueMs;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.isAbandoned) this.#controller.abort();
      else
        this.#timer = this.#clock.setTimer(Math.max(0, this.dueMs - this.#clock.monotonicMs()), () => this.abandon());
    }
    return this.#controller.signal;
  }

  abandon(): void {
    this.isAbandoned = true;
    this.#timer?.cancel();
    this.#controller?.abort();
    this.#onAbandoned(this);
  }

  /** What of the window is to be freed; nothing the second time. */
  takeHeldBytes(): number {
    const bytes = this.#heldBytes;
    this.#heldBytes = 0;
    return bytes;
  }

  end(): void {
    this.#timer?.cancel();
  }
}

export class Answering {
  readonly #options: AnsweringOptions;
  /** By request id, from arrival until the answer is handed to the stream. */
  readonly #inHand = new Map<number, Work>();
  /** Ready to be begun, while answers that wait for credit leave no room for another. */
  readonly #waiting: { readonly work: Work; readonly frame: ReceivedFrame }[] = [];
  /** Of those in hand: given to the handler. */
  #workingCount = 0;
  #isEnded = false;

  constructor(options: AnsweringOptions) {
    this.#options = options;
  }

  /**
   * A request has come, with samples under this edition of the series dictionary or none; gives what is to be called with it
   * once its series are known, or with the error where they are not. Throws PEER_FRAME_CORRUPT where its id is that of another
   * one in hand.
   */
  arrive(
    header: PeerFrameHeader,
    heldBytes: number,
    edition: number | undefined,
  ): { readonly deliver: (frame: ReceivedFrame) => void; readonly refuse: (error: unknown) => void } {
    const { clock, traffic } = this.#options;
    traffic.counters.requestsReceived++;
    if (this.#inHand.has(header.id)) {
      throw new TimbalaError('PEER_FRAME_CORRUPT', `request ${header.id} came twice`);
    }
    const work = new Work(clock, header, heldBytes, edition, (abandoned) => this.#dropAnswer(abandoned));
    const isRefused = this.#inHand.size >= traffic.limits.requestsMax;
    if (!isRefused) this.#inHand.set(work.id, work);
    return {
      deliver: (frame) => {
        if (!isRefused) this.#waiting.push({ work, frame });
        else this.#refuse(work);
        this.begin();
        if (this.#waiting.length > 0) traffic.counters.requestsDelayed++;
      },
      refuse: (error) => this.#fail(work, error),
    };
  }

  #refuse(work: Work): void {
    const { counters, limits } = this.#options.traffic;
    counters.requestsRefused++;
    this.#fail(work, new TimbalaError('PEER_BUSY', `${limits.requestsMax} requests are in hand`));
  }

  /** Begins what waits, as far as there is room for the answers. To be called when answers have gone. */
  begin(): void {
    const { outbox, limits, counters } = this.#options.traffic;
    while (!this.#isEnded && this.#workingCount < limits.workMax && outbox.queuedBytes < limits.answersBytesMax) {
      const next = this.#waiting.shift();
      if (!next) return;
      const { work, frame } = next;
      if (work.isAbandoned) {
        this.#giveUp(work);
      } else if (work.isLate) {
        counters.requestsLate++;
        this.#fail(work, new TimbalaError('PEER_TIMEOUT', 'its time was over when its turn came'));
      } else {
        void this.#answer(work, frame);
      }
    }
  }

  /** The other side does not wait for this answer any more. */
  cancel(id: number): void {
    this.#inHand.get(id)?.abandon(); // not in hand: its answer is on its way
  }

  /** An answer that waits for credit goes at once; work that has not come so far is given up when its turn comes or it ends. */
  #dropAnswer(work: Work): void {
    if (this.#isEnded || !work.answer || !this.#options.traffic.outbox.drop(work.answer)) return;
    this.#giveUp(work);
    this.begin();
  }

  /** The connection has ended: nobody waits for anything. */
  end(): void {
    this.#isEnded = true;
    for (const work of this.#inHand.values()) work.abandon();
    this.#inHand.clear();
    this.#waiting.length = 0;
  }

  async #answer(work: Work, request: ReceivedFrame): Promise<void> {
    this.#workingCount++;
    try {
      const frame = await this.#options.onRequest(request, work);
      if (this.#isEnded) return;
      if (work.isAbandoned) this.#giveUp(work);
      else this.#send(work, frame);
    } catch (error) {
      this.#fail(work, error);
    }
    // Handlers keep nothing of a request.
    if (request.samples) discard(request.samples.bytes);
    this.#workingCount--;
    this.begin();
  }

  #send(work: Work, frame: PeerFrame): void {
    const { outbox, window, write } = this.#options.traffic;
    window.free(work.takeHeldBytes());
    if (isSmall(frame.samples !== undefined, frame.body)) {
      this.#finish(work);
      const kind = messageKinds.indexOf(frame.kind);
      const header = { ...controlFrame(peerFrameTypes.answer, work.id, window.takeGrant()), kind };
      write(encodePeerFrame(header, [frame.body]));
      return;
    }
    work.answer = {
      type: peerFrameTypes.answer,
      id: work.id,
      frame,
      patienceMs: () => 0,
      isAbandoned: () => work.isAbandoned || work.isLate,
      onTaken: () => this.#finish(work),
      fail: (error) => this.#sendFailure(work, error),
    };
    outbox.add(work.answer);
    this.#options.onFreed();
  }

  #fail(work: Work, error: unknown): void {
    if (this.#isEnded) return;
    this.#options.traffic.window.free(work.takeHeldBytes());
    this.#sendFailure(work, error);
  }

  #sendFailure(work: Work, error: unknown): void {
    const { traffic, log, peerName, onVoid } = this.#options;
    const failure = failureOf(error);
    if (failure.code === 'PEER_FAILED') {
      log.error('peer-request-failed', { node: peerName(), error: errorMessage(error) });
    }
    this.#finish(work);
    traffic.counters.failuresSent++;
    const header = controlFrame(peerFrameTypes.failure, work.id, traffic.window.takeGrant());
    traffic.write(encodePeerFrame(header, [encodePeerFailure(failure)]));
    if (failure.code === 'PEER_DICTIONARY' && work.edition !== undefined) onVoid(work.edition);
  }

  /** Nobody waits for the answer: nothing is sent but the credit. */
  #giveUp(work: Work): void {
    const { traffic, onFreed } = this.#options;
    traffic.counters.requestsAbandoned++;
    traffic.window.free(work.takeHeldBytes());
    this.#finish(work);
    onFreed();
  }

  #finish(work: Work): void {
    work.end();
    // A refused request never was in hand; another one may have its id by now.
    if (this.#inHand.get(work.id) === work) this.#inHand.delete(work.id);
  }
}
