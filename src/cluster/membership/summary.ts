// A number that stands for the members that a node knows, so that two nodes see by a ping whether one has missed news. Gossip
// reaches nearly all, not all: in a cluster of a thousand somebody misses something now and then, and would learn it only
// with the next exchange of all that is known, minutes later.
import { mix } from './name-hash.ts';
import { isGone, type Member, type MembershipState } from './state.ts';

/** Tells ours from what other applications put into acks. */
const summaryMark = 0x54;
const summaryLength = 5;

/** The same for all who know the same members under the same incarnations; who is gone does not count. */
export function memberSummary(state: MembershipState): number {
  state.summary ??= summaryOf(state.order);
  return state.summary;
}

export function summaryOf(members: readonly Member[]): number {
  let sum = 0;
  for (const member of members) if (!isGone(member)) sum = (sum + hashOf(member)) >>> 0;
  return sum;
}

const hashOf = ({ nameHash: name, incarnation }: Member): number => mix(name ^ Math.imul(incarnation, 0x9e37_79b1));

/** For an ack; none while there is news to pass on, which others may not have yet. */
export function summaryBytes(state: MembershipState): Uint8Array | undefined {
  if (state.broadcasts.length > 0) return undefined;
  const bytes = new Uint8Array(summaryLength);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, summaryMark);
  view.setUint32(1, memberSummary(state));
  return bytes;
}

/** Undefined where the bytes are not a summary. */
export function readSummary(bytes: Uint8Array | undefined): number | undefined {
  if (bytes?.length !== summaryLength || bytes[0] !== summaryMark) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
}
