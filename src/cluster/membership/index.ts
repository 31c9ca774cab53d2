export type { GossipCounters } from './counters.ts';
export { Gossiper, type GossiperOptions, type GossiperPorts, type GossipPeer, type GossipStatus } from './gossiper.ts';
export { Keyring } from './keyring.ts';
export { decodeMetadata, encodeMetadata, type NodeMetadata } from './metadata.ts';
export { defaultTiming, type GossipTiming, type MemberView, type NodeState } from './state.ts';
export type { MemberChange } from './turn.ts';
