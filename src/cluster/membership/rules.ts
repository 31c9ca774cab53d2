// How news about members changes what a node knows (SWIM, Das, Gupta and Motivala 2002, with memberlist's details). A higher
// incarnation wins; only a member itself raises its own, to refute what is said of it. Of the same incarnation dead beats
// suspect beats alive. What changed our mind is passed on; what did not is not, so that news dies out.
import { hostOf, addressText, networkAddressOf } from './address.ts';
import { type Accusation, type Alive, type NodeReport, type WireAddress } from './messages.ts';
import { addressesMax, isGone, type Member, membersMax, nodeStateNames, spokenVersion } from './state.ts';
import { nameHash } from './name-hash.ts';
import { confirmSuspicion, startSuspicion } from './suspicion.ts';
import { broadcast, knowsOthers, memberChanged, notice, type Turn } from './turn.ts';

export function changeAwareness(turn: Turn, delta: number): void {
  const { state } = turn;
  state.awareness = Math.min(Math.max(0, state.awareness + delta), state.timing.awarenessMax - 1);
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/** Equal where they reach the same place, though an IPv4 address may come as 4 or 16 bytes. */
const sameAddress = (a: WireAddress, b: WireAddress): boolean =>
  a.port === b.port && (sameBytes(a.ip, b.ip) || hostOf(a.ip) === hostOf(b.ip));

/** Tells all that we are alive, with an incarnation above the one that others speak of. */
function refute(turn: Turn, incarnation: number): void {
  const { self } = turn.state;
  self.incarnation = Math.max(self.incarnation, incarnation) + 1;
  // That others doubt us may be our own fault (Lifeguard).
  changeAwareness(turn, 1);
  broadcast(turn, self.name, aliveMessage(self));
}

export function aliveMessage(member: Member): Alive {
  return {
    kind: 'alive',
    incarnation: member.incarnation,
    node: member.name,
    address: member.address,
    metadata: member.metadata,
    versions: member.versions,
  };
}

/** Whether we can speak with such a member; very old ones do not say. */
function versionsFit(versions: Uint8Array): boolean {
  const [least, most] = versions;
  if (least === undefined || most === undefined) return true;
  return least > 0 && least <= spokenVersion && spokenVersion <= most;
}

const oneNameEach = 'two nodes run under one name; each needs its own directory and address: stop one of them';

type About = Omit<Alive, 'kind'>;

/** `isNews`: others may not know of it yet. */
export function learnAlive(turn: Turn, about: About, isNews = true): void {
  const { state } = turn;
  if (about.node === state.self.name) {
    learnOfOurselves(turn, about);
    return;
  }
  if (!versionsFit(about.versions)) {
    notice(turn, 'member-incompatible', { member: about.node, versions: about.versions.join(' ') });
    return;
  }
  const known = state.members.get(about.node);
  if (!known) {
    addMember(turn, about, isNews);
    return;
  }
  if (!sameAddress(known.address, about.address) && !mayTakeAddress(turn, known)) {
    notice(turn, 'member-address-conflict', {
      member: known.name,
      known: addressText(networkAddressOf(known.address)),
      other: addressText(networkAddressOf(about.address)),
      remedy: oneNameEach,
    });
    return;
  }
  // A name that changes hands starts its incarnations anew; otherwise only a higher one is news.
  if (about.incarnation <= known.incarnation && sameAddress(known.address, about.address)) return;
  reviveMember(turn, known, about);
}

/** A name may move to another address when its node has left, or has been dead for some time. */
function mayTakeAddress({ state, nowMs }: Turn, known: Member): boolean {
  if (known.state === 'left') return true;
  return known.state === 'dead' && nowMs - known.changedMs >= state.timing.deadNodeReclaimMs;
}

function addMember(turn: Turn, about: About, isNews: boolean): void {
  const { state, nowMs, random } = turn;
  if (state.members.size >= membersMax) {
    notice(turn, 'members-too-many', { member: about.node, membersMax });
    return;
  }
  const hash = nameHash(about.node);
  const member: Member = { ...copyOf(about), name: about.node, nameHash: hash, state: 'alive', changedMs: nowMs };
  state.members.set(member.name, member);
  // At a random place among those to be probed, so that who joins last is not probed last by everyone.
  const place = Math.floor(random.float() * (state.order.length + 1));
  const displaced = state.order[place];
  state.order[place] = member;
  if (displaced) state.order.push(displaced);
  if (isNews) broadcast(turn, member.name, aliveMessage(member));
  memberChanged(turn, 'joined', member);
}

function copyOf(about: About): Pick<Member, 'address' | 'metadata' | 'versions' | 'incarnation'> {
  const { address, metadata, versions, incarnation } = about;
  return { address, metadata, versions, incarnation };
}

function reviveMember(turn: Turn, member: Member, about: About): void {
  const { state, nowMs } = turn;
  const before = member.state;
  const isUpdated = !sameBytes(member.metadata, about.metadata) || !sameAddress(member.address, about.address);
  state.suspicions.delete(member.name);
  Object.assign(member, copyOf(about));
  if (before !== 'alive') {
    member.state = 'alive';
    member.changedMs = nowMs;
  }
  broadcast(turn, member.name, aliveMessage(member));
  if (before === 'dead' || before === 'left') memberChanged(turn, 'joined', member);
  else if (before === 'suspect') memberChanged(turn, 'recovered', member);
  if (isUpdated && (before === 'alive' || before === 'suspect')) memberChanged(turn, 'updated', member);
}

/**
 * Someone says that we are alive: as we know, or as we were before a restart; or it is another node with our name. That one is
 * not refuted: were it alive, both would raise their incarnations for ever. If it was us, others will find it dead.
 */
function learnOfOurselves(turn: Turn, about: About): void {
  const { state } = turn;
  const { self } = state;
  if (state.isLeaving) return;
  if (!sameAddress(self.address, about.address)) {
    notice(turn, 'own-name-taken', {
      member: self.name,
      own: addressText(networkAddressOf(self.address)),
      other: addressText(networkAddressOf(about.address)),
      remedy: oneNameEach,
    });
    return;
  }
  if (about.incarnation < self.incarnation) return;
  const isSame = sameBytes(about.metadata, self.metadata) && sameBytes(about.versions, self.versions);
  if (about.incarnation > self.incarnation || !isSame) refute(turn, about.incarnation);
}

export function learnSuspect(turn: Turn, accusation: Omit<Accusation, 'kind'>): void {
  const { state, nowMs } = turn;
  const member = state.members.get(accusation.node);
  if (!member || accusation.incarnation < member.incarnation) return;
  const message = { kind: 'suspect', ...onlyAccusation(accusation) } as const;
  const suspicion = state.suspicions.get(member.name);
  if (suspicion) {
    // Confirmations of others are passed on too, so that all count the same.
    if (confirmSuspicion(suspicion, accusation.from)) broadcast(turn, member.name, message);
    return;
  }
  if (member.state !== 'alive') return;
  if (member === state.self) {
    notice(turn, 'suspicion-refuted', { from: accusation.from, incarnation: accusation.incarnation });
    refute(turn, accusation.incarnation);
    return;
  }
  broadcast(turn, member.name, message);
  member.incarnation = accusation.incarnation;
  member.state = 'suspect';
  member.changedMs = nowMs;
  const started = startSuspicion(state.timing, state.members.size, member.incarnation, accusation.from, nowMs);
  state.suspicions.set(member.name, started);
  memberChanged(turn, 'suspected', member);
}

export function learnDead(turn: Turn, accusation: Omit<Accusation, 'kind'>): void {
  const { state, nowMs } = turn;
  const member = state.members.get(accusation.node);
  if (!member || accusation.incarnation < member.incarnation || isGone(member)) return;
  if (member === state.self && !state.isLeaving) {
    notice(turn, 'death-refuted', { from: accusation.from, incarnation: accusation.incarnation });
    refute(turn, accusation.incarnation);
    return;
  }
  state.suspicions.delete(member.name);
  broadcast(turn, member.name, { kind: 'dead', ...onlyAccusation(accusation) });
  member.incarnation = accusation.incarnation;
  // Nobody but a member itself can say that it left.
  member.state = accusation.from === member.name ? 'left' : 'dead';
  member.changedMs = nowMs;
  if (member.state === 'dead') rememberAddress(turn, member);
  memberChanged(turn, member.state === 'dead' ? 'died' : 'left', member);
}

function onlyAccusation({ incarnation, node, from }: Omit<Accusation, 'kind'>): Omit<Accusation, 'kind'> {
  return { incarnation, node, from };
}

/** The dead may be cut off and come back by themselves: their address is tried now and then. */
function rememberAddress({ state, nowMs }: Turn, member: Member): void {
  const address = networkAddressOf(member.address);
  if (state.deadAddresses.size < addressesMax) {
    state.deadAddresses.set(addressText(address), { address, sinceMs: nowMs });
  }
}

/** Merges what a peer knows. Its dead are suspects to us: we may know better, and they may refute. */
export function mergeReports(turn: Turn, reports: readonly NodeReport[]): void {
  const { self } = turn.state;
  // What a newcomer hears first the cluster has long known: a thousand such messages would hold up the news of who comes next.
  const isNews = knowsOthers(turn.state);
  for (const report of reports) {
    const { node, incarnation } = report;
    const state = nodeStateNames[report.state];
    if (state === 'alive') learnAlive(turn, report, isNews);
    else if (state === 'left') learnDead(turn, { incarnation, node, from: node });
    else learnSuspect(turn, { incarnation, node, from: self.name });
  }
}
