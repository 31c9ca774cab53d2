// The metrics of a node in a cluster. What protocols, connections and gossip count as plain numbers gets its name here from
// the counter's own (`marksCleared` of repair is timbala_cluster_repair_marks_cleared_total; `…Ms` become seconds) and its
// help from the tables below: a counter without a line there does not compile.
import { secondMs } from '../../base/index.ts';
import type {
  ClusterCounters,
  ClusterStatus,
  GossipStatus,
  LinkState,
  PeerCountersByClass,
} from '../../cluster/index.ts';
import type { MetricFamily, MetricSample, MetricType } from './registry.ts';

/** What one node knows of its cluster at one moment. */
export interface ClusterCollected {
  /** Undefined until the node has found its cluster. */
  readonly status: ClusterStatus | undefined;
  readonly counters: ClusterCounters | undefined;
  readonly peers: PeerCountersByClass;
  readonly links: readonly LinkState[];
  /** Undefined where gossip did not answer. */
  readonly gossip: GossipStatus | undefined;
  readonly appendWaitingBytes: number;
  readonly appendsRefusedCount: number;
}

type Helps<Counted> = Readonly<Record<keyof Counted & string, string>>;

const writeHelps: Helps<ClusterCounters['write']> = {
  acknowledged: 'Writes of clients that a quorum had on disk.',
  unavailable: 'Writes of clients that were answered with 503: too few nodes had stored them in time.',
  hintsSent: 'Payloads sent to nodes that stand in for owners.',
  hintsRefused: 'Hints that this node did not take, being busy itself.',
};

const readHelps: Helps<ClusterCounters['read']> = {
  shared: 'Questions whether other nodes can aggregate for a query, each over what it alone serves.',
  notShared: 'Those of them that came to nothing, because too much is still marked.',
  plans: 'Plans of cluster reads; more than reads where one had to be made anew.',
  sources: 'Nodes that were read, over all plans.',
  warned: 'Plans that did without more stores than completeness allows: answered with a warning.',
  frames: 'Frames of other nodes that were read.',
  bytes: 'Bytes of these frames.',
  stale: 'Plans given up because something changed meanwhile or a node failed.',
  failedSources: 'Nodes that failed while they were read, and were done without.',
  served: 'Reads of other nodes that were answered.',
  refused: 'Reads of other nodes that were refused: too many wait.',
};

const repairHelps: Helps<ClusterCounters['repair']> = {
  comparisons: 'Pairs and partitions of which digests were held against an owner.',
  equal: 'Comparisons that found nothing to send.',
  refusedLeased: 'Comparisons refused because another node was just filling the partition.',
  disagreements: 'Partitions whose totals differed, and none of their windows: one of two nodes counts wrong.',
  marksCleared: 'Marks that all owners had confirmed.',
  audited: 'Partitions compared though nothing marked them.',
  auditsDiffering: 'Partitions that differed though nothing marked them.',
  hintSamplesSent: 'Samples that this node kept for others, handed to their owners.',
  hintSamplesReceived: 'Samples that others kept for this node, handed over.',
  hintBytesSent: 'Bytes of hints sent.',
  hintBytesReceived: 'Bytes of hints received.',
  repairSamplesSent: 'Samples sent because owners differed.',
  repairSamplesReceived: 'Samples received because owners differed.',
  repairBytesSent: 'Bytes sent because owners differed.',
  repairBytesReceived: 'Bytes received because owners differed.',
  handoverSamplesSent: 'Samples sent after a change of owners or of their stores.',
  handoverSamplesReceived: 'Samples received after a change of owners or of their stores.',
  handoverBytesSent: 'Bytes sent after a change of owners or of their stores.',
  handoverBytesReceived: 'Bytes received after a change of owners or of their stores.',
};

const dropHelps: Helps<ClusterCounters['drop']> = {
  partitionsDropped: 'Partitions given up after they were handed over.',
};

