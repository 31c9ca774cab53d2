// Membership as a pure step: an event and the time in, effects out, no I/O. The same events, times and random numbers give
// the same effects, so that a simulation can run thousands of nodes and replay any of their runs.
// docs/formats/gossip.md has the bytes, docs/decisions the reasons.
import { unreachable } from '../../base/index.ts';
import type { NetworkAddress } from '../../ports/index.ts';
import { addressText, networkAddressOf } from './address.ts';
import { encodeError, encodeMessage, type Message, type StreamMessage } from './messages.ts';
import {
  isForUs,
  probeTick,
  receiveAck,
  receiveIndirectPing,
  receiveNack,
  receivePing,
  receiveStreamAck,
} from './probe.ts';
import { aliveMessage, changeAwareness, learnAlive, learnDead, learnSuspect, mergeReports } from './rules.ts';
import { addressesMax, isGone, type MembershipState, nextWakeMs, requireMetadata } from './state.ts';
import {
  announced,
  broadcast,
  type Effect,
  knowsOthers,
  localState,
  notice,
  openPushPull,
  pickMembers,
  sendNews,
  type Turn,
} from './turn.ts';

export type MembershipEvent =
  /** Time has passed: due at `nextWakeMs`, harmless earlier. */
  | { readonly kind: 'tick' }
  | { readonly kind: 'packet'; readonly from: NetworkAddress; readonly messages: readonly Message[] }
  /** A message on a stream that was opened to us; answered by a `reply` effect or not at all. */
  | { readonly kind: 'request'; readonly stream: number; readonly message: StreamMessage }
  /** What came back on a stream that an `open` effect asked for. */
  | { readonly kind: 'answer'; readonly exchange: number; readonly message: StreamMessage }
  | { readonly kind: 'failure'; readonly exchange: number; readonly reason: string }
  /** Where members may be, in place of what was named before; one is tried at once while we know of nobody. */
  | { readonly kind: 'addresses'; readonly addresses: readonly NetworkAddress[] }
  /** An exchange with each of these, at once. */
  | { readonly kind: 'contact'; readonly addresses: readonly NetworkAddress[] }
  /** Spread other metadata about us. */
  | { readonly kind: 'metadata'; readonly metadata: Uint8Array }
  | { readonly kind: 'leave' };

/** Changes `state` and says what is to be done. `random` gives uniform numbers in [0, 1). */
export function step(
  state: MembershipState,
  event: MembershipEvent,
  nowMs: number,
  random: { float(): number },
): Effect[] {
  const turn: Turn = { state, nowMs, random, effects: [] };
  forgivePause(turn);
  switch (event.kind) {
    case 'tick':
      tick(turn);
      break;
    case 'packet':
      for (const message of event.messages) receive(turn, message, event.from);
      break;
    case 'request':
      receiveRequest(turn, event.stream, event.message);
      break;
    case 'answer':
      receiveAnswer(turn, event.exchange, event.message);
      break;
    case 'failure':
      endExchange(turn, event.exchange, event.reason);
      break;
    case 'addresses':
      nameAddresses(turn, event.addresses);
      break;
    case 'contact':
      for (const address of event.addresses) openPushPull(turn, address, true);
      break;
    case 'metadata':
      requireMetadata(event.metadata);
      state.self.metadata = event.metadata;
      state.self.incarnation++;
      broadcast(turn, state.self.name, aliveMessage(state.self));
      break;
    case 'leave':
      leave(turn);
      break;
    default:
      unreachable(event);
  }
  return turn.effects;
}

/**
 * After a pause of our own (the process was stopped, the machine overloaded) all deadlines have passed, and answers may lie
 * unread in the socket. Nobody is dead for that: what was under way starts anew, and the fault is ours.
 */
function forgivePause(turn: Turn): void {
  const { state, nowMs } = turn;
  const lateMs = nowMs - nextWakeMs(state);
  if (lateMs <= state.timing.probeIntervalMs) return;
  notice(turn, 'gossip-paused', { lateMs: Math.round(lateMs) });
  changeAwareness(turn, 1);
  state.probe = undefined;
  state.nextProbeMs = nowMs + state.timing.probeIntervalMs;
  state.relays.clear();
  for (const suspicion of state.suspicions.values()) {
    suspicion.startMs += lateMs;
    suspicion.deadlineMs += lateMs;
  }
}

function tick(turn: Turn): void {
  const { state, nowMs, random } = turn;
  const { timing, self } = state;
  for (const [node, { deadlineMs, incarnation }] of state.suspicions) {
    if (nowMs < deadlineMs) continue;
    state.suspicions.delete(node);
    learnDead(turn, { incarnation, node, from: self.name });
  }
  probeTick(turn);
  if (state.gossipAtMs !== undefined && nowMs >= state.gossipAtMs) gossip(turn);
  if (nowMs >= state.pushPullAtMs) {
    // Spaced out in large clusters, where a push/pull costs more and news reaches all by gossip anyway.
    const excess = Math.log2(state.members.size) - Math.log2(timing.pushPullScaleFrom);
    state.pushPullAtMs = nowMs + timing.pushPullIntervalMs * (1 + Math.max(0, Math.ceil(excess)));
    const [peer] = pickMembers(turn, 1, (member) => member !== self && member.state === 'alive');
    if (peer && !state.isLeaving) openPushPull(turn, networkAddressOf(peer.address), false);
  }
  if (nowMs >= state.reconnectAtMs) {
    const intervalMs = knowsOthers(state) ? timing.reconnectIntervalMs : timing.aloneReconnectIntervalMs;
    state.reconnectAtMs = nowMs + intervalMs * (0.5 + random.float());
    reconnect(turn);
  }
}

