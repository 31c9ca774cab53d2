// Reads a part. Opening reads meta.json and the footer of the index, whose fences stay pinned (≤ 64 KiB); everything else
// comes through the shared block cache, block by block. docs/formats/part.md.
import { assert } from '../../base/index.ts';
import { type Labels, type Matcher, SampleBuffer } from '../../model/index.ts';
import type { Disk } from '../../ports/index.ts';
import type { PagesKernel } from '../../wasm/index.ts';
import type { PartCaches } from '../index/block-cache.ts';
import { BlockFile, blockKind } from '../index/block-file.ts';
import { BlockTree, type Leaf, type LeafDecoder } from '../index/block-tree.ts';
import {
  decodeNamesLeaf,
  decodePairsLeaf,
  decodePostingsLeaf,
  decodeSeriesLeaf,
  SeriesIndex,
} from '../index/series-index.ts';
import { decodeDigestsLeaf, type DigestsLeaf, DigestTable, findDigests, partitionOf, readDigests } from './digests.ts';
import { decodePartitionsLeaf, findPositions, type PartitionsLeaf } from './partitions.ts';
import { type Footer, partFile, readFooter, readMeta, type TreeName } from './meta.ts';
import { decodeTilesLeaf, TileReader } from './tile-reader.ts';
import { decodeColumnsLeaf, decodeTimelinesLeaf, TimelineReader } from './timeline-reader.ts';
import type { PartitionDigest, PartMeta } from './types.ts';

/**
 * Opens the part in `directory`. Throws PART_CORRUPT, naming the file and offset, and DISK_NOT_FOUND. All calls are
 * synchronous and belong to one thread; files are opened when needed and closed by `caches` when too many are open.
 */
export function openPart(disk: Disk, directory: string, kernel: PagesKernel, caches: PartCaches): Part {
  const { meta, bytesCount } = readMeta(disk, directory);
  const pages = new BlockFile(disk, partFile.pages(directory), caches);
  const index = new BlockFile(disk, partFile.index(directory), caches);
  try {
    const footer = readFooter(index);
    if (footer.pagesBytes !== pages.sizeBytes() || meta.indexBytes !== index.sizeBytes()) {
      throw pages.corrupt(0, `sizes differ from what the footer and meta.json say`);
    }
    return new Part(directory, { meta, metaBytes: bytesCount, footer }, { pages, index }, kernel);
  } catch (error) {
    pages.close();
    index.close();
    throw error;
  }
}

/** A step of a check holds up its thread for a millisecond or so. */
const seriesPerStep = 16;

/** An open, immutable part. A series' *position* is its rank in label order: 0 to seriesCount − 1. */
export class Part {
  readonly directory: string;
  readonly meta: PartMeta;
  /** All files together. */
  readonly sizeBytes: number;
  readonly #footer: Footer;
  readonly #pages: BlockFile;
  readonly #index: BlockFile;
  readonly #kernel: PagesKernel;
  readonly #trees: readonly BlockTree<Leaf>[];
  readonly #series: SeriesIndex;
  readonly #timelines: TimelineReader;
  readonly #tiles: TileReader;
  readonly #digests: BlockTree<DigestsLeaf>;
  /** Undefined in parts of earlier versions. */
  readonly #partitions: BlockTree<PartitionsLeaf> | undefined;

