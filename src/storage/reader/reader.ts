// A reader: what a query worker knows of the storage. Holds the newest part catalog (the keeper sends each version), the
// open parts, and readers of the lane's heads. Queries run in sessions (session.ts), each over one consistent snapshot.
import { LRUCache } from 'lru-cache';
import { mib, present, RpcPeer } from '../../base/index.ts';
import { encodeLabels, type Labels, type SampleBuffer } from '../../model/index.ts';
import type { Channel } from '../../ports/index.ts';
import { HeadReader, PagesKernel } from '../../wasm/index.ts';
import type { StoragePorts, TsdbStatus } from '../contracts.ts';
import { HeadIndex } from '../head/head-postings.ts';
import type { PartEntry } from '../manifest/manifest-edit.ts';
import { openPart, type Part, PartCaches, type PartCachesOptions, partitionOf } from '../part/index.ts';
import type { Catalog, HeadSnapshot, KeeperForReader, LaneForReader, ReaderForKeeper, Served } from '../protocol.ts';
import { Deletions } from './deletions.ts';
import { PartitionIndex } from './partition-index.ts';
import { SeriesListCache } from './series-list-cache.ts';
import { ReadSession } from './session.ts';
import { tsdbStatus } from './tsdb-status.ts';

export interface ReaderOptions extends StoragePorts {
  readonly lane: Channel;
  readonly keeper: Channel;
  readonly caches?: PartCachesOptions;
}

const partitionsBytesMax = 64 * mib;
/** Other work of the thread waits for so long at most. */
const sliceMs = 10;

export interface HeadView {
  readonly reader: HeadReader;
  readonly index: HeadIndex;
  readonly partitions: PartitionIndex;
}

