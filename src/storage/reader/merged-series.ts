// Series of a selection as the engine reads them: the samples of all sources in time order, merged only where they really
// overlap. Sources that follow each other in time are appended straight into the engine's buffer.
import { type Labels, SampleBuffer } from '../../model/index.ts';
import { maskSamples } from '../tombstones.ts';
import { appendSamples, mergeSamples } from './merge-samples.ts';
import type { FingerprintList, SeriesList, SeriesPlaces } from './series-list.ts';
import type { Source } from './sources.ts';
import type { TimestampKeys } from './timestamp-keys.ts';

/** What the series of one selection share. Belongs to one thread. */
export class SelectionReader {
  readonly #sources: readonly Source[];
  readonly #places: SeriesPlaces;
  readonly #startMs: number;
  readonly #endMs: number;
  readonly #keys: TimestampKeys;
  readonly #other = new SampleBuffer();
  readonly #scratch = new SampleBuffer();

  /** `sources` in the order of their first samples; `places` were made of them. */
  constructor(sources: readonly Source[], places: SeriesPlaces, startMs: number, endMs: number, keys: TimestampKeys) {
    this.#sources = sources;
    this.#places = places;
    this.#startMs = startMs;
    this.#endMs = endMs;
    this.#keys = keys;
  }

  series({ labels }: SeriesList): MergedSeries[] {
    return labels.map((own, index) => new MergedSeries(own, this, index));
  }

  replicaSeries({ fingerprints }: FingerprintList): ReplicaSeries[] {
    return fingerprints.map((fingerprint, index) => new ReplicaSeries(fingerprint, this, index));
  }

  /** The canonical bytes of a series' labels: a copy. */
  labelBytes(series: number): Uint8Array {
    const { firstPlace, placeSource, placeIndex } = this.#places;
    const place = firstPlace[series] as number;
    return (this.#sources[placeSource[place] as number] as Source).labelBytes(placeIndex[place] as number);
  }

  read(series: number, into: SampleBuffer): void {
    const { firstPlace, placeSource, placeIndex } = this.#places;
    into.clear();
    const end = firstPlace[series + 1] as number;
    for (let place = firstPlace[series] as number; place < end; place++) {
      this.#add(this.#sources[placeSource[place] as number] as Source, placeIndex[place] as number, into);
    }
  }

  #add(source: Source, index: number, into: SampleBuffer): void {
    const before = into.count;
    const lastMs = before > 0 ? (into.timestampsMs[before - 1] as number) : Number.NEGATIVE_INFINITY;
    if (source.appendsAnywhere || source.minMs > lastMs) {
      const keyBefore = into.timestampsKey;
      source.read(index, this.#startMs, this.#endMs, into);
      maskSamples(into, before, source.deletedIntervals(index));
      if (into.count === before) into.timestampsKey = keyBefore;
      else if ((into.timestampsMs[before] as number) <= lastMs) this.#mergeTail(into, before);
      else if (!source.keepsTimestampsKey) this.#setKey(into, before, keyBefore, undefined);
      return;
    }
    const other = this.#other;
    other.clear();
    source.read(index, this.#startMs, this.#endMs, other);
    maskSamples(other, 0, source.deletedIntervals(index));
    if (other.count === 0) return;
    if ((other.timestampsMs[0] as number) > lastMs) {
      const keyBefore = into.timestampsKey;
      appendSamples(into, other);
      this.#setKey(into, before, keyBefore, other.timestampsKey);
    } else {
      this.#merge(into, other);
    }
  }

  /** What was appended from `before` on is not all newer: it is taken out again and merged. */
  #mergeTail(into: SampleBuffer, before: number): void {
    const other = this.#other;
    other.clear();
    other.reserve(into.count - before);
    other.timestampsMs.set(into.timestampsMs.subarray(before, into.count));
    other.values.set(into.values.subarray(before, into.count));
    other.count = into.count - before;
    other.mayHoldStale = into.mayHoldStale;
    into.count = before;
    this.#merge(into, other);
  }

  #merge(into: SampleBuffer, other: SampleBuffer): void {
    mergeSamples(into, other, this.#scratch);
    into.timestampsKey = this.#keys.ofColumn(into.timestampsMs, 0, into.count);
  }

  /** The key of a buffer to which the samples from `before` on were appended. */
  #setKey(into: SampleBuffer, before: number, keyBefore: object | undefined, tailKey: object | undefined): void {
    const tail = tailKey ?? this.#keys.ofColumn(into.timestampsMs, before, into.count);
    if (before === 0 || !tail) into.timestampsKey = before === 0 ? tail : undefined;
    else into.timestampsKey = keyBefore && this.#keys.ofPair(keyBefore, tail);
  }
}

export class MergedSeries {
  readonly labels: Labels;
  readonly #reader: SelectionReader;
  readonly #index: number;

  constructor(labels: Labels, reader: SelectionReader, index: number) {
    this.labels = labels;
    this.#reader = reader;
    this.#index = index;
  }

  read(into: SampleBuffer): void {
    this.#reader.read(this.#index, into);
  }
}

/** A series as replicas compare and send it: known by its fingerprint; its labels are only looked up where they travel. */
export class ReplicaSeries {
  /** 16 bytes. */
  readonly fingerprint: Uint8Array;
  readonly #reader: SelectionReader;
  readonly #index: number;

  constructor(fingerprint: Uint8Array, reader: SelectionReader, index: number) {
    this.fingerprint = fingerprint;
    this.#reader = reader;
    this.#index = index;
  }

  labelBytes(): Uint8Array {
    return this.#reader.labelBytes(this.#index);
  }

  read(into: SampleBuffer): void {
    this.#reader.read(this.#index, into);
  }
}
