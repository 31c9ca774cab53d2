// Unites the series of several sources: one entry per label set, in label order, with its places in the sources. Depends on
// labels only, so it is kept and used again while the sources hold the same series.
import { Labels } from '../../model/index.ts';

export interface SeriesList {
  /** Sorted by Labels.compare, no two equal. */
  readonly labels: readonly Labels[];
  /** The places of series i are firstPlace[i] ≤ p < firstPlace[i + 1], in the order of the sources. */
  readonly firstPlace: Uint32Array;
  /** Per place: the source, and the series' index in it. */
  readonly placeSource: Uint16Array | Uint32Array;
  readonly placeIndex: Uint32Array;
}

interface LabelledSource {
  readonly seriesCount: number;
  labels(index: number): Labels;
}

export function uniteSeries(sources: readonly LabelledSource[]): SeriesList {
  const [only] = sources;
  const distinct: Labels[] = [];
  /** Per source, per index: the number of its label set in `distinct`. */
  const numbers = sources.map(({ seriesCount }) => new Uint32Array(seriesCount));
  const numberByKey = new Map<string, number>();
  for (const [s, source] of sources.entries()) {
    const ofSource = numbers[s] as Uint32Array;
    for (let i = 0; i < source.seriesCount; i++) {
      const labels = source.labels(i);
      // Within one source no label set repeats, so a lone source needs no look-up.
      let number = source === only && sources.length === 1 ? undefined : numberByKey.get(labels.key());
      if (number === undefined) {
        number = distinct.length;
        distinct.push(labels);
        if (sources.length > 1) numberByKey.set(labels.key(), number);
      }
      ofSource[i] = number;
    }
  }
  return arrange(distinct, numbers);
}

function arrange(distinct: readonly Labels[], numbers: readonly Uint32Array[]): SeriesList {
  // Sources that are sorted already make long runs, which this sort only merges.
  const order = Array.from(distinct.keys()).sort((a, b) =>
    Labels.compare(distinct[a] as Labels, distinct[b] as Labels),
  );
  const rank = new Uint32Array(distinct.length);
  for (const [place, number] of order.entries()) rank[number] = place;
  const firstPlace = new Uint32Array(distinct.length + 1);
  for (const ofSource of numbers) {
    for (const number of ofSource)
      firstPlace[(rank[number] as number) + 1] = (firstPlace[(rank[number] as number) + 1] ?? 0) + 1;
  }
  for (let i = 1; i < firstPlace.length; i++) firstPlace[i] = (firstPlace[i] as number) + (firstPlace[i - 1] as number);
  const placesCount = firstPlace[distinct.length] as number;
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
  return { labels: order.map((number) => distinct[number] as Labels), firstPlace, placeSource, placeIndex };
}
