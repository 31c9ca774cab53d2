// What replicas ask of a node's own samples: digests of a partition's windows, and the samples themselves, of the merged set:
// every sample once, without what is deleted. Digests are worked out from what is read, not added up from those in parts:
// those count what lies in two parts twice (docs/formats/digests.md). A few series lie in a partition, so that this is cheap.
// Everything that is answered is on disk: a digest confirms.
import { present } from '../../base/index.ts';
import type { SamplesForPeer } from '../contracts.ts';
import { SampleBuffer } from '../../model/index.ts';
import { SeriesRecordWriter } from '../log/series-record.ts';
import { AnswerReader, type AnswerSelection, type FragmentEvaluator } from '../answers/answer-reader.ts';
import type { ReadSegment } from '../answers/segment-ranges.ts';
import { partitionOf } from '../part/index.ts';
import { windowWidthsMs } from '../windows.ts';
import type { ReplicaSeries } from '../reader/merged-series.ts';
import type { Reader } from '../reader/reader.ts';
import type { ReadControl } from '../reader/session.ts';
import type { ScannedSeries } from '../protocol.ts';
import { type Digest, digestTotals } from './digest-totals.ts';
import { chunkPartitions, piecesOf } from './pieces.ts';

/** A closed range of the 32 bits (big-endian) behind the partition in a fingerprint: bytes 2 to 5. */
export interface FingerprintRange {
  readonly first: number;
  readonly last: number;
}

/** These fingerprints of some partitions (ascending), in [startMs, endMs): bounds of windows, or infinite. */
export interface Extent {
  readonly partitions: Uint32Array;
  readonly startMs: number;
  readonly endMs: number;
  readonly range: FingerprintRange;
}

export interface WindowDigest {
  readonly windowStartMs: number;
  readonly samplesCount: number;
  /** Modulo 2¹²⁸. */
  readonly sum: bigint;
}

const windowMs = windowWidthsMs[0] as number;
/** Samples of a payload: about 64 KiB. */
const payloadSamplesMax = 8192;
const sumMask = (1n << 128n) - 1n;
const unlimited: ReadControl = { check: () => undefined, addBytes: () => undefined };

export class PairReader {
  readonly #reader: Reader;
  readonly #answers: AnswerReader;

  /** `evaluate`: how fragments of queries are evaluated, where they are. */
  constructor(reader: Reader, evaluate?: FragmentEvaluator) {
    this.#reader = reader;
    this.#answers = new AnswerReader(reader, evaluate);
  }

  /** For each partition the windows that hold anything, ascending. Throws STORAGE_REPLAYING, PART_CORRUPT, LOG_FAILED. */
  async digests(extent: Extent): Promise<WindowDigest[][]> {
    const byPartition = new Map(Array.from(extent.partitions, (partition) => [partition, new WindowDigests()]));
    const samples = new SampleBuffer();
    for await (const batch of this.#series(extent)) {
      for (const series of batch) {
        series.read(samples);
        const found = present(byPartition.get(partitionOf(series.fingerprint)), 'a partition that was asked for');
        for (const { windowStartMs, from, to } of cutAtWindows(samples)) {
          found.add(windowStartMs, to - from, this.#reader.digestOf(series.fingerprint, samples, from, to));
        }
      }
    }
    return Array.from(byPartition.values(), (found) => found.sorted());
  }

  /** One digest for each of these partitions (ascending) over [startMs, endMs), bounds of windows or infinite. */
  digestsOf(partitions: Uint32Array, startMs: number, endMs: number): Promise<Digest[]> {
    return digestTotals(this.#reader, partitions, startMs, endMs);
  }

  /** The samples in payloads of a bounded size; the next one is worked out when it is asked for. Errors as `digests`. */
  scan(extent: Extent): AsyncGenerator<SamplesForPeer, void, undefined> {
    return this.#payloads(this.#series(extent));
  }

  async *#payloads(batches: AsyncIterable<readonly ReplicaSeries[]>): AsyncGenerator<SamplesForPeer, void, undefined> {
    const payload = new ScanBatch();
    const samples = new SampleBuffer();
    for await (const batch of batches) {
      for (const series of batch) {
        series.read(samples);
        for (let from = 0; from < samples.count;) {
          const to = Math.min(samples.count, from + payload.room);
          payload.add(series.fingerprint, series.labelBytes(), samples, from, to);
          if (payload.room === 0) yield await this.#reader.lane.call('encode', payload.take());
          from = to;
        }
      }
    }
    if (!payload.isEmpty) yield await this.#reader.lane.call('encode', payload.take());
  }

  /** The own share of a query (answers/answer-reader.ts). */
  read(
    selection: AnswerSelection,
    segments: readonly ReadSegment[],
    signal?: AbortSignal,
  ): AsyncIterable<Uint8Array<ArrayBuffer>> {
    return this.#answers.read(selection, segments, signal);
  }

  /** Partitions of which anything is held, ascending. */
  async heldPartitions(): Promise<Uint32Array<ArrayBuffer>> {
    const session = this.#reader.openSession();
    try {
      const bitmap = await session.heldPartitions();
      const held: number[] = [];
      for (let partition = 0; partition < bitmap.length * 8; partition++) {
        if ((((bitmap[partition >> 3] as number) >> (partition & 7)) & 1) === 1) held.push(partition);
      }
      return Uint32Array.from(held);
    } finally {
      session.close();
    }
  }

  /** The series of some partitions, chunk by chunk, each a piece of time after another. They may be read until the next. */
  async *#series({ partitions, startMs, endMs, range }: Extent): AsyncGenerator<ReplicaSeries[], void, undefined> {
    for (let from = 0; from < partitions.length;) {
      // A session for each: whoever takes the series may be slow, and a session keeps memory of the head from being freed.
      const session = this.#reader.openSession();
      try {
        const chunk = partitions.subarray(from, from + chunkPartitions(await session.seriesCountMax()));
        from += chunk.length;
        for (const piece of await piecesOf(session, { startMs, endMs: endMs - 1 })) {
          const selected = await session.selectPartitions(chunk, piece, unlimited);
          // The snapshot shows nothing newer than this.
          if (session.hasReadHead) await this.#reader.lane.call('sync', {});
          yield selected.filter(({ fingerprint }) => isWithin(fingerprint, range));
          await this.#reader.breathe();
        }
      } finally {
        session.close();
      }
    }
  }
}

