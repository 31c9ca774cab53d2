export {
  defaultTiming,
  type GossipCounters,
  Gossiper,
  type GossiperOptions,
  type GossiperPorts,
  type GossipPeer,
  type GossipTiming,
  Keyring,
  type MemberChange,
  type MemberView,
  type NodeState,
} from './membership/index.ts';
export { partitionsCount, type PlacedMember, Placement } from './placement/index.ts';
