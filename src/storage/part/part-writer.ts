// Writes a part as its series come, in bounded memory: samples go to disk tile by tile, what stays is the index (some ten
// bytes a series). docs/formats/part.md.
import { assert, present } from '../../base/index.ts';
import type { Disk } from '../../ports/index.ts';
import type { PagesKernel } from '../../wasm/index.ts';
import { BlockFileWriter } from '../index/block-file.ts';
import { writeIndex } from '../index/index-writer.ts';
import { LabelRows } from '../index/label-rows.ts';
import { DigestTable, partitionOf, writeDigests } from './digests.ts';
import { indexMagic, pagesMagic, partFile, partFormat, writeFooter, writeMeta } from './meta.ts';
import { PartitionColumn, writePartitions } from './partitions.ts';
import { stripeOf, stripeWidthMs } from './slots.ts';
import { TileWriter } from './tile-writer.ts';
import { TimelineWriter } from './timeline-writer.ts';
import type { PartMeta, PartOptions, PartSeries, PartSummary, SeriesSource } from './types.ts';

const compressionLevelUsual = 3;

/**
 * Creates `directory` (whose name should end in .tmp) and fills it: `add` the series in label order, then `finish`, which
 * syncs the files and the directory. Renaming it and syncing its parent are the caller's. Throws DISK_FULL, DISK_IO;
 * after an error only `abort` may follow. The same series always give the same bytes.
 */
export class PartWriter {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #options: PartOptions;
  readonly #kernel: PagesKernel;
  readonly #stripeMs: number;
  readonly #pages: BlockFileWriter;
  readonly #index: BlockFileWriter;
  readonly #rows: LabelRows;
  readonly #timelines: TimelineWriter;
  readonly #tiles: TileWriter;
  readonly #digests = new DigestTable();
  readonly #partitions = new PartitionColumn();
  #samplesCount = 0;
  #minTimeMs = Number.POSITIVE_INFINITY;
  #maxTimeMs = Number.NEGATIVE_INFINITY;

