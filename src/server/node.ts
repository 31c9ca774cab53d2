// Puts one node together from its configuration and ports, and takes it apart again. Main does HTTP and coordination; the
// lane worker takes writes, the compactor keeps parts, query workers answer. Writes are taken as soon as the socket is open;
// queries get 503 until the log of earlier runs is in the head.
import { errorMessage, RpcPeer, TimbalaError, yearMs } from '../base/index.ts';
import type { Matcher } from '../model/index.ts';
import type {
  Channel,
  Clock,
  Disk,
  DiskLock,
  Http,
  HttpServer,
  Log,
  Network,
  ProcessUsage,
  Random,
  WorkerHandle,
  Workers,
} from '../ports/index.ts';
import {
  encodeSelectors,
  type KernelModules,
  type KeeperStatus,
  type LaneStatus,
  type ReplayReport,
} from '../storage/index.ts';
import type { BodyQueue } from './body-queue.ts';
import { ClusterMember } from './cluster/member.ts';
import { standaloneStatus } from './cluster/status.ts';
import { ClusterWriteQueue } from './cluster/write-queue.ts';
import { formatHostPort, type NodeConfig } from './config.ts';
import { LaneClient } from './lane-client.ts';
import type { CompactorHandlers, LaneHandlers } from './lane-protocol.ts';
import {
  closeGraceMs,
  compactorCloseMs,
  queryMemoryBytesMax,
  queryMemoryBytesMin,
  queryMemoryShare,
} from './limits.ts';
import { NodeMetrics } from './metrics/node-metrics.ts';
import type { MetricFamily } from './metrics/registry.ts';
import { optionFlags } from './options.ts';
import { QueryPool } from './query-pool.ts';
import type { StorageStart } from './roles/index.ts';
import { nodeRoutes } from './routes.ts';
import { SelfScrape } from './self-scrape.ts';

export interface NodePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly http: Http;
  readonly workers: Workers;
  readonly network: Network;
  readonly random: Random;
  /** Reads the keys that encrypt gossip, the one to encrypt with first; none: it goes in plain. Throws GOSSIP_KEY. */
  readonly gossipKeys: () => readonly Uint8Array[];
  /** The disk of the data directory, for its lock; workers open their own. */
  readonly disk: Disk;
  readonly usage: () => ProcessUsage;
}

/** Facts about the program and the machine. */
export interface NodeFacts {
  readonly version: string;
  /** Of Node: "v24.21.0". */
  readonly runtimeVersion: string;
  readonly hostName: string;
  readonly workingDirectory: string;
  readonly processorsCount: number;
  /** What the process may use: of the machine, or of its container. */
  readonly memoryBytes: number;
}

export interface StartedNode {
  readonly address: HttpServer['address'];
  /** Rejects when the node can't go on: its lane or its compactor has ended. Never resolves. */
  readonly failed: Promise<never>;
  /** Resolves when the log of earlier runs is in the head and queries are answered. */
  readonly ready: Promise<ReplayReport>;
  /** Reads the keys of gossip again. Rejects with GOSSIP_KEY, and those there are stay. */
  reloadKeys(): Promise<void>;
  /** Stops accepting, finishes what was accepted, closes the log. */
  close(): Promise<void>;
}

const lockPath = 'lock';
/** There once a directory has been a cluster's (docs/formats/state.md). */
const clusterRecordPath = 'cluster/record';
/** Longer than any sample may be kept, and exact when taken from a time. */
const foreverMs = 1_000 * yearMs;

/** Throws DIRECTORY_LOCKED, CLUSTER_EXPECTED, HTTP_BIND_FAILED, and what storage throws on opening. */
export async function startNode(
  config: NodeConfig,
  modules: KernelModules,
  ports: NodePorts,
  facts: NodeFacts,
): Promise<StartedNode> {
  const lock = ports.disk.lock(lockPath);
  if (!config.cluster && ports.disk.exists(clusterRecordPath)) {
    lock.release();
    throw new TimbalaError(
      'CLUSTER_EXPECTED',
      `${config.dataDirectory} belongs to a node of a cluster, which others count on; start it with --peers or --gossip-bind-addr`,
    );
  }
  const node = new Node(config, modules, ports, facts, lock);
  try {
    await node.listen();
  } catch (error) {
    await node.close();
    throw error;
  }
  return node;
}

