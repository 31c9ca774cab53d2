// One connection between two nodes, from either side: the opening, requests and their answers, credit, and the heartbeat.
// The side that dialed sends requests; the other answers them, in any order.
// Invariants: a request is given to the handler at most once; what a node holds for a peer is bounded by its window and one
// message; when the connection has ended, every request that waited is settled and nothing is called any more.
import { errorMessage, present, secondMs, TimbalaError } from '../../base/index.ts';
import type { Clock, Log, NetworkStream, StreamHandlers, Timer } from '../../ports/index.ts';
import {
  commonPeerVersion,
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
  peerVersions,
} from '../../wire/index.ts';
import type { LocalStore, NodeName, PeerFrame, ReceivedFrame, RecordHash, StoreId } from '../contracts.ts';
import { classLimits, type ConnectionClass, connectionClasses, messageKinds } from './classes.ts';
import type { PeerCounters } from './counters.ts';
import { Inbox, ReceiveWindow } from './inbox.ts';
import { Outbox, sizeOf } from './outbox.ts';

/** Both sides have agreed within this time, or the connection is given up. */
export const openingMsMax = 3 * secondMs;
/** Whoever has sent nothing for so long sends a frame without content. */
export const heartbeatMs = 5 * secondMs;
/** A connection on which nothing has come for so long is dead. */
export const silenceMsMax = 15 * secondMs;
/** Answers up to this size go at once and need no credit: the requests that they answer bound them. */
const smallAnswerBytes = 4_096;

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
  /** Why we don't talk to this node; undefined: we do. */
  readonly judge: (theirs: PeerIdentity) => PeerFailure | undefined;
  readonly countersOf: (connectionClass: ConnectionClass) => PeerCounters;
  /** Whom we dialed, and for what; undefined where the other side dialed. */
  readonly dialed:
    | { readonly node: NodeName; readonly isNameKnown: boolean; readonly connectionClass: ConnectionClass }
    | undefined;
  readonly onRequest: (from: NodeName, frame: ReceivedFrame) => Promise<PeerFrame>;
  /** Both sides have agreed. */
  readonly onOpen: (peer: PeerIdentity, connectionClass: ConnectionClass) => void;
  /** Once, when it has ended, whoever ended it. */
  readonly onEnded: (error: TimbalaError) => void;
}

interface Pending {
  readonly resolve: (frame: ReceivedFrame) => void;
  readonly reject: (error: TimbalaError) => void;
  readonly timer: Timer;
}

/** What exists once the class of the connection is known: where we dialed from the start, else with the opening. */
interface Traffic {
  readonly connectionClass: ConnectionClass;
  readonly counters: PeerCounters;
  readonly outbox: Outbox;
  readonly window: ReceiveWindow;
}

const controlFrame = (type: PeerFrameHeader['type'], id = 0, creditBytes = 0): PeerFrameHeader => ({
  type,
  id,
  creditBytes,
  kind: 0,
  hasSamples: false,
  patienceMs: 0,
});

export class PeerConnection implements StreamHandlers {
  readonly #options: ConnectionOptions;
  readonly #reader = new PeerFrameReader();
  readonly #inbox: Inbox;
  readonly #pending = new Map<number, Pending>();
  #traffic: Traffic | undefined;
  #stream: NetworkStream | undefined;
  #peer: PeerIdentity | undefined;
  #isEnded = false;
  #lastId = 0;
  #requestsInWork = 0;
  #timer: Timer;
  #hasSentSinceBeat = false;
  #lastArrivalMs: number;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#inbox = new Inbox(options.store, (error) => this.#giveUp(error));
    if (options.dialed) this.#traffic = this.#createTraffic(options.dialed.connectionClass);
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

