// Runs membership over the ports: sockets, streams and one timer around the pure step. Made for a thread of its own, so that
// long work elsewhere can't make this node look dead. Everything that arrives is decoded here, and dropped where it is not
// understood; what the step wants done is done in order.
import { errorMessage, hasCode, mib, TimbalaError } from '../../base/index.ts';
import type {
  Clock,
  DatagramSocket,
  Log,
  Network,
  NetworkAddress,
  NetworkStream,
  Random,
  StreamHandlers,
  StreamListener,
  Timer,
} from '../../ports/index.ts';
import { addressText } from './address.ts';
import type { Keyring } from './keyring.ts';
import { openPacket, sealPacket } from './packet.ts';
import {
  createState,
  type GossipTiming,
  type MembershipState,
  type MemberView,
  nextWakeMs,
  type NodeState,
  viewOf,
} from './state.ts';
import { type MembershipEvent, step } from './step.ts';
import { sealStream, StreamDecoder } from './stream.ts';
import type { Effect, MemberChange } from './turn.ts';

/** Streams that others may have open to us at a time. */
const inboundStreamsMax = 128;
/** Bytes of them all that are not whole messages yet; a thousand members take a third of a megabyte. */
const inboundBytesMax = 64 * mib;
/** Names of peers are resolved again in so long: they may come to stand for other addresses, or not be known yet. */
const resolveIntervalMs = 30_000;
/** What operators should know is logged once in so long for each event: others may cause it as often as they like. */
const noticeIntervalMs = 10_000;
/** Tries to find a port that is free for TCP and UDP, where the system may choose. */
const bindTriesMax = 10;

export interface GossiperPorts {
  readonly clock: Clock;
  readonly network: Network;
  readonly random: Random;
  readonly log: Log;
}

export interface GossiperOptions {
  readonly name: string;
  /** Port 0: any that is free. */
  readonly bind: NetworkAddress;
  /** Where others reach us, where that is not the bound address. */
  readonly advertise?: NetworkAddress;
  readonly metadata?: Uint8Array;
  /** With it everything is encrypted, and what is not is refused. */
  readonly keyring?: Keyring;
  readonly timing?: Partial<GossipTiming>;
  readonly onMember?: (change: MemberChange, member: MemberView) => void;
}

/** What has gone over the wire since the start. */
export interface GossipCounters {
  packetsSent: number;
  packetBytesSent: number;
  packetsReceived: number;
  packetBytesReceived: number;
  packetsRefused: number;
  streamsOpened: number;
  streamsAccepted: number;
  streamsRefused: number;
  streamBytesSent: number;
  /** Of members: suspicions, and deaths, heard of or found. */
  suspicions: number;
  deaths: number;
  /** Others took this node for suspect or dead, and were told otherwise. */
  refutations: number;
  /** This node found its own timers late: it was stopped, or its machine overloaded. */
  pauses: number;
  /** A member answered over a stream, but its datagrams or ours were lost. */
  datagramsLost: number;
  /** Two nodes under one name, this one's among them. */
  nameConflicts: number;
}

export interface GossipStatus {
  readonly counters: Readonly<GossipCounters>;
  /** Members by state, ourselves among them. */
  readonly members: Readonly<Record<NodeState, number>>;
  readonly awareness: number;
  /** Members about whom there is news to pass on. */
  readonly newsWaitingCount: number;
}

/** A name or an address, and a port. */
export interface GossipPeer {
  readonly host: string;
  readonly port: number;
}

/** A stream with the timer that ends it. */
interface TimedStream {
  readonly stream: NetworkStream;
  readonly timer: Timer;
}

export class Gossiper {
  readonly counters: GossipCounters = {
    packetsSent: 0,
    packetBytesSent: 0,
    packetsReceived: 0,
    packetBytesReceived: 0,
    packetsRefused: 0,
    streamsOpened: 0,
    streamsAccepted: 0,
    streamsRefused: 0,
    streamBytesSent: 0,
    suspicions: 0,
    deaths: 0,
    refutations: 0,
    pauses: 0,
    datagramsLost: 0,
    nameConflicts: 0,
  };
  /** What others are told to reach us at. */
  readonly advertised: NetworkAddress;
  readonly #ports: GossiperPorts;
  readonly #options: GossiperOptions;
  readonly #state: MembershipState;
  readonly #datagrams: DatagramSocket;
  readonly #listener: StreamListener;
  #wake: { readonly dueMs: number; readonly timer: Timer } | undefined;
  readonly #outbound = new Map<number, TimedStream>();
  readonly #inbound = new Map<number, TimedStream>();
  #inboundBytes = 0;
  #lastStream = 0;
  readonly #contacts = new Map<string, ((error: string | undefined) => void)[]>();
  readonly #notices = new Map<string, { readonly nextMs: number; suppressedCount: number }>();
  readonly #leaveWaiters: (() => void)[] = [];
  /** By `host:port`. */
  readonly #peers = new Map<string, GossipPeer>();
  /** What they stood for when they were last resolved. */
  #named: readonly NetworkAddress[] = [];
  #resolveTimer: Timer | undefined;
  #isStopped = false;

