// Main's end of the gossip worker: a table of all members as they were last heard of, and what they say of themselves.
// Aliveness is an opinion: it may choose whom to ask first and what to show, never what is acknowledged.
import { dayMs, RpcPeer } from '../base/index.ts';
import {
  decodeMetadata,
  encodeMetadata,
  type GossipPeer,
  type GossipStatus,
  type MemberChange,
  type MemberView,
  type NodeMetadata,
  type NodeName,
} from '../cluster/index.ts';
import type { Clock, Log, WorkerHandle, Workers } from '../ports/index.ts';
import type { GossipHandlers, GossipListener, GossipStart } from './gossip-protocol.ts';
import { formatHostPort } from './config.ts';

/** Who has died or left is shown for so long, and so many of them: anyone may gossip, of anybody. */
const goneShownMs = dayMs;
export const goneShownMax = 1_024;

export interface GossipMember {
  readonly name: NodeName;
  /** HOST:PORT of its gossip. */
  readonly address: string;
  readonly state: MemberView['state'];
  /** It answers, or may, and is not of another cluster. */
  readonly isAlive: boolean;
  /** It says that it belongs to another cluster than we do. */
  readonly isForeign: boolean;
  /** Undefined for a plain memberlist node. */
  readonly metadata: NodeMetadata | undefined;
  /** When its state was last heard to change, by the own clock. */
  readonly changedMs: number;
}

export interface GossipClientOptions extends Omit<GossipStart, 'metadata'> {
  readonly metadata: NodeMetadata;
}

interface Known {
  readonly view: MemberView;
  readonly metadata: NodeMetadata | undefined;
  readonly changedMs: number;
}

export class GossipClient {
  /** Resolves when the worker has ended, with the error where it was not closed. */
  readonly ended: Promise<unknown>;
  readonly #handle: WorkerHandle;
  readonly #worker: RpcPeer<GossipHandlers>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #name: NodeName;
  readonly #onChange: (change: MemberChange, member: GossipMember) => void;
  readonly #members = new Map<NodeName, Known>();
  /** Of those the dead and those that have left, with the time since when, in the order in which that was heard. */
  readonly #gone = new Map<NodeName, number>();
  #metadata: NodeMetadata;
  #address: GossipPeer = { host: '', port: 0 };
  #peersText = '';

  /** Resolves once the sockets are bound. Throws NETWORK_BIND_FAILED, GOSSIP_ADDRESS. */
  static async start(
    ports: { readonly workers: Workers; readonly clock: Clock; readonly log: Log },
    options: GossipClientOptions,
    onChange: (change: MemberChange, member: GossipMember) => void,
  ): Promise<GossipClient> {
    const client = new GossipClient(ports, options, onChange);
    try {
      client.#address = await client.#worker.call('started', undefined);
    } catch (error) {
      await client.close();
      throw error;
    }
    return client;
  }

  private constructor(
    { workers, clock, log }: { readonly workers: Workers; readonly clock: Clock; readonly log: Log },
    { metadata, ...options }: GossipClientOptions,
    onChange: (change: MemberChange, member: GossipMember) => void,
  ) {
    this.#clock = clock;
    this.#log = log;
    this.#name = options.name;
    this.#metadata = metadata;
    this.#onChange = onChange;
    const start: GossipStart = { ...options, metadata: encodeMetadata(metadata) };
    this.#handle = workers.spawn('gossip', start);
    const listener: GossipListener = { memberChanged: ({ change, member }) => this.#memberChanged(change, member) };
    this.#worker = new RpcPeer<GossipHandlers>(this.#handle.channel, listener);
    this.ended = this.#handle.ended;
    void this.ended.then((cause) => this.#worker.close(`gossip has ended: ${String(cause)}`));
  }

  /** What others are told to reach us at. */
  get address(): GossipPeer {
    return this.#address;
  }

  /** All that were heard of but ourselves, the dead included for some time. */
  members(): GossipMember[] {
    return [...this.#members.values()].map((known) => this.#judged(known));
  }

  /** Undefined where nothing was heard of it. */
  isAlive(name: NodeName): boolean | undefined {
    const known = this.#members.get(name);
    return known && this.#judged(known).isAlive;
  }

  /** Spreads what has changed about us. */
  setMetadata(metadata: NodeMetadata): void {
    if (JSON.stringify(metadata) === JSON.stringify(this.#metadata)) return;
    this.#metadata = metadata;
    this.#worker.notify('setMetadata', encodeMetadata(metadata));
  }

  /** Where members may be besides the seeds: from the record, so that a cluster starts from cold without its seeds. */
  remember(peers: readonly GossipPeer[]): void {
    const text = peers.map(formatHostPort).join(' ');
    if (text === this.#peersText) return;
    this.#peersText = text;
    this.#worker.notify('setPeers', [...peers]);
  }

  /** Keys in place of those there are. Rejects with GOSSIP_KEY, and nothing has changed. */
  setKeys(keys: readonly Uint8Array[]): Promise<void> {
    return this.#worker.call('setKeys', keys);
  }

  status(): Promise<GossipStatus> {
    return this.#worker.call('status', undefined);
  }

  /** For a node that was decommissioned: the others then don't take its end for a death. A restart is no leave. */
  async leave(timeoutMs: number): Promise<void> {
    await this.#worker.call('leave', { timeoutMs });
  }

  async close(): Promise<void> {
    await this.#worker.call('close', undefined).catch(() => undefined); // it may have ended by itself
    await this.#handle.terminate();
  }

  #memberChanged(change: MemberChange, view: MemberView): void {
    if (view.name === this.#name) return;
    const before = this.#members.get(view.name);
    const changedMs = before?.view.state === view.state ? before.changedMs : this.#clock.nowMs();
    const known: Known = { view, metadata: decodeMetadata(view.metadata), changedMs };
    this.#members.set(view.name, known);
    const isGone = view.state === 'dead' || view.state === 'left';
    if (!isGone) this.#gone.delete(view.name);
    else if (!this.#gone.has(view.name)) this.#gone.set(view.name, changedMs);
    this.#forgetGone();
    const member = this.#judged(known);
    if (member.isForeign && (change === 'joined' || change === 'updated')) {
      const { clusterId } = member.metadata ?? this.#metadata;
      this.#log.warn('member-of-other-cluster', { member: view.name, address: member.address, clusterId });
    }
    this.#onChange(change, member);
  }

  #forgetGone(): void {
    const nowMs = this.#clock.nowMs();
    for (const [name, sinceMs] of this.#gone) {
      if (this.#gone.size <= goneShownMax && nowMs - sinceMs <= goneShownMs) return;
      this.#gone.delete(name);
      this.#members.delete(name);
    }
  }

  #judged({ view, metadata, changedMs }: Known): GossipMember {
    const { name, state, address } = view;
    const theirs = metadata?.clusterId ?? '';
    const ours = this.#metadata.clusterId;
    const isForeign = theirs !== '' && ours !== '' && theirs !== ours;
    const isAlive = (state === 'alive' || state === 'suspect') && !isForeign;
    return { name, address: formatHostPort(address), state, isAlive, isForeign, metadata, changedMs };
  }
}