  /** What a connection is doing, for a page that shows it. */
  get load(): { readonly queuedBytes: number; readonly creditBytes: number; readonly requestsWaiting: number } {
    const { queuedBytes = 0, creditBytes = 0 } = this.#traffic?.outbox ?? {};
    return { queuedBytes, creditBytes, requestsWaiting: this.#pending.size };
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

  /** Rejects with PEER_UNREACHABLE, PEER_TIMEOUT, PEER_BUSY, or the failure that the other side answers. */
  request(frame: PeerFrame, patienceMs: number): Promise<ReceivedFrame> {
    const { outbox, counters, connectionClass } = present(this.#traffic, 'traffic, since we dialed');
    const { clock } = this.#options;
    if (this.#isEnded) return Promise.reject(this.#unreachable('the connection has ended'));
    const { queuedBytes } = outbox;
    if (queuedBytes > 0 && queuedBytes + sizeOf(frame) > classLimits[connectionClass].queuedBytesMax) {
      counters.requestsRefused++;
      return Promise.reject(new TimbalaError('PEER_BUSY', `${queuedBytes} bytes wait to be sent to ${this.#name()}`));
    }
    const dueMs = clock.monotonicMs() + patienceMs;
    this.#lastId = (this.#lastId + 1) >>> 0;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = clock.setTimer(patienceMs, () => {
        counters.requestsTimedOut++;
        const text = `${frame.kind} to ${this.#name()}: no answer within ${patienceMs} ms`;
        this.#settled(id)?.reject(new TimbalaError('PEER_TIMEOUT', text));
      });
      this.#pending.set(id, { resolve, reject, timer });
      counters.requestsSent++;
      outbox.add({
        type: peerFrameTypes.request,
        id,
        frame,
        patienceMs: () => Math.max(1, Math.ceil(dueMs - clock.monotonicMs())),
        isAbandoned: () => !this.#pending.has(id),
        fail: (error) => this.#settled(id)?.reject(asTimbalaError(error)),
      });
    });
  }

  /** Ends it, and tells the other side why, unless it is past hearing. */
  close(failure: PeerFailure): void {
    if (this.#isEnded) return;
    this.#write(encodePeerFrame(controlFrame(peerFrameTypes.closing), [encodePeerFailure(failure)]));
    this.#stream?.close();
    this.#end(`closed by us: ${failure.code}: ${failure.text}`);
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#isEnded) return;
    this.#lastArrivalMs = this.#options.clock.monotonicMs();
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

  #createTraffic(connectionClass: ConnectionClass): Traffic {
    const counters = this.#options.countersOf(connectionClass);
    const window = new ReceiveWindow(classLimits[connectionClass].windowBytes);
    const outbox = new Outbox({
      store: this.#options.store,
      counters,
      write: (frame) => this.#write(frame),
      takeGrant: () => window.takeGrant(),
    });
    return { connectionClass, counters, outbox, window };
  }

  #write(frame: Uint8Array): void {
    this.#hasSentSinceBeat = true;
    if (this.#traffic) {
      this.#traffic.counters.framesSent++;
      this.#traffic.counters.bytesSent += frame.length;
    }
    this.#stream?.write(frame);
  }

  #sendOpening(to: NodeName | ''): void {
    const { connectionClass } = present(this.#traffic, 'the class');
    const opening: PeerOpening = {
      ...this.#options.identity(),
      versionMin: peerVersions.min,
      versionMax: peerVersions.max,
      to,
      connectionClass: connectionClasses.indexOf(connectionClass),
      windowBytes: classLimits[connectionClass].windowBytes,
    };
    this.#write(encodePeerFrame(controlFrame(peerFrameTypes.opening), [encodePeerOpening(opening)]));
  }

