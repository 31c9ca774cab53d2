// Two adjacent ports (docs/decisions/0013): gossip's, which operators name, and above it the peer protocol's, which records
// carry.
import { TimbalaError } from '../../base/index.ts';
import { formatHostPort } from '../config.ts';
import type { HostPort } from '../options.ts';

/** The peer protocol's address of a node, by its address for gossip. */
export function peerAddressOf({ host, port }: HostPort): HostPort {
  return { host, port: port + 1 };
}

export function peerAddressText(gossip: HostPort): string {
  return formatHostPort(peerAddressOf(gossip));
}

/** The gossip address that belongs to a record's peer address. Throws ADDRESS_INVALID. */
export function gossipAddressOf(peerAddress: string): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(peerAddress);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw new TimbalaError('ADDRESS_INVALID', `${peerAddress} is no HOST:PORT`);
  return { host, port: Number(match?.[3]) - 1 };
}
