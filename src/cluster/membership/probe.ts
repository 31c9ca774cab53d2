// Probing: one member each interval, in shuffled rounds, so that each is probed in bounded time. First directly, then through
// others and over a stream; what none of them could reach is suspected (SWIM; nacks and scaled intervals are Lifeguard's).
import type { NetworkAddress } from '../../ports/index.ts';
import { networkAddressOf } from './address.ts';
import type { Accusation, Ack, IndirectPing, Message, Ping, Source, UserMessage } from './messages.ts';
import { changeAwareness, learnSuspect } from './rules.ts';
import { isGone, type Member, type MembershipState, type Probe, relaysMax } from './state.ts';
import { memberSummary, readSummary, summaryBytes } from './summary.ts';
import { notice, openPing, openPushPull, pickMembers, send, type Turn } from './turn.ts';

function nextSequence(state: MembershipState): number {
  state.lastSequence = (state.lastSequence + 1) >>> 0;
  return state.lastSequence;
}

const sourceOf = ({ self }: MembershipState): Source => ({ address: self.address, name: self.name });

/** All that has fallen due. */
export function probeTick(turn: Turn): void {
  const { state, nowMs } = turn;
  const { probe } = state;
  if (probe?.indirectAtMs !== undefined && nowMs >= probe.indirectAtMs) probeIndirectly(turn, probe);
  if (probe && nowMs >= probe.deadlineMs) failProbe(turn, probe);
  for (const [sequence, relay] of state.relays) {
    if (nowMs < relay.deadlineMs) continue;
    state.relays.delete(sequence);
    if (relay.wantsNack) send(turn, relay.asker, [{ kind: 'nack', sequence: relay.askerSequence }]);
  }
  if (!state.probe && nowMs >= state.nextProbeMs) startProbe(turn);
}

function startProbe(turn: Turn): void {
  const { state, nowMs } = turn;
  const { timing } = state;
  state.nextProbeMs = nowMs + timing.probeIntervalMs;
  if (state.isLeaving) return;
  const member = nextToProbe(turn);
  if (!member) return;
  const sequence = nextSequence(state);
  state.probe = {
    sequence,
    member,
    deadlineMs: nowMs + timing.probeIntervalMs * (state.awareness + 1),
    indirectAtMs: nowMs + timing.probeTimeoutMs,
    nacksExpected: 0,
    nacksCount: 0,
  };
  const messages: Exclude<Message, UserMessage>[] = [
    { kind: 'ping', sequence, node: member.name, source: sourceOf(state) },
  ];
  // Who is suspected learns it with the ping, so that it can refute at once (Lifeguard's buddy system).
  if (member.state === 'suspect') messages.push(accusationOf(turn, member));
  send(turn, networkAddressOf(member.address), messages, member);
}

function accusationOf({ state }: Turn, member: Member): Accusation {
  return { kind: 'suspect', incarnation: member.incarnation, node: member.name, from: state.self.name };
}

/** The next member of the round that is not gone; a new round where one ends. */
function nextToProbe(turn: Turn): Member | undefined {
  const { state } = turn;
  for (let checked = state.order.length; checked >= 0; checked--) {
    if (state.probeIndex >= state.order.length) startRound(turn);
    const member = state.order[state.probeIndex++];
    if (member && member !== state.self && !isGone(member)) return member;
  }
  return undefined;
}

/** Forgets members that have been gone for long, and shuffles the rest. */
function startRound({ state, nowMs, random }: Turn): void {
  state.order = state.order.filter((member) => {
    const isForgotten =
      member !== state.self && isGone(member) && nowMs - member.changedMs > state.timing.gossipToTheDeadMs;
    if (isForgotten) state.members.delete(member.name);
    return !isForgotten;
  });
  for (let i = state.order.length - 1; i > 0; i--) {
    const j = Math.floor(random.float() * (i + 1));
    const [a, b] = [state.order[i], state.order[j]];
    if (a && b) [state.order[i], state.order[j]] = [b, a];
  }
  state.probeIndex = 0;
}