  #take(header: PeerFrameHeader, body: Uint8Array): void {
    if (header.type === peerFrameTypes.closing) {
      const { code, text } = decodePeerFailure(body);
      this.#stream?.close();
      this.#end(`the other side closed the connection: ${code}: ${text}`);
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
    const traffic = (this.#traffic ??= this.#createTraffic(connectionClass));
    const refusal = this.#refusalOf(theirs);
    if (refusal) throw new TimbalaError(refusal.code, refusal.text);
    if (!this.#options.dialed) this.#sendOpening('');
    this.#peer = theirs;
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
    const { dialed, identity, judge } = this.#options;
    const isNameKnown = dialed ? dialed.isNameKnown : theirs.to !== '';
    const expected = dialed ? dialed.node : theirs.to;
    const actual = dialed ? theirs.node : identity().node;
    if (isNameKnown && actual !== expected)
      return { code: 'PEER_WRONG_NODE', text: `this is ${actual}, not ${expected}` };
    return judge(theirs);
  }

  #takeMessage(header: PeerFrameHeader, body: Uint8Array): void {
    const { counters, outbox, window } = present(this.#traffic, 'traffic, since both have agreed');
    const { type, id } = header;
    counters.framesReceived++;
    counters.bytesReceived += peerHeaderBytes + body.length;
    if (type === peerFrameTypes.request) {
      window.hold(peerHeaderBytes + body.length);
      this.#takeRequest(header, body);
    } else if (type === peerFrameTypes.answer) {
      const heldBytes = isSmall(header.hasSamples, body) ? 0 : peerHeaderBytes + body.length;
      window.hold(heldBytes);
      this.#withSamples(header, body, (frame) => {
        this.#settled(id)?.resolve(frame);
        window.free(heldBytes);
        this.#grantIfDue();
      });
    } else if (type === peerFrameTypes.failure) {
      const { code, text } = decodePeerFailure(body);
      this.#settled(id)?.reject(new TimbalaError(code, text));
    } else if (type !== peerFrameTypes.credit) {
      throw new TimbalaError('PEER_FRAME_CORRUPT', 'a second opening');
    }
    // Last, since it sends what waits: an answer that came in this frame is not kept waiting.
    if (header.creditBytes > 0 && !this.#isEnded) outbox.addCredit(header.creditBytes);
  }

  #takeRequest(header: PeerFrameHeader, body: Uint8Array): void {
    const { counters, connectionClass } = present(this.#traffic, 'traffic');
    const { clock } = this.#options;
    const heldBytes = peerHeaderBytes + body.length;
    const dueMs = clock.monotonicMs() + header.patienceMs;
    counters.requestsReceived++;
    // Definitions count even where the request is refused: later messages rely on them.
    this.#withSamples(header, body, (frame) => {
      if (this.#requestsInWork >= classLimits[connectionClass].requestsMax) {
        counters.requestsRefused++;
        this.#fail(header.id, heldBytes, new TimbalaError('PEER_BUSY', `${this.#requestsInWork} requests in work`));
        return;
      }
      if (clock.monotonicMs() >= dueMs) {
        this.#fail(header.id, heldBytes, new TimbalaError('PEER_TIMEOUT', 'its time was over when its turn came'));
        return;
      }
      this.#requestsInWork++;
      void this.#answer(header.id, heldBytes, frame);
    });
  }

  /** Calls `deliver` with the message; one with samples waits for their definitions. */
  #withSamples(header: PeerFrameHeader, body: Uint8Array, deliver: (frame: ReceivedFrame) => void): void {
    const kind = messageKinds[header.kind];
    if (!kind) throw new TimbalaError('PEER_VERSION', `a message of kind ${header.kind}, of a newer program`);
    if (!header.hasSamples) {
      deliver({ kind, body });
      return;
    }
    const parts = decodePeerSamples(body);
    this.#inbox.arrive(parts, (samples) => {
      const { counters } = present(this.#traffic, 'traffic');
      counters.samplesReceived += samples.samplesCount;
      deliver({ kind, body: parts.message, samples });
    });
  }

  async #answer(id: number, heldBytes: number, request: ReceivedFrame): Promise<void> {
    try {
      const frame = await this.#options.onRequest(this.#name(), request);
      this.#requestsInWork--;
      if (this.#isEnded) return;
      present(this.#traffic, 'traffic').window.free(heldBytes);
      this.#sendAnswer(id, frame);
    } catch (error) {
      this.#requestsInWork--;
      this.#fail(id, heldBytes, error);
    }
  }

  #sendAnswer(id: number, frame: PeerFrame): void {
    const { outbox, window } = present(this.#traffic, 'traffic');
    if (isSmall(frame.samples !== undefined, frame.body)) {
      const kind = messageKinds.indexOf(frame.kind);
      const header = { ...controlFrame(peerFrameTypes.answer, id, window.takeGrant()), kind };
      this.#write(encodePeerFrame(header, [frame.body]));
      return;
    }
    outbox.add({
      type: peerFrameTypes.answer,
      id,
      frame,
      patienceMs: () => 0,
      isAbandoned: () => false,
      fail: (error) => this.#fail(id, 0, error),
    });
    this.#grantIfDue();
  }

  #fail(id: number, heldBytes: number, error: unknown): void {
    if (this.#isEnded) return;
    const { window } = present(this.#traffic, 'traffic');
    const failure = failureOf(error);
    if (failure.code === 'PEER_FAILED') {
      this.#options.log.error('peer-request-failed', { node: this.#name(), error: errorMessage(error) });
    }
    window.free(heldBytes);
    const header = controlFrame(peerFrameTypes.failure, id, window.takeGrant());
    this.#write(encodePeerFrame(header, [encodePeerFailure(failure)]));
    // The two dictionaries do not agree: nothing that uses them can be trusted.
    if (failure.code === 'PEER_DICTIONARY') this.close(failure);
  }

  #grantIfDue(): void {
    const { window } = present(this.#traffic, 'traffic');
    if (window.isGrantDue && !this.#isEnded) this.#sendCredit();
  }

  /** Also a sign of life. */
  #sendCredit(): void {
    const { window } = present(this.#traffic, 'traffic');
    this.#write(encodePeerFrame(controlFrame(peerFrameTypes.credit, 0, window.takeGrant()), []));
  }

  #settled(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    pending?.timer.cancel();
    this.#pending.delete(id);
    return pending;
  }

  #scheduleBeat(): void {
    const { clock } = this.#options;
    const dueMs = clock.monotonicMs() + heartbeatMs;
    this.#hasSentSinceBeat = false;
    this.#timer = clock.setTimer(heartbeatMs, () => {
      const nowMs = clock.monotonicMs();
      // After a pause of our own, what came meanwhile has not been read yet.
      const wasPaused = nowMs - dueMs > heartbeatMs / 2;
      if (!wasPaused && nowMs - this.#lastArrivalMs >= silenceMsMax) {
        this.#giveUp(new TimbalaError('PEER_SILENT', `nothing came for ${silenceMsMax} ms`));
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
    if (failure.code === 'PEER_SILENT') {
      // What was written would only lie in the system's buffers.
      this.#stream?.abort();
      this.#end(`${failure.code}: ${failure.text}`);
    } else {
      this.close(failure);
    }
  }

  #end(reason: string): void {
    if (this.#isEnded) return;
    if (this.#traffic) this.#traffic.counters[this.isOpen ? 'connectionsEnded' : 'connectionsFailed']++;
    this.#isEnded = true;
    this.#timer.cancel();
    this.#traffic?.outbox.close();
    this.#inbox.close();
    const error = this.#unreachable(reason);
    for (const { reject, timer } of this.#pending.values()) {
      timer.cancel();
      reject(error);
    }
    this.#pending.clear();
    this.#options.onEnded(error);
  }
}

const isSmall = (hasSamples: boolean, body: Uint8Array): boolean => !hasSamples && body.length <= smallAnswerBytes;

/** An error as it crosses to the other side. */
function failureOf(error: unknown): PeerFailure {
  if (!(error instanceof TimbalaError)) return { code: 'PEER_FAILED', text: errorMessage(error) };
  return { code: error.code, text: error.message.slice(error.code.length + 2) };
}

function asTimbalaError(error: unknown): TimbalaError {
  if (error instanceof TimbalaError) return error;
  return new TimbalaError('PEER_FAILED', errorMessage(error), { cause: error });
}
