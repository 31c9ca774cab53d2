// The streams of gossip: each carries one message there and one back, and ends. Those that others open are bounded in number, bytes
// and time; those that we open, in time.
import { errorMessage, mib, TimbalaError } from '../../base/index.ts';
import type { Clock, Log, Network, NetworkAddress, NetworkStream, StreamHandlers, Timer } from '../../ports/index.ts';
import { addressText } from './address.ts';
import type { GossipCounters } from './counters.ts';
import type { Keyring } from './keyring.ts';
import type { StreamMessage } from './messages.ts';
import { sealStream, StreamDecoder } from './stream.ts';
import type { Effect } from './turn.ts';

/** Streams that others may have open to us at a time. */
const inboundStreamsMax = 128;
/** Bytes of them all that are not whole messages yet; a thousand members take a third of a megabyte. */
const inboundBytesMax = 64 * mib;

/** A stream with the timer that ends it. */
interface TimedStream {
  readonly stream: NetworkStream;
  readonly timer: Timer;
}

export interface GossipStreamsOptions {
  readonly ports: { readonly clock: Clock; readonly network: Network; readonly log: Log };
  readonly keyring: Keyring | undefined;
  readonly counters: Pick<GossipCounters, 'streamsOpened' | 'streamsAccepted' | 'streamsRefused' | 'streamBytesSent'>;
  /** A stream that others opened may take so long. */
  readonly inboundMsMax: number;
  /** What came on a stream of others, by its number; `reply` answers. */
  readonly onRequest: (stream: number, message: StreamMessage) => void;
  /** How an exchange has ended that `open` began: once each. */
  readonly onAnswer: (exchange: number, message: StreamMessage) => void;
  readonly onFailure: (exchange: number, reason: string) => void;
  /** What came on a stream of others could not be read. */
  readonly onRefused: (error: unknown, from: NetworkAddress) => void;
}

export class GossipStreams {
  readonly #options: GossipStreamsOptions;
  readonly #outbound = new Map<number, TimedStream>();
  readonly #inbound = new Map<number, TimedStream>();
  #inboundBytes = 0;
  #lastStream = 0;
  #isClosed = false;

  constructor(options: GossipStreamsOptions) {
    this.#options = options;
  }

  /** A stream was opened to us. */
  accept(stream: NetworkStream, from: NetworkAddress): StreamHandlers {
    if (this.#isClosed || this.#inbound.size >= inboundStreamsMax) {
      this.#options.counters.streamsRefused++;
      return refuseStream(stream);
    }
    this.#options.counters.streamsAccepted++;
    const id = ++this.#lastStream;
    let heldBytes = 0;
    const hold = (bytesCount: number): void => {
      heldBytes += bytesCount;
      this.#inboundBytes += bytesCount;
      if (this.#inboundBytes > inboundBytesMax) {
        throw new TimbalaError('GOSSIP_TOO_LARGE', 'all streams together bring too much; this one was closed');
      }
    };
    const release = (): void => {
      this.#inboundBytes -= heldBytes;
      heldBytes = 0;
    };
    const end = (): void => {
      release();
      this.#inbound.get(id)?.timer.cancel();
      this.#inbound.delete(id);
    };
    const close = (): void => {
      end();
      stream.close();
    };
    const timer = this.#options.ports.clock.setTimer(this.#options.inboundMsMax, close);
    this.#inbound.set(id, { stream, timer });
    const decoder = new StreamDecoder(this.#options.keyring);
    return {
      onBytes: (bytes) => {
        if (!this.#inbound.has(id)) return;
        try {
          hold(bytes.length);
          const message = decoder.push(bytes);
          if (!message) return;
          release();
          this.#options.onRequest(id, message);
        } catch (error) {
          this.#options.counters.streamsRefused++;
          this.#options.onRefused(error, from);
          this.#options.ports.log.debug('stream-refused', { from: addressText(from), error: errorMessage(error) });
          close();
        }
      },
      onEnd: end,
    };
  }

  /** Answers on a stream of others, and ends it. */
  reply(id: number, message: Uint8Array): void {
    const inbound = this.#inbound.get(id);
    if (!inbound) return;
    this.#inbound.delete(id);
    inbound.timer.cancel();
    this.#write(inbound.stream, message);
    inbound.stream.close();
  }

  open({ exchange, to, message, timeoutMs }: Extract<Effect, { kind: 'open' }>): void {
    this.#options.counters.streamsOpened++;
    const decoder = new StreamDecoder(this.#options.keyring);
    /** Ends the exchange, once; false where it has ended. */
    const finish = (): boolean => {
      const outbound = this.#outbound.get(exchange);
      if (!outbound) return false;
      this.#outbound.delete(exchange);
      outbound.timer.cancel();
      outbound.stream.close();
      return true;
    };
    const fail = (reason: string): void => {
      if (finish()) this.#options.onFailure(exchange, reason);
    };
    const stream = this.#options.ports.network.connect(to, {
      onBytes: (bytes) => {
        if (!this.#outbound.has(exchange)) return;
        try {
          const answer = decoder.push(bytes);
          if (answer && finish()) this.#options.onAnswer(exchange, answer);
        } catch (error) {
          this.#options.counters.streamsRefused++;
          fail(errorMessage(error));
        }
      },
      onEnd: (error) => fail(error?.message ?? 'the stream was closed without an answer'),
    });
    const timer = this.#options.ports.clock.setTimer(timeoutMs, () =>
      fail(`no answer within ${Math.round(timeoutMs)} ms`),
    );
    this.#outbound.set(exchange, { stream, timer });
    this.#write(stream, message);
  }

  #write(stream: NetworkStream, message: Uint8Array): void {
    const sealed = sealStream(message, this.#options.keyring);
    this.#options.counters.streamBytesSent += sealed.length;
    stream.write(sealed);
  }

  /** Ends all of them; nothing is called any more. */
  close(): void {
    this.#isClosed = true;
    for (const { stream, timer } of [...this.#outbound.values(), ...this.#inbound.values()]) {
      timer.cancel();
      stream.close();
    }
  }
}

export function refuseStream(stream: NetworkStream): StreamHandlers {
  stream.close();
  return { onBytes: () => {}, onEnd: () => {} };
}