/** Sends news to a few members; to the dead too, for a while: they may be alive, and then learn what is said of them. */
function gossip(turn: Turn): void {
  const { state, nowMs } = turn;
  const { timing } = state;
  const receivers = pickMembers(turn, timing.gossipFanout, (member) => {
    if (member === state.self || member.state === 'left') return false;
    return member.state !== 'dead' || nowMs - member.changedMs <= timing.gossipToTheDeadMs;
  });
  for (const receiver of receivers) {
    if (!sendNews(turn, receiver)) break;
  }
  state.gossipAtMs = state.broadcasts.length > 0 ? nowMs + timing.gossipIntervalMs : undefined;
}

/**
 * Tries one address at which no member is known: a seed that was not up, or the other side of a split. One where somebody
 * answers who advertises another address is tried again: it may be a balancer in front of several.
 */
function reconnect(turn: Turn): void {
  const { state, nowMs, random } = turn;
  if (state.isLeaving) return;
  for (const [text, { sinceMs }] of state.deadAddresses) {
    if (nowMs - sinceMs > state.timing.deadAddressMs) state.deadAddresses.delete(text);
  }
  const present = new Set<string>();
  for (const member of state.order) {
    if (!isGone(member)) present.add(addressText(networkAddressOf(member.address)));
  }
  const named = [...state.namedAddresses.values()].filter((address) => !present.has(addressText(address)));
  const dead = [...state.deadAddresses.values()]
    .map(({ address }) => address)
    .filter((address) => !present.has(addressText(address)));
  // Each other time one that is named: where members have died there may be many, at which nobody will ever be again.
  const pools = [named, dead].filter(({ length }) => length > 0);
  const pool = pools[Math.floor(random.float() * pools.length)] ?? [];
  const address = pool[Math.floor(random.float() * pool.length)];
  if (address) openPushPull(turn, address, true);
}

function nameAddresses(turn: Turn, addresses: readonly NetworkAddress[]): void {
  const { state } = turn;
  state.namedAddresses.clear();
  for (const address of addresses.slice(0, addressesMax)) state.namedAddresses.set(addressText(address), address);
  if (!knowsOthers(state)) state.reconnectAtMs = turn.nowMs;
}

function receive(turn: Turn, message: Message, from: NetworkAddress): void {
  switch (message.kind) {
    case 'ping':
      receivePing(turn, message, from);
      break;
    case 'indirectPing':
      receiveIndirectPing(turn, message, from);
      break;
    case 'ack':
      receiveAck(turn, message);
      break;
    case 'nack':
      receiveNack(turn, message.sequence);
      break;
    case 'suspect':
      learnSuspect(turn, message);
      break;
    case 'dead':
      learnDead(turn, message);
      break;
    case 'alive':
      learnAlive(turn, message);
      break;
    case 'user':
      break;
    default:
      unreachable(message);
  }
}

function receiveRequest(turn: Turn, stream: number, message: StreamMessage): void {
  const { state, effects } = turn;
  if (message.kind === 'pushPull') {
    // The answer is what we knew before: what the peer told us it knows.
    effects.push({ kind: 'reply', stream, message: localState(state, message.isJoin) });
    mergeReports(turn, message.nodes);
  } else if (message.kind === 'ping' && isForUs(turn, message)) {
    effects.push({ kind: 'reply', stream, message: encodeMessage({ kind: 'ack', sequence: message.sequence }) });
  } else {
    effects.push({ kind: 'reply', stream, message: encodeError(`unexpected message: ${message.kind}`) });
  }
}

function receiveAnswer(turn: Turn, id: number, message: StreamMessage): void {
  const exchange = turn.state.exchanges.get(id);
  if (!exchange) return;
  if (exchange.pingSequence !== undefined) {
    const isAck = message.kind === 'ack' && message.sequence === exchange.pingSequence;
    endExchange(turn, id, undefined);
    if (isAck) receiveStreamAck(turn, exchange.pingSequence);
  } else if (message.kind === 'pushPull') {
    mergeReports(turn, message.nodes);
    endExchange(turn, id, undefined);
  } else {
    endExchange(turn, id, message.kind === 'error' ? message.text : `unexpected message: ${message.kind}`);
  }
}

function endExchange(turn: Turn, id: number, error: string | undefined): void {
  const { state, effects } = turn;
  const exchange = state.exchanges.get(id);
  if (!exchange) return;
  state.exchanges.delete(id);
  if (exchange.pingSequence === undefined) effects.push({ kind: 'contacted', address: exchange.to, error });
}

function leave(turn: Turn): void {
  const { state, nowMs } = turn;
  const { self } = state;
  if (state.isLeaving) return;
  state.isLeaving = true;
  const hasOthers = knowsOthers(state);
  learnDead(turn, { incarnation: self.incarnation, node: self.name, from: self.name });
  state.probe = undefined;
  state.gossipAtMs = nowMs;
  if (!hasOthers) announced(turn);
}
