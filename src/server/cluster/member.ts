// This node as a member of its cluster: its store across threads, its connections, its gossip, and the protocols over them. It
// finds the cluster by itself, as long as it takes; until then everything is refused with CLUSTER_NOT_JOINED.
import { errorMessage, hasCode, TimbalaError } from '../../base/index.ts';
import {
  ClusterNode,
  type ClusterRecord,
  type DeleteRequest,
  nameOfStore,
  partitionsCount,
  PeerConnections,
  type PeerIdentity,
  type Place,
  Placement,
  type ReadOptions,
  type ReadStream,
  type Selection,
} from '../../cluster/index.ts';
import type { Clock, Log, Network, Random, Timer, Workers } from '../../ports/index.ts';
import type { WriteRejection } from '../../storage/index.ts';
import { type ClusterConfig, formatHostPort } from '../config.ts';
import { GossipClient } from '../gossip-client.ts';
import { clusterQuietMs, clusterRetryLogMs, clusterRetryMs, gossipLeaveMs } from '../limits.ts';
import type { ClusterCollected } from '../metrics/cluster-metrics.ts';
import type { RetentionOption } from '../options.ts';
import type { StorageStart } from '../roles/index.ts';
import { gossipAddressOf, peerAddressOf, peerAddressText } from './addresses.ts';
import { RecordLog } from './record-log.ts';
import { type ClusterStatusPage, clusterStatusPage } from './status.ts';
import { type OpenedStore, openReplicaStore, type StorageActors } from './store.ts';

export interface ClusterMemberPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly network: Network;
  readonly gossipKeys: () => readonly Uint8Array[];
  readonly workers: Workers;
}

export interface ClusterMemberOptions {
  readonly config: ClusterConfig;
  readonly retention: RetentionOption;
  /** Whether a time was asked for, or is the default. */
  readonly isRetentionGiven: boolean;
  readonly start: StorageStart;
  readonly actors: StorageActors;
}

/** Formats of frames that this version reads. */
const formats = { samples: 1 };
const noId = '0'.repeat(32);
/** The usual share of partitions, in thousandths. */
const weight = 1_000;
/** After these, finding a cluster is tried again: they pass, or an operator mends them. */
const passingCodes = ['CLUSTER_NOT_FOUND', 'STORE_BUSY', 'STORE_FULL'];

const place: Place = (members, previous) =>
  previous instanceof Placement ? previous.change(members) : Placement.build(members);

export class ClusterMember {
  /** Resolves when this node takes part in a cluster: its log is replayed, a join may still be confirmed. */
  readonly joined: Promise<ClusterNode>;
  /** Resolves when it is an active member for the first time. */
  readonly active: Promise<void>;
  /** Rejects when the node can't go on. Never resolves. */
  readonly failed: Promise<never>;
  readonly #options: ClusterMemberOptions;
  readonly #ports: ClusterMemberPorts;
  readonly #opened: OpenedStore;
  readonly #name: string;
  readonly #links: PeerConnections;
  readonly #gossip: GossipClient;
  readonly #recordLog: RecordLog;
  readonly #activated = Promise.withResolvers<void>();
  #record: ClusterRecord | undefined;
  #node: ClusterNode | undefined;
  #retry: Timer | undefined;
  /** Why the last attempt to find the cluster has failed. */
  #searching = 'the log is being read';
  #isClosed = false;

  /**
   * Opens the store and both ports, and begins to look for the cluster. Throws NETWORK_BIND_FAILED, GOSSIP_ADDRESS, GOSSIP_KEY,
   * STATE_CORRUPT.
   */
  static async open(options: ClusterMemberOptions, ports: ClusterMemberPorts): Promise<ClusterMember> {
    const { config, actors, start } = options;
    const { clock, log, network, random, workers } = ports;
    const opened = await openReplicaStore(actors, start, workers, clock);
    // The connections ask who we are, which is not known before there is a member.
    const late: { member?: ClusterMember; gossip?: GossipClient } = {};
    let links: PeerConnections | undefined;
    try {
      const name =
        (await nameOfStore(opened.store, peerAddressText(config.gossipAdvertise))) ??
        formatHostPort(config.gossipAdvertise);
      const unjoined = { clusterId: noId, node: name, store: opened.store.id, recordHash: noId };
      links = await PeerConnections.start(
        { clock, network, random, log },
        {
          bind: peerAddressOf(config.gossipBind),
          store: opened.store,
          identity: () => late.member?.identity ?? { ...unjoined, formats: new Map(Object.entries(formats)) },
          isAlive: (node) => late.gossip?.isAlive(node),
        },
      );
      const gossip = await GossipClient.start(
        { workers, clock, log },
        {
          name,
          bind: config.gossipBind,
          advertise: config.gossipAdvertise,
          peers: config.peers,
          keys: ports.gossipKeys(),
          metadata: { clusterId: '', recordHash: '', peerAddress: peerAddressText(config.gossipAdvertise), formats },
          logLevel: start.logLevel,
        },
        (change, member) => {
          if (change === 'joined' || change === 'recovered') links?.retry(member.name);
        },
      );
      late.gossip = gossip;
      late.member = new ClusterMember(options, ports, opened, name, links, gossip);
      return late.member;
    } catch (error) {
      links?.close();
      await opened.reader.terminate();
      throw error;
    }
  }

