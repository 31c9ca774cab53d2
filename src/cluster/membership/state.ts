// What a node knows and is waiting for: the state that `step` works on. Plain data, changed by nothing but `step`.
import { dayMs, TimbalaError } from '../../base/index.ts';
import type { NetworkAddress } from '../../ports/index.ts';
import { networkAddressOf, wireAddressOf } from './address.ts';
import { BroadcastQueue } from './broadcasts.ts';
import { metadataBytesMax, type WireAddress } from './messages.ts';
import { nameHash } from './name-hash.ts';
import type { Suspicion } from './suspicion.ts';

/** memberlist's numbers on the wire. */
export const nodeStates = { alive: 0, suspect: 1, dead: 2, left: 3 } as const;
export type NodeState = keyof typeof nodeStates;
export const nodeStateNames: readonly NodeState[] = ['alive', 'suspect', 'dead', 'left'];

/** Protocol versions that we speak: memberlist 0.7's, with 2 as the current one, and no version of a protocol above it. */
export const ourVersions = Uint8Array.of(1, 5, 2, 0, 0, 0);
export const spokenVersion = 2;

/** memberlist's defaults for a local network; both sides of a probe agree on them without saying so. */
export const defaultTiming = {
  /** One member is probed each interval… */
  probeIntervalMs: 1_000,
  /** …directly for so long, then through others as well. */
  probeTimeoutMs: 500,
  indirectProbesCount: 3,
  /** Suspicion lasts multiple × log10(members) × interval, at first up to `suspicionMaxMultiple` times that. */
  suspicionMultiple: 4,
  suspicionMaxMultiple: 6,
  /** Scores of the node's own health are below it; probes slow down by the score. */
  awarenessMax: 8,
  gossipIntervalMs: 200,
  gossipFanout: 3,
  /** The dead are still told that they are dead for so long (they may be alive), then forgotten. */
  gossipToTheDeadMs: 30_000,
  /** News is sent multiple × ceil(log10(members + 1)) times. */
  retransmitMultiple: 4,
  pushPullIntervalMs: 30_000,
  /** Nodes that know different members exchange all that they know so soon at the earliest. */
  reconcileIntervalMs: 1_000,
  /** From this many members on, push/pull is spaced out. */
  pushPullScaleFrom: 32,
  streamTimeoutMs: 10_000,
  /** A dead node's name may be taken by another address after this. */
  deadNodeReclaimMs: 10_000,
  /** Known addresses that no member has are tried again: so cold starts and healed splits find together. */
  reconnectIntervalMs: 15_000,
  /** The same while we know of nobody else. */
  aloneReconnectIntervalMs: 1_000,
  /** Where a member has died is tried for so long; where one is named, for ever. */
  deadAddressMs: dayMs,
};
export type GossipTiming = Readonly<typeof defaultTiming>;

/** Members kept at most, so that forged news fills no memory. */
export const membersMax = 16_384;
/** Indirect probes for others at a time. */
export const relaysMax = 1_024;
/** Addresses to try again at most: those that are named, and those of the dead. */
export const addressesMax = 1_024;

export interface Member {
  readonly name: string;
  readonly nameHash: number;
  address: WireAddress;
  metadata: Uint8Array;
  versions: Uint8Array;
  incarnation: number;
  state: NodeState;
  changedMs: number;
}

/** A probe under way. There is one at a time. */
export interface Probe {
  readonly sequence: number;
  readonly member: Member;
  readonly deadlineMs: number;
  /** When others are asked; undefined once they are. */
  indirectAtMs: number | undefined;
  nacksExpected: number;
  nacksCount: number;
}

/** An indirect probe that we make for another node. */
export interface Relay {
  readonly askerSequence: number;
  readonly asker: NetworkAddress;
  readonly wantsNack: boolean;
  readonly deadlineMs: number;
}

/** A stream that we opened. */
export interface Exchange {
  readonly to: NetworkAddress;
  /** A push/pull, or the sequence of a ping. */
  readonly pingSequence: number | undefined;
}

