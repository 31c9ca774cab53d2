// The network of a simulated cluster with everything that production has of it: peer connections and their frames, over
// streams of bytes that are delayed, held up and broken. Slower than links.ts, where whole messages travel, but the same
// code between a node and its sockets as in a real node. A process that has gone is silent until its machine starts anew;
// then what was open is reset.
import { TimbalaError } from '../../src/base/index.ts';
import {
  type LocalStore,
  type NodeName,
  type PeerFrame,
  PeerConnections,
  type PeerLinks,
} from '../../src/cluster/index.ts';
import type { Clock, Log, Network, NetworkStream, StreamHandlers } from '../../src/ports/index.ts';
import { SimNetwork } from '../network.ts';
import { SimRandom } from '../random.ts';
import type { SimWorld } from '../world.ts';
import type { ClusterNetwork, Endpoint } from './links.ts';
import type { ModelStore } from './model-store.ts';

/** What a simulated cluster needs of its network. */
export type ClusterLinks = Pick<
  ClusterNetwork,
  'conditions' | 'framesCount' | 'connect' | 'cut' | 'cutsCount' | 'heal'
>;

const port = 9_095;
const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };

export class FramedNetwork implements ClusterLinks {
  framesCount = 0;
  readonly conditions;
  readonly #world: SimWorld;
  readonly #network: SimNetwork;
  readonly #cuts = new Set<string>();
  #processesCount = 0;

  constructor(world: SimWorld) {
    this.#world = world;
    this.#network = new SimNetwork(world);
    this.conditions = this.#network.conditions;
    this.conditions.delayMsMax = 3;
  }

  get cutsCount(): number {
    return this.#cuts.size;
  }

  cut(from: NodeName, to: NodeName): void {
    this.#cuts.add(`${from}>${to}`);
    this.#network.cut(from, to);
  }

  heal(): void {
    this.#cuts.clear();
    this.#network.heal();
  }

  connect(endpoint: Endpoint): PeerLinks {
    const { name, store } = endpoint;
    this.#network.crash(name);
    this.#network.restart(name);
    const clock: Clock = {
      ...this.#world.clock,
      setTimer: (delayMs, callback) => this.#world.schedule(delayMs, () => endpoint.isAlive && callback()),
    };
    const network = whileAlive(this.#network.at(name), endpoint);
    const random = new SimRandom(++this.#processesCount);
    const identity = {
      clusterId: '0'.repeat(32),
      node: name,
      store: store.id,
      recordHash: '0'.repeat(32),
      formats: new Map(),
    };
    const start = async (): Promise<PeerConnections> => {
      const peers = await PeerConnections.start(
        { clock, network, random, log: silent },
        // Which clusters a node belongs to is for the exchange of records to find out.
        { bind: { host: name, port }, store: definitionsOf(store), identity: () => identity },
      );
      peers.onRequest = async (from, frame, work): Promise<PeerFrame> => {
        this.framesCount++;
        const answer = await endpoint.handler?.(from, frame, work);
        if (!answer) throw new TimbalaError('PEER_BUSY', 'the process is starting');
        return answer;
      };
      return peers;
    };
    const started = start();
    const addresses = new Map<NodeName, string>();
    return {
      async request(to, frame, deadlineMs, signal) {
        const peers = await started;
        if (!addresses.has(to)) peers.setAddresses(addresses.set(to, `${to}:${port}`));
        const request = peers.request(to, frame, deadlineMs, signal);
        await request.catch(() => undefined);
        return endpoint.isAlive ? request : new Promise(() => undefined);
      },
      set onRequest(handler: PeerLinks['onRequest']) {
        endpoint.handler = handler;
      },
      get onRequest() {
        return endpoint.handler;
      },
      setAddresses: () => {},
    };
  }
}

/** The model's series as definitions: the sender's reference and the series, four bytes each. */
function definitionsOf(store: ModelStore): Pick<LocalStore, 'definitionsOf' | 'register'> {
  return {
    async definitionsOf(_dictionary, refs) {
      const defined = store.define([...refs]).flatMap(({ ref, series }) => [ref, series]);
      return new Uint8Array(Uint32Array.from(defined).buffer);
    },
    async register(definitions) {
      const words = new Uint32Array(definitions.slice().buffer);
      return {
        dictionary: store.dictionary,
        senderRefs: words.filter((_, at) => at % 2 === 0),
        ownRefs: words.filter((_, at) => at % 2 === 1).map((series) => store.registerSeries(series)),
      };
    },
  };
}

/** A network on which a process that has gone neither hears nor says anything. */
function whileAlive(network: Network, endpoint: Endpoint): Network {
  const mutedStream = (stream: NetworkStream): NetworkStream => ({
    write: (bytes) => endpoint.isAlive && stream.write(bytes),
    give: (bytes) => endpoint.isAlive && stream.give(bytes),
    close: () => endpoint.isAlive && stream.close(),
    unsentBytes: 0,
    unsentWrites: 0,
    certifies: (host) => stream.certifies(host),
    abort: () => endpoint.isAlive && stream.abort(),
  });
  const mutedHandlers = (handlers: StreamHandlers): StreamHandlers => ({
    onBytes: (bytes) => endpoint.isAlive && handlers.onBytes(bytes),
    onEnd: (error) => endpoint.isAlive && handlers.onEnd(error),
  });
  return {
    ...network,
    listen: (address, onStream) =>
      network.listen(address, (stream, from) => mutedHandlers(onStream(mutedStream(stream), from))),
    connect: (to, handlers) => mutedStream(network.connect(to, mutedHandlers(handlers))),
  };
}
