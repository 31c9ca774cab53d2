// One turn of `step`: the state, the time, and the effects that the turn has gathered; and what all rules do with them.
import type { NetworkAddress } from '../../ports/index.ts';
import { networkAddressOf } from './address.ts';
import { encodeMessage, encodePushPull, type Message, type UserMessage } from './messages.ts';
import { compoundBytes, compoundEntryBytes, crcBytes, packetBytesMax } from './packet.ts';
import { sealBytes } from './keyring.ts';
import {
  type Exchange,
  isGone,
  type Member,
  type MembershipState,
  type MemberView,
  nodeStates,
  viewOf,
} from './state.ts';

export type MemberChange = 'joined' | 'updated' | 'suspected' | 'recovered' | 'died' | 'left';

/** What the caller of `step` has to do, in order. */
export type Effect =
  /** Send a datagram with these messages; with a checksum where the receiver understands it. */
  | {
      readonly kind: 'packet';
      readonly to: NetworkAddress;
      readonly messages: readonly Uint8Array[];
      readonly withCrc: boolean;
    }
  /** Open a stream, send the message, bring the answer as an event; a failure or the end of the time too. */
  | {
      readonly kind: 'open';
      readonly exchange: number;
      readonly to: NetworkAddress;
      readonly message: Uint8Array;
      readonly timeoutMs: number;
    }
  /** Answer on a stream that was opened to us, and close it. */
  | { readonly kind: 'reply'; readonly stream: number; readonly message: Uint8Array }
  | { readonly kind: 'member'; readonly change: MemberChange; readonly member: MemberView }
  /** A push/pull has ended, well or not: for whoever waits to have joined. */
  | { readonly kind: 'contacted'; readonly address: NetworkAddress; readonly error: string | undefined }
  /** Others have been told that we leave. */
  | { readonly kind: 'leftAnnounced' }
  /** Something an operator should know; `event` is a stable kebab-case name. */
  | { readonly kind: 'notice'; readonly event: string; readonly fields: Readonly<Record<string, string | number>> };

export interface Turn {
  readonly state: MembershipState;
  readonly nowMs: number;
  readonly random: { float(): number };
  readonly effects: Effect[];
}

const packetOverheadBytes = compoundBytes + Math.max(sealBytes, crcBytes);

export function notice(turn: Turn, event: string, fields: Readonly<Record<string, string | number>>): void {
  turn.effects.push({ kind: 'notice', event, fields });
}

export function memberChanged(turn: Turn, change: MemberChange, member: Member): void {
  turn.state.summary = undefined;
  turn.effects.push({ kind: 'member', change, member: viewOf(member) });
}

/** Passes news about a member on to others, by and by. */
export function broadcast(turn: Turn, about: string, message: Exclude<Message, UserMessage>): void {
  const { state, nowMs, random } = turn;
  state.summary = undefined;
  state.broadcasts.add(about, encodeMessage(message));
  // A random phase, so that what all learn at once is not passed on by all at once.
  state.gossipAtMs ??= nowMs + random.float() * state.timing.gossipIntervalMs;
}

export function announced(turn: Turn): void {
  turn.state.isLeaveAnnounced = true;
  turn.effects.push({ kind: 'leftAnnounced' });
}

/** News for a packet that has `bytesFree` left. */
function takeNews(turn: Turn, bytesFree: number): Uint8Array[] {
  const { state } = turn;
  if (state.broadcasts.length === 0) return [];
  const times = state.timing.retransmitMultiple * Math.ceil(Math.log10(state.members.size + 1));
  const news = state.broadcasts.take(bytesFree, compoundEntryBytes, times);
  if (state.isLeaving && !state.isLeaveAnnounced && !state.broadcasts.has(state.self.name)) announced(turn);
  return news;
}

/** Sends a message of our own, and news in what room is left. */
export function send(
  turn: Turn,
  to: NetworkAddress,
  messages: readonly Exclude<Message, UserMessage>[],
  receiver?: Member,
): void {
  const encoded: Uint8Array[] = messages.map(encodeMessage);
  const bytes = encoded.reduce((sum, message) => sum + message.length + compoundEntryBytes, packetOverheadBytes);
  encoded.push(...takeNews(turn, packetBytesMax - bytes));
  turn.effects.push({ kind: 'packet', to, messages: encoded, withCrc: understandsCrc(receiver) });
}

/** Sends a packet full of news; false where there is none. */
export function sendNews(turn: Turn, receiver: Member): boolean {
  const messages = takeNews(turn, packetBytesMax - packetOverheadBytes);
  if (messages.length === 0) return false;
  const to = networkAddressOf(receiver.address);
  turn.effects.push({ kind: 'packet', to, messages, withCrc: understandsCrc(receiver) });
  return true;
}

const understandsCrc = (receiver: Member | undefined): boolean => (receiver?.versions[1] ?? 0) >= 5;

function open(turn: Turn, exchange: Exchange, message: Uint8Array, timeoutMs: number): void {
  const id = ++turn.state.lastExchange;
  turn.state.exchanges.set(id, exchange);
  turn.effects.push({ kind: 'open', exchange: id, to: exchange.to, message, timeoutMs });
}

export function openPing(turn: Turn, member: Member, sequence: number, timeoutMs: number): void {
  const to = networkAddressOf(member.address);
  const message = encodeMessage({ kind: 'ping', sequence, node: member.name, source: undefined });
  open(turn, { to, pingSequence: sequence }, message, timeoutMs);
}

export function openPushPull(turn: Turn, to: NetworkAddress, isJoin: boolean): void {
  const { state } = turn;
  open(turn, { to, pingSequence: undefined }, localState(state, isJoin), state.timing.streamTimeoutMs);
}

/** All that we know, as a push/pull message. */
export function localState(state: MembershipState, isJoin: boolean): Uint8Array {
  const reports = state.order.map((member) => ({
    node: member.name,
    address: member.address,
    metadata: member.metadata,
    versions: member.versions,
    incarnation: member.incarnation,
    state: nodeStates[member.state],
  }));
  return encodePushPull(isJoin, reports);
}

/** Up to `count` different members that `accept` takes, all choices equally likely. */
export function pickMembers(turn: Turn, count: number, accept: (member: Member) => boolean): Member[] {
  const { order } = turn.state;
  const picked = new Set<Member>();
  if (order.length > 16 * count) {
    // Among many, a few draws find enough; should they not (most are dead), the full search follows.
    for (let draws = 0; draws < 8 * count && picked.size < count; draws++) {
      const member = order[Math.floor(turn.random.float() * order.length)];
      if (member && accept(member)) picked.add(member);
    }
    if (picked.size === count) return [...picked];
    picked.clear();
  }
  const eligible = order.filter(accept);
  while (picked.size < count && picked.size < eligible.length) {
    const member = eligible[Math.floor(turn.random.float() * eligible.length)];
    if (member) picked.add(member);
  }
  return [...picked];
}

/** True where we know of someone else who is not gone. */
export function knowsOthers(state: MembershipState): boolean {
  return state.order.some((member) => member !== state.self && !isGone(member));
}
