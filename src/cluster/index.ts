export * from './contracts.ts';
export { nameOfStore } from './enter.ts';
export { decisions, type Decisions, type OwnerToken, ownerToken, replicasCount } from './decisions.ts';
export {
  decodeMetadata,
  defaultTiming,
  encodeMetadata,
  type GossipCounters,
  Gossiper,
  type GossiperOptions,
  type GossiperPorts,
  type GossipPeer,
  type GossipStatus,
  type GossipTiming,
  Keyring,
  type MemberChange,
  type MemberView,
  type NodeMetadata,
  type NodeState,
} from './membership/index.ts';
export { type ClusterCounters, ClusterNode } from './node.ts';
export type { ClusterNodeOptions, ClusterPorts } from './options.ts';
export * from './peers/index.ts';
export { partitionsCount, type PlacedMember, Placement } from './placement/index.ts';
export {
  type ClusterRead,
  planAlone,
  planEverything,
  type PlanInput,
  planRead,
  type ReadEvent,
  type ReadOptions,
  type ReadPlan,
  type ReadStream,
  type Share,
  type WantedOfShared,
} from './read/index.ts';
export { ClusterRecord, type Member, type MemberState } from './record/index.ts';
export type { ClusterStatus, Liveness, LossStatus, MemberStatus } from './status.ts';
export { type ClusterTiming, defaultClusterTiming } from './timing.ts';
export type { PartitionOrder, Place } from './view.ts';
