// All connections of a node: those it dials, one for each peer and class, and those it accepts. Implements PeerLinks for the
// protocols. Peers are dialed for our own requests only; on what they dial, theirs are answered.
import { secondMs, TimbalaError } from '../../base/index.ts';
import type {
  Clock,
  Log,
  Network,
  NetworkAddress,
  NetworkStream,
  Random,
  StreamHandlers,
  StreamListener,
} from '../../ports/index.ts';
import type { LocalStore, NodeName, PeerFrame, PeerHandler, PeerLinks, PeerWork, ReceivedFrame } from '../contracts.ts';
import { classOf, type ConnectionClass, limitsAmong } from './classes.ts';
import { closedCode, type ConnectionOptions, PeerConnection, type PeerIdentity } from './connection.ts';
import { createCounters, type PeerCountersByClass } from './counters.ts';
import { type LinkState, PeerLink } from './link.ts';
import { Pulse } from './pulse.ts';

/** Accepted connections at a time: 250 peers dial as many, and anyone may dial. */
const acceptedMax = 1_000;
/** Anyone may dial and be refused, so that is logged so often at most. */
const refusalLogMs = 10 * secondMs;

export interface PeerPorts {
  readonly clock: Clock;
  readonly network: Network;
  readonly random: Random;
  readonly log: Log;
}

export interface PeerConnectionsOptions {
  /** Port 0: any that is free. */
  readonly bind: NetworkAddress;
  readonly store: Pick<LocalStore, 'definitionsOf' | 'register'>;
  /** Who we are; asked for at every opening, since record and cluster id may change. */
  readonly identity: () => PeerIdentity;
  /**
   * Gossip's opinion; undefined where it has none. Requests to a node that it finds dead fail at once as long as no connection
   * is open on which something came lately, while one is tried behind.
   */
  readonly isAlive?: (node: NodeName) => boolean | undefined;
}

export class PeerConnections implements PeerLinks {
  onRequest: PeerHandler | undefined;
  /** What was bound. */
  readonly address: NetworkAddress;
  readonly counters: PeerCountersByClass = createCounters();
  readonly #ports: PeerPorts;
  readonly #shared: Omit<ConnectionOptions, 'dialed' | 'onOpen' | 'onEnded'>;
  readonly #listener: StreamListener;
  readonly #links = new Map<NodeName, Map<ConnectionClass, PeerLink>>();
  #addresses: ReadonlyMap<NodeName, string> = new Map();
  readonly #pulses = new Map<NodeName, Pulse>();
  readonly #accepted = new Set<PeerConnection>();
  /** The newest that each node has dialed for each class. */
  readonly #newest = new Map<string, PeerConnection>();
  #isClosed = false;
  #refusedSinceLog = 0;
  #nextRefusalLogMs = Number.NEGATIVE_INFINITY;

  /** Binds and listens. Throws NETWORK_BIND_FAILED. */
  static async start(ports: PeerPorts, options: PeerConnectionsOptions): Promise<PeerConnections> {
    // A stream that comes before the constructor has run is refused; its sender tries again.
    const late: { connections?: PeerConnections } = {};
    const listener = await ports.network.listen(
      options.bind,
      (stream) => late.connections?.accept(stream) ?? refuse(stream),
    );
    late.connections = new PeerConnections(ports, options, listener);
    return late.connections;
  }

  private constructor(ports: PeerPorts, options: PeerConnectionsOptions, listener: StreamListener) {
    const { clock, log } = ports;
    const { store, identity } = options;
    this.#ports = ports;
    this.#listener = listener;
    this.address = listener.address;
    this.#shared = {
      clock,
      log,
      store,
      identity,
      pulseOf: (node) => this.#pulseOf(node),
      isAlive: options.isAlive ?? (() => undefined),
      countersOf: (connectionClass) => this.counters[connectionClass],
      limitsOf: (connectionClass) => limitsAmong(this.#addresses.size, connectionClass),
      onRequest: (from, frame, work) => this.#serve(from, frame, work),
    };
  }

  request(to: NodeName, frame: PeerFrame, deadlineMs: number, signal?: AbortSignal): Promise<ReceivedFrame> {
    const link = this.#linkTo(to, classOf(frame.kind));
    if (link) return link.request(frame, deadlineMs, signal);
    const text = this.#isClosed ? 'connections are closed' : 'no address is known';
    return Promise.reject(new TimbalaError('PEER_UNREACHABLE', `${to}: ${text}`));
  }