  /** Binds and begins. Throws NETWORK_BIND_FAILED, and GOSSIP_ADDRESS where there is no address to advertise. */
  static async start(ports: GossiperPorts, options: GossiperOptions): Promise<Gossiper> {
    // Packets can come before the constructor has run; they are lost, as packets may be.
    const late: { gossiper?: Gossiper } = {};
    const { listener, datagrams } = await bindBoth(
      ports.network,
      options.bind,
      (stream, from) => late.gossiper?.accept(stream, from) ?? refuse(stream),
      (bytes, from) => late.gossiper?.receive(bytes, from),
    );
    try {
      late.gossiper = new Gossiper(ports, options, listener, datagrams);
    } catch (error) {
      listener.close();
      datagrams.close();
      throw error;
    }
    return late.gossiper;
  }

  private constructor(
    ports: GossiperPorts,
    options: GossiperOptions,
    listener: StreamListener,
    datagrams: DatagramSocket,
  ) {
    this.#ports = ports;
    this.#options = options;
    this.#listener = listener;
    this.#datagrams = datagrams;
    this.advertised = options.advertise ?? listener.address;
    if (['', '0.0.0.0', '::'].includes(this.advertised.host)) {
      throw new TimbalaError(
        'GOSSIP_ADDRESS',
        `${addressText(listener.address)} is every address of this machine; say with --gossip-advertise-addr which one`,
      );
    }
    const identity = {
      name: options.name,
      advertised: this.advertised,
      metadata: options.metadata ?? new Uint8Array(),
    };
    this.#state = createState(identity, ports.clock.monotonicMs(), ports.random, options.timing);
    this.#setWake();
  }

  /** All members but those that are dead or have left, ourselves among them. */
  members(): MemberView[] {
    return this.#state.order.filter(({ state }) => state === 'alive' || state === 'suspect').map(viewOf);
  }

  /** 0 is well; higher where others seem not to hear us in time. */
  get awareness(): number {
    return this.#state.awareness;
  }

  /** For metrics and a page that shows it. A copy. */
  status(): GossipStatus {
    const counts: Record<NodeState, number> = { alive: 0, suspect: 0, dead: 0, left: 0 };
    for (const { state } of this.#state.order) counts[state]++;
    const { awareness, broadcasts } = this.#state;
    return { counters: { ...this.counters }, members: counts, awareness, newsWaitingCount: broadcasts.length };
  }

  /**
   * Exchanges all that is known with each of these at once, and says how many answered. Names stand for all their addresses.
   * They are also remembered, and tried again as long as no member is found there, names by what they stand for then.
   */
  async join(peers: readonly GossipPeer[]): Promise<number> {
    for (const peer of peers) this.#peers.set(addressText(peer), peer);
    const addresses = await this.#resolve(peers);
    this.#setResolveTimer();
    if (this.#isStopped || addresses.length === 0) return 0;
    const answers = addresses.map(
      (address) =>
        new Promise<string | undefined>((resolve) => {
          const text = addressText(address);
          this.#contacts.set(text, [...(this.#contacts.get(text) ?? []), resolve]);
        }),
    );
    // Contacts first: naming alone would try one of them too.
    this.#step({ kind: 'contact', addresses });
    this.#nameAddresses([...this.#named, ...addresses]);
    const errors = await Promise.all(answers);
    return errors.filter((error) => error === undefined).length;
  }

  #setResolveTimer(): void {
    this.#resolveTimer?.cancel();
    if (this.#isStopped) return;
    this.#resolveTimer = this.#ports.clock.setTimer(resolveIntervalMs, () => void this.#resolveAgain());
  }

  /**
   * Places where members may be, in place of those that were named before; tried now and then as long as no member is known
   * there. Names are resolved now, which is waited for, and every 30 s.
   */
  async setPeers(peers: readonly GossipPeer[]): Promise<void> {
    this.#peers.clear();
    for (const peer of peers) this.#peers.set(addressText(peer), peer);
    await this.#resolveAgain();
  }

  async #resolveAgain(): Promise<void> {
    this.#nameAddresses(await this.#resolve([...this.#peers.values()]));
    this.#setResolveTimer();
  }

  #nameAddresses(addresses: readonly NetworkAddress[]): void {
    this.#named = addresses;
    this.#step({ kind: 'addresses', addresses });
  }

