// What gossip counts for metrics; plain numbers, added to where things happen.

/** What has gone over the wire since the start. */
export interface GossipCounters {
  packetsSent: number;
  packetBytesSent: number;
  packetsReceived: number;
  packetBytesReceived: number;
  packetsRefused: number;
  streamsOpened: number;
  streamsAccepted: number;
  streamsRefused: number;
  streamBytesSent: number;
  /** Of members: suspicions, and deaths, heard of or found. */
  suspicions: number;
  deaths: number;
  /** Others took this node for suspect or dead, and were told otherwise. */
  refutations: number;
  /** This node found its own timers late: it was stopped, or its machine overloaded. */
  pauses: number;
  /** A member answered over a stream, but its datagrams or ours were lost. */
  datagramsLost: number;
  /** Two nodes under one name, this one's among them. */
  nameConflicts: number;
}

export const createCounters = (): GossipCounters => ({
  packetsSent: 0,
  packetBytesSent: 0,
  packetsReceived: 0,
  packetBytesReceived: 0,
  packetsRefused: 0,
  streamsOpened: 0,
  streamsAccepted: 0,
  streamsRefused: 0,
  streamBytesSent: 0,
  suspicions: 0,
  deaths: 0,
  refutations: 0,
  pauses: 0,
  datagramsLost: 0,
  nameConflicts: 0,
});

/** Which notices are counted, and where. */
export const counterOfNotice: Readonly<Record<string, keyof GossipCounters>> = {
  'suspicion-refuted': 'refutations',
  'death-refuted': 'refutations',
  'gossip-paused': 'pauses',
  'member-datagrams-lost': 'datagramsLost',
  'member-address-conflict': 'nameConflicts',
  'own-name-taken': 'nameConflicts',
};
