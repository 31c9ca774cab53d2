// Frames in which nodes answer each other's queries with samples, as bits (docs/formats/answer.md). A frame is a piece of an
// answer and stands alone; the samples of one series may go on in the next. Columns lie at multiples of eight bytes from the
// frame's start, so that they can be looked at where they are. Both ends are of one cluster and connections have checksums;
// lengths are checked all the same.
import { kib, TimbalaError } from '../../base/index.ts';
import type { SampleBuffer } from '../../model/index.ts';

const version = 1;
const frameHeaderBytes = 8;
const entryHeaderBytes = 16;
/** A writer is full from here on; what is written last may go beyond by one entry of at most `entrySamplesMax`. */
const frameBytesMax = 1024 * kib;
const entrySamplesMax = 32 * 1024;
/** Timestamp columns that later entries of a frame are compared with. */
const columnsKeptMax = 4;

interface WrittenColumn {
  readonly at: number;
  readonly count: number;
  readonly key: object | undefined;
}

export class SampleFrameWriter {
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  #length = frameHeaderBytes;
  #entriesCount = 0;
  #columns: WrittenColumn[] = [];

  get isFull(): boolean {
    return this.#length >= frameBytesMax;
  }

  get isEmpty(): boolean {
    return this.#entriesCount === 0;
  }

  /**
   * Adds samples of a series from index `from` on, as many as an entry takes, and gives the index after the last. `request` is
   * the position of the request among those of the question.
   */
  add(request: number, labelBytes: Uint8Array, samples: SampleBuffer, from: number): number {
    const count = Math.min(samples.count - from, entrySamplesMax);
    const isWhole = count === samples.count;
    const columnBytes = 8 * count;
    this.#reserve(entryHeaderBytes + padded(labelBytes.length) + 2 * columnBytes);
    const columnAt = this.#length + entryHeaderBytes + padded(labelBytes.length);
    const known = isWhole ? this.#knownColumn(samples) : undefined;
    const timestampsAt = known?.at ?? columnAt;
    this.#view.setUint32(this.#length, request, true);
    this.#view.setUint32(this.#length + 4, labelBytes.length, true);
    this.#view.setUint32(this.#length + 8, count, true);
    this.#view.setUint32(this.#length + 12, timestampsAt, true);
    this.#bytes.set(labelBytes, this.#length + entryHeaderBytes);
    this.#length = columnAt;
    if (!known) {
      this.#bytes.set(bytesOf(samples.timestampsMs, from, count), columnAt);
      this.#length += columnBytes;
      if (isWhole) this.#keep({ at: columnAt, count, key: samples.timestampsKey });
    }
    this.#bytes.set(bytesOf(samples.values, from, count), this.#length);
    this.#length += columnBytes;
    this.#entriesCount++;
    return from + count;
  }

  #knownColumn({ timestampsMs, count, timestampsKey }: SampleBuffer): WrittenColumn | undefined {
    return this.#columns.find((column) => {
      if (column.count !== count) return false;
      if (timestampsKey !== undefined && column.key === timestampsKey) return true;
      const written = new Float64Array(this.#bytes.buffer, column.at, count);
      // From the end: columns that differ at all mostly differ by jitter everywhere.
      for (let i = count - 1; i >= 0; i--) if (written[i] !== timestampsMs[i]) return false;
      return true;
    });
  }

  #keep(column: WrittenColumn): void {
    this.#columns.push(column);
    if (this.#columns.length > columnsKeptMax) this.#columns.shift();
  }

  #reserve(additionalBytes: number): void {
    if (this.#length + additionalBytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + additionalBytes));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  /** Gives the frame away, in a buffer of its own, and begins the next. */
  take(): Uint8Array<ArrayBuffer> {
    this.#reserve(0);
    this.#view.setUint32(0, version, true);
    this.#view.setUint32(4, this.#entriesCount, true);
    const frame = this.#bytes.slice(0, this.#length);
    this.#length = frameHeaderBytes;
    this.#entriesCount = 0;
    this.#columns = [];
    return frame;
  }
}

const padded = (bytesCount: number): number => (bytesCount + 7) & ~7;

/** Elements of a column as they lie in memory. */
function bytesOf(column: Float64Array<ArrayBuffer>, from: number, count: number): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset + 8 * from, 8 * count);
}

/** Samples of one series in a frame; the columns are views of it. */
export interface FrameEntry {
  readonly request: number;
  /** Canonical, as they lie in the frame. */
  readonly labelBytes: Uint8Array;
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** Where the frame holds the timestamps: the same place, the same column. */
  readonly timestampsAt: number;
}

/** The entries of a frame, which must begin at a multiple of eight in its buffer. Throws ANSWER_CORRUPT. */
export function* readSampleFrame(frame: Uint8Array): Generator<FrameEntry, void, undefined> {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const demand = (isFine: boolean, at: number): void => {
    if (!isFine) throw corrupt(frame, at);
  };
  demand(frame.length >= frameHeaderBytes && view.getUint32(0, true) === version, 0);
  let at = frameHeaderBytes;
  for (let left = view.getUint32(4, true); left > 0; left--) {
    demand(frame.length - at >= entryHeaderBytes, at);
    const request = view.getUint32(at, true);
    const labelsLength = view.getUint32(at + 4, true);
    const count = view.getUint32(at + 8, true);
    const timestampsAt = view.getUint32(at + 12, true);
    const labelsAt = at + entryHeaderBytes;
    const columnAt = labelsAt + padded(labelsLength);
    const valuesAt = timestampsAt === columnAt ? columnAt + 8 * count : columnAt;
    demand(labelsAt + labelsLength <= frame.length && valuesAt + 8 * count <= frame.length, at);
    demand(timestampsAt % 8 === 0 && timestampsAt >= frameHeaderBytes && timestampsAt <= columnAt, at);
    demand(timestampsAt === columnAt || timestampsAt + 8 * count <= at, at);
    yield {
      request,
      labelBytes: frame.subarray(labelsAt, labelsAt + labelsLength),
      timestampsMs: new Float64Array(frame.buffer, frame.byteOffset + timestampsAt, count),
      values: new Float64Array(frame.buffer, frame.byteOffset + valuesAt, count),
      timestampsAt,
    };
    at = valuesAt + 8 * count;
  }
  demand(at === frame.length, at);
}

export function corrupt(frame: Uint8Array, at: number): TimbalaError {
  return new TimbalaError('ANSWER_CORRUPT', `byte ${at} of a node's answer of ${frame.length} bytes does not fit`);
}