const peerHelps: Helps<PeerCountersByClass['control']> = {
  connectionsOpened: 'Connections on which both sides agreed.',
  connectionsEnded: 'Agreed connections that have ended.',
  connectionsFailed: 'Connections refused at the opening, by either side, or never answered.',
  framesSent: 'Frames sent.',
  bytesSent: 'Bytes sent.',
  framesReceived: 'Frames received.',
  bytesReceived: 'Bytes received.',
  requestsSent: 'Requests sent.',
  requestsReceived: 'Requests received.',
  requestsUnreachable: 'Own requests that failed at once: no connection, and none to be tried now.',
  requestsTimedOut: 'Own requests that were not answered in time.',
  requestsCancelled: 'Own requests that nobody waited for any more.',
  requestsHeldBack: 'Own requests not sent: the queue was full, or credit did not come in time.',
  failuresReceived: 'Failures that peers answered with.',
  busyReceived: 'Of these, refusals of busy peers.',
  failuresSent: 'Failures answered to peers.',
  requestsRefused: 'Requests of peers refused: too many in hand.',
  requestsLate: 'Requests of peers whose time was over before their turn came.',
  requestsDelayed: 'Requests of peers that waited for their turn: many at a time, or answers that were not taken.',
  requestsAbandoned: 'Requests of peers given up because nobody waited for the answer.',
  samplesSent: 'Samples sent.',
  samplesReceived: 'Samples received.',
  dictionariesRestarted: 'Times that a peer numbered its series anew, and all definitions were sent to it again.',
  definitionsBytesSent: 'Bytes of series definitions sent.',
  definitionsBytesReceived: 'Bytes of series definitions received.',
  creditWaits: 'Messages that waited for credit.',
  creditWaitMs: 'Time that messages waited for credit.',
};

const gossipHelps: Helps<GossipStatus['counters']> = {
  packetsSent: 'Datagrams sent.',
  packetBytesSent: 'Bytes of datagrams sent.',
  packetsReceived: 'Datagrams received.',
  packetBytesReceived: 'Bytes of datagrams received.',
  packetsRefused: 'Datagrams that were not understood or not allowed.',
  streamsOpened: 'Streams opened.',
  streamsAccepted: 'Streams accepted.',
  streamsRefused: 'Streams that were not understood or not allowed.',
  streamBytesSent: 'Bytes sent on streams.',
  suspicions: 'Times that a member was suspected to be dead.',
  deaths: 'Times that a member was found dead.',
  refutations: 'Times that others suspected this node, and were told otherwise.',
  pauses: 'Times that this node was stopped or its machine overloaded for a second or more.',
  datagramsLost: 'Probes that came through over TCP only: UDP is lost or blocked.',
  nameConflicts: 'Messages about another node under a name that is taken.',
};

type Counters = Readonly<Record<string, number>>;

/** A family for each counter that has a help, with a sample of each set. */
function counterFamilies(
  prefix: string,
  helps: Readonly<Record<string, string>>,
  sets: readonly { readonly labels: readonly string[]; readonly counters: Counters }[],
): MetricFamily[] {
  return Object.entries(helps).map(([key, help]) => {
    const isTime = key.endsWith('Ms');
    const words = (isTime ? `${key.slice(0, -2)}Seconds` : key).replace(
      /[A-Z]/g,
      (letter) => `_${letter.toLowerCase()}`,
    );
    const samples = sets.map(({ labels, counters }) => {
      const value = counters[key] ?? 0;
      return { suffix: '', labels, value: isTime ? value / secondMs : value };
    });
    return { name: `${prefix}_${words}_total`, type: 'counter', help, samples };
  });
}

const single = (labels: readonly string[], value: number): MetricSample => ({ suffix: '', labels, value });

function family(
  name: string,
  help: string,
  samples: readonly MetricSample[],
  type: MetricType = 'gauge',
): MetricFamily {
  return { name, type, help, samples };
}

export function clusterFamilies(collected: ClusterCollected): MetricFamily[] {
  const { status, counters, gossip, peers } = collected;
  const classes = Object.entries(peers).map(([name, each]) => ({ labels: ['class', name], counters: { ...each } }));
  return [
    family('timbala_cluster_joined', '1 when the node has found its cluster.', [
      single([], Number(status !== undefined)),
    ]),
    ...(status ? statusFamilies(status) : []),
    ...(counters ? protocolFamilies(counters) : []),
    ...counterFamilies('timbala_peer', peerHelps, classes),
    ...linkFamilies(collected),
    ...(gossip ? gossipFamilies(gossip) : []),
  ];
}

function protocolFamilies({ write, read, repair, drop }: ClusterCounters): MetricFamily[] {
  return [
    ...counterFamilies('timbala_cluster_writes', writeHelps, [{ labels: [], counters: { ...write } }]),
    ...counterFamilies('timbala_cluster_read', readHelps, [{ labels: [], counters: { ...read } }]),
    ...counterFamilies('timbala_cluster_repair', repairHelps, [{ labels: [], counters: { ...repair } }]),
    ...counterFamilies('timbala_cluster', dropHelps, [{ labels: [], counters: { ...drop } }]),
  ];
}

