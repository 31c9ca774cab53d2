// One connection between two nodes, from either side: the opening, frames and whom they are for, credit, and the heartbeat.
// The side that dialed asks (asking.ts); the other answers (answering.ts), in any order.
// Invariants: a request is given to the handler at most once; what a node holds for a peer is bounded by its window and one
// message; when the connection has ended, every request that waited is settled and nothing is called any more.
import { errorMessage, present, secondMs, TimbalaError } from '../../base/index.ts';
import type { Clock, Log, NetworkStream, StreamHandlers, Timer } from '../../ports/index.ts';
import {
  commonPeerVersion,
  controlFrame,
  decodePeerFailure,
  decodePeerOpening,
  decodePeerSamples,
  encodePeerFailure,
  encodePeerFrame,
  encodePeerOpening,
  type PeerFailure,
  type PeerFrameHeader,
  PeerFrameReader,
  peerBodyBytesMax,
  peerFrameTypes,
  peerHeaderBytes,
  type PeerOpening,
  type PeerSamplesBody,
  peerVersions,
} from '../../wire/index.ts';
import type { LocalStore, NodeName, PeerFrame, PeerHandler, ReceivedFrame, RecordHash, StoreId } from '../contracts.ts';
import { Answering } from './answering.ts';
import { Asking } from './asking.ts';
import {
  classLimits,
  type ClassLimits,
  type ConnectionClass,
  connectionClasses,
  messageKinds,
  unsentBytesMax,
  unsentFramesMax,
} from './classes.ts';
import type { PeerCounters } from './counters.ts';
import { Inbox, ReceiveWindow } from './inbox.ts';
import { Outbox } from './outbox.ts';
import type { Pulse } from './pulse.ts';
import { failureOf, isSmall, type Traffic } from './traffic.ts';

/** Why a connection ends of which nothing is wrong: a node stops, or has no use for it. */
export const closedCode = 'PEER_CLOSED';
/** Both sides have agreed within this time, or the connection is given up. */
export const openingMsMax = 3 * secondMs;
/** Whoever has sent nothing between two beats sends a frame without content: nobody is silent for longer than two. */
export const heartbeatMs = 2.5 * secondMs;
/** A connection on which nothing has come for so long is dead… */
export const silenceMsMax = 15 * secondMs;
/** …or for so long, two beats and some, if gossip too finds the node dead. */
export const deadSilenceMsMax = 6 * secondMs;
/** A peer that has sent something within this time, and makes us wait, is busy. */
const livelyMs = secondMs;

/** Who a node is, asked for at every opening. */
export interface PeerIdentity {
  /** 32 hexadecimal digits. */
  readonly clusterId: string;
  readonly node: NodeName;
  readonly store: StoreId;
  readonly recordHash: RecordHash;
  /** The highest version of each format that the node reads. */
  readonly formats: ReadonlyMap<string, number>;
}

export interface ConnectionOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Pick<LocalStore, 'definitionsOf' | 'register'>;
  readonly identity: () => PeerIdentity;
  readonly countersOf: (connectionClass: ConnectionClass) => PeerCounters;
  readonly limitsOf: (connectionClass: ConnectionClass) => ClassLimits;
  /** Whom we dialed, and for what; undefined where the other side dialed. */
  readonly dialed:
    | { readonly node: NodeName; readonly isNameKnown: boolean; readonly connectionClass: ConnectionClass }
    | undefined;
  readonly onRequest: PeerHandler;
  /** Shared by all connections with a node. */
  readonly pulseOf: (node: NodeName) => Pulse;
  /** Gossip's opinion of a node, where it has one. */
  readonly isAlive: (node: NodeName) => boolean | undefined;
  /** Both sides have agreed. */
  readonly onOpen: (peer: PeerIdentity, connectionClass: ConnectionClass) => void;
  /** Once, when it has ended, whoever ended it. `isOrderly`: one of the two wanted it to end. */
  readonly onEnded: (error: TimbalaError, isOrderly: boolean) => void;
}

/** What exists once the class of the connection is known: where we dialed from the start, else with the opening. */
interface Halves {
  readonly traffic: Traffic;
  readonly asking: Asking;
  readonly answering: Answering;
}

