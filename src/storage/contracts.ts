// What the storage engine's actors take from the server and answer it. Three actors, each a class without threads of
// its own: the lane (ingest, log, head) in the lane worker, the keeper (MANIFEST, parts) in the compactor worker, a reader in
// each query worker. They talk by base/rpc.ts over ports' channels. Whoever wires them creates one channel lane–keeper, and
// per reader one channel to the lane and one to the keeper.
import type { Labels } from '../model/index.ts';
import type { Clock, Disk, Log, Random } from '../ports/index.ts';

/** Compiled kernels (build/kernels/*.wasm), posted to the workers that use them. */
export interface KernelModules {
  readonly wire: WebAssembly.Module;
  readonly head: WebAssembly.Module;
  readonly pages: WebAssembly.Module;
}

/** What every actor is given. */
export interface StoragePorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly modules: KernelModules;
}

/** `written`: a client's, its pairs are marked, also when the log is replayed. `copied`: moved between the nodes of a cluster. */
export type SampleOrigin = 'written' | 'copied';

/** Part of a write that was refused; the rest of the request is stored. */
export interface WriteRejection {
  /** A stable code: 'OUT_OF_BOUNDS_OLD', 'OUT_OF_BOUNDS_FUTURE', 'LABELS_INVALID', 'HISTOGRAM_UNSUPPORTED', 'DELETED', … */
  readonly reason: string;
  /** Names an offending series and says why. */
  readonly text: string;
  readonly samplesCount: number;
}

/** A write that is durable. */
export interface WriteOutcome {
  /** Samples taken in, duplicates included. */
  readonly samplesCount: number;
  /** Of those, samples that were there already with the same bits. */
  readonly duplicatesCount: number;
  /** Not empty: answer 400 with the texts, everything else is stored. */
  readonly rejections: readonly WriteRejection[];
}

/** Damage found in a log or in MANIFEST, and what was done about it. */
export interface DamageReport {
  readonly file: string;
  readonly offset: number;
  /** 'torn-tail': an unacknowledged end was cut. 'corrupt': acknowledged data is lost. */
  readonly kind: 'torn-tail' | 'corrupt';
  readonly text: string;
}

/** What a lane recovered from its log. */
export interface ReplayReport {
  readonly segmentsCount: number;
  readonly seriesCount: number;
  readonly samplesCount: number;
  readonly sizeBytes: number;
  readonly durationMs: number;
  readonly damage: readonly DamageReport[];
}