function probeIndirectly(turn: Turn, probe: Probe): void {
  const { state, nowMs } = turn;
  const { member, sequence } = probe;
  probe.indirectAtMs = undefined;
  const helpers = pickMembers(
    turn,
    state.timing.indirectProbesCount,
    (other) => other !== state.self && other !== member && other.state === 'alive',
  );
  for (const helper of helpers) {
    const wantsNack = (helper.versions[1] ?? 0) >= 4;
    if (wantsNack) probe.nacksExpected++;
    const request: IndirectPing = {
      kind: 'indirectPing',
      sequence,
      target: member.address,
      node: member.name,
      wantsNack,
      source: sourceOf(state),
    };
    send(turn, networkAddressOf(helper.address), [request], helper);
  }
  // A stream gets through where only datagrams are lost.
  if ((member.versions[1] ?? 0) >= 3) openPing(turn, member, sequence, probe.deadlineMs - nowMs);
}

function failProbe(turn: Turn, probe: Probe): void {
  const { state } = turn;
  state.probe = undefined;
  // Helpers that sent no nack either could not reach us: then the fault is likely ours.
  const missing = probe.nacksExpected - probe.nacksCount;
  changeAwareness(turn, probe.nacksExpected > 0 ? Math.max(0, missing) : 1);
  if (!isGone(probe.member) && state.members.get(probe.member.name) === probe.member) {
    learnSuspect(turn, accusationOf(turn, probe.member));
  }
}

function succeed(turn: Turn): void {
  turn.state.probe = undefined;
  changeAwareness(turn, -1);
}

export function receiveAck(turn: Turn, { sequence, payload }: Ack): void {
  const { state } = turn;
  if (state.probe?.sequence === sequence) {
    const { member } = state.probe;
    succeed(turn);
    reconcile(turn, member, readSummary(payload));
  }
  const relay = state.relays.get(sequence);
  if (!relay) return;
  state.relays.delete(sequence);
  send(turn, relay.asker, [{ kind: 'ack', sequence: relay.askerSequence }]);
}

/** Where neither has news and both know different members, one of them has missed some. */
function reconcile(turn: Turn, member: Member, theirs: number | undefined): void {
  const { state, nowMs } = turn;
  const { timing } = state;
  if (theirs === undefined || state.broadcasts.length > 0 || state.isLeaving) return;
  if (theirs === memberSummary(state)) {
    state.reconcileWaitMs = timing.reconcileIntervalMs;
  } else if (nowMs >= state.reconcileAtMs) {
    state.reconcileAtMs = nowMs + state.reconcileWaitMs;
    // It may be a difference that lasts: two nodes of one name, of which each knows another one.
    state.reconcileWaitMs = Math.min(2 * state.reconcileWaitMs, timing.pushPullIntervalMs);
    openPushPull(turn, networkAddressOf(member.address), false);
  }
}

export function receiveNack({ state }: Turn, sequence: number): void {
  if (state.probe?.sequence === sequence) state.probe.nacksCount++;
}

/** The answer to a ping over a stream. */
export function receiveStreamAck(turn: Turn, pingSequence: number): void {
  const { probe } = turn.state;
  if (probe?.sequence !== pingSequence) return;
  notice(turn, 'member-datagrams-lost', { member: probe.member.name });
  succeed(turn);
}

/** False where the ping is for another node: its name has moved, or this address has. */
export function isForUs({ state }: Turn, ping: Ping): boolean {
  return ping.node === '' || ping.node === state.self.name;
}

export function receivePing(turn: Turn, ping: Ping, from: NetworkAddress): void {
  if (!isForUs(turn, ping)) return;
  const to = ping.source ? networkAddressOf(ping.source.address) : from;
  const payload = summaryBytes(turn.state);
  send(turn, to, [{ kind: 'ack', sequence: ping.sequence, ...(payload ? { payload } : {}) }]);
}

export function receiveIndirectPing(turn: Turn, request: IndirectPing, from: NetworkAddress): void {
  const { state, nowMs } = turn;
  if (state.relays.size >= relaysMax) return; // the asker takes it for a loss
  const sequence = nextSequence(state);
  state.relays.set(sequence, {
    askerSequence: request.sequence,
    asker: request.source ? networkAddressOf(request.source.address) : from,
    wantsNack: request.wantsNack,
    deadlineMs: nowMs + state.timing.probeTimeoutMs,
  });
  const ping: Ping = { kind: 'ping', sequence, node: request.node, source: sourceOf(state) };
  send(turn, networkAddressOf(request.target), [ping]);
}