interface Actor<Handlers extends LaneHandlers | CompactorHandlers> {
  readonly handle: WorkerHandle;
  readonly peer: RpcPeer<Handlers>;
  /** Main's end of the channel on which it serves the cluster's protocols. */
  readonly replica: Channel | undefined;
}

class Node implements StartedNode {
  readonly #config: NodeConfig;
  readonly #ports: NodePorts;
  readonly #facts: NodeFacts;
  readonly #lock: DiskLock;
  readonly #startMs: number;
  readonly #lane: Actor<LaneHandlers>;
  readonly #compactor: Actor<CompactorHandlers>;
  readonly #storageStart: StorageStart;
  readonly #queue: BodyQueue;
  readonly #queries: QueryPool;
  readonly #metrics: NodeMetrics;
  readonly #selfScrape: SelfScrape;
  readonly ready: Promise<ReplayReport>;
  readonly failed: Promise<never>;
  #server: HttpServer | undefined;
  #member: ClusterMember | undefined;
  #replay: ReplayReport | undefined;
  readonly #memberFailed = Promise.withResolvers<never>();
  #isClosing = false;

  constructor(config: NodeConfig, modules: KernelModules, ports: NodePorts, facts: NodeFacts, lock: DiskLock) {
    this.#config = config;
    this.#ports = ports;
    this.#facts = facts;
    this.#lock = lock;
    const { clock, log, workers } = ports;
    this.#startMs = clock.nowMs();
    const { dataDirectory, logLevel } = config;
    // How long samples are kept is in a cluster's record, and reaches storage through the protocols; so does what the limits in
    // bytes of all members come to, to which this node tells its wish.
    const { sizeBytes } = config.retention;
    const retention = config.cluster ? { timeMs: foreverMs, sizeBytes } : config.retention;
    const start: StorageStart = { dataDirectory, retention, modules, logLevel };
    this.#storageStart = start;
    const [laneEnd, compactorEnd] = workers.createChannel();
    this.#lane = this.#spawn<LaneHandlers>('lane', { keeper: laneEnd });
    this.#compactor = this.#spawn<CompactorHandlers>('compactor', { lane: compactorEnd });
    this.#queue = config.cluster
      ? new ClusterWriteQueue((body) => this.#joinedMember().write(body))
      : new LaneClient(this.#lane.peer, clock);
    this.#queries = new QueryPool({
      workers,
      clock,
      log,
      start: { ...start, queryMemoryBytesMax: queryMemory(facts.memoryBytes) },
      workersMax: queryWorkersMax(facts.processorsCount),
      lane: this.#lane.peer,
      compactor: this.#compactor.peer,
      clusterReads: config.cluster && {
        open: (selection, options) => this.#joinedMember().openRead(selection, options),
      },
    });
    this.#metrics = new NodeMetrics(clock, facts.version);
    this.#selfScrape = new SelfScrape({
      queue: this.#queue,
      clock,
      log,
      instance: formatHostPort(config.httpAdvertise),
      collect: () => this.#collect(),
    });
    this.failed = this.#watchActors();
    // A node that is closed before anyone waits for it has failed nobody.
    this.failed.catch(() => {});
    this.ready = this.#awaitReplay();
    this.ready.catch(() => {});
  }

  #spawn<Handlers extends LaneHandlers | CompactorHandlers>(
    role: string,
    channels: Readonly<Record<string, Channel>>,
  ): Actor<Handlers> {
    const { workers } = this.#ports;
    const [replica, roleEnd] = this.#config.cluster ? workers.createChannel() : [];
    const handle = workers.spawn(role, this.#storageStart, roleEnd ? { ...channels, replica: roleEnd } : channels);
    return { handle, peer: new RpcPeer<Handlers>(handle.channel), replica };
  }

  #joinedMember(): ClusterMember {
    if (this.#member) return this.#member;
    throw this.#config.cluster
      ? new TimbalaError('CLUSTER_NOT_JOINED', 'this node is starting')
      : new TimbalaError('CLUSTER_STANDALONE', 'this node stands alone; see --peers and --gossip-bind-addr');
  }

  get address(): HttpServer['address'] {
    if (!this.#server) throw new TimbalaError('NODE_NOT_STARTED', 'the node has no address before it listens');
    return this.#server.address;
  }

  #watchActors(): Promise<never> {
    const end = async (
      name: string,
      { handle, peer }: Actor<LaneHandlers> | Actor<CompactorHandlers>,
    ): Promise<never> => {
      const cause = await handle.ended;
      const reason = cause === undefined ? 'without a reason' : errorMessage(cause);
      peer.close(`the ${name} has ended: ${reason}`);
      if (this.#isClosing) return new Promise(() => {});
      throw new TimbalaError('WORKER_DIED', `the ${name} has ended: ${reason}`, { cause });
    };
    return Promise.race([end('lane', this.#lane), end('compactor', this.#compactor), this.#memberFailed.promise]);
  }

  async #awaitReplay(): Promise<ReplayReport> {
    const report = await this.#lane.peer.call('replayed', undefined);
    this.#replay = report;
    const { segmentsCount, seriesCount, samplesCount, sizeBytes, durationMs, damage } = report;
    const fields = { segmentsCount, seriesCount, samplesCount, sizeBytes, durationMs: Math.round(durationMs) };
    this.#ports.log.info('log-recovered', { ...fields, damagesCount: damage.length });
    for (const each of damage) this.#ports.log[each.kind === 'corrupt' ? 'error' : 'warn']('log-damaged', { ...each });
    return report;
  }

  /** Opens the cluster's ports and begins to look for it. */
  async #openMember(): Promise<void> {
    const { cluster, retention, given } = this.#config;
    const { replica: replicaLane } = this.#lane;
    const { replica: replicaKeeper } = this.#compactor;
    if (!cluster || !replicaLane || !replicaKeeper) return;
    const actors = {
      lane: this.#lane.peer,
      compactor: this.#compactor.peer,
      replicaLane,
      replicaKeeper,
      hasClientsWaiting: () => this.#queue.isOverHalf,
    };
    const isRetentionGiven = given.retention !== undefined && retention.namesTime;
    const start = this.#storageStart;
    this.#member = await ClusterMember.open(
      { config: cluster, retention, isRetentionGiven, start, actors },
      this.#ports,
    );
    this.#member.failed.catch((error: unknown) => this.#memberFailed.reject(error));
  }

  async reloadKeys(): Promise<void> {
    const keys = this.#ports.gossipKeys();
    await this.#member?.setGossipKeys(keys);
    this.#ports.log.info('gossip-keys-read', { keysCount: keys.length });
  }

  get #isReady(): boolean {
    return (
      this.#replay !== undefined && !this.#isClosing && (!this.#config.cluster || (this.#member?.isReady ?? false))
    );
  }

  async listen(): Promise<void> {
    const { clock, log, http } = this.#ports;
    await this.#openMember();
    const { host, port } = this.#config.httpBind;
    const { failed, ready } = this;
    const routes = nodeRoutes({
      queue: this.#queue,
      queries: this.#queries,
      metrics: this.#metrics,
      version: this.#facts.version,
      runtimeVersion: this.#facts.runtimeVersion,
      flags: optionFlags(this.#config.given),
      isReady: () => this.#isReady,
      collect: () => this.#collect(),
      runtimeInfo: () => ({
        startMs: this.#startMs,
        nowMs: clock.nowMs(),
        workingDirectory: this.#facts.workingDirectory,
        hostName: this.#facts.hostName,
        corruptionsCount: this.#replay?.damage.filter(({ kind }) => kind === 'corrupt').length ?? 0,
        threadsCount: this.#facts.processorsCount,
        retention: this.#config.given.retention ?? '10y',
      }),
      metadata: (metric) => this.#lane.peer.call('metadata', { metric }),
      cluster: {
        status: async () => (this.#config.cluster ? this.#joinedMember().status() : standaloneStatus(this.#isReady)),
        decommission: async (isForced) => this.#joinedMember().decommission(isForced),
        remove: async (target) => this.#joinedMember().remove(target),
      },
      deleteSeries: (selectors, startMs, endMs) => this.#deleteSeries(selectors, startMs, endMs),
      nowMs: () => clock.nowMs(),
      flush: () => this.#lane.peer.call('flush', undefined),
      compact: () => this.#compactor.peer.call('compact', undefined),
    });
    this.#server = await http.listen(host, port, routes);
    const { version, runtimeVersion } = this.#facts;
    log.info('node-started', {
      version,
      runtimeVersion,
      dataDirectory: this.#config.dataDirectory,
      address: formatHostPort(this.#server.address),
      durationMs: Math.round(clock.nowMs() - this.#startMs),
    });
    // Whoever stands alone takes its own metrics at once, a member when its cluster does. What goes wrong, `failed` tells.
    const active = this.#member?.active ?? Promise.resolve();
    active.then(() => this.#selfScrape.start()).catch(() => undefined);
    void Promise.all([ready, active]).then(
      () => log.info('node-ready', { durationMs: Math.round(clock.nowMs() - this.#startMs) }),
      () => failed,
    );
  }

  /** What does not answer is left out: metrics must be had when something is wrong. */
  async #collect(): Promise<MetricFamily[]> {
    const [cluster, lane, keeper] = await Promise.all([
      this.#member?.collect(),
      this.#lane.peer.call('status', undefined).catch((): LaneStatus | undefined => undefined),
      this.#compactor.peer.call('status', undefined).catch((): KeeperStatus | undefined => undefined),
    ]);
    return this.#metrics.families({
      cluster,
      lane,
      keeper,
      replay: this.#replay,
      usage: this.#ports.usage(),
      isReady: this.#isReady,
      queriesActiveCount: this.#queries.activeCount,
      queriesWaitingCount: this.#queries.waitingCount,
      queryWorkerRespawnsCount: this.#queries.respawnsCount,
      writeQueueBytes: this.#queue.reservedBytes,
    });
  }

  /** Resolves when the delete is on disk here, or in a cluster at two members. */
  async #deleteSeries(selectors: readonly (readonly Matcher[])[], startMs: number, endMs: number): Promise<void> {
    const bytes = new Uint8Array(16);
    this.#ports.random.fill(bytes);
    const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    const encoded = encodeSelectors(selectors);
    if (this.#config.cluster) {
      await this.#joinedMember().delete({ id, matchers: encoded, fromMs: startMs, toMs: endMs });
    } else {
      await this.#compactor.peer.call('applyRules', [{ id, selectors: encoded, startMs, endMs }]);
    }
    this.#ports.log.info('series-deleted', { id, startMs, endMs });
  }

  #delay(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#ports.clock.setTimer(delayMs, resolve));
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#selfScrape.stop();
    await this.#server?.close(closeGraceMs);
    await this.#queue.idle();
    await this.#queries.close();
    await this.#member?.close();
    // The lane first: it may still hand a generation to the keeper.
    const report = (error: unknown): void => this.#ports.log.error('close-failed', { error });
    await this.#lane.peer.call('close', undefined).catch(report);
    // It may be in the middle of a long merge, which is not needed: what it has not committed is removed at the next start.
    const closing = this.#compactor.peer.call('close', undefined).catch(report);
    await Promise.race([closing, this.#delay(compactorCloseMs)]);
    await Promise.all([this.#lane.handle.terminate(), this.#compactor.handle.terminate()]);
    this.#lock.release();
  }
}

function queryMemory(memoryBytes: number): number {
  return Math.min(queryMemoryBytesMax, Math.max(queryMemoryBytesMin, memoryBytes * queryMemoryShare));
}

/** Two at least, so that one heavy query does not hold up all others; main, lane and compactor share the machine. */
function queryWorkersMax(processorsCount: number): number {
  return Math.max(2, Math.min(16, processorsCount - 2));
}
