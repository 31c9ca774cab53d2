// What main and the gossip worker say to each other. Main decides what to spread and judges what it hears; the worker has
// the sockets and the timers.
import type { GossipPeer, GossipStatus, MemberChange, MemberView } from '../cluster/index.ts';

/** The start data of the gossip role. Survives structured clone. */
export interface GossipStart {
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** The node's name in the cluster. */
  readonly name: string;
  /** Host '' is every interface. */
  readonly bind: GossipPeer;
  /** Where others reach us; a host name is resolved once, at the start. */
  readonly advertise: GossipPeer;
  /** Seeds: asked at once, and tried again as long as no member is found there. */
  readonly peers: readonly GossipPeer[];
  /** The first encrypts, all decrypt; none: everything goes in plain, and what is encrypted is refused. */
  readonly keys: readonly Uint8Array[];
  /** `encodeMetadata`'s. */
  readonly metadata: Uint8Array;
}

export type GossipHandlers = {
  /** Resolves with the advertised address once the sockets are bound. Rejects with NETWORK_BIND_FAILED, GOSSIP_ADDRESS. */
  started(): Promise<GossipPeer>;
  setMetadata(metadata: Uint8Array): void;
  /** Further places where members may be, in place of those that were named before; seeds stay. */
  setPeers(peers: readonly GossipPeer[]): void;
  /** Keys in place of those there are. Rejects with GOSSIP_KEY where one is no key, there is none, or there was none. */
  setKeys(keys: readonly Uint8Array[]): Promise<void>;
  status(): Promise<GossipStatus>;
  leave(request: { readonly timeoutMs: number }): Promise<void>;
  /** Closes the sockets at once; to the others the node is dead, unless it has left. */
  close(): Promise<void>;
};

/** What the worker tells main, in the order in which it learnt it. */
export type GossipListener = {
  memberChanged(news: { readonly change: MemberChange; readonly member: MemberView }): void;
};
