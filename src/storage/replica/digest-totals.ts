// Digests of many partitions over a long time, of the merged set as one digest of a pair is. Parts know theirs, but where a
// partition has samples of the same time in two places the sums count some twice. So time is cut at the windows of parts, and
// a partition's digest in a part stands for it where nothing else has samples of it in that window; all else is read.
import { SampleBuffer } from '../../model/index.ts';
import type { PartEntry } from '../manifest/manifest-edit.ts';
import { partitionOf, type TimeInterval } from '../part/index.ts';
import type { Catalog } from '../protocol.ts';
import type { Reader } from '../reader/reader.ts';
import type { ReadControl, ReadSession } from '../reader/session.ts';
import { chunkPartitions, chunksOf, piecesOf } from './pieces.ts';

export interface Digest {
  readonly samplesCount: number;
  /** Modulo 2¹²⁸. */
  readonly sum: bigint;
}

interface Total {
  samplesCount: number;
  sum: bigint;
}

/** Parts whose windows lie in one another; nothing else in parts is of this time. Half-open. */
interface Stretch {
  readonly startMs: number;
  endMs: number;
  readonly parts: PartEntry[];
}

const sumMask = (1n << 128n) - 1n;
const unlimited: ReadControl = { check: () => undefined, addBytes: () => undefined };

/** One digest for each partition (ascending) over [startMs, endMs). Throws STORAGE_REPLAYING, PART_CORRUPT, LOG_FAILED. */
export async function digestTotals(
  reader: Reader,
  partitions: Uint32Array,
  startMs: number,
  endMs: number,
): Promise<Digest[]> {
  const session = reader.openSession();
  try {
    const totals = new Totals(reader, session, partitions);
    await totals.add(startMs, endMs);
    // The session shows nothing newer than this.
    if (session.hasReadHead) await reader.lane.call('sync', {});
    return totals.digests;
  } finally {
    session.close();
  }
}

class Totals {
  readonly digests: Total[];
  readonly #reader: Reader;
  readonly #session: ReadSession;
  readonly #partitions: Uint32Array;
  readonly #indexOf = new Map<number, number>();
  readonly #samples = new SampleBuffer();
  #chunkLength = 1;

  constructor(reader: Reader, session: ReadSession, partitions: Uint32Array) {
    this.#reader = reader;
    this.#session = session;
    this.#partitions = partitions;
    this.digests = Array.from(partitions, () => ({ samplesCount: 0, sum: 0n }));
    for (const [index, partition] of partitions.entries()) this.#indexOf.set(partition, index);
  }

  async add(startMs: number, endMs: number): Promise<void> {
    this.#chunkLength = chunkPartitions(await this.#session.seriesCountMax());
    const { catalog, horizonMs } = await this.#session.extent();
    const whole = stretchesOf(catalog.parts).filter(
      (stretch) =>
        stretch.startMs >= startMs &&
        stretch.endMs <= endMs &&
        stretch.parts.every((part) => part.minTimeMs >= horizonMs && !hasPendingTombstones(part, catalog)),
    );
    const inHead = await this.#headPartitions(whole);
    let restMs = startMs;
    for (const [index, stretch] of whole.entries()) {
      await this.#read(this.#partitions, { startMs: restMs, endMs: stretch.startMs - 1 });
      const unclear = this.#addFromParts(stretch.parts, catalog, inHead[index] ?? new Set());
      await this.#read(unclear, { startMs: stretch.startMs, endMs: stretch.endMs - 1 });
      restMs = stretch.endMs;
    }
    await this.#read(this.#partitions, { startMs: restMs, endMs: endMs - 1 });
  }

  /** Per stretch, the partitions of which the head has samples in it. */
  async #headPartitions(stretches: readonly Stretch[]): Promise<Set<number>[]> {
    const found = stretches.map(() => new Set<number>());
    const [first, last] = [stretches[0], stretches.at(-1)];
    if (!first || !last) return found;
    const range = { startMs: first.startMs, endMs: last.endMs - 1 };
    for (const chunk of chunksOf(this.#partitions, this.#chunkLength)) {
      for (const series of await this.#session.selectPartitions(chunk, range, unlimited, 'head')) {
        series.read(this.#samples);
        const { timestampsMs, count } = this.#samples;
        if (count === 0) continue;
        const partition = partitionOf(series.fingerprint);
        let at = 0;
        for (const [index, { startMs, endMs }] of stretches.entries()) {
          while (at < count && (timestampsMs[at] as number) < startMs) at++;
          if (at < count && (timestampsMs[at] as number) < endMs) found[index]?.add(partition);
        }
      }
      await this.#reader.breathe();
    }
    return found;
  }

  /** Adds what one part alone has; gives the partitions that must be read, ascending. */
  #addFromParts(parts: readonly PartEntry[], catalog: Catalog, inHead: ReadonlySet<number>): Uint32Array {
    const alone = new Map<number, Digest>();
    const unclear = new Set(inHead);
    for (const entry of parts) {
      const drops = this.#reader.deletions(catalog).drops(entry.tombstoneSeq);
      for (const { partition, count, sum } of this.#reader.part(entry).digestsOf(this.#partitions)) {
        if (drops.has(partition)) continue;
        if (alone.has(partition)) unclear.add(partition);
        alone.set(partition, { samplesCount: count, sum });
      }
    }
    for (const [partition, digest] of alone) if (!unclear.has(partition)) this.#add(partition, digest);
    return Uint32Array.from(unclear).sort();
  }

  #add(partition: number, { samplesCount, sum }: Digest): void {
    const total = this.digests[this.#indexOf.get(partition) ?? -1];
    if (!total) return;
    total.samplesCount += samplesCount;
    total.sum = (total.sum + sum) & sumMask;
  }

  /** Adds what is read of some partitions in a range. */
  async #read(partitions: Uint32Array, range: TimeInterval): Promise<void> {
    if (partitions.length === 0 || range.startMs > range.endMs) return;
    for (const piece of await piecesOf(this.#session, range)) {
      for (const chunk of chunksOf(partitions, this.#chunkLength)) {
        for (const series of await this.#session.selectPartitions(chunk, piece, unlimited)) {
          series.read(this.#samples);
          const { count } = this.#samples;
          if (count === 0) continue;
          const { fingerprint } = series;
          const sum = this.#reader.digestOf(fingerprint, this.#samples, 0, count);
          this.#add(partitionOf(fingerprint), { samplesCount: count, sum });
        }
        await this.#reader.breathe();
      }
    }
  }
}

/** Windows nest, so that those of parts that touch lie in one another. */
function stretchesOf(parts: readonly PartEntry[]): Stretch[] {
  const stretches: Stretch[] = [];
  for (const part of parts.toSorted((a, b) => a.startMs - b.startMs || b.endMs - a.endMs)) {
    const last = stretches.at(-1);
    if (last && part.startMs < last.endMs) {
      last.parts.push(part);
      last.endMs = Math.max(last.endMs, part.endMs);
    } else {
      stretches.push({ startMs: part.startMs, endMs: part.endMs, parts: [part] });
    }
  }
  return stretches;
}

function hasPendingTombstones(part: PartEntry, { tombstones }: Catalog): boolean {
  return tombstones.some(
    ({ seq, startMs, endMs }) => seq > part.tombstoneSeq && startMs <= part.maxTimeMs && endMs >= part.minTimeMs,
  );
}