function statusFamilies(status: ClusterStatus): MetricFamily[] {
  const { members, losses, marks, partitions, waitingFor } = status;
  const states = ['joining', 'active', 'leaving', 'left', 'removed'] as const;
  const inState = states.map((state) =>
    single(['state', state], members.filter((each) => each.state === state).length),
  );
  const isPresent = ({ state }: { state: string }): boolean => state !== 'left' && state !== 'removed';
  const deadCount = members.filter((member) => isPresent(member) && member.isAlive === false).length;
  return [
    family('timbala_cluster_info', 'Always 1; cluster, node and store are labels.', [
      single(['cluster_id', status.clusterId, 'node', status.name, 'store', status.store], 1),
    ]),
    family('timbala_cluster_active', '1 when this node is an active member.', [
      single([], Number(status.state === 'active')),
    ]),
    family('timbala_cluster_members', 'Nodes in the record, by state.', inState),
    family('timbala_cluster_members_dead', 'Members that gossip believes dead.', [single([], deadCount)]),
    family('timbala_cluster_losses', 'Stores that were lost and not made up for yet.', [
      single([], losses.filter(({ isHealed }) => !isHealed).length),
    ]),
    family('timbala_cluster_deletes', 'Deletes in force.', [single([], status.deletesCount)]),
    family('timbala_cluster_retention_seconds', 'Retention of the record; 0: for ever.', [
      single([], status.retentionMs / secondMs),
    ]),
    family('timbala_cluster_marks', 'What this node may hold and some owner lack.', [
      single(['kind', 'pair'], marks.pairsCount),
      single(['kind', 'partition'], marks.partitionsCount),
    ]),
    family('timbala_cluster_marks_due', 'Of these, what can be compared now: the backlog.', [
      single([], marks.dueCount),
    ]),
    family(
      'timbala_cluster_marks_waiting',
      'Marks of this node that wait for an owner to confirm.',
      waitingFor.map(({ name, marksCount }) => single(['owner', name], marksCount)),
    ),
    family('timbala_cluster_partitions', 'Partitions that this node owns, holds, and holds for others.', [
      single(['kind', 'owned'], partitions.owned),
      single(['kind', 'held'], partitions.held),
      single(['kind', 'foreign'], partitions.foreign),
    ]),
  ];
}

function linkFamilies({ links, appendWaitingBytes, appendsRefusedCount }: ClusterCollected): MetricFamily[] {
  const perLink = (value: (link: LinkState) => number): MetricSample[] =>
    links.map((link) => single(['peer', link.node, 'class', link.connectionClass], value(link)));
  return [
    family(
      'timbala_peer_connected',
      '1 while a connection to the peer is open.',
      perLink(({ isOpen }) => Number(isOpen)),
    ),
    family(
      'timbala_peer_queued_bytes',
      'Bytes that wait to be sent to the peer.',
      perLink(({ queuedBytes }) => queuedBytes),
    ),
    family(
      'timbala_peer_requests_waiting',
      'Requests that the peer has not answered.',
      perLink((link) => link.requestsWaiting),
    ),
    family('timbala_peer_append_waiting_bytes', 'Samples of peers that wait for the disk.', [
      single([], appendWaitingBytes),
    ]),
    family(
      'timbala_peer_appends_refused_total',
      'Samples of peers refused because too many waited for the disk: payloads.',
      [single([], appendsRefusedCount)],
      'counter',
    ),
  ];
}

function gossipFamilies({ counters, members, awareness, newsWaitingCount }: GossipStatus): MetricFamily[] {
  return [
    ...counterFamilies('timbala_gossip', gossipHelps, [{ labels: [], counters: { ...counters } }]),
    family(
      'timbala_gossip_members',
      'Nodes that gossip knows, by state, this one included.',
      Object.entries(members).map(([state, count]) => single(['state', state], count)),
    ),
    family('timbala_gossip_awareness', '0: others hear this node in time; higher: they may not.', [
      single([], awareness),
    ]),
    family('timbala_gossip_news_waiting', 'Members about whom there is news to pass on.', [
      single([], newsWaitingCount),
    ]),
  ];
}
