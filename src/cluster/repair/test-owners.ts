// Nodes of which the first three own everything, for tests of repair and of writes: the real state, exchange and answerer of each,
// over the simulator's model of storage and network, in virtual time. Nothing runs by itself: a test asks, and may hold up or
// spoil what travels.
import { ByteReader, present } from '../../base/index.ts';
import type { Log } from '../../ports/index.ts';
import { digestOf, partitionOf, partitionsCount, type Sample } from '../../../sim/cluster/data.ts';
import { simTiming } from '../../../sim/cluster/cluster.ts';
import { ClusterNetwork, type Endpoint } from '../../../sim/cluster/links.ts';
import { ModelDisk, ModelStore } from '../../../sim/cluster/model-store.ts';
import { SimWorld } from '../../../sim/world.ts';
import {
  type NodeName,
  pairKey,
  type PeerFrame,
  type PeerLinks,
  type ReceivedFrame,
  windowStartOf,
} from '../contracts.ts';
import { decisions } from '../decisions.ts';
import { Exchange } from '../exchange.ts';
import { ClusterRecord } from '../record/index.ts';
import { testMember } from '../record/test-member.ts';
import { NodeState } from '../state.ts';
import { type ClusterTiming, defaultClusterTiming } from '../timing.ts';
import type { Place } from '../view.ts';
import { RepairAnswerer } from './answerer.ts';
import { Backoff } from './backoff.ts';
import { Leases } from './leases.ts';
import { Pacer } from './pacer.ts';
import { createRepairCounters } from './questions.ts';
import { Repairer } from './repairer.ts';
import { OwnerSession, type RepairContext } from './session.ts';

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };
const settlingMs = 600_000;

/** What a node asks of another; `pass` lets it travel on. */
export type OnRequest = (
  topic: string,
  to: NodeName,
  pass: () => Promise<ReceivedFrame>,
  frame: PeerFrame,
) => Promise<ReceivedFrame>;

export class TestOwner {
  readonly name: NodeName;
  readonly state: NodeState;
  readonly store: ModelStore;
  readonly context: RepairContext;
  readonly leases: Leases;
  readonly repairer: Repairer;
  /** Topics of what it has asked, with whom. */
  readonly asked: string[] = [];
  onRequest: OnRequest = (_topic, _to, pass) => pass();
  readonly #owners: TestOwners;
  readonly #random = (): number => 0;

  constructor(owners: TestOwners, name: NodeName, record: ClusterRecord, timing: ClusterTiming) {
    const { world, network } = owners;
    this.#owners = owners;
    this.name = name;
    // Wall clocks show whole milliseconds.
    const clock = { ...world.clock, nowMs: () => Math.floor(world.clock.nowMs()) };
    this.store = new ModelStore(new ModelDisk(testMember(name).store), world, () => true);
    const endpoint: Endpoint = { name, store: this.store, handler: undefined, isAlive: true };
    const options = { name, store: this.store, clock, log: silent, decisions, partitionsCount, epoch: 1 };
    const place: Place = (members) => ({ owners: () => members.slice(0, 3), order: () => members });
    this.state = new NodeState({ ...options, place, onRecord: () => {} }, record);
    const exchange = new Exchange(this.state, this.#watched(network.connect(endpoint)));
    const counters = createRepairCounters();
    this.context = { state: this.state, exchange, timing, counters, pacer: new Pacer(clock) };
    this.leases = new Leases(clock, timing.leaseMs);
    void new RepairAnswerer(this.context, this.leases);
    const backoff = new Backoff(clock, timing.repairBackoffMs, () => undefined);
    this.repairer = new Repairer(this.context, backoff, this.leases, this.#random);
  }

  #watched(links: PeerLinks): PeerLinks {
    return {
      request: (to, frame, deadlineMs, signal) => {
        const topic = new ByteReader(frame.body).string();
        this.asked.push(`${topic} ${to}`);
        return this.onRequest(topic, to, () => links.request(to, frame, deadlineMs, signal), frame);
      },
      get onRequest() {
        return links.onRequest;
      },
      set onRequest(handler) {
        links.onRequest = handler;
      },
      setAddresses: (addresses) => links.setAddresses(addresses),
    };
  }

  async start(): Promise<void> {
    await this.state.load();
    await this.state.finishReplay();
    this.state.isReady = true;
  }

  session(owner: NodeName): OwnerSession {
    return new OwnerSession(this.context, owner);
  }

  /** Puts samples on its disk as if they had always been there. */
  hold(samples: readonly Sample[]): void {
    for (const sample of samples) this.store.disk.samples.set(`${sample.series}@${sample.timestampMs}`, sample);
    this.state.noteCopied(samples.map(pairOf));
  }

  mark(samples: readonly Sample[]): void {
    this.state.noteWritten(samples.map(pairOf));
  }

  /** A client's samples, on its disk and marked. */
  write(samples: readonly Sample[]): void {
    this.hold(samples);
    this.mark(samples);
  }

  /** What it holds of a partition, as one text to be compared. */
  holds(partition: number): string {
    const { samplesCount, sum } = digestOf(
      [...this.store.disk.samples.values()].filter(({ series }) => partitionOf(series) === partition),
    );
    return `${samplesCount} ${sum}`;
  }

  /** How often it has asked about a topic. */
  askedCount(topic: string): number {
    return this.asked.filter((each) => each.startsWith(`${topic} `)).length;
  }

  /** All that it asked has travelled, or been given up. */
  settled<Result>(work: Promise<Result>): Promise<Result> {
    return this.#owners.settled(work);
  }
}

const pairOf = ({ series, timestampMs }: Sample): number => pairKey(partitionOf(series), windowStartOf(timestampMs));

export class TestOwners {
  readonly world = new SimWorld(1);
  readonly network = new ClusterNetwork(this.world);
  readonly owners = new Map<NodeName, TestOwner>();

  private constructor(names: readonly NodeName[], timing: Partial<ClusterTiming>) {
    const record = names.reduce((some, name) => some.with(testMember(name)), ClusterRecord.empty('c1'));
    for (const name of names) {
      const owner = new TestOwner(this, name, record, { ...defaultClusterTiming, ...simTiming, ...timing });
      this.owners.set(name, owner);
    }
  }

  static async start(names: readonly NodeName[], timing: Partial<ClusterTiming> = {}): Promise<TestOwners> {
    const owners = new TestOwners(names, timing);
    for (const owner of owners.owners.values()) {
      await owners.settled(owner.start());
      for (const name of names) if (name !== owner.name) owner.state.noteClock(name, owner.state.clock.nowMs());
    }
    return owners;
  }

  get(name: NodeName): TestOwner {
    return present(this.owners.get(name), name);
  }

  /** Lets virtual time pass until the promise is settled. */
  async settled<Result>(work: Promise<Result>): Promise<Result> {
    let isOver = false;
    const end = (): void => {
      isOver = true;
    };
    work.then(end, end);
    if (!(await this.world.runSettledUntil(() => isOver, settlingMs))) throw new Error('it goes on for ever');
    return work;
  }
}
