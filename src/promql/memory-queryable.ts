// A Queryable in memory: for tests and for measuring the engine without a storage. Samples are kept per series in time order;
// a second sample at one timestamp replaces the first.
import {
  isStaleMarker,
  Labels,
  type Matcher,
  type SampleBuffer,
  staleMarkerHigh,
  staleMarkerLow,
} from '../model/index.ts';
import type { LabelRequest, Queryable, QueryControl, SelectedSeries, Selection, SelectRequest } from './queryable.ts';

interface StoredSeries {
  readonly labels: Labels;
  timestampsMs: Float64Array;
  values: Float64Array;
  hasStale: boolean;
  /** Shared by series that were given the very same array of timestamps. */
  timestampsKey: object;
}

export class MemoryQueryable implements Queryable {
  readonly #series = new Map<string, StoredSeries>();

  clear(): void {
    this.#series.clear();
  }

  /**
   * Adds samples to a series, or makes it. Takes the arrays over; series that are given the same `timestampsMs`, and nothing
   * else, share a timestamps key.
   */
  append(labels: Labels, timestampsMs: Float64Array, values: Float64Array): void {
    const existing = this.#series.get(labels.key());
    if (!existing) {
      this.#series.set(labels.key(), {
        labels,
        timestampsMs,
        values,
        hasStale: holdsStale(values),
        timestampsKey: timestampsMs,
      });
      return;
    }
    const merged = mergeSamples(existing, { timestampsMs, values });
    existing.timestampsMs = merged.timestampsMs;
    existing.values = merged.values;
    existing.hasStale ||= holdsStale(values);
    existing.timestampsKey = merged.timestampsMs;
  }

  select(requests: readonly SelectRequest[], _control: QueryControl): Promise<Selection[]> {
    const all = this.#sorted();
    return Promise.resolve(
      requests.map(({ matchers, startMs, endMs }) => ({
        series: selectRange(
          all.filter(({ labels }) => matchesAll(labels, matchers)),
          startMs,
          endMs,
        ),
      })),
    );
  }

  series(request: LabelRequest, _control: QueryControl): Promise<Labels[]> {
    return Promise.resolve(this.#matching(request).map(({ labels }) => labels));
  }

  labelNames(request: LabelRequest, _control: QueryControl): Promise<string[]> {
    const names = this.#matching(request).flatMap(({ labels }) => labels.entries().map(([name]) => name));
    return Promise.resolve(sortedUnique(names));
  }

  labelValues(name: string, request: LabelRequest, _control: QueryControl): Promise<string[]> {
    const values = this.#matching(request).map(({ labels }) => labels.get(name));
    return Promise.resolve(sortedUnique(values.filter((value) => value !== '')));
  }

  #sorted(): StoredSeries[] {
    return [...this.#series.values()].sort((a, b) => Labels.compare(a.labels, b.labels));
  }

  #matching({ selectors, startMs, endMs }: LabelRequest): StoredSeries[] {
    const matches = ({ labels }: StoredSeries): boolean =>
      selectors.length === 0 || selectors.some((matchers) => matchesAll(labels, matchers));
    const hasSample = ({ timestampsMs }: StoredSeries): boolean =>
      timestampsMs.some((timestampMs) => timestampMs >= startMs && timestampMs <= endMs);
    return this.#sorted().filter((series) => matches(series) && hasSample(series));
  }
}

function matchesAll(labels: Labels, matchers: readonly Matcher[]): boolean {
  return matchers.every((matcher) => matcher.matchesLabels(labels));
}

function sortedUnique(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}

/** Keys are made anew for each range: they promise equal timestamps, not equal sources of them. */
function selectRange(series: readonly StoredSeries[], startMs: number, endMs: number): SelectedSeries[] {
  const keys = new Map<object, object>();
  return series.map((each) => {
    const key = keys.get(each.timestampsKey) ?? {};
    keys.set(each.timestampsKey, key);
    return selected(each, key, startMs, endMs);
  });
}

function selected(series: StoredSeries, key: object, startMs: number, endMs: number): SelectedSeries {
  return {
    labels: series.labels,
    read(into: SampleBuffer): void {
      const { timestampsMs, values } = series;
      const first = firstAtLeast(timestampsMs, startMs);
      const end = firstAtLeast(timestampsMs, endMs + 1);
      into.clear();
      into.reserve(end - first);
      into.timestampsMs.set(timestampsMs.subarray(first, end));
      into.values.set(values.subarray(first, end));
      into.count = end - first;
      into.mayHoldStale = series.hasStale;
      into.timestampsKey = key;
    },
  };
}

function firstAtLeast(timestampsMs: Float64Array, timeMs: number): number {
  let low = 0;
  let high = timestampsMs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((timestampsMs[middle] as number) < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

type Samples = Pick<StoredSeries, 'timestampsMs' | 'values'>;

function mergeSamples(a: Samples, b: Samples): Samples {
  // Values move as bits, so that stale markers survive.
  const bits = new Map<number, bigint>();
  for (const { timestampsMs, values } of [a, b]) {
    const valueBits = new BigUint64Array(values.buffer, values.byteOffset, values.length);
    for (const [i, timestampMs] of timestampsMs.entries()) bits.set(timestampMs, valueBits[i] as bigint);
  }
  const timestampsMs = Float64Array.from(bits.keys()).sort();
  const valueBits = BigUint64Array.from(Array.from(timestampsMs, (timestampMs) => bits.get(timestampMs) as bigint));
  return { timestampsMs, values: new Float64Array(valueBits.buffer) };
}

function holdsStale(values: Float64Array): boolean {
  const halves = new Uint32Array(values.buffer, values.byteOffset, 2 * values.length);
  for (let i = 0; i < halves.length; i += 2) {
    if (isStaleMarker(halves[i + 1] as number, halves[i] as number)) return true;
  }
  return false;
}

/** Writes the stale marker, which no assignment of a number can. */
export function setStale(values: Float64Array, index: number): void {
  const halves = new Uint32Array(values.buffer, values.byteOffset + 8 * index, 2);
  halves[0] = staleMarkerLow;
  halves[1] = staleMarkerHigh;
}
