// What GET /api/v1/status/cluster shows (docs/api.md): the cluster as this node sees it, from record and protocols, and beside
// it what gossip and connections know.
import type { ClusterStatus, LinkState } from '../../cluster/index.ts';
import type { GossipMember } from '../gossip-client.ts';

/** Before a node has found its cluster, or where it stands alone, `state` says so and nothing else is known. */
export interface ClusterStatusPage extends Partial<Omit<ClusterStatus, 'state' | 'members' | 'losses' | 'underWay'>> {
  readonly name: string;
  readonly state: ClusterStatus['state'] | 'standalone' | 'searching' | 'replaced';
  readonly isReady: boolean;
  readonly members: ClusterStatus['members'];
  readonly losses: ClusterStatus['losses'];
  readonly underWay: readonly string[];
  readonly gossip: readonly Omit<GossipMember, 'metadata'>[];
  readonly connections: readonly LinkState[];
}

export interface StatusSources {
  readonly name: string;
  readonly store: string;
  readonly status: ClusterStatus | undefined;
  /** Why the cluster has not been found yet. */
  readonly searching: string;
  readonly gossip: readonly GossipMember[];
  readonly connections: readonly LinkState[];
}

export function standaloneStatus(isReady: boolean): ClusterStatusPage {
  const nobody = { members: [], losses: [], underWay: [], gossip: [], connections: [] };
  return { name: '', state: 'standalone', isReady, ...nobody };
}

export function clusterStatusPage({ name, store, status, searching, ...heard }: StatusSources): ClusterStatusPage {
  const gossip = heard.gossip.map((member) => ({
    name: member.name,
    address: member.address,
    state: member.state,
    isAlive: member.isAlive,
    isForeign: member.isForeign,
    changedMs: member.changedMs,
  }));
  const { connections } = heard;
  if (status) return { ...status, state: status.state ?? 'replaced', gossip, connections };
  const underWay = [`this node looks for its cluster: ${searching}`];
  return {
    name,
    store,
    state: 'searching',
    isReady: false,
    members: [],
    losses: [],
    underWay,
    gossip,
    connections,
  };
}