/** Digests of one partition as they add up. */
class WindowDigests {
  readonly #byWindow = new Map<number, { samplesCount: number; sum: bigint }>();

  add(windowStartMs: number, samplesCount: number, sum: bigint): void {
    const digest = this.#byWindow.get(windowStartMs) ?? { samplesCount: 0, sum: 0n };
    this.#byWindow.set(windowStartMs, digest);
    digest.samplesCount += samplesCount;
    digest.sum = (digest.sum + sum) & sumMask;
  }

  sorted(): WindowDigest[] {
    return [...this.#byWindow]
      .map(([windowStartMs, digest]) => ({ windowStartMs, ...digest }))
      .sort((a, b) => a.windowStartMs - b.windowStartMs);
  }
}

function isWithin(fingerprint: Uint8Array, { first, last }: FingerprintRange): boolean {
  const bits = new DataView(fingerprint.buffer, fingerprint.byteOffset).getUint32(2, false);
  return first <= bits && bits <= last;
}

function* cutAtWindows({
  timestampsMs,
  count,
}: SampleBuffer): Generator<{ windowStartMs: number; from: number; to: number }> {
  for (let from = 0; from < count;) {
    const windowStartMs = Math.floor((timestampsMs[from] as number) / windowMs) * windowMs;
    let to = from + 1;
    while (to < count && (timestampsMs[to] as number) < windowStartMs + windowMs) to++;
    yield { windowStartMs, from, to };
    from = to;
  }
}

/** Rows for one payload. */
class ScanBatch {
  #definitions = new SeriesRecordWriter();
  #rowsCount = 0;
  readonly #samplesEnd = new Uint32Array(payloadSamplesMax);
  readonly #timestampsMs = new Float64Array(payloadSamplesMax);
  readonly #values = new Float64Array(payloadSamplesMax);
  #count = 0;

  get room(): number {
    return payloadSamplesMax - this.#count;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  add(fingerprint: Uint8Array, labelBytes: Uint8Array, samples: SampleBuffer, from: number, to: number): void {
    this.#definitions.add(this.#rowsCount, fingerprint, labelBytes);
    this.#timestampsMs.set(samples.timestampsMs.subarray(from, to), this.#count);
    // Between columns of one type, so that bits stay as they are.
    this.#values.set(samples.values.subarray(from, to), this.#count);
    this.#count += to - from;
    this.#samplesEnd[this.#rowsCount++] = this.#count;
  }

  take(): ScannedSeries {
    const scanned = {
      definitions: this.#definitions.payload().slice(),
      samplesEnd: this.#samplesEnd.slice(0, this.#rowsCount),
      timestampsMs: this.#timestampsMs.slice(0, this.#count),
      values: this.#values.slice(0, this.#count),
    };
    this.#definitions.clear();
    this.#rowsCount = 0;
    this.#count = 0;
    return scanned;
  }
}
