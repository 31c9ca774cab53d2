// Connections between simulated nodes: requests are delayed, lost with their connection, delivered twice; links may be cut
// one way. Frames with samples keep their order on a connection, and its dictionary begins and ends with it.
import { TimbalaError } from '../../src/base/index.ts';
import type {
  NodeName,
  PeerFrame,
  PeerHandler,
  PeerLinks,
  PeerWork,
  ReceivedFrame,
  ReceivedSamples,
} from '../../src/cluster/index.ts';
import type { SimWorld } from '../world.ts';
import type { ModelStore } from './model-store.ts';

/** A process on the network. */
export interface Endpoint {
  readonly name: NodeName;
  readonly store: ModelStore;
  handler: PeerHandler | undefined;
  isAlive: boolean;
}

/** One direction of a connection between two processes. */
interface Direction {
  /** References that the sender has defined. */
  readonly sent: Set<number>;
  /** The receiver's reference by the sender's. */
  ownRefs: Uint32Array;
  /** Nothing arrives before what was sent before. */
  lastArrivalMs: number;
}

export class ClusterNetwork {
  readonly conditions = { lossShare: 0, duplicateShare: 0, delayMsMin: 0.2, delayMsMax: 3 };
  /** Frames delivered. */
  framesCount = 0;
  /** A planted bug: what was defined stays defined when a connection is made anew. */
  readonly keepsDictionaries: boolean;
  readonly #world: SimWorld;
  readonly #endpoints = new Map<NodeName, Endpoint>();
  readonly #directions = new Map<string, Direction>();
  readonly #cuts = new Set<string>();

  constructor(world: SimWorld, keepsDictionaries = false) {
    this.#world = world;
    this.keepsDictionaries = keepsDictionaries;
  }

  /** Puts a process on the network, in place of an earlier one of that name. */
  connect(endpoint: Endpoint): PeerLinks {
    this.#endpoints.set(endpoint.name, endpoint);
    this.#breakAll(endpoint.name);
    return {
      request: (to, frame, deadlineMs, signal) => this.#request(endpoint, to, frame, deadlineMs, signal),
      set onRequest(handler: PeerHandler | undefined) {
        endpoint.handler = handler;
      },
      get onRequest() {
        return endpoint.handler;
      },
      setAddresses: () => {},
    };
  }

  cut(from: NodeName, to: NodeName): void {
    this.#cuts.add(`${from}>${to}`);
  }

  get cutsCount(): number {
    return this.#cuts.size;
  }

  heal(): void {
    this.#cuts.clear();
  }