  constructor(disk: Disk, directory: string, options: PartOptions, kernel: PagesKernel) {
    const { startMs, endMs, contentHashKey } = options;
    assert(startMs < endMs, 'a window is not empty');
    const level = options.compressionLevel ?? compressionLevelUsual;
    this.#disk = disk;
    this.#directory = directory;
    this.#options = options;
    this.#kernel = kernel;
    this.#stripeMs = stripeWidthMs(endMs - startMs);
    disk.makeDirectory(directory);
    try {
      this.#pages = new BlockFileWriter(disk, partFile.pages(directory), pagesMagic, level);
      this.#index = new BlockFileWriter(disk, partFile.index(directory), indexMagic, level);
    } catch (error) {
      removeLeftovers(() => disk.removeTree(directory));
      throw error;
    }
    this.#rows = new LabelRows(new DataView(contentHashKey.buffer, contentHashKey.byteOffset).getUint32(0, true));
    this.#timelines = new TimelineWriter(endMs - startMs, kernel, this.#pages, this.#index);
    const stripesCount = Math.ceil((endMs - startMs) / this.#stripeMs);
    this.#tiles = new TileWriter(this.#pages, kernel, stripesCount, contentHashKey);
  }

  /** Samples added so far. */
  get samplesCount(): number {
    return this.#samplesCount;
  }

  get seriesCount(): number {
    return this.#rows.count;
  }

  /** How its pages were stored: for benchmarks. */
  get pageStatistics(): TileWriter['statistics'] {
    return this.#tiles.statistics;
  }

  /** Series without samples are ignored. */
  add(series: PartSeries): void {
    const { samples, fingerprint } = series;
    const { count, timestampsMs, values } = samples;
    if (count === 0) return;
    const { startMs, endMs } = this.#options;
    const firstMs = present(timestampsMs[0], 'timestamp');
    const lastMs = present(timestampsMs[count - 1], 'timestamp');
    assert(firstMs >= startMs && lastMs < endMs, 'samples lie in the window of their part');
    const timeline = this.#timelines.timelineOf(samples);
    this.#rows.add(series.labelBytes, timeline.id);
    const kernel = this.#kernel;
    kernel.beginDigest(fingerprint);
    this.#tiles.beginSeries();
    for (const page of timeline.pages) {
      kernel.setTimes(timestampsMs, page.from, page.to);
      kernel.setValues(values, page.from, page.to);
      kernel.addDigest(page.to - page.from);
      const stripe = stripeOf(page.slotStartMs, startMs, this.#stripeMs);
      this.#tiles.addPage(stripe, page.slotStartMs, page.columnId, page.to - page.from);
    }
    const partition = partitionOf(fingerprint);
    this.#digests.add(partition, count, kernel.endDigest());
    this.#partitions.add(partition);
    this.#samplesCount += count;
    this.#minTimeMs = Math.min(this.#minTimeMs, firstMs);
    this.#maxTimeMs = Math.max(this.#maxTimeMs, lastMs);
  }

  /** Asserts that there was at least one sample (see `samplesCount`): an empty part is a part not to be written. */
  finish(): PartSummary {
    assert(this.#samplesCount > 0, 'a part has samples');
    const { startMs, endMs, level, tombstoneSeq, generation } = this.#options;
    // Tiles first: all frames lie before what finds them.
    const tiles = this.#tiles.finish(this.#index);
    const { columns, timelines } = this.#timelines.finish();
    const index = writeIndex(this.#rows, this.#index);
    const digests = writeDigests(this.#digests, this.#index);
    const partitions = writePartitions(this.#partitions, this.#index);
    const seriesCount = this.#rows.count;
    writeFooter(this.#index, {
      startMs,
      endMs,
      stripeMs: this.#stripeMs,
      pagesBytes: this.#pages.sizeBytes,
      trees: {
        ...index,
        timelines: { entriesCount: this.#timelines.timelinesCount, root: timelines },
        columns: { entriesCount: this.#timelines.columnsCount, root: columns },
        tiles: { entriesCount: seriesCount, root: tiles },
        digests,
        partitions,
      },
    });
    const meta: PartMeta = {
      format: partFormat,
      startMs,
      endMs,
      level,
      tombstoneSeq,
      ...(generation === undefined ? {} : { generation }),
      seriesCount,
      samplesCount: this.#samplesCount,
      minTimeMs: this.#minTimeMs,
      maxTimeMs: this.#maxTimeMs,
      pagesBytes: this.#pages.sizeBytes,
      indexBytes: this.#index.sizeBytes,
      timestampsBytes: this.#timelines.columnsBytes,
    };
    this.#pages.finish();
    this.#index.finish();
    const metaBytes = writeMeta(this.#disk, this.#directory, meta);
    this.#disk.syncDirectory(this.#directory);
    return { meta, sizeBytes: meta.pagesBytes + meta.indexBytes + metaBytes };
  }

  /** Closes the files and removes the directory. */
  abort(): void {
    this.#pages.close();
    this.#index.close();
    this.#disk.removeTree(this.#directory);
  }
}

/** Writes all of `source`; undefined, and nothing on disk, where it holds no sample. */
export function writePart(
  disk: Disk,
  directory: string,
  options: PartOptions,
  source: SeriesSource,
  kernel: PagesKernel,
): PartSummary | undefined {
  const writer = new PartWriter(disk, directory, options, kernel);
  try {
    for (let series = source.next(); series; series = source.next()) writer.add(series);
    if (writer.samplesCount > 0) return writer.finish();
    writer.abort();
    return undefined;
  } catch (error) {
    removeLeftovers(() => writer.abort());
    throw error;
  }
}

/** Tidies up after an error that says more than a second one would: recovery removes what MANIFEST does not name. */
function removeLeftovers(remove: () => void): void {
  try {
    remove();
  } catch {}
}