/** Help of one metric family, from the metadata of write requests; kept in memory only. */
export interface MetricMetadata {
  readonly metric: string;
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

/** Figures of a lane, for /metrics. */
export interface LaneStatus {
  readonly seriesCount: number;
  readonly headSamplesCount: number;
  readonly headBytes: number;
  readonly headMinMs: number | undefined;
  readonly headMaxMs: number | undefined;
  readonly generation: number;
  readonly generationsCount: number;
  readonly logBytes: number;
  readonly pendingBytes: number;
  /** Requests of clients that are under way to other nodes, and what they take. */
  readonly keptCount: number;
  readonly keptBytes: number;
  readonly replaying: boolean;
  /** Totals since start. */
  readonly samplesTotal: number;
  readonly duplicatesTotal: number;
  readonly rejectedTotal: number;
  readonly requestsTotal: number;
  readonly busyTotal: number;
  readonly commitsTotal: number;
  readonly commitSeconds: number;
}

/** What a keeper tells and asks the protocols of a cluster. */
export interface KeeperListener {
  /** How far retention by size wishes to go: now, and after each change; −∞ where it has no wish. */
  sizeFloor(floorMs: number): void;
  /** Whether others have what this store holds, so that it may become another one without a damaged part. */
  mayAbandon(): boolean | Promise<boolean>;
}

/** Figures of the keeper, for /metrics and status. */
export interface KeeperStatus {
  readonly partsCount: number;
  readonly partsBytes: number;
  readonly partSamplesCount: number;
  readonly minMs: number | undefined;
  readonly maxMs: number | undefined;
  /** Samples before this are gone: by age, or because retention by size moved it. */
  readonly horizonMs: number;
  readonly flushesTotal: number;
  readonly compactionsTotal: number;
  readonly partsDeletedTotal: number;
  readonly tombstonesCount: number;
  /** Drops of partitions that some part still hides. */
  readonly dropsCount: number;
  /** Parts that were read through to look for damage, the bytes of that, and parts that were found damaged, since start. */
  readonly partsCheckedTotal: number;
  readonly bytesCheckedTotal: number;
  readonly partsDamagedTotal: number;
}

export interface CardinalityRow {
  readonly name: string;
  readonly value: number;
}

/** What /api/v1/status/tsdb shows, about the head. */
export interface TsdbStatus {
  readonly seriesCount: number;
  readonly samplesCount: number;
  readonly labelPairsCount: number;
  readonly minMs: number | undefined;
  readonly maxMs: number | undefined;
  readonly seriesCountByMetricName: readonly CardinalityRow[];
  readonly labelValueCountByLabelName: readonly CardinalityRow[];
  readonly memoryBytesByLabelName: readonly CardinalityRow[];
  readonly seriesCountByLabelPair: readonly CardinalityRow[];
}

/** Retention: whichever is reached first. */
export interface Retention {
  readonly timeMs: number;
  /** Of all parts together; undefined: no limit. */
  readonly sizeBytes?: number | undefined;
}

/** Series to delete within a time range, both ends inclusive. */
export interface DeleteRequest {
  readonly series: readonly Labels[];
  readonly startMs: number;
  readonly endMs: number;
}

/** A delete of the cluster's record: what the selectors (selectors.ts) match, both ends inclusive. */
export interface DeleteRuleRequest {
  readonly id: string;
  readonly selectors: Uint8Array;
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * How requests are cut. `groupOf`: by partition, one of the partitions with the same owners, which stands for all of them. The
 * groups that this node owns, and those of each other node that owns any, are bitmaps (bit g of 8,192 little-endian bytes).
 */
export interface WriteGroups {
  readonly groupOf: Uint16Array;
  readonly own: Uint8Array;
  readonly others: readonly Uint8Array[];
}

/** A write request that a coordinator decoded; the lane keeps its samples until they are released. */
export interface DecodedRequest {
  readonly writeId: number;
  /** Of its valid samples. */
  readonly samplesCount: number;
  /** Of its valid samples: each once. Partitions themselves where no groups were set. */
  readonly groups: Uint16Array<ArrayBuffer>;
  readonly rejections: readonly WriteRejection[];
  /** For the other owners; one for all that get the same. */
  readonly payloads: readonly GroupPayload[];
}

/** What an append, or the log of earlier runs, has on disk. */
export interface AppendedPairs {
  /** Window number × 65,536 + partition, each at least once. */
  readonly pairs: Float64Array<ArrayBuffer>;
  /**
   * Of the newest record on disk in the lane's log. Rises over the life of a directory, restarts included, so one that was
   * rolled back starts with less than what others were told.
   */
  readonly position: number;
}

/** The samples of some groups. */
export interface GroupPayload {
  readonly groups: Uint16Array;
  readonly samples: SamplesForPeer;
}

/** Samples for another node: a sample record (docs/formats/log-samples.md) and what its references need on the way. */
export interface SamplesForPeer {
  /** What references mean changes with this number: with the head instance. */
  readonly dictionary: number;
  readonly samplesCount: number;
  /** The reference of each row of `bytes`. */
  readonly seriesRefs: Uint32Array<ArrayBuffer>;
  /** Sum modulo 2⁶⁴, over the rows, of the first half of the series' fingerprint. */
  readonly fingerprintSum: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Samples from another node. `ownRefs[its reference]` is the lane's, under the lane's `dictionary`; unknown: 0xffffffff. */
export interface SamplesFromPeer {
  readonly dictionary: number;
  readonly samplesCount: number;
  readonly ownRefs: Uint32Array;
  readonly fingerprintSum: bigint;
  /** Lent to the lane's thread while it appends, and gone where that fails. */
  bytes: Uint8Array;
}

/** Series that another node defined: its references, the lane's, and what the lane's mean. */
export interface RegisteredSeries {
  readonly dictionary: number;
  readonly senderRefs: Uint32Array<ArrayBuffer>;
  readonly ownRefs: Uint32Array<ArrayBuffer>;
}
