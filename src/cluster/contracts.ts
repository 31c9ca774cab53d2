// The seams of the cluster: what replication needs of a node's own storage (LocalStore) and of the connections between nodes
// (PeerLinks). The protocols know no disk and no socket, so that the simulator runs the very same code over models of both.
//
// Vocabulary (docs/cluster.md): a *partition* is a series' fingerprint modulo 65,536; a *window* an aligned 2 h; a *pair* one
// partition in one window; a *store* a data directory with its random id; a *node* a name.
import { hourMs } from '../base/index.ts';

/** A node's name: unique in the cluster, kept for ever. */
export type NodeName = string;

/** The random id of a data directory: 32 hexadecimal digits. A wiped, copied or rolled-back directory takes a new one. */
export type StoreId = string;

/** Hash of a record, or of the part of it on which reads and confirmations depend: 32 hexadecimal digits. */
export type RecordHash = string;

export const windowMs = 2 * hourMs;
export const partitionsMax = 65_536;

/** A pair in one number: window number × 65,536 + partition. Exact for all timestamps that Prometheus can write as dates. */
export type PairKey = number;

export const pairKey = (partition: number, windowStartMs: number): PairKey =>
  Math.floor(windowStartMs / windowMs) * partitionsMax + partition;
export const windowStartOf = (timestampMs: number): number => Math.floor(timestampMs / windowMs) * windowMs;
export const pairPartition = (pair: PairKey): number => pair - Math.floor(pair / partitionsMax) * partitionsMax;
/** Whether a pair is of the window whose partition 0 is the pair `firstOfWindow`. */
export const isOfWindow = (pair: PairKey, firstOfWindow: PairKey): boolean =>
  pair >= firstOfWindow && pair < firstOfWindow + partitionsMax;
export const pairWindowStartMs = (pair: PairKey): number => Math.floor(pair / partitionsMax) * windowMs;

/** What is compared, pushed or pulled at once: one window of a partition, or (undefined) all its windows. */
export interface Scope {
  readonly partition: number;
  readonly windowStartMs: number | undefined;
}

/** A closed range of the first 32 bits (big-endian bytes 2 to 5) of the fingerprints of one partition. */
export interface FingerprintRange {
  readonly first: number;
  readonly last: number;
}

export const allFingerprints: FingerprintRange = { first: 0, last: 0xffff_ffff };

/**
 * What digests are made of and what is sent: these fingerprints of some partitions (ascending, at most `digestsMax`), in the
 * windows from `startMs` to before `endMs`, both at the bounds of windows or infinite.
 */
export interface Extent {
  readonly partitions: Uint32Array;
  readonly startMs: number;
  readonly endMs: number;
  readonly range: FingerprintRange;
}

/** All that is held of some partitions. */
export function allOf(partitions: Iterable<number>): Extent {
  const always = { startMs: Number.NEGATIVE_INFINITY, endMs: Number.POSITIVE_INFINITY };
  return { partitions: Uint32Array.from(partitions), ...always, range: allFingerprints };
}

/** Count and sum modulo 2¹²⁸ of the hashes of a set of samples (docs/formats/digests.md). */
export interface Digest {
  readonly samplesCount: number;
  readonly sum: bigint;
}

/** Partitions of one question for digests. */
export const digestsMax = 1024;

export interface WindowDigest extends Digest {
  readonly windowStartMs: number;
}

/**
 * Samples as they travel. Series are named by the head references of the node that made the payload; the connection sends
 * the definitions that the other side has not had yet, and there maps references. `bytes` is the head kernel's sample record.
 */
export interface SamplesPayload {
  readonly samplesCount: number;
  /** What references mean changes with this number (a head instance was replaced): definitions are then sent anew. */
  readonly dictionary: number;
  /** The reference of each row of `bytes`: tells the connection which definitions are due; does not travel. */
  readonly seriesRefs: Uint32Array;
  /** Sum modulo 2⁶⁴, over the rows, of the first half of the series' fingerprint: a wrong mapping gives another sum. */
  readonly fingerprintSum: bigint;
  readonly bytes: Uint8Array;
}

/**
 * A payload as it arrives. `ownRefs[sender's reference]` is the receiver's (0xffffffff: unknown), under the receiver's
 * dictionary number that `register` gave; it lies in shared memory, so that the lane's thread gets it without a copy.
 */
export interface ReceivedSamples {
  readonly samplesCount: number;
  readonly dictionary: number;
  readonly ownRefs: Uint32Array;
  readonly fingerprintSum: bigint;
  /** In a buffer of the message's own, which storage may take away while it appends, and which is freed with the answer. */
  bytes: Uint8Array;
}

