// What the asking node has of a request: for each series its fingerprint and the digest (docs/formats/digests.md) of its samples
// in what is asked for. A peer that holds the same of a series need not send it, and copies mostly are the same.
import { SampleBuffer } from '../../model/index.ts';
import type { Reader } from '../reader/reader.ts';
import type { AnswerSeries } from './answer-union.ts';
import { keepRanges, type ReadSegment, SegmentRanges } from './segment-ranges.ts';

const fingerprintBytes = 16;
export const knownSeriesBytes = 32;
const mask64 = (1n << 64n) - 1n;

/** For each request, what is had of its series in these segments. `check` is asked every so many samples. */
export function knownSeries(
  reader: Reader,
  requests: readonly (readonly AnswerSeries[])[],
  segments: readonly ReadSegment[],
  check: () => void,
): Uint8Array[] {
  const ranges = new SegmentRanges(segments);
  const samples = new SampleBuffer();
  return requests.map((series) => {
    const entries = new Uint8Array(series.length * knownSeriesBytes);
    const view = new DataView(entries.buffer);
    let length = 0;
    for (const one of series) {
      const within = ranges.of(reader.partitionOf(one.labels));
      if (within.length === 0) continue;
      check();
      one.read(samples);
      keepRanges(samples, within);
      if (samples.count === 0) continue;
      const fingerprint = reader.fingerprint(one.labels);
      const digest = reader.digestOf(fingerprint, samples, 0, samples.count);
      entries.set(fingerprint, length);
      view.setBigUint64(length + fingerprintBytes, digest & mask64, true);
      view.setBigUint64(length + fingerprintBytes + 8, digest >> 64n, true);
      length += knownSeriesBytes;
    }
    return entries.slice(0, length);
  });
}

export class KnownSeries {
  readonly #entries: Uint8Array;
  readonly #view: DataView;
  /** Where the entry of a series begins, by the first 52 bits of its fingerprint. */
  readonly #places = new Map<number, number>();

  constructor(entries: Uint8Array) {
    this.#entries = entries;
    this.#view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
    for (let at = 0; at + knownSeriesBytes <= entries.length; at += knownSeriesBytes) {
      this.#places.set(keyAt(this.#view, at), at);
    }
  }

  /** Whether the asking node has just what this digest is of. Never true where it has not. */
  has(fingerprint: Uint8Array, digest: () => bigint): boolean {
    const key = keyAt(new DataView(fingerprint.buffer, fingerprint.byteOffset), 0);
    const at = this.#places.get(key);
    if (at === undefined) return false;
    for (let i = 0; i < fingerprintBytes; i++) if (this.#entries[at + i] !== fingerprint[i]) return false;
    const low = this.#view.getBigUint64(at + fingerprintBytes, true);
    const high = this.#view.getBigUint64(at + fingerprintBytes + 8, true);
    return digest() === ((high << 64n) | low);
  }
}

function keyAt(view: DataView, at: number): number {
  return view.getUint32(at, true) * 2 ** 20 + (view.getUint32(at + 4, true) >>> 12);
}