  #carries(from: NodeName, to: NodeName): boolean {
    return !this.#cuts.has(`${from}>${to}`);
  }

  #breakAll(name: NodeName): void {
    if (this.keepsDictionaries) return;
    for (const key of this.#directions.keys()) {
      if (key.split('>').includes(name)) this.#directions.delete(key);
    }
  }

  /** A reset takes both directions with it. */
  #break(a: NodeName, b: NodeName): void {
    if (this.keepsDictionaries) return;
    this.#directions.delete(`${a}>${b}`);
    this.#directions.delete(`${b}>${a}`);
  }

  #direction(from: NodeName, to: NodeName): Direction {
    const key = `${from}>${to}`;
    let direction = this.#directions.get(key);
    if (!direction) {
      direction = { sent: new Set(), ownRefs: new Uint32Array(0), lastArrivalMs: 0 };
      this.#directions.set(key, direction);
    }
    return direction;
  }

  #delayMs(): number {
    const { delayMsMin, delayMsMax } = this.conditions;
    return delayMsMin + this.#world.random.float() * (delayMsMax - delayMsMin);
  }

  #isHit(share: number): boolean {
    return share > 0 && this.#world.random.float() < share;
  }

  #request(
    sender: Endpoint,
    to: NodeName,
    frame: PeerFrame,
    deadlineMs: number,
    signal?: AbortSignal,
  ): Promise<ReceivedFrame> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const dueMs = this.#world.clock.monotonicMs() + deadlineMs;
      const end = (outcome: () => void): void => {
        if (isOver || !sender.isAlive) return;
        isOver = true;
        timer.cancel();
        outcome();
      };
      const fail = (code: string): void => end(() => reject(new TimbalaError(code, `${to} from ${sender.name}`)));
      const timer = this.#world.schedule(deadlineMs, () => fail('PEER_TIMEOUT'));
      signal?.addEventListener('abort', () => fail('PEER_CANCELLED'), { once: true });
      const work: PeerWork = { dueMs, signal: signal ?? new AbortController().signal };
      if (this.#isHit(this.conditions.lossShare)) {
        this.#break(sender.name, to);
        this.#world.schedule(this.#delayMs(), () => fail('PEER_UNREACHABLE'));
        return;
      }
      const copies = !frame.samples && this.#isHit(this.conditions.duplicateShare) ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        this.#deliver(sender, to, frame, (received, receiver) => {
          void this.#handle(sender, receiver, received, work, (reply) => {
            if (reply instanceof Error) end(() => reject(reply));
            else if (this.#isHit(this.conditions.lossShare)) {
              this.#break(sender.name, to);
              fail('PEER_UNREACHABLE');
            } else this.#deliver(receiver, sender.name, reply, (answer) => end(() => resolve(answer)));
          });
        });
      }
    });
  }

  async #handle(
    sender: Endpoint,
    receiver: Endpoint,
    received: ReceivedFrame,
    work: PeerWork,
    done: (reply: PeerFrame | Error) => void,
  ): Promise<void> {
    let reply: PeerFrame | Error | undefined;
    try {
      reply = await receiver.handler?.(sender.name, received, work);
    } catch (error) {
      this.#break(sender.name, receiver.name);
      reply = error instanceof Error ? error : new Error(String(error));
    }
    if (reply && receiver.isAlive) done(reply);
  }

  /** Brings a frame to the other side; frames that are cut off or whose process has gone never arrive. */
  #deliver(
    sender: Endpoint,
    to: NodeName,
    frame: PeerFrame,
    arrived: (received: ReceivedFrame, receiver: Endpoint) => void,
  ): void {
    const direction = this.#direction(sender.name, to);
    const { samples } = frame;
    const due = [...new Set(samples?.seriesRefs)].filter((ref) => !direction.sent.has(ref));
    for (const ref of due) direction.sent.add(ref);
    const definitions = sender.store.define(due);
    let arrivalMs = this.#world.nowMs + this.#delayMs();
    if (samples) {
      arrivalMs = Math.max(arrivalMs, direction.lastArrivalMs);
      direction.lastArrivalMs = arrivalMs;
    }
    const target = this.#endpoints.get(to);
    this.#world.schedule(arrivalMs - this.#world.nowMs, () => {
      const isOpen = !samples || this.keepsDictionaries || this.#directions.get(`${sender.name}>${to}`) === direction;
      if (!target?.isAlive || !this.#carries(sender.name, to) || !isOpen) {
        // What it would have defined is not: the connection goes with it.
        if (samples) this.#break(sender.name, to);
        return;
      }
      this.framesCount++;
      this.#world.trace(`${sender.name}>${to} ${frame.kind}`, frame.body);
      for (const { ref, series } of definitions) define(direction, ref, target.store.registerSeries(series));
      const { kind, body } = frame;
      arrived({ kind, body, samples: samples && receivedOf(samples, direction, target.store) }, target);
    });
  }
}

const unknownRef = 0xffff_ffff;

function define(direction: Direction, senderRef: number, ownRef: number): void {
  if (senderRef >= direction.ownRefs.length) {
    const grown = new Uint32Array((senderRef + 1) * 2).fill(unknownRef);
    grown.set(direction.ownRefs);
    direction.ownRefs = grown;
  }
  direction.ownRefs[senderRef] = ownRef;
}

function receivedOf(
  { samplesCount, fingerprintSum, bytes }: Exclude<PeerFrame['samples'], undefined>,
  { ownRefs }: Direction,
  store: ModelStore,
): ReceivedSamples {
  return { samplesCount, dictionary: store.dictionary, ownRefs, fingerprintSum, bytes };
}
