// Keeps series lists between queries: a dashboard asks for the same series again and again, and finding and sorting them
// costs more than reading a short range. A list is keyed by everything it depends on, so it never grows stale; the least
// recently used go first when too many series are kept.
import { LRUCache } from 'lru-cache';
import type { SeriesList } from './series-list.ts';

/** A list holds label sets, about a kilobyte each; longer lists are made anew every time. */
const seriesMax = 100_000;

/** What the list was made from, to be used again together with it. */
export interface CachedSelection {
  readonly list: SeriesList;
  /** Per source: positions in a part, or references in a head. */
  readonly members: readonly Uint32Array<ArrayBufferLike>[];
}

export class SeriesListCache {
  readonly #cache = new LRUCache<string, CachedSelection>({
    maxSize: seriesMax,
    // Also an empty list takes some room.
    sizeCalculation: ({ list, members }) => 16 + list.labels.length + members.length,
  });

  get(key: string): CachedSelection | undefined {
    return this.#cache.get(key);
  }

  set(key: string, selection: CachedSelection): void {
    this.#cache.set(key, selection);
  }
}