export interface MembershipState {
  readonly timing: GossipTiming;
  readonly self: Member;
  readonly members: Map<string, Member>;
  /** The members in the order in which they are probed; shuffled after each round. */
  order: Member[];
  probeIndex: number;
  nextProbeMs: number;
  probe: Probe | undefined;
  /** Indirect probes for others, by the sequence of our ping. */
  readonly relays: Map<number, Relay>;
  readonly suspicions: Map<string, Suspicion>;
  readonly broadcasts: BroadcastQueue;
  /** Undefined while there is nothing to pass on. */
  gossipAtMs: number | undefined;
  pushPullAtMs: number;
  reconnectAtMs: number;
  /** Of the members, as long as nothing is reported or passed on, which every change of them is; see summary.ts. */
  summary: number | undefined;
  /** All that is known is not exchanged before this with a node that knows other members… */
  reconcileAtMs: number;
  /** …and not so soon again, if that does not mend it. */
  reconcileWaitMs: number;
  /** Where the caller says that members may be, by text. */
  readonly namedAddresses: Map<string, NetworkAddress>;
  /** Where members have died, by text. */
  readonly deadAddresses: Map<string, { readonly address: NetworkAddress; readonly sinceMs: number }>;
  readonly exchanges: Map<number, Exchange>;
  lastExchange: number;
  lastSequence: number;
  /** Our own health (Lifeguard): 0 is well; each point adds a probe interval to a probe. */
  awareness: number;
  isLeaving: boolean;
  /** Others have been told so, as often as any news. */
  isLeaveAnnounced: boolean;
}

export interface GossipIdentity {
  /** Unique in the cluster, at most 255 bytes. */
  readonly name: string;
  /** Where others reach us; an IP address. */
  readonly advertised: NetworkAddress;
  /** At most 512 bytes that all members get to know. */
  readonly metadata: Uint8Array;
}

/** The state of a node that knows itself alone. Throws GOSSIP_ADDRESS, GOSSIP_METADATA. */
export function createState(
  identity: GossipIdentity,
  nowMs: number,
  random: { float(): number },
  timing: Partial<GossipTiming> = {},
): MembershipState {
  requireMetadata(identity.metadata);
  const self: Member = {
    name: identity.name,
    nameHash: nameHash(identity.name),
    address: wireAddressOf(identity.advertised),
    metadata: identity.metadata,
    versions: ourVersions,
    incarnation: 1,
    state: 'alive',
    changedMs: nowMs,
  };
  const full = { ...defaultTiming, ...timing };
  return {
    timing: full,
    self,
    members: new Map([[self.name, self]]),
    order: [self],
    probeIndex: 0,
    // Random phases, so that nodes that start together do not act together.
    nextProbeMs: nowMs + random.float() * full.probeIntervalMs,
    probe: undefined,
    relays: new Map(),
    suspicions: new Map(),
    broadcasts: new BroadcastQueue(),
    gossipAtMs: undefined,
    pushPullAtMs: nowMs + random.float() * full.pushPullIntervalMs,
    reconnectAtMs: nowMs,
    summary: undefined,
    reconcileAtMs: nowMs,
    reconcileWaitMs: full.reconcileIntervalMs,
    namedAddresses: new Map(),
    deadAddresses: new Map(),
    exchanges: new Map(),
    lastExchange: 0,
    lastSequence: 0,
    awareness: 0,
    isLeaving: false,
    isLeaveAnnounced: false,
  };
}

export function requireMetadata(metadata: Uint8Array): void {
  if (metadata.length > metadataBytesMax) {
    throw new TimbalaError('GOSSIP_METADATA', `${metadata.length} bytes of metadata; at most ${metadataBytesMax} fit`);
  }
}

export const isGone = (member: Member): boolean => member.state === 'dead' || member.state === 'left';

/** What other code may know of a member. A copy. */
export interface MemberView {
  readonly name: string;
  readonly address: NetworkAddress;
  readonly metadata: Uint8Array;
  readonly state: NodeState;
  readonly incarnation: number;
}

export function viewOf(member: Member): MemberView {
  return {
    name: member.name,
    address: networkAddressOf(member.address),
    metadata: member.metadata,
    state: member.state,
    incarnation: member.incarnation,
  };
}

/** When `step` wants to be called with a tick, if nothing happens before. */
export function nextWakeMs(state: MembershipState): number {
  let next = Math.min(state.pushPullAtMs, state.reconnectAtMs, state.gossipAtMs ?? Number.POSITIVE_INFINITY);
  const { probe } = state;
  next = Math.min(next, probe ? Math.min(probe.deadlineMs, probe.indirectAtMs ?? probe.deadlineMs) : state.nextProbeMs);
  for (const { deadlineMs } of state.suspicions.values()) next = Math.min(next, deadlineMs);
  for (const { deadlineMs } of state.relays.values()) next = Math.min(next, deadlineMs);
  return next;
}