/** `written`: a client's, it marks its pairs, now and when the log is replayed. `copied`: moved between nodes. */
export type SampleOrigin = 'written' | 'copied';

/**
 * How requests are cut: partitions with the same owners go together, and the least of them stands for all. `own` and `others`
 * say, by node, which of those that stand for a group it owns: a bit each, little-endian.
 */
export interface WriteGroups {
  readonly groupOf: Uint16Array;
  readonly own: Uint8Array;
  readonly others: readonly Uint8Array[];
}

/** A client's request, decoded once by the coordinator, which alone judges validity. Holds buffers until `release`. */
export interface DecodedWrite {
  readonly samplesCount: number;
  /** Partitions of its valid samples, each once; where groups were set, those that stand for a group. */
  readonly partitions: Uint32Array;
  /** What was refused, as text for the 400; undefined where all is valid. */
  readonly rejection: string | undefined;
  /** The samples of these partitions for another node. */
  payloadFor(partitions: ReadonlySet<number>): Promise<SamplesPayload>;
  /** Appends the samples of these partitions to the own store; like `LocalStore.append` with origin `written`. */
  append(partitions: ReadonlySet<number>): Promise<Float64Array>;
  release(): void;
}

/** A delete: matching series lose what they have, or will be sent, in the closed range, for ever. */
export interface DeleteRequest {
  /** Unique; made by the node that took the request. */
  readonly id: string;
  /** Encoded matchers; opaque to the protocols. */
  readonly matchers: Uint8Array;
  readonly fromMs: number;
  readonly toMs: number;
}

/** A range of a read with the partitions that one node serves in it: bit p of the little-endian bitmap. */
export interface ReadSegment {
  readonly fromMs: number;
  readonly toMs: number;
  readonly partitions: Uint8Array;
}

/** What a query wants: opaque to the protocols but for its range. */
export interface Selection {
  readonly fromMs: number;
  readonly toMs: number;
  /** Encoded matchers and what is wanted of the matching series (samples, labels, values of a label). */
  readonly wanted: Uint8Array;
}

/** Durable things of the protocols, each replaced as a whole: written aside, synced, renamed. */
export type StateName = 'record' | 'marks' | 'lives';

/**
 * A node's own storage, as replication uses it. Everything that resolves is durable. Errors reject and change nothing that
 * was acknowledged; `STORE_FULL` and `STORE_BUSY` are refusals.
 */
export interface LocalStore {
  readonly id: StoreId;

  /** False while the log is replayed: a node then takes samples, but answers neither reads nor comparisons. */
  readonly isReady: boolean;
  /** Resolves once `isReady`, with the pairs whose samples the log held as `written`: they are to be marked. */
  ready(): Promise<Float64Array>;
  /** True while queues are over half: no hints are taken. */
  readonly isBusy: boolean;

  /** From now on requests are cut by these groups; what was decoded before keeps its own. */
  setGroups(groups: WriteGroups): void;
  decode(body: Uint8Array): Promise<DecodedWrite>;
  /**
   * Position in the log of the newest record that is synced: grows over the directory's life, restarts included, and is never
   * behind what an append that has resolved wrote.
   */
  readonly position: number;
  /** The same where the replay ended: what the directory held when this process began. */
  readonly recoveredPosition: number;
  /** Where the oldest window begins for which the node's limit in bytes leaves room; undefined or −∞ where all fits. */
  readonly sizeFloorMs?: number;
  /**
   * Asked before a damaged part is given up, and this store's id with it: whether other members have what it holds. Unset: they
   * have not.
   */
  mayAbandon?: (() => boolean) | undefined;
  /** Saves another id for this directory, and ends the process: its next start is that of a new store with what it holds. */
  abandon(reason: string): Promise<void>;
  /**
   * Appends and resolves when all of it is synced, what was there already included (a duplicate of a sample that is not yet
   * synced waits for that sync), with the pairs of all of it, each once. What a delete hides is left out. Throws
   * PEER_PAYLOAD where the bytes are damaged, PEER_DICTIONARY where references are unknown, of another dictionary, or miss
   * the sum: the connection is then closed, and the next one begins with new definitions. `samples` may be appended again, but
   * not after an error. The pairs are the caller's.
   */
  append(samples: ReceivedSamples, origin: SampleOrigin): Promise<Float64Array>;
  /** Definitions (reference, canonical labels, fingerprint) of own series, for a connection to send. */
  definitionsOf(dictionary: number, refs: Uint32Array): Promise<Uint8Array>;
  /** Registers definitions that arrived: the sender's references, the own ones, and the own dictionary's number. */
  register(definitions: Uint8Array): Promise<{ dictionary: number; senderRefs: Uint32Array; ownRefs: Uint32Array }>;

