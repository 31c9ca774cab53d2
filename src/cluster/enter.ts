// How a node comes by the record that it starts with: its own, the one of a cluster that it joins, or of one that it founds.
//
// - Of nodes that start together, the one with the least store id founds the cluster that the others join (not the first by
//   address: operators may name a node differently on each other one); but only when every one of them says that it is of
//   none, and gives it leave (candidacy.ts). Silence says nothing: a wiped node that is cut off would found a second cluster.
//   Whom those look for is asked as well, and so on: each may have been told of others only.
// - A directory whose record knows another store under its name has become another store (it was copied, set back, or has lost
//   records). It joins anew, with what it holds, and takes the name over; the store that it was is a loss. But a store that
//   the record knows as lost stays out: it only hands over what it holds.
// - Where all are such directories there is nobody to join: the first of them goes on with the cluster, by the rules of founding.
import { errorMessage, TimbalaError } from '../base/index.ts';
import { Candidacy } from './candidacy.ts';
import type { LocalStore, NodeName, PeerLinks } from './contracts.ts';
import { decisions } from './decisions.ts';
import { answerWithoutCluster, introduce, type Introduction } from './introduction.ts';
import type { ClusterNodeOptions, ClusterPorts } from './options.ts';
import { acksAlone, ClusterRecord, type Member, soleActive } from './record/index.ts';
import type { ClusterTiming } from './timing.ts';

/**
 * The name that a directory's record has for its store: an address may change, the name stays. Where the record does not know
 * the store, the name of whoever was at this address. Undefined: neither is known.
 */
export async function nameOfStore(
  store: Pick<LocalStore, 'id' | 'loadState'>,
  address?: string,
): Promise<NodeName | undefined> {
  const saved = await store.loadState('record');
  const entries = saved ? ClusterRecord.decode(saved).entries : [];
  const known = entries.find((member) => member.store === store.id);
  const wasHere = entries.filter((member) => member.address === address);
  const isGone = ({ state }: Member): boolean => state === 'left' || state === 'removed';
  return (known ?? wasHere.find((member) => !isGone(member)) ?? wasHere[0])?.name;
}

/** Saved before it is given. Throws CLUSTER_NOT_FOUND: to be tried again. */
export async function recordAtStart(
  options: ClusterNodeOptions,
  ports: ClusterPorts,
  timing: ClusterTiming,
): Promise<ClusterRecord> {
  const { store, log } = ports;
  const saved = await store.loadState('record');
  const own = saved && ClusterRecord.decode(saved);
  if (own && isKnown(own, options.name, store.id)) {
    const other = await otherCluster(own, options, ports, timing);
    if (!other) return readdressed(own, options, store);
    const holdsNothing = await isEmptyStore(store);
    const isEmpty = holdsNothing && own.entries.length === 1;
    if (!isEmpty) {
      log.error('cluster-other', {
        reason: `a peer is of cluster ${other.clusterId}, this node of ${own.clusterId}: they stay apart`,
        remedy: 'take the peer out of --peers; or, to join its cluster, start with an empty data directory',
      });
      return readdressed(own, options, store);
    }
    log.info('cluster-yielded', { from: own.clusterId, to: other.clusterId });
    return save(store, joined(other, options, store.id, holdsNothing));
  }
  return save(store, await enter(own, await isEmptyStore(store), options, ports, timing));
}

async function isEmptyStore(store: LocalStore): Promise<boolean> {
  // What the log holds is known only then.
  await store.ready();
  return (await store.heldPartitions()).length === 0;
}

async function save(store: LocalStore, record: ClusterRecord): Promise<ClusterRecord> {
  await store.saveState('record', record.encode());
  return record;
}

/** Name, zone and weight are settled at joining; where the node listens is not. */
async function readdressed(
  own: ClusterRecord,
  { name, address }: ClusterNodeOptions,
  store: LocalStore,
): Promise<ClusterRecord> {
  const self = own.member(name);
  if (self?.store !== store.id || self.address === address) return own;
  return save(store, own.withOwn(name, { address }));
}

function isKnown(record: ClusterRecord, name: NodeName, store: string): boolean {
  return record.member(name)?.store === store || record.losses.includes(store);
}