  setMetadata(metadata: Uint8Array): void {
    this.#step({ kind: 'metadata', metadata });
  }

  /** Tells the others, and resolves when that is done or the time is over. We still answer until `stop`. */
  async leave(timeoutMs: number): Promise<void> {
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#leaveWaiters.push(resolve);
      timer = this.#ports.clock.setTimer(timeoutMs, resolve);
      if (this.#state.isLeaveAnnounced) resolve();
      else this.#step({ kind: 'leave' });
    });
    timer?.cancel();
  }

  /** Closes everything at once; to the others we are dead, unless we have left. */
  stop(): void {
    this.#isStopped = true;
    this.#wake?.timer.cancel();
    this.#resolveTimer?.cancel();
    this.#datagrams.close();
    this.#listener.close();
    for (const { stream, timer } of [...this.#outbound.values(), ...this.#inbound.values()]) {
      timer.cancel();
      stream.close();
    }
    for (const waiters of this.#contacts.values()) for (const done of waiters) done('stopped');
    for (const done of this.#leaveWaiters) done();
  }

  async #resolve(peers: readonly GossipPeer[]): Promise<NetworkAddress[]> {
    const found = await Promise.all(
      peers.map(async ({ host, port }) => {
        try {
          const hosts = await this.#ports.network.resolve(host);
          return hosts.map((resolved) => ({ host: resolved, port }));
        } catch (error) {
          this.#ports.log.warn('peer-not-resolved', { peer: host, error: errorMessage(error) });
          return [];
        }
      }),
    );
    const own = addressText(this.advertised);
    const byText = new Map(found.flat().map((address) => [addressText(address), address]));
    byText.delete(own);
    return [...byText.values()];
  }

  /** A datagram has come. */
  receive(bytes: Uint8Array, from: NetworkAddress): void {
    if (this.#isStopped) return;
    this.counters.packetsReceived++;
    this.counters.packetBytesReceived += bytes.length;
    try {
      this.#step({ kind: 'packet', from, messages: openPacket(bytes, this.#options.keyring) });
    } catch (error) {
      if (!(error instanceof TimbalaError) || !error.code.startsWith('GOSSIP_')) throw error;
      this.counters.packetsRefused++;
      this.#noticeUndecrypted(error, from);
      this.#ports.log.debug('packet-refused', { from: addressText(from), error: error.message });
    }
  }

  /** A stream was opened to us. */
  accept(stream: NetworkStream, from: NetworkAddress): StreamHandlers {
    if (this.#isStopped || this.#inbound.size >= inboundStreamsMax) {
      this.counters.streamsRefused++;
      return refuse(stream);
    }
    this.counters.streamsAccepted++;
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
    const timer = this.#ports.clock.setTimer(this.#state.timing.streamTimeoutMs, close);
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
          this.#step({ kind: 'request', stream: id, message });
        } catch (error) {
          this.counters.streamsRefused++;
          this.#noticeUndecrypted(error, from);
          this.#ports.log.debug('stream-refused', { from: addressText(from), error: errorMessage(error) });
          close();
        }
      },
      onEnd: end,
    };
  }

  #step(event: MembershipEvent): void {
    if (this.#isStopped) return;
    const effects = step(this.#state, event, this.#ports.clock.monotonicMs(), this.#ports.random);
    for (const effect of effects) this.#perform(effect);
    this.#setWake();
  }

  /** One timer for all that the state waits for. One that fires early does no harm, so it is only ever brought forward. */
  #setWake(): void {
    if (this.#isStopped) return;
    const dueMs = nextWakeMs(this.#state);
    if (this.#wake && this.#wake.dueMs <= dueMs) return;
    this.#wake?.timer.cancel();
    const { clock } = this.#ports;
    const timer = clock.setTimer(Math.max(0, dueMs - clock.monotonicMs()), () => {
      this.#wake = undefined;
      this.#step({ kind: 'tick' });
    });
    this.#wake = { dueMs, timer };
  }

  #perform(effect: Effect): void {
    const { keyring, onMember } = this.#options;
    switch (effect.kind) {
      case 'packet': {
        const packet = sealPacket(effect.messages, keyring, effect.withCrc);
        this.counters.packetsSent++;
        this.counters.packetBytesSent += packet.length;
        this.#datagrams.send(effect.to, packet);
        break;
      }
      case 'open':
        this.#open(effect);
        break;
      case 'reply': {
        const inbound = this.#inbound.get(effect.stream);
        if (!inbound) break;
        this.#inbound.delete(effect.stream);
        inbound.timer.cancel();
        this.#write(inbound.stream, effect.message);
        inbound.stream.close();
        break;
      }
      case 'member':
        if (effect.change === 'suspected') this.counters.suspicions++;
        if (effect.change === 'died') this.counters.deaths++;
        onMember?.(effect.change, effect.member);
        break;
      case 'contacted':
        this.#contacted(effect.address, effect.error);
        break;
      case 'leftAnnounced':
        for (const done of this.#leaveWaiters) done();
        break;
      default:
        this.#notice(effect);
    }
  }

  /** Whoever it is will not become a member: operators may have given it another key, or none. */
  #noticeUndecrypted(error: unknown, from: NetworkAddress): void {
    if (!hasCode(error, 'GOSSIP_DECRYPT')) return;
    const fields = { from: addressText(from), error: errorMessage(error) };
    this.#notice({ kind: 'notice', event: 'gossip-not-decrypted', fields });
  }

  #notice({ event, fields }: Extract<Effect, { kind: 'notice' }>): void {
    const counter = counterOf[event];
    if (counter) this.counters[counter]++;
    const nowMs = this.#ports.clock.monotonicMs();
    const previous = this.#notices.get(event);
    if (previous && nowMs < previous.nextMs) {
      previous.suppressedCount++;
      return;
    }
    const suppressed = previous?.suppressedCount ? { suppressedCount: previous.suppressedCount } : {};
    this.#notices.set(event, { nextMs: nowMs + noticeIntervalMs, suppressedCount: 0 });
    this.#ports.log.warn(event, { ...fields, ...suppressed });
  }

  #write(stream: NetworkStream, message: Uint8Array): void {
    const sealed = sealStream(message, this.#options.keyring);
    this.counters.streamBytesSent += sealed.length;
    stream.write(sealed);
  }

  #contacted(address: NetworkAddress, error: string | undefined): void {
    const text = addressText(address);
    const waiters = this.#contacts.get(text) ?? [];
    this.#contacts.delete(text);
    for (const done of waiters) done(error);
    if (error === undefined) return;
    // An operator waits for a join; the tries that follow go on for as long as it takes.
    if (waiters.length > 0) this.#ports.log.info('peer-not-reached', { peer: text, error });
    else this.#ports.log.debug('peer-not-reached', { peer: text, error });
  }

  #open({ exchange, to, message, timeoutMs }: Extract<Effect, { kind: 'open' }>): void {
    this.counters.streamsOpened++;
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
      if (finish()) this.#step({ kind: 'failure', exchange, reason });
    };
    const stream = this.#ports.network.connect(to, {
      onBytes: (bytes) => {
        if (!this.#outbound.has(exchange)) return;
        try {
          const answer = decoder.push(bytes);
          if (answer && finish()) this.#step({ kind: 'answer', exchange, message: answer });
        } catch (error) {
          this.counters.streamsRefused++;
          fail(errorMessage(error));
        }
      },
      onEnd: (error) => fail(error?.message ?? 'the stream was closed without an answer'),
    });
    const timer = this.#ports.clock.setTimer(timeoutMs, () => fail(`no answer within ${Math.round(timeoutMs)} ms`));
    this.#outbound.set(exchange, { stream, timer });
    this.#write(stream, message);
  }
}

