// The network of a simulated world: machines with one address each, datagrams that are delayed, lost, doubled and thereby
// reordered, and streams that keep order and wait while their link is cut. Machines may be down, links cut, one way or both.
import { discard, present, TimbalaError } from '../src/base/index.ts';
import type {
  DatagramHandlers,
  DatagramSocket,
  Network,
  NetworkAddress,
  NetworkStream,
  StreamHandlers,
  StreamListener,
} from '../src/ports/index.ts';
import type { SimWorld } from './world.ts';

export interface NetworkConditions {
  /** Shares of datagrams, in [0, 1]; a lost segment of a stream costs a retransmission instead. */
  lossShare: number;
  duplicateShare: number;
  /** One way; uniform between the two. */
  delayMsMin: number;
  delayMsMax: number;
}

const retransmissionMs = 200;
/** After so many in a row without an answer a stream is given up. */
const retransmissionsMax = 300;
const firstFreePort = 32_768;
const keyOf = ({ host, port }: NetworkAddress): string => `${host}:${port}`;

type OnStream = (stream: NetworkStream, from: NetworkAddress) => StreamHandlers;

export class SimNetwork {
  readonly conditions: NetworkConditions = { lossShare: 0, duplicateShare: 0, delayMsMin: 0.2, delayMsMax: 1 };
  datagramsSent = 0;
  datagramBytesSent = 0;
  datagramsLost = 0;
  readonly #world: SimWorld;
  readonly #sockets = new Map<string, DatagramHandlers>();
  readonly #listeners = new Map<string, OnStream>();
  readonly #streams = new Set<StreamEnd>();
  readonly #down = new Set<string>();
  /** "from>to" links that carry nothing. */
  readonly #cuts = new Set<string>();
  #lastPort = firstFreePort;

  constructor(world: SimWorld) {
    this.#world = world;
  }

  /** The network as the machine at this address has it. */
  at(host: string): Network {
    return {
      bindDatagrams: async (address, handlers) => this.#bindDatagrams(address, handlers),
      listen: async (address, onStream) => this.#listen(address, onStream),
      connect: (to, handlers) => this.#connect({ host, port: ++this.#lastPort }, to, handlers),
      resolve: async (name) => [name],
    };
  }

  /** Takes a machine off the network, and forgets its sockets and streams: it has lost power. */
  crash(host: string): void {
    this.#down.add(host);
    for (const end of this.#streams) {
      if (end.host !== host) continue;
      end.forget();
      this.#streams.delete(end);
    }
    for (const sockets of [this.#sockets, this.#listeners]) {
      for (const key of sockets.keys()) if (key.startsWith(`${host}:`)) sockets.delete(key);
    }
  }

  /** A stream that has ended is not kept. */
  release(end: StreamEnd): void {
    this.#streams.delete(end);
  }

  restart(host: string): void {
    this.#down.delete(host);
  }

  /** Cuts the link from one machine to another; the way back stays. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  /** Cuts both ways between all of one group and all of the other. */
  split(some: readonly string[], others: readonly string[]): void {
    for (const a of some) {
      for (const b of others) {
        this.cut(a, b);
        this.cut(b, a);
      }
    }
  }

  heal(): void {
    this.#cuts.clear();
  }

  carries(from: string, to: string): boolean {
    return !this.#down.has(from) && !this.#down.has(to) && !this.#cuts.has(`${from}>${to}`);
  }

  delayMs(): number {
    const { delayMsMin, delayMsMax } = this.conditions;
    return delayMsMin + this.#world.random.float() * (delayMsMax - delayMsMin);
  }

  isHit(share: number): boolean {
    return share > 0 && this.#world.random.float() < share;
  }

  #bound({ host, port }: NetworkAddress, taken: ReadonlyMap<string, unknown>): NetworkAddress {
    const address = { host, port: port || ++this.#lastPort };
    if (taken.has(keyOf(address))) throw new TimbalaError('NETWORK_BIND_FAILED', `${keyOf(address)} is in use`);
    return address;
  }

  #bindDatagrams(wanted: NetworkAddress, handlers: DatagramHandlers): DatagramSocket {
    const address = this.#bound(wanted, this.#sockets);
    const key = keyOf(address);
    this.#sockets.set(key, handlers);
    return {
      address,
      send: (to, bytes) => this.#send(address, to, bytes),
      close: () => {
        if (this.#sockets.get(key) === handlers) this.#sockets.delete(key);
      },
    };
  }

  #send(from: NetworkAddress, to: NetworkAddress, bytes: Uint8Array): void {
    this.datagramsSent++;
    this.datagramBytesSent += bytes.length;
    const copies = this.isHit(this.conditions.lossShare) ? 0 : this.isHit(this.conditions.duplicateShare) ? 2 : 1;
    if (copies === 0 || !this.carries(from.host, to.host)) this.datagramsLost++;
    for (let i = 0; i < copies; i++) {
      this.#world.schedule(this.delayMs(), () => {
        if (!this.carries(from.host, to.host)) return;
        const handlers = this.#sockets.get(keyOf(to));
        if (!handlers) return;
        this.#world.trace(`${keyOf(from)} ${keyOf(to)}`, bytes);
        handlers.onDatagram(bytes, from);
      });
    }
  }

  #listen(wanted: NetworkAddress, onStream: OnStream): StreamListener {
    const address = this.#bound(wanted, this.#listeners);
    const key = keyOf(address);
    this.#listeners.set(key, onStream);
    return {
      address,
      close: () => {
        if (this.#listeners.get(key) === onStream) this.#listeners.delete(key);
      },
    };
  }

  #connect(from: NetworkAddress, to: NetworkAddress, handlers: StreamHandlers): NetworkStream {
    const near = new StreamEnd(this, this.#world, from.host);
    const far = new StreamEnd(this, this.#world, to.host);
    near.join(far);
    near.attach(handlers);
    this.#streams.add(near).add(far);
    // The handshake; nobody answers where the link is cut, and the caller's patience ends it.
    this.#world.schedule(this.delayMs(), () => {
      if (!this.carries(from.host, to.host)) return;
      const onStream = this.#listeners.get(keyOf(to));
      if (!onStream) {
        this.#world.schedule(this.delayMs(), () => near.end(new Error(`connection to ${keyOf(to)} refused`)));
        return;
      }
      far.attach(onStream(far, from));
    });
    return near;
  }
}