/** The record of a peer that the own record does not know, where that is of another cluster. */
async function otherCluster(
  own: ClusterRecord,
  { peers, address }: ClusterNodeOptions,
  { links }: ClusterPorts,
  timing: ClusterTiming,
): Promise<ClusterRecord | undefined> {
  const unknown = peers.filter((peer) => peer !== address && !own.entries.some((member) => member.address === peer));
  links.setAddresses(new Map(unknown.map((peer) => [peer, peer])));
  for (const peer of unknown) {
    const { record } = await introduce(links, peer, timing.askDeadlineMs).catch(() => ({ record: undefined }));
    if (record && record.clusterId !== own.clusterId) return record;
  }
  return undefined;
}

/** Of all the nodes that are asked before one founds a cluster. */
const addressesMax = 1_000;

/** The record of a cluster with this node in it as `joining`, or of a new one. `own`: what it had as another store. */
async function enter(
  own: ClusterRecord | undefined,
  holdsNothing: boolean,
  options: ClusterNodeOptions,
  ports: ClusterPorts,
  timing: ClusterTiming,
): Promise<ClusterRecord> {
  const { address, peers, name } = options;
  const { links, store, log } = ports;
  const known = (own?.members ?? []).filter((member) => member.name !== name).map((member) => member.address);
  // Alone before, it has nobody to join, and nobody has what it lost.
  if (own && known.length === 0) return continued(own, options, store.id);
  const candidacy = candidacyOf(options, ports);
  candidacy.reopen();
  answerWithoutCluster(links, store.id, (claimant) => ({
    isRefusing: claimant ? !candidacy.allows(claimant) : candidacy.isDecided,
    acquaintances: [...new Set([...known, ...peers, ...candidacy.claimants])],
    formerCluster: own?.clusterId,
  }));
  const heard = await askAround([...known, ...peers, ...candidacy.claimants], options, ports, timing);
  const { clusterId } = own ?? heard.members[0]?.record ?? {};
  const [record, ...more] = heard.members.map((member) => member.record).filter((each) => each.clusterId === clusterId);
  if (record) {
    candidacy.decide();
    // Each may have been away, and know of an older entry under this name than others do; or have been set back, like this one.
    const merged = [...more, own ?? record].reduce((all, each) => all.merge(each), record);
    return joined(merged, options, store.id, holdsNothing);
  }
  const failures = [
    ...heard.failures,
    ...heard.members.map(({ peer, record: theirs }) => `${peer} is of cluster ${theirs.clusterId}, not ${clusterId}`),
    ...heard.withoutCluster.map(({ peer }) => `${peer} is of none`),
  ];
  // Where some have been of a cluster they go on with it, and nobody founds another.
  const former = heard.withoutCluster.filter(({ formerCluster }) => formerCluster !== undefined);
  const isOneCluster = former.every(({ formerCluster }) => formerCluster === own?.clusterId);
  // The own store id comes from an address under which this node did not know itself.
  const isFirst = (own ? former : heard.withoutCluster).every(({ store: theirs }) => store.id <= theirs);
  const areAllAsked = candidacy.claimants.every((claimant) => claimant === address || heard.asked.has(claimant));
  if (isOneCluster && heard.withoutCluster.length === heard.asked.size && areAllAsked && isFirst) {
    const askAll = async (): Promise<boolean> => {
      const asked = [...heard.asked].map((peer) =>
        introduce(links, peer, timing.askDeadlineMs, { store: store.id, address }),
      );
      const answers = await Promise.allSettled(asked);
      return answers.every((answer) => answer.status === 'fulfilled' && answer.value.record === undefined);
    };
    if (await candidacy.claim(askAll)) {
      if (!own) return founded(options, ports);
      log.warn('cluster-continued', {
        clusterId,
        reason: 'all members that this directory knows of are other stores now, copies like this one',
      });
      return joined(own, options, store.id, holdsNothing, 'active');
    }
    failures.push('not all of them leave it to this node to found one');
  }
  throw new TimbalaError('CLUSTER_NOT_FOUND', `no peer knows a cluster to join (${failures.join('; ')}); trying again`);
}

interface Nobody extends Pick<Introduction, 'store' | 'formerCluster'> {
  readonly peer: string;
}

