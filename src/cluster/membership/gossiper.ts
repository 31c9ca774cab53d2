// Runs membership over the ports: sockets, streams and one timer around the pure step. Made for a thread of its own, so that
// long work elsewhere can't make this node look dead. Everything that arrives is decoded here, and dropped where it is not
// understood; what the step wants done is done in order.
import { errorMessage, hasCode, TimbalaError } from '../../base/index.ts';
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
import { counterOfNotice, createCounters, type GossipCounters } from './counters.ts';
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
import { GossipStreams, refuseStream } from './streams.ts';
import type { Effect, MemberChange } from './turn.ts';

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

export class Gossiper {
  readonly counters: GossipCounters = createCounters();
  /** What others are told to reach us at. */
  readonly advertised: NetworkAddress;
  readonly #ports: GossiperPorts;
  readonly #options: GossiperOptions;
  readonly #state: MembershipState;
  readonly #datagrams: DatagramSocket;
  readonly #listener: StreamListener;
  #wake: { readonly dueMs: number; readonly timer: Timer } | undefined;
  readonly #streams: GossipStreams;
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
      (stream, from) => late.gossiper?.accept(stream, from) ?? refuseStream(stream),
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
    this.#streams = new GossipStreams({
      ports,
      keyring: options.keyring,
      counters: this.counters,
      inboundMsMax: this.#state.timing.streamTimeoutMs,
      onRequest: (stream, message) => this.#step({ kind: 'request', stream, message }),
      onAnswer: (exchange, message) => this.#step({ kind: 'answer', exchange, message }),
      onFailure: (exchange, reason) => this.#step({ kind: 'failure', exchange, reason }),
      onRefused: (error, from) => this.#noticeUndecrypted(error, from),
    });
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
    this.#streams.close();
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
    return this.#streams.accept(stream, from);
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
        this.#streams.open(effect);
        break;
      case 'reply':
        this.#streams.reply(effect.stream, effect.message);
        break;
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
    const counter = counterOfNotice[event];
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