/** One end of a stream. Bytes and the end travel in order, each after its own delay or that of what went before. */
class StreamEnd implements NetworkStream {
  readonly host: string;
  readonly #network: SimNetwork;
  readonly #world: SimWorld;
  #peer: StreamEnd | undefined;
  #handlers: StreamHandlers | undefined;
  #isClosed = false;
  #retransmissions = 0;
  /** Its machine lost power: it knows nothing of the stream any more. */
  #isForgotten = false;
  /** What came before the handlers were there. */
  readonly #early: (() => void)[] = [];
  /** On its way to the other end, in order. */
  readonly #travelling: { readonly dueMs: number; readonly arrive: (peer: StreamEnd) => void }[] = [];

  constructor(network: SimNetwork, world: SimWorld, host: string) {
    this.#network = network;
    this.#world = world;
    this.host = host;
  }

  join(peer: StreamEnd): void {
    this.#peer = peer;
    peer.#peer = this;
  }

  attach(handlers: StreamHandlers): void {
    this.#handlers = handlers;
    for (const arrival of this.#early.splice(0)) arrival();
  }

  write(bytes: Uint8Array): void {
    if (!this.#isClosed) this.#carry((peer) => peer.#receive(bytes));
  }

  /** Whoever gave them finds them gone. */
  give(bytes: Uint8Array<ArrayBuffer>): void {
    this.write(bytes.slice());
    discard(bytes);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#network.release(this);
    this.#carry((peer) => peer.end(undefined));
  }

  /** The system takes everything here. */
  get unsentBytes(): number {
    return 0;
  }

  get unsentWrites(): number {
    return 0;
  }

  certifies(): undefined {
    return undefined;
  }

  abort(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#network.release(this);
    // What has left is on its way; the rest was not taken by the system yet, of which there is none here.
    this.#carry((peer) => peer.end(new Error('connection reset by peer')));
  }

  forget(): void {
    this.#isClosed = true;
    this.#isForgotten = true;
    this.#travelling.length = 0;
  }

  end(error: Error | undefined): void {
    if (this.#isClosed) return;
    if (!this.#handlers) {
      this.#early.push(() => this.end(error));
      return;
    }
    this.#isClosed = true;
    this.#network.release(this);
    this.#handlers.onEnd(error);
  }

  #receive(bytes: Uint8Array): void {
    if (this.#isForgotten) this.#carry((peer) => peer.end(new Error('connection reset by peer')));
    if (this.#isClosed) return;
    if (!this.#handlers) {
      this.#early.push(() => this.#receive(bytes));
      return;
    }
    this.#world.trace(`stream to ${this.host}`, bytes);
    this.#handlers.onBytes(bytes);
  }

  #carry(arrive: (peer: StreamEnd) => void): void {
    let delayMs = this.#network.delayMs();
    while (this.#network.isHit(this.#network.conditions.lossShare)) delayMs += retransmissionMs;
    const dueMs = Math.max(this.#travelling.at(-1)?.dueMs ?? 0, this.#world.nowMs + delayMs);
    this.#travelling.push({ dueMs, arrive });
    if (this.#travelling.length === 1) this.#world.schedule(dueMs - this.#world.nowMs, () => this.#advance());
  }

  /** Lets arrive what is due, or waits while the link carries nothing. */
  #advance(): void {
    const peer = present(this.#peer, 'the other end');
    if (!this.#network.carries(this.host, peer.host)) {
      this.#waitForLink();
      return;
    }
    this.#retransmissions = 0;
    const first = this.#travelling.shift();
    const next = this.#travelling[0];
    if (next) this.#world.schedule(next.dueMs - this.#world.nowMs, () => this.#advance());
    first?.arrive(peer);
  }

  #waitForLink(): void {
    if (this.#travelling.length === 0) return;
    if (this.#retransmissions++ < retransmissionsMax) {
      this.#world.schedule(retransmissionMs, () => this.#advance());
      return;
    }
    this.#travelling.length = 0;
    this.end(new Error('connection timed out'));
  }
}