export class PeerConnection implements StreamHandlers {
  readonly #options: ConnectionOptions;
  readonly #reader = new PeerFrameReader();
  readonly #inbox: Inbox;
  #halves: Halves | undefined;
  #stream: NetworkStream | undefined;
  #peer: PeerIdentity | undefined;
  /** Of the node at the other side, once it has said its name. */
  #pulse: Pulse | undefined;
  #isEnded = false;
  #timer: Timer;
  #hasSentSinceBeat = false;
  #lastArrivalMs: number;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#inbox = new Inbox(options.store, (error) => this.#giveUp(error));
    if (options.dialed) this.#halves = this.#createHalves(options.dialed.connectionClass);
    this.#lastArrivalMs = options.clock.monotonicMs();
    this.#timer = options.clock.setTimer(openingMsMax, () => {
      this.#giveUp(new TimbalaError('PEER_SILENT', `no opening within ${openingMsMax} ms`));
    });
  }

  /** Whether both sides had agreed, which an end does not change. */
  get wasOpened(): boolean {
    return this.#peer !== undefined;
  }

  get isOpen(): boolean {
    return this.#peer !== undefined && !this.#isEnded;
  }

  /** Whether requests may get through: it is open, or not known to lead to the dead. */
  get isHopeful(): boolean {
    return this.#options.isAlive(this.#name()) !== false || (this.isOpen && this.#silentMs() < deadSilenceMsMax);
  }

  #silentMs(): number {
    return this.#options.clock.monotonicMs() - this.#lastArrivalMs;
  }

  /** What a connection is doing, for a page that shows it. */
  get load(): { readonly queuedBytes: number; readonly creditBytes: number; readonly requestsWaiting: number } {
    const { queuedBytes = 0, creditBytes = 0 } = this.#halves?.traffic.outbox ?? {};
    return { queuedBytes, creditBytes, requestsWaiting: this.#halves?.asking.waitingCount ?? 0 };
  }

  /** Gives it its stream; the dialing side then says who it is. */
  start(stream: NetworkStream): void {
    if (this.#isEnded) {
      stream.abort();
      return;
    }
    this.#stream = stream;
    const { dialed } = this.#options;
    if (dialed) this.#sendOpening(dialed.isNameKnown ? dialed.node : '');
  }

  /** Rejects with PEER_UNREACHABLE, PEER_TIMEOUT, PEER_BUSY, PEER_CANCELLED, or the failure that the other side answers. */
  request(frame: PeerFrame, patienceMs: number, signal?: AbortSignal): Promise<ReceivedFrame> {
    if (this.#isEnded) return Promise.reject(this.#unreachable('the connection has ended'));
    return present(this.#halves, 'halves, since we dialed').asking.request(frame, patienceMs, signal);
  }

  /** Ends it, and tells the other side why, unless it is past hearing. */
  close(failure: PeerFailure): void {
    if (this.#isEnded) return;
    this.#write(encodePeerFrame(controlFrame(peerFrameTypes.closing), [encodePeerFailure(failure)]));
    this.#stream?.close();
    this.#end(`closed by us: ${failure.code}: ${failure.text}`, failure.code === closedCode);
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#isEnded) return;
    this.#lastArrivalMs = this.#options.clock.monotonicMs();
    this.#pulse?.arrived(this.#lastArrivalMs);
    try {
      this.#reader.push(bytes, (header, body) => {
        // A frame may end the connection; what came behind it counts no more.
        if (!this.#isEnded) this.#take(header, body);
      });
    } catch (error) {
      this.#giveUp(error);
    }
  }

  onEnd(error?: Error): void {
    this.#end(error ? errorMessage(error) : 'ended by the other side');
  }

  #name(): string {
    return this.#peer?.node ?? this.#options.dialed?.node ?? 'a node that has not said its name';
  }

  #unreachable(text: string): TimbalaError {
    return new TimbalaError('PEER_UNREACHABLE', `${this.#name()}: ${text}`);
  }

  #createHalves(connectionClass: ConnectionClass): Halves {
    const { clock, log, store, countersOf, limitsOf, onRequest } = this.#options;
    const counters = countersOf(connectionClass);
    const limits = limitsOf(connectionClass);
    const window = new ReceiveWindow(limits.windowBytes);
    const write = (frame: Uint8Array<ArrayBuffer>): void => this.#write(frame);
    const creditBytesMax = classLimits[connectionClass].windowBytes;
    const outbox = new Outbox({ clock, store, counters, write, creditBytesMax, takeGrant: () => window.takeGrant() });
    const traffic: Traffic = { connectionClass, limits, counters, outbox, window, write };
    const peerName = (): string => this.#name();
    const asking = new Asking({
      clock,
      traffic,
      peerName,
      onUnanswered: (patienceMs) => this.#pulse?.unanswered(patienceMs, clock.monotonicMs()),
      isPeerAlive: () => this.isOpen && this.#silentMs() < livelyMs,
    });
    const answering = new Answering({
      clock,
      log,
      traffic,
      peerName,
      onRequest: (frame, work) => onRequest(this.#name(), frame, work),
      onFreed: () => this.#grantIfDue(),
      onVoid: (edition) => this.#inbox.voidEdition(edition),
    });
    return { traffic, asking, answering };
  }

  /** The frame is gone afterwards. */
  #write(frame: Uint8Array<ArrayBuffer>): void {
    this.#hasSentSinceBeat = true;
    if (this.#halves) {
      const { counters } = this.#halves.traffic;
      counters.framesSent++;
      counters.bytesSent += frame.length;
    }
    this.#stream?.give(frame);
    const { unsentBytes = 0, unsentWrites = 0 } = this.#stream ?? {};
    if (unsentBytes > unsentBytesMax || unsentWrites > unsentFramesMax) {
      const text = `${unsentWrites} frames of ${unsentBytes} bytes wait to be read`;
      this.#giveUp(new TimbalaError('PEER_NOT_READING', text));
    }
  }

  #sendOpening(to: NodeName | ''): void {
    const { connectionClass, limits } = present(this.#halves, 'the class').traffic;
    const opening: PeerOpening = {
      ...this.#options.identity(),
      versionMin: peerVersions.min,
      versionMax: peerVersions.max,
      to,
      connectionClass: connectionClasses.indexOf(connectionClass),
      windowBytes: limits.windowBytes,
    };
    this.#write(encodePeerFrame(controlFrame(peerFrameTypes.opening), [encodePeerOpening(opening)]));
  }

  #take(header: PeerFrameHeader, body: Uint8Array): void {
    if (header.type === peerFrameTypes.closing) {
      const { code, text } = decodePeerFailure(body);
      this.#stream?.close();
      this.#end(`the other side closed the connection: ${code}: ${text}`, code === closedCode);
    } else if (this.#peer) {
      this.#takeMessage(header, body);
    } else {
      this.#takeOpening(header, body);
    }
  }

  #takeOpening(header: PeerFrameHeader, body: Uint8Array): void {
    if (header.type !== peerFrameTypes.opening) {
      throw new TimbalaError('PEER_FRAME_CORRUPT', `a frame of type ${header.type} before the opening`);
    }
    const theirs = decodePeerOpening(body);
    const connectionClass = connectionClasses[theirs.connectionClass];
    if (!connectionClass) throw new TimbalaError('PEER_VERSION', `class ${theirs.connectionClass} of a newer program`);
    const { traffic } = (this.#halves ??= this.#createHalves(connectionClass));
    const refusal = this.#refusalOf(theirs);
    if (refusal) throw new TimbalaError(refusal.code, refusal.text);
    if (!this.#options.dialed) this.#sendOpening('');
    this.#peer = theirs;
    this.#pulse = this.#options.pulseOf(theirs.node);
    this.#pulse.arrived(this.#lastArrivalMs);
    this.#reader.bodyBytesMax = peerBodyBytesMax;
    traffic.counters.connectionsOpened++;
    this.#timer.cancel();
    this.#scheduleBeat();
    this.#options.onOpen(theirs, traffic.connectionClass);
    traffic.outbox.addCredit(theirs.windowBytes);
  }

  #refusalOf(theirs: PeerOpening): PeerFailure | undefined {
    if (commonPeerVersion(theirs) === undefined) {
      const { min, max } = peerVersions;
      const text = `versions ${theirs.versionMin} to ${theirs.versionMax}, we speak ${min} to ${max}`;
      return { code: 'PEER_VERSION', text };
    }
    const { dialed, identity } = this.#options;
    const isNameKnown = dialed ? dialed.isNameKnown : theirs.to !== '';
    const expected = dialed ? dialed.node : theirs.to;
    const actual = dialed ? theirs.node : identity().node;
    if (isNameKnown && actual !== expected) {
      return { code: 'PEER_WRONG_NODE', text: `this is ${actual}, not ${expected}` };
    }
    // A node's name is the address under which it first came.
    const host = theirs.node.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
    if (this.#stream?.certifies(host) === false) {
      return { code: 'PEER_CERTIFICATE', text: `the certificate of ${theirs.node} is not for ${host}` };
    }
    return undefined;
  }

  #takeMessage(header: PeerFrameHeader, body: Uint8Array): void {
    const { traffic, asking, answering } = present(this.#halves, 'halves, since both have agreed');
    const { counters, outbox, window } = traffic;
    const frameBytes = peerHeaderBytes + body.length;
    counters.framesReceived++;
    counters.bytesReceived += frameBytes;
    switch (header.type) {
      case peerFrameTypes.request: {
        window.hold(frameBytes);
        const parts = header.hasSamples ? decodePeerSamples(body) : undefined;
        const { deliver, refuse } = answering.arrive(header, frameBytes, parts?.edition);
        // Definitions count even where the request is refused: later messages rely on them.
        this.#withSamples(header, body, parts, deliver, refuse);
        break;
      }
      case peerFrameTypes.answer: {
        const heldBytes = isSmall(header.hasSamples, body) ? 0 : frameBytes;
        window.hold(heldBytes);
        const deliver = (frame: ReceivedFrame): void => {
          asking.answered(header.id, frame);
          window.free(heldBytes);
          this.#grantIfDue();
        };
        const parts = header.hasSamples ? decodePeerSamples(body) : undefined;
        // Answers are not asked for again: the next request goes over a connection that begins anew.
        this.#withSamples(header, body, parts, deliver, (error) => this.#giveUp(error));
        break;
      }
      case peerFrameTypes.failure: {
        const { code, text } = decodePeerFailure(body);
        counters.failuresReceived++;
        if (code === 'PEER_BUSY' || code === 'STORE_BUSY') counters.busyReceived++;
        asking.refused(header.id, new TimbalaError(code, text));
        break;
      }
      case peerFrameTypes.cancel:
        answering.cancel(header.id);
        break;
      case peerFrameTypes.credit:
        break;
      default:
        throw new TimbalaError('PEER_FRAME_CORRUPT', 'a second opening');
    }
    if (header.creditBytes === 0 || this.#isEnded) return;
    // Last, since it sends what waits: an answer that came in this frame is not kept waiting.
    outbox.addCredit(header.creditBytes);
    answering.begin();
  }

  /** Calls `deliver` with the message; one with samples waits for their definitions, and may be refused for lack of them. */
  #withSamples(
    header: PeerFrameHeader,
    body: Uint8Array,
    parts: PeerSamplesBody | undefined,
    deliver: (frame: ReceivedFrame) => void,
    refuse: (error: unknown) => void,
  ): void {
    const kind = messageKinds[header.kind];
    if (!kind) throw new TimbalaError('PEER_VERSION', `a message of kind ${header.kind}, of a newer program`);
    if (!parts) {
      deliver({ kind, body });
      return;
    }
    const { counters } = present(this.#halves, 'halves').traffic;
    counters.definitionsBytesReceived += parts.definitions.length;
    this.#inbox.arrive({
      parts,
      deliver: (samples) => {
        counters.samplesReceived += samples.samplesCount;
        deliver({ kind, body: parts.message, samples });
      },
      refuse,
    });
  }

  #grantIfDue(): void {
    const { window } = present(this.#halves, 'halves').traffic;
    if (window.isGrantDue && !this.#isEnded) this.#sendCredit();
  }

  /** Also a sign of life. */
  #sendCredit(): void {
    const { window } = present(this.#halves, 'halves').traffic;
    this.#write(encodePeerFrame(controlFrame(peerFrameTypes.credit, 0, window.takeGrant()), []));
  }

  #scheduleBeat(): void {
    const { clock } = this.#options;
    const dueMs = clock.monotonicMs() + heartbeatMs;
    this.#hasSentSinceBeat = false;
    this.#timer = clock.setTimer(heartbeatMs, () => {
      const nowMs = clock.monotonicMs();
      // After a pause of our own, what came meanwhile has not been read yet.
      const wasPaused = nowMs - dueMs > heartbeatMs / 2;
      const silentMs = this.#silentMs();
      if (!wasPaused && (silentMs >= silenceMsMax || !this.isHopeful)) {
        this.#giveUp(new TimbalaError('PEER_SILENT', `nothing came for ${Math.round(silentMs)} ms`));
        return;
      }
      if (!this.#hasSentSinceBeat) this.#sendCredit();
      this.#scheduleBeat();
    });
  }

  /** The connection is of no use any more: through damage, refusal or silence. */
  #giveUp(error: unknown): void {
    if (this.#isEnded) return;
    const failure = failureOf(error);
    if (failure.code === 'PEER_SILENT' || failure.code === 'PEER_NOT_READING') {
      // What was written would only lie in buffers.
      this.#stream?.abort();
      this.#end(`${failure.code}: ${failure.text}`);
    } else {
      this.close(failure);
    }
  }

  #end(reason: string, isOrderly = false): void {
    if (this.#isEnded) return;
    const error = this.#unreachable(reason);
    const isAgreed = this.isOpen;
    this.#isEnded = true;
    this.#timer.cancel();
    this.#inbox.close();
    if (this.#halves) {
      const { traffic, asking, answering } = this.#halves;
      traffic.counters[isAgreed ? 'connectionsEnded' : 'connectionsFailed']++;
      traffic.outbox.close();
      answering.end();
      asking.end(error);
    }
    this.#options.onEnded(error, isOrderly);
  }
}
