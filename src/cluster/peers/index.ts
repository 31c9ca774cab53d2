export { type ConnectionClass, connectionClasses } from './classes.ts';
export type { PeerIdentity } from './connection.ts';
export type { PeerCounters, PeerCountersByClass } from './counters.ts';
export type { LinkState } from './link.ts';
export { PeerConnections, type PeerConnectionsOptions, type PeerPorts } from './peer-connections.ts';
