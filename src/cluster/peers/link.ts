// The way to one peer for one class of messages: dials when there is something to send, and again after a loss, but no
// sooner than a back-off with jitter allows. Meanwhile requests fail at once, so that a coordinator can turn to others.
import { errorMessage, secondMs, TimbalaError } from '../../base/index.ts';
import type { Network, NetworkAddress, Random } from '../../ports/index.ts';
import type { NodeName, PeerFrame, ReceivedFrame } from '../contracts.ts';
import type { ConnectionClass } from './classes.ts';
import { closedCode, type ConnectionOptions, PeerConnection } from './connection.ts';

/** Doubles with each failure in a row; each wait is between half of it and one and a half. */
const backoffMsMin = 50;
const backoffMsMax = 5 * secondMs;
/** A connection that lived shorter counts as a failure: it may fail again for the same reason. */
const livedMsMin = 5 * secondMs;

export interface LinkOptions extends Omit<ConnectionOptions, 'dialed' | 'onOpen' | 'onEnded'> {
  readonly network: Network;
  readonly random: Random;
  readonly node: NodeName;
  readonly connectionClass: ConnectionClass;
}

export interface LinkState {
  readonly node: NodeName;
  readonly connectionClass: ConnectionClass;
  readonly isOpen: boolean;
  readonly queuedBytes: number;
  readonly creditBytes: number;
  readonly requestsWaiting: number;
  /** Why the last connection ended; undefined before the first did. */
  readonly lastError: string | undefined;
}

export class PeerLink {
  readonly #options: LinkOptions;
  #address: string;
  #connection: PeerConnection | undefined;
  #openedMs: number | undefined;
  #failures = 0;
  #dialsCount = 0;
  /** Not before this time, monotonic, is dialed again. */
  #retryMs = Number.NEGATIVE_INFINITY;
  #lastError: TimbalaError | undefined;

  constructor(options: LinkOptions, address: string) {
    this.#options = options;
    this.#address = address;
  }

  get state(): LinkState {
    const { node, connectionClass } = this.#options;
    const load = this.#connection?.load ?? { queuedBytes: 0, creditBytes: 0, requestsWaiting: 0 };
    const isOpen = this.#connection?.isOpen ?? false;
    return { node, connectionClass, isOpen, ...load, lastError: this.#lastError?.message };
  }

  request(frame: PeerFrame, patienceMs: number, signal: AbortSignal | undefined): Promise<ReceivedFrame> {
    if (!this.#connection) {
      const waitMs = this.#retryMs - this.#options.clock.monotonicMs();
      if (waitMs > 0) return this.#unreachable(`tried again in ${Math.ceil(waitMs)} ms`);
    }
    const connection = (this.#connection ??= this.#dial());
    // Greetings find out whether it answers again; a write waits for its quorum anyway, and may need this one.
    const { node, pulseOf } = this.#options;
    const isPatient = frame.kind === 'hello' || frame.kind === 'write';
    if (!isPatient && pulseOf(node).isMute) return this.#unreachable('it has left a question unanswered');
    if (!connection.isHopeful) return this.#unreachable('gossip finds it dead');
    return connection.request(frame, patienceMs, signal);
  }

  #unreachable(text: string): Promise<never> {
    const { node, connectionClass, countersOf } = this.#options;
    countersOf(connectionClass).requestsUnreachable++;
    return Promise.reject(new TimbalaError('PEER_UNREACHABLE', `${node}: ${text}`, { cause: this.#lastError }));
  }

  /** A new address is dialed from the next request on; what runs over the old one is ended. */
  setAddress(address: string): void {
    if (address === this.#address) return;
    this.#address = address;
    this.close('the node has another address');
    this.retryNow();
  }

  /** The peer is known to be there: no back-off. */
  retryNow(): void {
    this.#failures = 0;
    this.#retryMs = Number.NEGATIVE_INFINITY;
  }

  close(text: string): void {
    this.#connection?.close({ code: closedCode, text });
  }

  #dial(): PeerConnection {
    const { node, connectionClass } = this.#options;
    this.#openedMs = undefined;
    const connection = new PeerConnection({
      ...this.#options,
      // Before a node knows a cluster, it knows addresses only, and calls by them whoever is there.
      dialed: { node, isNameKnown: node !== this.#address, connectionClass },
      onOpen: () => this.#onOpen(),
      onEnded: (error, isOrderly) => this.#onEnded(error, isOrderly),
    });
    void this.#connect(connection, this.#address);
    return connection;
  }

  async #connect(connection: PeerConnection, address: string): Promise<void> {
    const { network } = this.#options;
    // Whatever fails must do so after the request has been given to the connection, not from within `#dial`.
    await Promise.resolve();
    try {
      const { host, port } = parseAddress(address);
      const found = await network.resolve(host);
      const chosen = found[this.#dialsCount++ % found.length];
      if (chosen === undefined) throw new TimbalaError('NETWORK_NAME_UNKNOWN', `${host} has no address`);
      connection.start(network.connect({ host: chosen, port }, connection));
    } catch (error) {
      connection.onEnd(error instanceof Error ? error : new Error(errorMessage(error)));
    }
  }

  #onOpen(): void {
    const { clock, log, node, connectionClass } = this.#options;
    this.#openedMs = clock.monotonicMs();
    log.info('peer-connected', { node, connectionClass, address: this.#address });
  }

  #onEnded(error: TimbalaError, isOrderly: boolean): void {
    const { log, node, connectionClass } = this.#options;
    // Not for every attempt: a peer may be away for days.
    if (this.#openedMs !== undefined || this.#failures === 0) {
      const fields = { node, connectionClass, address: this.#address, error: error.message };
      if (isOrderly) log.info('peer-disconnected', fields);
      else log.warn('peer-disconnected', fields);
    }
    const nowMs = this.#options.clock.monotonicMs();
    this.#connection = undefined;
    this.#lastError = error;
    const hasLived = this.#openedMs !== undefined && nowMs - this.#openedMs >= livedMsMin;
    this.#failures = hasLived ? 0 : this.#failures + 1;
    const backoffMs = hasLived ? 0 : Math.min(backoffMsMax, backoffMsMin * 2 ** (this.#failures - 1));
    this.#retryMs = nowMs + backoffMs * (0.5 + this.#options.random.float());
  }
}

/** `host:port`, an IPv6 address in brackets. Throws PEER_ADDRESS. */
export function parseAddress(text: string): NetworkAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port > 0 && port < 65_536)) {
    throw new TimbalaError('PEER_ADDRESS', `${JSON.stringify(text)} is no address; host:port is expected`);
  }
  return { host, port };
}