interface Heard {
  /** Their addresses. */
  readonly asked: ReadonlySet<string>;
  readonly members: readonly { readonly peer: string; readonly record: ClusterRecord }[];
  readonly withoutCluster: readonly Nobody[];
  readonly failures: readonly string[];
}

/** Asks all of these addresses who is there, and whom those look for as well, until nobody names another one. */
async function askAround(
  first: readonly string[],
  { address }: ClusterNodeOptions,
  { links }: ClusterPorts,
  timing: ClusterTiming,
): Promise<Heard> {
  const asked = new Set<string>();
  const members: { peer: string; record: ClusterRecord }[] = [];
  const withoutCluster: Nobody[] = [];
  const failures: string[] = [];
  for (let next = first; ;) {
    const peers = [...new Set(next)].filter((peer) => peer !== address && !asked.has(peer));
    if (peers.length === 0 || members.length > 0) return { asked, members, withoutCluster, failures };
    if (asked.size + peers.length > addressesMax) {
      throw new TimbalaError('CLUSTER_NOT_FOUND', `more than ${addressesMax} addresses to look at; shorten --peers`);
    }
    for (const peer of peers) asked.add(peer);
    // Their names are in the record that they will give.
    links.setAddresses(new Map([...asked].map((peer) => [peer, peer])));
    const answers = await Promise.allSettled(peers.map((peer) => introduce(links, peer, timing.askDeadlineMs)));
    const found: string[] = [];
    for (const [index, answer] of answers.entries()) {
      const peer = peers[index] ?? '';
      if (answer.status === 'rejected') {
        failures.push(errorMessage(answer.reason));
        continue;
      }
      const { record, acquaintances, store, formerCluster } = answer.value;
      if (record) members.push({ peer, record });
      else withoutCluster.push({ peer, store, formerCluster });
      found.push(...acquaintances);
    }
    next = found;
  }
}

/** By connections: those of one start, whose attempts share what they have allowed others. */
const candidacies = new WeakMap<PeerLinks, Candidacy>();

function candidacyOf(options: ClusterNodeOptions, { links, store, clock }: ClusterPorts): Candidacy {
  const candidacy = candidacies.get(links) ?? new Candidacy(store.id, clock, options.decisions ?? decisions);
  candidacies.set(links, candidacy);
  return candidacy;
}

function founded(options: ClusterNodeOptions, ports: ClusterPorts): ClusterRecord {
  const id = new Uint8Array(16);
  ports.random.fill(id);
  const clusterId = Array.from(id, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return ClusterRecord.empty(clusterId).with({
    ...ownEntry(options, ports.store.id),
    state: 'active',
    // With peers it acknowledges nothing before another is active.
    alone: options.peers.length === 0 ? acksAlone : soleActive,
  });
}

function continued(own: ClusterRecord, options: ClusterNodeOptions, store: string): ClusterRecord {
  const previous = own.member(options.name);
  const losses = [...new Set([...(previous?.losses ?? []), ...(previous ? [previous.store] : [])])].sort();
  return own.with({
    ...ownEntry(options, store),
    state: 'active',
    version: (previous?.version ?? 0) + 1,
    alone: previous?.alone === acksAlone ? acksAlone : soleActive,
    losses,
    cleared: [...new Set([...own.losses, ...losses])].sort(),
  });
}

function joined(
  record: ClusterRecord,
  options: ClusterNodeOptions,
  store: string,
  holdsNothing: boolean,
  state: 'joining' | 'active' = 'joining',
): ClusterRecord {
  const previous = record.member(options.name);
  const lost = previous && previous.state !== 'left' ? [previous.store] : [];
  const losses = [...new Set([...(previous?.losses ?? []), ...lost])].sort();
  return record.with({
    ...ownEntry(options, store),
    state,
    version: (previous?.version ?? 0) + 1,
    losses,
    // Who holds nothing has nothing to say about what was lost before it came.
    cleared: holdsNothing ? [...new Set([...record.losses, ...lost])].sort() : [],
  });
}

function ownEntry(options: ClusterNodeOptions, store: string): Member {
  const { name, address, zone, weight } = options;
  return {
    name,
    store,
    state: 'joining',
    version: 1,
    address,
    zone,
    weight,
    format: 1,
    alone: 0,
    floorMs: 0,
    losses: [],
    cleared: [],
    rest: new Uint8Array(0),
  };
}