export class Reader {
  readonly lane: RpcPeer<LaneForReader>;
  readonly lists = new SeriesListCache();
  readonly #options: ReaderOptions;
  readonly #kernel: PagesKernel;
  readonly #caches: PartCaches;
  readonly #heads = new Map<number, HeadView>();
  readonly #parts = new Map<number, Part>();
  readonly #keeper: RpcPeer<KeeperForReader>;
  /** Sessions per catalog version. */
  readonly #inUse = new Map<number, number>();
  #catalog: Catalog;
  #reportedVersion = 0;
  /** Parts that the keeper was told of. */
  readonly #suspects = new Set<number>();
  #breathedMs = 0;
  #waiting: { readonly version: number; resolve(): void }[] = [];
  #fingerprints = new WeakMap<Labels, Uint8Array>();
  readonly #deletions = new WeakMap<Catalog, Deletions>();
  /** By part id; ids are never used again. */
  readonly #partitionsOfParts = new LRUCache<number, PartitionIndex>({
    maxSize: partitionsBytesMax,
    sizeCalculation: (index) => index.sizeBytes,
  });

  static async open(options: ReaderOptions): Promise<Reader> {
    // A newer catalog may come before there is a reader to give it to.
    const received: { catalog?: Catalog; reader?: Reader } = {};
    const handlers: Served<ReaderForKeeper> = {
      catalog: (catalog) => {
        received.catalog = catalog;
        received.reader?.setCatalog(catalog);
      },
    };
    const keeper = new RpcPeer<KeeperForReader>(options.keeper, handlers);
    const first = await keeper.call('hello', {});
    received.reader = new Reader(options, keeper, received.catalog ?? first);
    return received.reader;
  }

  private constructor(options: ReaderOptions, keeper: RpcPeer<KeeperForReader>, catalog: Catalog) {
    this.#options = options;
    this.#keeper = keeper;
    this.#catalog = catalog;
    this.#kernel = new PagesKernel(options.modules.pages);
    this.#caches = new PartCaches({ ...options.caches, onCorrupt: (path) => this.#suspect(path) });
    this.lane = new RpcPeer<LaneForReader>(options.lane);
    this.#reportVersions();
  }

  /** A Queryable over one snapshot, taken at its first use. Close it when the query has ended: it pins what it reads. */
  openSession(): ReadSession {
    return new ReadSession(this, this.#options.clock);
  }

  /** Called by the keeper. */
  setCatalog(catalog: Catalog): void {
    if (catalog.version <= this.#catalog.version) return;
    this.#catalog = catalog;
    this.#reportVersions();
    const ready = this.#waiting.filter(({ version }) => version <= catalog.version);
    this.#waiting = this.#waiting.filter(({ version }) => version > catalog.version);
    for (const { resolve } of ready) resolve();
  }

  /** The newest catalog, not older than a version; it stays usable until `leaveCatalog`. */
  async enterCatalog(versionMin: number): Promise<Catalog> {
    if (this.#catalog.version < versionMin) {
      await new Promise<void>((resolve) => this.#waiting.push({ version: versionMin, resolve }));
    }
    const catalog = this.#catalog;
    this.#inUse.set(catalog.version, (this.#inUse.get(catalog.version) ?? 0) + 1);
    return catalog;
  }

  leaveCatalog({ version }: Catalog): void {
    const left = present(this.#inUse.get(version), 'sessions of the catalog version') - 1;
    if (left > 0) this.#inUse.set(version, left);
    else this.#inUse.delete(version);
    this.#reportVersions();
  }

  #reportVersions(): void {
    const oldestVersion = Math.min(this.#catalog.version, ...this.#inUse.keys());
    if (oldestVersion === this.#reportedVersion) return;
    this.#reportedVersion = oldestVersion;
    if (oldestVersion === this.#catalog.version) this.#closeGoneParts();
    this.#keeper.notify('inUse', { oldestVersion });
  }

  #closeGoneParts(): void {
    const named = new Set(this.#catalog.parts.map(({ id }) => id));
    for (const [id, part] of this.#parts) {
      if (named.has(id)) continue;
      part.close();
      this.#parts.delete(id);
    }
  }

  /** Throws PART_CORRUPT. */
  part(entry: PartEntry): Part {
    let part = this.#parts.get(entry.id);
    if (part) return part;
    const directory = `parts/${entry.id}`;
    try {
      part = openPart(this.#options.disk, directory, this.#kernel, this.#caches);
    } catch (error) {
      this.#suspect(`${directory}/`);
      throw error;
    }
    this.#parts.set(entry.id, part);
    return part;
  }

  /** Lets the keeper look at a part of which something could not be read. */
  #suspect(path: string): void {
    const id = Number(/^parts\/(\d+)\//.exec(path)?.[1]);
    if (this.#suspects.has(id)) return;
    this.#suspects.add(id);
    this.#keeper.notify('suspect', { partId: id });
  }

  get knownHeadIds(): number[] {
    return [...this.#heads.keys()];
  }

  /** Takes over the heads that a snapshot brings, and gives up those that are gone. */
  adoptHeads({ heads, liveHeadIds }: HeadSnapshot): void {
    for (const { headId, memory } of heads) {
      const reader = HeadReader.attach(this.#options.modules.head, memory);
      this.#heads.set(headId, { reader, index: new HeadIndex(reader), partitions: new PartitionIndex() });
    }
    for (const [headId, { reader }] of this.#heads) {
      if (liveHeadIds.includes(headId)) continue;
      reader.close();
      this.#heads.delete(headId);
    }
  }

  head(headId: number): HeadView {
    return present(this.#heads.get(headId), 'head of the snapshot');
  }

  /** What a version of the catalog deletes. */
  deletions(catalog: Catalog): Deletions {
    let deletions = this.#deletions.get(catalog);
    if (!deletions) {
      deletions = new Deletions(catalog);
      this.#deletions.set(catalog, deletions);
    }
    return deletions;
  }

  #fingerprint(labels: Labels): Uint8Array {
    let fingerprint = this.#fingerprints.get(labels);
    if (!fingerprint) {
      fingerprint = this.#kernel.fingerprint(encodeLabels(labels)).slice();
      this.#fingerprints.set(labels, fingerprint);
    }
    return fingerprint;
  }

  /** The 16 bytes of a series' fingerprint; cached with its labels. */
  fingerprint(labels: Labels): Uint8Array {
    return this.#fingerprint(labels);
  }

  /** The partition of a series; worked out once for its labels. */
  partitionOf(labels: Labels): number {
    return partitionOf(this.#fingerprint(labels));
  }

  /** Lets other work of the thread have its turn, if it has waited for long. */
  async breathe(): Promise<void> {
    const { clock } = this.#options;
    if (clock.monotonicMs() - this.#breathedMs < sliceMs) return;
    await new Promise<void>((resolve) => clock.setTimer(0, resolve));
    this.#breathedMs = clock.monotonicMs();
  }

  /** Digest of samples [from, to) of a series (docs/formats/digests.md). */
  digestOf(fingerprint: Uint8Array, samples: SampleBuffer, from: number, to: number): bigint {
    const { timestampsMs, values } = samples;
    return this.#kernel.digestOf(fingerprint, timestampsMs.subarray(from, to), values.subarray(from, to), to - from);
  }

  /** A part's positions in some partitions, ascending. */
  async positionsOf(entry: PartEntry, partitions: Uint32Array): Promise<Uint32Array> {
    const part = this.part(entry);
    return part.positionsOf(partitions) ?? (await this.#partitionsOf(entry, part)).members(partitions);
  }

  /** For a part that does not say it itself: all its labels are read, in slices. */
  async #partitionsOf(entry: PartEntry, part: Part): Promise<PartitionIndex> {
    let index = this.#partitionsOfParts.get(entry.id);
    if (index) return index;
    index = new PartitionIndex();
    const partitions = new Uint16Array(part.meta.seriesCount);
    for (let position = 0; position < partitions.length; position++) {
      partitions[position] = partitionOf(part.fingerprint(position));
      if (position % 1024 === 1023) await this.breathe();
    }
    index.append(partitions);
    this.#partitionsOfParts.set(entry.id, index);
    return index;
  }

  /** Which of a head's references lie in which partition. */
  partitionsOfHead(headId: number): PartitionIndex {
    const head = this.head(headId);
    const { partitions, reader } = head;
    const { seriesCount } = reader.stats();
    for (let first = partitions.count; first < seriesCount; first = partitions.count) {
      const count = Math.min(seriesCount - first, 1 << 16);
      partitions.append(reader.partitions(Uint32Array.from({ length: count }, (_, i) => first + i)));
    }
    return partitions;
  }

  /** Cardinalities of the head. */
  async tsdbStatus(limit: number): Promise<TsdbStatus> {
    const snapshot = await this.snapshot();
    try {
      const newest = Math.max(...snapshot.liveHeadIds);
      const generations = snapshot.generations.filter(({ minMs }) => !Number.isNaN(minMs));
      return tsdbStatus(this.head(newest).reader, generations, limit);
    } finally {
      this.lane.notify('release', { snapshotId: snapshot.snapshotId });
    }
  }

  /** Pins the lane's generations; the caller releases. Throws STORAGE_REPLAYING. */
  async snapshot(): Promise<HeadSnapshot> {
    const snapshot = await this.lane.call('snapshot', { knownHeadIds: this.knownHeadIds });
    this.adoptHeads(snapshot);
    return snapshot;
  }

  close(): void {
    for (const part of this.#parts.values()) part.close();
    this.#parts.clear();
    for (const { reader } of this.#heads.values()) reader.close();
    this.#heads.clear();
    this.lane.close('the reader has been closed');
    this.#keeper.close('the reader has been closed');
  }
}
