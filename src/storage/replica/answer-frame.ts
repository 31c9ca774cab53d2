// What nodes answer each other's queries with: the series of a selection with their samples as bits, or their labels alone.
// Frames of several nodes are merged by union, one sample per timestamp, the merge order deciding (docs/formats/samples.md).
// Both ends are of one cluster; lengths are checked all the same. Layout: count u32, then for each series the length of its
// canonical label bytes and they, the number of samples, timestamps (f64 ms) and values (8 bytes), all little-endian.
import { mib, TimbalaError } from '../../base/index.ts';
import { decodeLabels, encodeLabels, Labels, type Matcher, SampleBuffer } from '../../model/index.ts';
import { mergeSamples } from '../reader/merge-samples.ts';
import { decodeSelectors, encodeSelectors } from '../selectors.ts';

/** What a query wants of the series that all matchers of one of its selectors match. */
export interface Wanted {
  readonly kind: 'samples' | 'labels';
  readonly selectors: readonly (readonly Matcher[])[];
}

const kinds = ['samples', 'labels'] as const;

export function encodeWanted({ kind, selectors }: Wanted): Uint8Array<ArrayBuffer> {
  const encoded = encodeSelectors(selectors);
  const bytes = new Uint8Array(1 + encoded.length);
  bytes[0] = kinds.indexOf(kind);
  bytes.set(encoded, 1);
  return bytes;
}

/** Throws SELECTORS_INVALID. */
export function decodeWanted(bytes: Uint8Array): Wanted {
  const kind = kinds[bytes[0] ?? kinds.length];
  if (kind === undefined) throw new TimbalaError('SELECTORS_INVALID', `unknown kind of selection: ${bytes[0]}`);
  return { kind, selectors: decodeSelectors(bytes.subarray(1)) };
}

/** An answer that is longer must be asked for in pieces. */
const frameBytesMax = 512 * mib;
const seriesHeaderBytes = 8;

export class FrameWriter {
  #bytes = new Uint8Array(64 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 4;
  #seriesCount = 0;
  #accountedBytes = 0;

  /** Counts memory that the answer takes elsewhere. Throws READ_TOO_LARGE. */
  account(bytesCount: number): void {
    this.#accountedBytes += bytesCount;
    this.#check(0);
  }

  #check(additionalBytes: number): void {
    if (this.#accountedBytes + this.#length + additionalBytes <= frameBytesMax) return;
    throw new TimbalaError(
      'READ_TOO_LARGE',
      `a node would answer with over ${frameBytesMax} bytes; ask for less at once`,
    );
  }

  add(labels: Labels, samples: SampleBuffer, withSamples: boolean): void {
    const labelBytes = encodeLabels(labels);
    const count = withSamples ? samples.count : 0;
    const neededBytes = seriesHeaderBytes + labelBytes.length + 16 * count;
    this.#check(neededBytes);
    this.#reserve(neededBytes);
    this.#view.setUint32(this.#length, labelBytes.length, true);
    this.#view.setUint32(this.#length + 4, count, true);
    this.#bytes.set(labelBytes, this.#length + seriesHeaderBytes);
    const columns = this.#length + seriesHeaderBytes + labelBytes.length;
    this.#bytes.set(bytesOf(samples.timestampsMs, count), columns);
    this.#bytes.set(bytesOf(samples.values, count), columns + 8 * count);
    this.#length += neededBytes;
    this.#seriesCount++;
  }

  #reserve(additionalBytes: number): void {
    if (this.#length + additionalBytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + additionalBytes));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  finish(): Uint8Array<ArrayBuffer> {
    this.#view.setUint32(0, this.#seriesCount, true);
    return this.#bytes.slice(0, this.#length);
  }
}

/** The first `count` elements as they lie in memory, bits included. */
function bytesOf(column: Float64Array<ArrayBuffer>, count: number): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, 8 * count);
}

/** One series of a merged answer; `read` gives its samples, those of all nodes united. */
export interface MergedAnswerSeries {
  readonly labels: Labels;
  read(into: SampleBuffer): void;
}

interface Piece {
  readonly frame: Uint8Array;
  readonly at: number;
  readonly count: number;
}

/** The union of frames, in label order. The frames must stay unchanged while it is read. Throws ANSWER_CORRUPT. */
export function mergeFrames(frames: Iterable<Uint8Array>): MergedAnswerSeries[] {
  const found = new Map<string, { labels: Labels; pieces: Piece[] }>();
  for (const frame of frames) {
    for (const { labels, piece } of seriesOf(frame)) {
      const known = found.get(labels.key());
      if (known) known.pieces.push(piece);
      else found.set(labels.key(), { labels, pieces: [piece] });
    }
  }
  const scratch = { other: new SampleBuffer(), merged: new SampleBuffer() };
  return [...found.values()]
    .sort((a, b) => Labels.compare(a.labels, b.labels))
    .map(({ labels, pieces }) => ({ labels, read: (into) => readPieces(pieces, into, scratch) }));
}

function* seriesOf(frame: Uint8Array): Generator<{ labels: Labels; piece: Piece }> {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const corrupt = (at: number): TimbalaError =>
    new TimbalaError('ANSWER_CORRUPT', `byte ${at} of a node's answer of ${frame.length} bytes does not fit`);
  if (frame.length < 4) throw corrupt(0);
  let at = 4;
  for (let left = view.getUint32(0, true); left > 0; left--) {
    if (frame.length - at < seriesHeaderBytes) throw corrupt(at);
    const labelsLength = view.getUint32(at, true);
    const count = view.getUint32(at + 4, true);
    const end = at + seriesHeaderBytes + labelsLength + 16 * count;
    if (end > frame.length) throw corrupt(at);
    const labelsAt = at + seriesHeaderBytes;
    const labels = decodeLabels(frame.subarray(labelsAt, labelsAt + labelsLength));
    yield { labels, piece: { frame, at: labelsAt + labelsLength, count } };
    at = end;
  }
  if (at !== frame.length) throw corrupt(at);
}

function readPieces(
  pieces: readonly Piece[],
  into: SampleBuffer,
  { other, merged }: { readonly other: SampleBuffer; readonly merged: SampleBuffer },
): void {
  into.clear();
  for (const { frame, at, count } of pieces) {
    if (count === 0) continue;
    const target = into.count === 0 ? into : other;
    target.clear();
    target.reserve(count);
    bytesOf(target.timestampsMs, count).set(frame.subarray(at, at + 8 * count));
    bytesOf(target.values, count).set(frame.subarray(at + 8 * count, at + 16 * count));
    target.count = count;
    target.mayHoldStale = true;
    if (target === other) mergeSamples(into, other, merged);
  }
}