  private constructor(
    options: ClusterMemberOptions,
    ports: ClusterMemberPorts,
    opened: OpenedStore,
    name: string,
    links: PeerConnections,
    gossip: GossipClient,
  ) {
    this.#options = options;
    this.#ports = ports;
    this.#opened = opened;
    this.#name = name;
    this.#links = links;
    this.#gossip = gossip;
    this.#recordLog = new RecordLog(ports.log);
    const { id, reason } = opened.identity;
    ports.log.info('store-identified', { store: id, reason, node: name, peers: formatHostPort(links.address) });
    this.joined = this.#join();
    // The record says so a moment before the protocols run.
    this.active = this.joined.then(() => this.#activated.promise);
    this.active.catch(() => {});
    this.failed = Promise.race([
      this.#watch('replica reader', opened.reader.ended),
      this.#watch('gossip', gossip.ended),
      this.joined.then(() => new Promise<never>(() => {})),
    ]);
    this.joined.catch(() => {});
    this.failed.catch(() => {});
  }

  async #watch(name: string, ended: Promise<unknown>): Promise<never> {
    const cause = await ended;
    if (this.#isClosed) return new Promise(() => {});
    const reason = cause === undefined ? 'without a reason' : errorMessage(cause);
    throw new TimbalaError('WORKER_DIED', `the ${name} has ended: ${reason}`, { cause });
  }

  /** Who this node is to its peers. */
  get identity(): PeerIdentity {
    return {
      clusterId: this.#record?.clusterId ?? noId,
      node: this.#name,
      store: this.#opened.store.id,
      recordHash: this.#record?.hash ?? noId,
      formats: new Map(Object.entries(formats)),
    };
  }

  /** Whether the node takes its full part: its log is replayed, and it is an active member. */
  get isReady(): boolean {
    return this.#node?.state.isServing ?? false;
  }

  async #join(): Promise<ClusterNode> {
    const { store } = this.#opened;
    this.#links.onRequest = async () => {
      throw new TimbalaError('PEER_STARTING', `${this.#name} reads its log`);
    };
    // What the node holds is known only then.
    await store.ready();
    let nextLogMs = this.#ports.clock.monotonicMs() + clusterQuietMs;
    for (;;) {
      try {
        const node = await this.#startNode();
        // It may have been closed while the record was written.
        if (this.#isClosed) {
          node.stop();
          return new Promise(() => {});
        }
        this.#node = node;
        this.#ports.log.info('cluster-joined', { clusterId: node.state.record.clusterId, node: this.#name });
        this.#noteFixed(node);
        void this.#settleRetention(node);
        return node;
      } catch (error) {
        if (this.#isClosed) return new Promise(() => {});
        if (!passingCodes.some((code) => hasCode(error, code))) throw error;
        this.#searching = errorMessage(error);
        const nowMs = this.#ports.clock.monotonicMs();
        if (nowMs >= nextLogMs) {
          this.#ports.log.warn('cluster-not-joined', { reason: this.#searching });
          nextLogMs = nowMs + clusterRetryLogMs;
        }
        await new Promise<void>((resolve) => {
          this.#retry = this.#ports.clock.setTimer(clusterRetryMs, resolve);
        });
      }
    }
  }

  #startNode(): Promise<ClusterNode> {
    const { config } = this.#options;
    const { clock, random, log } = this.#ports;
    const address = peerAddressText(config.gossipAdvertise);
    const peers = config.peers.map(peerAddressText);
    return ClusterNode.start(
      { name: this.#name, address, zone: config.zone, weight, peers, partitionsCount, place },
      {
        store: this.#opened.store,
        links: this.#links,
        clock,
        random,
        log,
        isAlive: (name) => this.#gossip.isAlive(name),
        onRecord: (record) => this.#onRecord(record),
      },
    );
  }