  setAddresses(addresses: ReadonlyMap<NodeName, string>): void {
    this.#addresses = new Map(addresses);
    for (const [node, links] of this.#links) {
      const address = addresses.get(node);
      for (const link of links.values()) {
        if (address === undefined) link.close('it has another name, or is no member any more');
        else link.setAddress(address);
      }
      if (address === undefined) this.#links.delete(node);
    }
    for (const node of this.#pulses.keys()) if (!addresses.has(node)) this.#pulses.delete(node);
  }

  /** The node is known to be there (again): the next request dials it without waiting. */
  retry(node: NodeName): void {
    for (const link of this.#links.get(node)?.values() ?? []) link.retryNow();
  }

  /** Of all links that have been used. */
  states(): LinkState[] {
    return [...this.#links.values()].flatMap((links) => [...links.values()].map(({ state }) => state));
  }

  /** Ends all connections; requests that wait fail with PEER_UNREACHABLE. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.close();
    this.#addresses = new Map();
    for (const links of this.#links.values()) for (const link of links.values()) link.close('this node stops');
    this.#links.clear();
    for (const connection of this.#accepted) connection.close({ code: closedCode, text: 'the node stops' });
  }

  /** Of a stream that someone opened to us. */
  accept(stream: NetworkStream): StreamHandlers {
    if (this.#isClosed || !this.#makeRoom()) return refuse(stream);
    const connection: PeerConnection = new PeerConnection({
      ...this.#shared,
      dialed: undefined,
      onOpen: ({ node }, connectionClass) => this.#onAccepted(connection, node, connectionClass),
      onEnded: (error) => this.#onAcceptedEnded(connection, error),
    });
    this.#accepted.add(connection);
    connection.start(stream);
    return connection;
  }

  /** Whether one more may be accepted. Who has not said its name makes room first: a peer says it at once. */
  #makeRoom(): boolean {
    if (this.#accepted.size < acceptedMax) return true;
    for (const connection of this.#accepted) {
      if (connection.wasOpened) continue;
      connection.close({ code: 'PEER_BUSY', text: `${acceptedMax} connections are open` });
      return true;
    }
    return false;
  }

  #onAccepted(connection: PeerConnection, node: NodeName, connectionClass: ConnectionClass): void {
    const key = `${connectionClass} ${node}`;
    // It dials again because it has given up the one before, which may look alive from here for some time.
    this.#newest.get(key)?.close({ code: closedCode, text: 'a newer connection took its place' });
    this.#newest.set(key, connection);
    this.retry(node);
  }

  #onAcceptedEnded(connection: PeerConnection, { message }: TimbalaError): void {
    this.#accepted.delete(connection);
    for (const [key, newest] of this.#newest) if (newest === connection) this.#newest.delete(key);
    if (connection.wasOpened || this.#isClosed) return;
    this.#refusedSinceLog++;
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs < this.#nextRefusalLogMs) return;
    this.#ports.log.warn('peer-refused', { error: message, refusedCount: this.#refusedSinceLog });
    this.#nextRefusalLogMs = nowMs + refusalLogMs;
    this.#refusedSinceLog = 0;
  }

  #pulseOf(node: NodeName): Pulse {
    const pulse = this.#pulses.get(node) ?? new Pulse();
    // Of others than members nothing is kept: anyone may dial, under any name.
    if (this.#addresses.has(node)) this.#pulses.set(node, pulse);
    return pulse;
  }

  #linkTo(node: NodeName, connectionClass: ConnectionClass): PeerLink | undefined {
    const known = this.#links.get(node)?.get(connectionClass);
    const address = this.#addresses.get(node);
    if (known || address === undefined) return known;
    const { network, random } = this.#ports;
    const link = new PeerLink({ ...this.#shared, network, random, node, connectionClass }, address);
    const links = this.#links.get(node) ?? new Map<ConnectionClass, PeerLink>();
    this.#links.set(node, links.set(connectionClass, link));
    return link;
  }

  async #serve(from: NodeName, frame: ReceivedFrame, work: PeerWork): Promise<PeerFrame> {
    if (!this.onRequest) throw new TimbalaError('PEER_STARTING', 'the node is starting');
    return this.onRequest(from, frame, work);
  }
}

function refuse(stream: NetworkStream): StreamHandlers {
  stream.abort();
  return { onBytes: () => undefined, onEnd: () => undefined };
}