  /**
   * Digests of the merged and synced set, without what deletes hide, for each of the partitions: its windows, ascending, but for
   * those that hold nothing.
   */
  digests(extent: Extent): Promise<WindowDigest[][]>;
  /** One digest for each partition of an extent of all fingerprints. Cheap over long times, too. */
  digestsOf(partitions: Uint32Array, startMs: number, endMs: number): Promise<Digest[]>;
  /** The synced samples of an extent in payloads of a bounded size, several partitions in one. */
  scan(extent: Extent): AsyncIterable<SamplesPayload>;
  /** Partitions of which anything is held. */
  heldPartitions(): Promise<Uint32Array>;
  /**
   * Hides what the partition holds, at some time between the call and the end, and reclaims it later. Samples that arrive in
   * between may go too, those that arrive afterwards stay.
   */
  dropPartition(partition: number): Promise<void>;
  /**
   * Drops what lies before. Of several calls the last counts: what is left of what an earlier one hid is there again, but for what
   * `deletes` match, which are all that are in force.
   */
  dropBefore(horizonMs: number, deletes: readonly DeleteRequest[]): Promise<void>;
  /**
   * From now on, and after every restart, hides what these deletes match. All that are in force, not only new ones. None is taken
   * back: who does not name one may not have heard of it yet. They are forgotten with the last of what they hide (`dropBefore`).
   */
  applyDeletes(deletes: readonly DeleteRequest[]): Promise<void>;

  /**
   * Reads what is held of a selection in these segments, as frames (opaque, of a bounded size) to be merged by union with those of
   * others. All are of one state, taken after the call and before the first is given. `signal`: nobody wants them any more; a
   * frame that is being made then fails soon.
   */
  read(selection: Selection, segments: readonly ReadSegment[], signal?: AbortSignal): AsyncIterable<Uint8Array>;

  /** Replaces a durable state. Marks are also asked for (`onLogCut`) before log that implies them is cut. */
  saveState(name: StateName, bytes: Uint8Array): Promise<void>;
  loadState(name: StateName): Promise<Uint8Array | undefined>;
  /**
   * Called before log is cut; what it returns is saved as `marks` before that. Every append that the cut covers has resolved
   * a macrotask earlier, so that its marks are made.
   */
  onLogCut: (() => Uint8Array) | undefined;
}

/** What one node sends another: a request or a reply. `samples`, where there, travels with definitions as needed. */
export interface PeerFrame {
  /** Names the message in counters and decides its priority; see `messages.ts`. */
  readonly kind: MessageKind;
  readonly body: Uint8Array;
  readonly samples?: SamplesPayload | undefined;
}

/** A frame as it arrives. */
export interface ReceivedFrame {
  readonly kind: MessageKind;
  readonly body: Uint8Array;
  readonly samples?: ReceivedSamples | undefined;
}

/**
 * - `hello`: record exchange and small questions; never waits behind data
 * - `write`: a client's samples; `copy`: samples moved between nodes, paced
 * - `marks`, `compare`: questions answered from local state; `read`: data for queries
 */
export type MessageKind = 'hello' | 'write' | 'copy' | 'marks' | 'compare' | 'read';

/** For how long the work for a request of a peer is of use. */
export interface PeerWork {
  /** When the asker stops waiting, by the own monotonic clock. */
  readonly dueMs: number;
  /** Aborted when nobody waits any more: the asker has said so, its time is over, or its connection has ended. */
  readonly signal: AbortSignal;
}

/** Answers requests of peers. A rejection travels back as the requester's error, code kept. */
export type PeerHandler = (from: NodeName, frame: ReceivedFrame, work: PeerWork) => Promise<PeerFrame>;

/**
 * Connections to other nodes. A request is delivered at most once on a connection; what fails may or may not have been
 * done. Errors: PEER_UNREACHABLE, PEER_TIMEOUT, PEER_BUSY (refused, nothing done), PEER_CANCELLED, or what the peer threw.
 */
export interface PeerLinks {
  /** `signal`: nobody waits for the answer any more; the peer is told so. */
  request(to: NodeName, frame: PeerFrame, deadlineMs: number, signal?: AbortSignal): Promise<ReceivedFrame>;
  /** Set once, before the first request is taken. */
  onRequest: PeerHandler | undefined;
  /** Where a node listens: learnt from the record. Nodes that are no longer named are disconnected. */
  setAddresses(addresses: ReadonlyMap<NodeName, string>): void;
}
