// Unites the series of several sources: one entry per label set, in label order, with its places in the sources. Depends on
// labels only, so it is kept and used again while the sources hold the same series.
import { Labels } from '../../model/index.ts';

/** Where each of some series lies in the sources. */
export interface SeriesPlaces {
  /** The places of series i are firstPlace[i] ≤ p < firstPlace[i + 1], in the order of the sources. */
  readonly firstPlace: Uint32Array;
  /** Per place: the source, and the series' index in it. */
  readonly placeSource: Uint32Array;
  readonly placeIndex: Uint32Array;
}

export interface SeriesList extends SeriesPlaces {
  /** Sorted by Labels.compare, no two equal. */
  readonly labels: readonly Labels[];
}

export interface FingerprintList extends SeriesPlaces {
  /** 16 bytes each, no two equal, in order of appearance. */
  readonly fingerprints: readonly Uint8Array[];
}

interface LabelledSource {
  readonly seriesCount: number;
  /** True where labels(i) rise with i. */
  readonly inLabelOrder: boolean;
  /** No two are equal. */
  labels(index: number): Labels;
}

export function uniteSeries(sources: readonly LabelledSource[]): SeriesList {
  /** The distinct label sets, in order of appearance; `order` lists them in label order. */
  const distinct: Labels[] = [];
  let order: number[] = [];
  const numbers: Uint32Array[] = [];
  for (const source of sources) {
    const ofSource = new Uint32Array(source.seriesCount);
    order = mergeIn(source, distinct, order, ofSource);
    numbers.push(ofSource);
  }
  const rank = new Uint32Array(distinct.length);
  for (const [place, number] of order.entries()) rank[number] = place;
  return { labels: order.map((number) => distinct[number] as Labels), ...arrange(rank, numbers) };
}

interface FingerprintedSource {
  readonly seriesCount: number;
  /** No two are equal. */
  fingerprint(index: number): Uint8Array;
}

/** The same by fingerprints, without a look at labels. */
export function uniteFingerprints(sources: readonly FingerprintedSource[]): FingerprintList {
  const fingerprints: Uint8Array[] = [];
  const numberOf = new Map<string, number>();
  const numbers = sources.map((source) => {
    const ofSource = new Uint32Array(source.seriesCount);
    for (let i = 0; i < ofSource.length; i++) {
      const fingerprint = source.fingerprint(i);
      const key = String.fromCharCode(...fingerprint);
      let number = numberOf.get(key);
      if (number === undefined) {
        number = fingerprints.push(fingerprint) - 1;
        numberOf.set(key, number);
      }
      ofSource[i] = number;
    }
    return ofSource;
  });
  const rank = Uint32Array.from({ length: fingerprints.length }, (_, number) => number);
  return { fingerprints, ...arrange(rank, numbers) };
}

/** Walks the source beside what is there already, in label order; returns the new order. */
function mergeIn(
  source: LabelledSource,
  distinct: Labels[],
  order: readonly number[],
  ofSource: Uint32Array,
): number[] {
  const merged: number[] = [];
  let next = 0;
  const add = (index: number, labels: Labels): void => {
    let comparison = 1;
    while (next < order.length) {
      comparison = Labels.compare(distinct[order[next] as number] as Labels, labels);
      if (comparison >= 0) break;
      merged.push(order[next++] as number);
    }
    let number = distinct.length;
    if (next < order.length && comparison === 0) number = order[next++] as number;
    else distinct.push(labels);
    merged.push(number);
    ofSource[index] = number;
  };
  if (source.inLabelOrder) {
    for (let i = 0; i < source.seriesCount; i++) add(i, source.labels(i));
  } else {
    const own = Array.from({ length: source.seriesCount }, (_, index) => ({ index, labels: source.labels(index) }));
    for (const { index, labels } of own.sort((a, b) => Labels.compare(a.labels, b.labels))) add(index, labels);
  }
  while (next < order.length) merged.push(order[next++] as number);
  return merged;
}

/**
 * Turns "which is series i of source s" round: which places has each. `rank`: the place in the list that each number gets.
 */
function arrange(rank: Uint32Array, numbers: readonly Uint32Array[]): SeriesPlaces {
  const firstPlace = new Uint32Array(rank.length + 1);
  for (const ofSource of numbers) {
    for (const number of ofSource) {
      const after = (rank[number] as number) + 1;
      firstPlace[after] = (firstPlace[after] as number) + 1;
    }
  }
  for (let i = 1; i < firstPlace.length; i++) firstPlace[i] = (firstPlace[i] as number) + (firstPlace[i - 1] as number);
  const placesCount = firstPlace[rank.length] as number;
  const placeSource = new Uint32Array(placesCount);
  const placeIndex = new Uint32Array(placesCount);
  const next = firstPlace.slice();
  for (const [s, ofSource] of numbers.entries()) {
    for (let i = 0; i < ofSource.length; i++) {
      const series = rank[ofSource[i] as number] as number;
      const place = next[series] as number;
      next[series] = place + 1;
      placeSource[place] = s;
      placeIndex[place] = i;
    }
  }
  return { firstPlace, placeSource, placeIndex };
}