/** Which notices are counted, and where. */
const counterOf: Readonly<Record<string, keyof GossipCounters>> = {
  'suspicion-refuted': 'refutations',
  'death-refuted': 'refutations',
  'gossip-paused': 'pauses',
  'member-datagrams-lost': 'datagramsLost',
  'member-address-conflict': 'nameConflicts',
  'own-name-taken': 'nameConflicts',
};

function refuse(stream: NetworkStream): StreamHandlers {
  stream.close();
  return { onBytes: () => {}, onEnd: () => {} };
}

/** The same port for both: peers know one. Where the system chooses it, the second may find it taken, and both try again. */
async function bindBoth(
  network: Network,
  address: NetworkAddress,
  onStream: (stream: NetworkStream, from: NetworkAddress) => StreamHandlers,
  onDatagram: (bytes: Uint8Array, from: NetworkAddress) => void,
): Promise<{ listener: StreamListener; datagrams: DatagramSocket }> {
  for (let tries = 1; ; tries++) {
    const listener = await network.listen(address, onStream);
    try {
      const datagrams = await network.bindDatagrams(listener.address, { onDatagram });
      return { listener, datagrams };
    } catch (error) {
      listener.close();
      if (address.port !== 0 || tries === bindTriesMax) throw error;
    }
  }
}
