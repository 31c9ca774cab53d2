// Addresses between their two forms: bytes on the wire, text at the network port.
import { TimbalaError } from '../../base/index.ts';
import type { NetworkAddress } from '../../ports/index.ts';
import type { WireAddress } from './messages.ts';

/** The text of an IP address of 4 or 16 bytes; an IPv4 address within IPv6 becomes the plain one. */
export function hostOf(ip: Uint8Array): string {
  if (ip.length === 4) return ip.join('.');
  const view = new DataView(ip.buffer, ip.byteOffset, ip.length);
  const isMapped = view.getUint32(0) === 0 && view.getUint32(4) === 0 && view.getUint32(8) === 0xffff;
  if (isMapped) return ip.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(i * 2).toString(16));
  return groups.join(':');
}

export function networkAddressOf({ ip, port }: WireAddress): NetworkAddress {
  return { host: hostOf(ip), port };
}

/** `host:port`, to compare addresses and to show them. */
export function addressText({ host, port }: NetworkAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The wire form of an IP address in text. Throws GOSSIP_ADDRESS for anything else. */
export function wireAddressOf({ host, port }: NetworkAddress): WireAddress {
  const ip = host.includes(':') ? parseIpv6(host) : parseIpv4(host);
  if (!ip || !(port > 0 && port < 65_536)) {
    throw new TimbalaError('GOSSIP_ADDRESS', `${addressText({ host, port })} is no IP address and port to advertise`);
  }
  return { ip, port };
}

function parseIpv4(host: string): Uint8Array | undefined {
  const parts = host.split('.');
  const isValid = parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256);
  return isValid ? Uint8Array.from(parts, Number) : undefined;
}

function parseIpv6(host: string): Uint8Array | undefined {
  const [head = '', tail, ...more] = host.split('::');
  const groupsOf = (text: string | undefined): string[] => (text ? text.split(':') : []);
  const before = groupsOf(head);
  const after = groupsOf(tail);
  const missing = 8 - before.length - after.length;
  if (more.length > 0 || (tail === undefined ? missing !== 0 : missing < 1)) return undefined;
  const groups = [...before, ...Array.from({ length: missing }, () => '0'), ...after];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >>> 8, Number.parseInt(group, 16) & 255]),
  );
}
