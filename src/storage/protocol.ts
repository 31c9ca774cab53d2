// What the storage actors call on each other, over base/rpc.ts. The three ends are compiled together: nothing here is
// stable between versions, and nothing of it reaches the disk.
import type { Handlers, Transferred } from '../base/index.ts';
import type { SamplesForPeer } from './contracts.ts';
import type { PartEntry, PartitionDrop, Tombstone } from './manifest/manifest-edit.ts';

/** The handlers that serve `Methods`: results may be promised, or handed over with their buffers. */
export type Served<Methods extends Handlers> = {
  readonly [Name in keyof Methods]: (
    argument: Parameters<Methods[Name]>[0],
  ) =>
    | ReturnType<Methods[Name]>
    | Promise<Awaited<ReturnType<Methods[Name]>>>
    | Promise<Transferred<Awaited<ReturnType<Methods[Name]>>>>
    | Transferred<Awaited<ReturnType<Methods[Name]>>>;
};

/** What is deleted, and since when: what a lane refuses and readers clip. */
export interface Policy {
  /** Samples older than this are past retention by time. */
  readonly retentionMs: number;
  /** Retention by size has removed everything before. */
  readonly sizeHorizonMs: number;
  readonly tombstones: readonly Tombstone[];
}

/** One version of the part catalog. Parts that a reader's version names stay until the reader has left that version. */
export interface Catalog extends Policy {
  readonly version: number;
  readonly parts: readonly PartEntry[];
  readonly drops: readonly PartitionDrop[];
}

/** A head's memory, posted once to each thread that reads it. */
export interface HeadHandle {
  readonly headId: number;
  readonly memory: WebAssembly.Memory;
}

export interface GenerationView {
  readonly generation: number;
  readonly headId: number;
  readonly slot: number;
  /** Still written to: read by `copy`, not in place. */
  readonly active: boolean;
  /** Over its samples; NaN where it has none. */
  readonly minMs: number;
  readonly maxMs: number;
  /** When the snapshot was taken, all of them findable. */
  readonly seriesCount: number;
}

/** The generations of a lane, pinned until the snapshot is released. */
export interface HeadSnapshot {
  readonly snapshotId: number;
  readonly generations: readonly GenerationView[];
  /** Heads that the reader did not name as known. */
  readonly heads: readonly HeadHandle[];
  readonly liveHeadIds: readonly number[];
  /** Generations that are not listed are in this version of the catalog; an older one would miss them. */
  readonly catalogVersionMin: number;
}

export interface FlushRequest {
  readonly lane: number;
  /** All generations up to this one are in parts when the flush is done... */
  readonly generation: number;
  /** ...unless more of it follows in another slot: then the log must stay. */
  readonly final: boolean;
  readonly head: HeadHandle;
  readonly slot: number;
}

/** Served by the keeper to a lane. */
export type KeeperForLane = {
  readonly hello: (argument: { lane: number }) => { flushedGeneration: number; policy: Policy };
  /** Resolves when the generation is in parts, by a committed edit of MANIFEST. */
  readonly flush: (request: FlushRequest) => Promise<{ catalogVersion: number }>;
  /** Hides partitions in all parts that there are; the lane has flushed what it held of them. Resolves when committed. */
  readonly drop: (argument: { partitions: Uint16Array }) => Promise<{ catalogVersion: number }>;
};

/** Served by a lane to the keeper. */
export type LaneForKeeper = {
  readonly policy: (policy: Policy) => void;
};

export interface CopyRequest {
  readonly snapshotId: number;
  readonly generation: number;
  readonly refs: Uint32Array<ArrayBuffer>;
  readonly startMs: number;
  readonly endMs: number;
}

/** Series that a reader found, to be sent to another node. */
export interface ScannedSeries {
  /** Series payload of docs/formats/log.md; the references in it mean nothing, the order is that of the rows. */
  readonly definitions: Uint8Array;
  readonly samplesEnd: Uint32Array;
  readonly timestampsMs: Float64Array;
  /** As bits. */
  readonly values: Float64Array<ArrayBuffer>;
}

/** Served by a lane to a reader. */
export type LaneForReader = {
  /** Fails with STORAGE_REPLAYING while the log of earlier runs is being read. */
  readonly snapshot: (argument: { knownHeadIds: readonly number[] }) => HeadSnapshot;
  /** A frame (HeadReader.openFrame) with the series' chunks of an active generation. */
  readonly copy: (request: CopyRequest) => Uint8Array<ArrayBuffer>;
  readonly release: (argument: { snapshotId: number }) => void;
  /** Resolves when everything that a snapshot taken before may show is on disk; fails with LOG_FAILED where it is not. */
  readonly sync: (argument: Record<string, never>) => Promise<void>;
  /** Encodes samples that the reader found, for another node. */
  readonly encode: (series: ScannedSeries) => SamplesForPeer;
};

/** Served by the keeper to a reader. */
export type KeeperForReader = {
  readonly hello: (argument: Record<string, never>) => Catalog;
  /** The reader uses no version before this one any more. */
  readonly inUse: (argument: { oldestVersion: number }) => void;
  /** Something of this part could not be read. */
  readonly suspect: (argument: { partId: number }) => void;
};

/** Served by a reader to the keeper. */
export type ReaderForKeeper = {
  readonly catalog: (catalog: Catalog) => void;
};