  #onRecord(record: ClusterRecord): void {
    this.#record = record;
    this.#recordLog.note(record);
    if (record.isStore(this.#name, this.#opened.store.id, 'active')) this.#activated.resolve();
    const peerAddress = peerAddressText(this.#options.config.gossipAdvertise);
    this.#gossip.setMetadata({ clusterId: record.clusterId, recordHash: record.hash, peerAddress, formats });
    const others = record.members.filter(({ name }) => name !== this.#name);
    this.#gossip.remember(others.flatMap(({ address }) => gossipAddressOf(address) ?? []));
  }

  /** The zone is settled at joining: another one would move what the node owns. */
  #noteFixed({ state: { self } }: ClusterNode): void {
    const { zone } = this.#options.config;
    if (!self || self.zone === zone) return;
    this.#ports.log.warn('cluster-zone-fixed', { zone: self.zone, ignored: zone });
  }

  /** Retention is the record's. What this node was told explicitly goes into it; the default only where there is none. */
  async #settleRetention(node: ClusterNode): Promise<void> {
    const { retention, isRetentionGiven } = this.#options;
    const { record, isMember } = node.state;
    const { retentionMs } = record;
    if (!isMember || retentionMs === retention.timeMs || (retentionMs > 0 && !isRetentionGiven)) return;
    try {
      await node.setRetention(retention.timeMs);
    } catch (error) {
      this.#ports.log.error('cluster-retention-not-set', {
        reason: errorMessage(error),
        remedy: 'start the node again',
      });
    }
  }

  /** Resolves when the valid samples of a body are on a quorum's disks. Throws CLUSTER_NOT_JOINED, WRITE_UNAVAILABLE, …. */
  async write(body: Uint8Array): Promise<{ samplesCount: number; rejections: readonly WriteRejection[] }> {
    const node = this.#joinedNode();
    const decoded = await this.#opened.store.decode(body);
    await node.write(decoded);
    return decoded;
  }

  /** For ClusterReads. Throws CLUSTER_NOT_JOINED. */
  openRead(selection: Selection, options: ReadOptions): ReadStream {
    return this.#joinedNode().openRead(selection, options);
  }

  /** Resolves when two active members have the delete on disk. Throws CLUSTER_NOT_JOINED, DELETE_UNAVAILABLE. */
  async delete(request: DeleteRequest): Promise<void> {
    await this.#joinedNode().delete(request);
  }

  #joinedNode(): ClusterNode {
    if (this.#node) return this.#node;
    throw new TimbalaError('CLUSTER_NOT_JOINED', 'this node has not found its cluster yet; ask another node, or wait');
  }

  status(): ClusterStatusPage {
    return clusterStatusPage({
      name: this.#name,
      store: this.#opened.store.id,
      status: this.#node?.status(),
      searching: this.#searching,
      gossip: this.#gossip.members(),
      connections: this.#links.states(),
    });
  }

  async collect(): Promise<ClusterCollected> {
    const { gate } = this.#opened;
    return {
      status: this.#node?.status(),
      counters: this.#node?.counters(),
      peers: this.#links.counters,
      links: this.#links.states(),
      gossip: await this.#gossip.status().catch(() => undefined),
      appendWaitingBytes: gate.waitingBytes,
      appendsRefusedCount: gate.refusedCount,
    };
  }

  /** Throws CLUSTER_NOT_ACTIVE, CLUSTER_TOO_SMALL. */
  async decommission(isForced: boolean): Promise<void> {
    const node = this.#joinedNode();
    this.#ports.log.info('cluster-decommission', { node: this.#name, isForced });
    await node.decommission(isForced);
  }

  /** Throws CLUSTER_UNKNOWN_NODE, CLUSTER_REMOVE_SELF, CLUSTER_ALIVE. */
  async remove(target: string): Promise<void> {
    const node = this.#joinedNode();
    if (target === this.#name) {
      throw new TimbalaError('CLUSTER_REMOVE_SELF', `${target} is this node, which lives; decommission it`);
    }
    const { members } = node.state.record;
    if (!members.some(({ name }) => name === target)) {
      const names = members.map(({ name }) => name).join(', ');
      throw new TimbalaError('CLUSTER_UNKNOWN_NODE', `no member is called ${target}; there are ${names}`);
    }
    this.#ports.log.warn('cluster-remove', { target });
    await node.remove(target);
  }

  /** Rejects with GOSSIP_KEY, and nothing has changed. */
  setGossipKeys(keys: readonly Uint8Array[]): Promise<void> {
    return this.#gossip.setKeys(keys);
  }

  /** Ends its part in everything. A restart is no leave: gossip is told so only after a decommission. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#retry?.cancel();
    const node = this.#node;
    node?.stop();
    const hasLeft = node?.state.self?.state === 'left';
    // To others it would be leaving for ever, and missing.
    if (hasLeft) await node.tellAll();
    this.#links.close();
    if (hasLeft) await this.#gossip.leave(gossipLeaveMs).catch(() => undefined);
    await Promise.all([this.#gossip.close(), this.#opened.reader.terminate()]);
  }
}
