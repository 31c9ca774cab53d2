// Two adjacent ports (docs/decisions/0013): gossip's, which operators name, and above it the peer protocol's, which records
// carry.
import { formatHostPort } from '../config.ts';
import type { HostPort } from '../options.ts';

/** The peer protocol's address of a node, by its address for gossip. */
export function peerAddressOf({ host, port }: HostPort): HostPort {
  return { host, port: port + 1 };
}

export function peerAddressText(gossip: HostPort): string {
  return formatHostPort(peerAddressOf(gossip));
}

/** The gossip address that belongs to a record's peer address; undefined where that makes no sense to us. */
export function gossipAddressOf(peerAddress: string): HostPort | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(peerAddress);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]) - 1;
  return host !== undefined && port > 0 && port < 65_535 ? { host, port } : undefined;
}
