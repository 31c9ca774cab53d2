// What one side of a connection has received: samples in order, each after the definitions that came with it and before it
// are registered, and the window, which bounds what is held for the other side.
import { hasCode, mib, TimbalaError } from '../../base/index.ts';
import type { PeerSamplesBody } from '../../wire/index.ts';
import type { LocalStore, ReceivedSamples } from '../contracts.ts';
import { KnownSeries } from './series-dictionary.ts';

interface Arrival {
  readonly parts: PeerSamplesBody;
  readonly deliver: (samples: ReceivedSamples) => void;
  /** The series that it names are not known, or not any more. */
  readonly refuse: (error: unknown) => void;
}

/** With these the store takes nothing now, and goes on later. */
const passingCodes = ['STORE_BUSY', 'STORE_FULL'];
/** Definitions that wait for that; with more the sender has to begin anew. */
const owedBytesMax = 8 * mib;

/** Puts messages with samples in order. */
export class Inbox {
  readonly #store: Pick<LocalStore, 'register'>;
  readonly #onBroken: (error: unknown) => void;
  readonly #known = new KnownSeries();
  readonly #arrivals: Arrival[] = [];
  /**
   * Definitions that came while the store took none, in order. The sender will not send them again, so they are registered before
   * what comes next, which is refused as well until that is done.
   */
  #owed: Uint8Array[] = [];
  #edition: number | undefined;
  #isRegistering = false;
  #isClosed = false;

  /** `onBroken`: definitions were lost, so that nothing that comes later can be understood. */
  constructor(store: Pick<LocalStore, 'register'>, onBroken: (error: unknown) => void) {
    this.#store = store;
    this.#onBroken = onBroken;
  }

  /** Calls `deliver` when the series of the samples are known, at once where they are, or `refuse`. */
  arrive(arrival: Arrival): void {
    this.#arrivals.push(arrival);
    this.#pump();
  }

  /** What was defined under this edition counts no more. */
  voidEdition(edition: number): void {
    this.#known.voidEdition(edition);
  }

  /** Nothing is delivered any more. */
  close(): void {
    this.#isClosed = true;
    this.#arrivals.length = 0;
  }

  #pump(): void {
    while (!this.#isRegistering && !this.#isClosed) {
      const arrival = this.#arrivals.shift();
      if (!arrival) return;
      const { edition, definitions } = arrival.parts;
      try {
        this.#known.begin(edition);
      } catch (error) {
        arrival.refuse(error);
        continue;
      }
      if (edition !== this.#edition) this.#owed = [];
      this.#edition = edition;
      if (definitions.length > 0) this.#owed.push(definitions);
      if (this.#owed.length > 0) void this.#register(arrival);
      else this.#deliver(arrival);
    }
  }

  async #register(arrival: Arrival): Promise<void> {
    this.#isRegistering = true;
    try {
      for (let next = this.#owed[0]; next; next = this.#owed[0]) {
        const registered = await this.#store.register(next);
        if (this.#isClosed) return;
        this.#known.define(registered);
        this.#owed.shift();
      }
      this.#isRegistering = false;
      this.#deliver(arrival);
    } catch (error) {
      if (this.#isClosed) return;
      const isPassing = passingCodes.some((code) => hasCode(error, code));
      if (!isPassing && !hasCode(error, 'PEER_DICTIONARY')) {
        this.#onBroken(error);
        return;
      }
      this.#isRegistering = false;
      const owedBytes = this.#owed.reduce((sum, { length }) => sum + length, 0);
      if (!isPassing || owedBytes > owedBytesMax) {
        this.#owed = [];
        this.#known.voidEdition(arrival.parts.edition);
      }
      arrival.refuse(error);
    }
    this.#pump();
  }

  #deliver({ parts, deliver }: Arrival): void {
    const { samplesCount, fingerprintSum, samples: bytes } = parts;
    const { ownDictionary: dictionary, ownRefs } = this.#known;
    deliver({ samplesCount, dictionary, ownRefs, fingerprintSum, bytes });
  }
}

/** Bytes that the other side may send, as its receiver counts them. */
export class ReceiveWindow {
  readonly #windowBytes: number;
  /** Arrived and not given back. */
  #heldBytes = 0;
  /** Of those: may be given back with the next frame. */
  #freeBytes = 0;

  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes;
  }

  /** Throws PEER_CREDIT where the other side has sent more than it may. */
  hold(bytes: number): void {
    // Any credit is enough for one message, so the last one may go beyond the window.
    if (bytes > 0 && this.#heldBytes >= this.#windowBytes) {
      throw new TimbalaError('PEER_CREDIT', `more was sent than the ${this.#windowBytes} bytes that were granted`);
    }
    this.#heldBytes += bytes;
  }

  /** What was held has been dealt with. */
  free(bytes: number): void {
    this.#freeBytes += bytes;
  }

  /** Whether giving back should not wait for a frame that goes anyway. */
  get isGrantDue(): boolean {
    return this.#freeBytes * 4 >= this.#windowBytes;
  }

  /** The bytes to give back in a frame that goes now. */
  takeGrant(): number {
    const bytes = this.#freeBytes;
    this.#freeBytes = 0;
    this.#heldBytes -= bytes;
    return bytes;
  }
}