  /** Use `openPart`. */
  constructor(
    directory: string,
    facts: { readonly meta: PartMeta; readonly metaBytes: number; readonly footer: Footer },
    files: { readonly pages: BlockFile; readonly index: BlockFile },
    kernel: PagesKernel,
  ) {
    const { meta, metaBytes, footer } = facts;
    const { pages, index } = files;
    this.directory = directory;
    this.meta = meta;
    this.sizeBytes = meta.pagesBytes + meta.indexBytes + metaBytes;
    this.#footer = footer;
    this.#pages = pages;
    this.#index = index;
    this.#kernel = kernel;
    const trees: BlockTree<Leaf>[] = [];
    const open = <L extends Leaf>(
      file: BlockFile,
      kind: number,
      root: Uint8Array,
      decode: LeafDecoder<L>,
    ): BlockTree<L> => {
      const opened = new BlockTree(file, index, kind, root, decode);
      trees.push(opened);
      return opened;
    };
    const tree = <L extends Leaf>(file: BlockFile, name: TreeName, decode: LeafDecoder<L>): BlockTree<L> =>
      open(file, blockKind[name], footer.trees[name].root, decode);
    this.#series = new SeriesIndex(
      {
        names: tree(index, 'names', decodeNamesLeaf),
        pairs: tree(index, 'pairs', decodePairsLeaf),
        postings: tree(index, 'postings', decodePostingsLeaf),
        series: tree(index, 'series', decodeSeriesLeaf),
      },
      {
        series: footer.trees.series.entriesCount,
        names: footer.trees.names.entriesCount,
        pairs: footer.trees.pairs.entriesCount,
      },
    );
    const timelines = tree(index, 'timelines', (payload, firstOrdinal) =>
      decodeTimelinesLeaf(payload, firstOrdinal, footer.startMs, footer.stripeMs),
    );
    this.#timelines = new TimelineReader(timelines, tree(pages, 'columns', decodeColumnsLeaf), kernel, pages.caches);
    this.#tiles = new TileReader(pages, tree(pages, 'tiles', decodeTilesLeaf), kernel, (position) =>
      this.#timelines.pagesOf(this.#series.timelineId(position)),
    );
    this.#digests = tree(index, 'digests', decodeDigestsLeaf);
    const { partitions } = footer.trees;
    this.#partitions = partitions && open(index, blockKind.partitions, partitions.root, decodePartitionsLeaf);
    this.#trees = trees;
  }

  /** Positions, ascending (so in label order), of the series that satisfy every matcher. */
  select(matchers: readonly Matcher[]): Uint32Array {
    return this.#series.select(matchers);
  }

  /**
   * Positions, ascending, of the series in these partitions (each named once); undefined where an earlier version wrote the
   * part without saying so.
   */
  positionsOf(partitions: Uint32Array): Uint32Array | undefined {
    return this.#partitions && findPositions(this.#partitions, partitions);
  }

  /** The same object for repeated calls while it is cached. */
  labels(position: number): Labels {
    this.#checkPosition(position);
    return this.#series.labels(position);
  }

  /** The canonical bytes of the same labels: a copy. */
  labelBytes(position: number): Uint8Array {
    this.#checkPosition(position);
    return this.#series.labelBytes(position).slice();
  }

  /** The series' fingerprint: 16 bytes, a copy. */
  fingerprint(position: number): Uint8Array {
    this.#checkPosition(position);
    return this.#kernel.fingerprint(this.#series.labelBytes(position)).slice();
  }

  /**
   * Appends the series' samples within [startMs, endMs] to `into`, whose samples must all be older. Sets or keeps
   * `mayHoldStale`; sets `timestampsKey` where all of `into` came from parts, so that equal timestamps have equal keys.
   */
  read(position: number, startMs: number, endMs: number, into: SampleBuffer): void {
    this.#checkPosition(position);
    const timelineId = this.#series.timelineId(position);
    const view = this.#timelines.view(timelineId, startMs, endMs);
    if (view.count === 0) return;
    into.reserve(view.count);
    const { timestampsMs, values } = into;
    const timeline = this.#timelines.pagesOf(timelineId);
    let at = into.count;
    for (const piece of view.pieces) {
      const mayHoldStale = this.#tiles.decode({ position, timeline, page: piece.page }, piece.samplesCount);
      if (mayHoldStale) into.mayHoldStale = true;
      timestampsMs.set(piece.timesMs, at);
      values.set(this.#kernel.values.subarray(piece.from, piece.to), at);
      at += piece.to - piece.from;
    }
    if (into.count === 0) into.timestampsKey = view.key;
    else if (into.timestampsKey) into.timestampsKey = view.key.after(into.timestampsKey);
    into.count = at;
  }

  /** First and last timestamp of a series without decoding its values. */
  timeRange(position: number): { readonly minTimeMs: number; readonly maxTimeMs: number } {
    this.#checkPosition(position);
    const timelineId = this.#series.timelineId(position);
    return this.#timelines.timeRange(timelineId);
  }

  /** Names of labels of the series that satisfy every matcher, sorted by UTF-8 bytes. */
  labelNames(matchers: readonly Matcher[] = []): string[] {
    return this.#series.labelNames(matchers);
  }

  /** Values of one label, likewise. */
  labelValues(name: string, matchers: readonly Matcher[] = []): string[] {
    return this.#series.labelValues(name, matchers);
  }

  /** Per value of a label, how many series bear it: for cardinality statistics. */
  labelValueCounts(name: string): Map<string, number> {
    return this.#series.labelValueCounts(name);
  }

  /** Per partition that has samples here, ascending. */
  digests(): PartitionDigest[] {
    return readDigests(this.#digests, this.#footer.trees.digests.entriesCount);
  }

  /** Of these partitions (ascending), those that have samples here; reads only where they lie. */
  digestsOf(partitions: Uint32Array): PartitionDigest[] {
    return findDigests(this.#digests, this.#footer.trees.digests.entriesCount, partitions);
  }

  /** Checks everything; throws PART_CORRUPT. */
  verify(): void {
    let bytes = 0;
    for (const read of this.verifying()) bytes += read;
    assert(bytes <= this.sizeBytes, 'no block is read twice');
  }

  /**
   * Checks every checksum and every page, and works out digests and counts again, in steps; each gives the bytes that it has
   * read for the first time. Throws PART_CORRUPT.
   */
  *verifying(): Generator<number, void, undefined> {
    for (const tree of this.#trees) {
      for (const { file, kind, pointer } of tree.blocks()) {
        file.readBlock(kind, pointer);
        yield pointer.bytesCount;
      }
    }
    for (const pointer of this.#tiles.frames(this.meta.seriesCount)) {
      this.#pages.readBlock(blockKind.frame, pointer);
      yield pointer.bytesCount;
    }
    const { digests, samplesCount } = yield* this.#recomputing();
    if (samplesCount !== this.meta.samplesCount) {
      throw this.#pages.corrupt(0, `${samplesCount} samples, meta.json says ${this.meta.samplesCount}`);
    }
    const stored = this.digests();
    const isEqual = ({ partition, count, sum }: PartitionDigest, index: number): boolean =>
      stored[index]?.partition === partition && stored[index].count === count && stored[index].sum === sum;
    if (stored.length !== digests.length || !digests.every(isEqual)) {
      throw this.#pages.corrupt(0, 'the digests of its pages are not those that it says');
    }
  }

  /** Digests of what the pages hold, whatever the part says. */
  recomputeDigests(): { readonly digests: PartitionDigest[]; readonly samplesCount: number } {
    const steps = this.#recomputing();
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
    }
  }

  *#recomputing(): Generator<number, { digests: PartitionDigest[]; samplesCount: number }, undefined> {
    const kernel = this.#kernel;
    const table = new DigestTable();
    const samples = new SampleBuffer();
    let samplesCount = 0;
    for (let position = 0; position < this.meta.seriesCount; position++) {
      if (position % seriesPerStep === seriesPerStep - 1) yield 0;
      samples.clear();
      this.read(position, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, samples);
      const fingerprint = this.fingerprint(position);
      const { timestampsMs, values, count } = samples;
      const partition = partitionOf(fingerprint);
      if (this.positionsOf(Uint32Array.of(partition))?.includes(position) === false) {
        throw this.#index.corrupt(0, `series ${position} is not listed under its partition ${partition}`);
      }
      table.add(partition, count, kernel.digestOf(fingerprint, timestampsMs, values, count));
      samplesCount += count;
    }
    return { digests: table.entries(), samplesCount };
  }

  /** Gives the cached blocks and the open files back. */
  close(): void {
    const { caches } = this.#pages;
    caches.forget(new Set([this.#pages.serial, this.#index.serial, ...this.#timelines.serials]));
    this.#pages.close();
    this.#index.close();
  }

  #checkPosition(position: number): void {
    assert(position >= 0 && position < this.meta.seriesCount, 'a position is below the number of series');
  }
}
