export type { ClusterStatusPage } from './cluster/status.ts';
export { formatHostPort, type NodeConfig, parseConfig } from './config.ts';
export { type NodeFacts, type NodePorts, type StartedNode, startNode } from './node.ts';
export { environmentName, type OptionName, optionNames, options } from './options.ts';
