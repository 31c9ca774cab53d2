// Matchers over a head's registry: which series they select, and which names and values those have. Runs where the
// HeadReader lives (a query worker). Values of a label are tested once per matcher: what was found is remembered, and only
// pairs that were registered since are tested again (label values are only ever added to a head).
import { LRUCache } from 'lru-cache';
import { Labels, type Matcher } from '../../model/index.ts';
import type { HeadReader, RefSet } from '../../wasm/index.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Scans of label values that are remembered, and the pairs that all of them hold together. */
const scansMax = 256;
const scannedPairsMax = 1 << 20;
/** Label sets (about 0.3 KB each), and the strings that they share. */
const labelsCacheMax = 1 << 16;
const pairTextsMax = 1 << 16;
/** Of at most so many pairs, series are counted, to begin with the smallest set. */
const countedPairsMax = 256;

/** The pairs of one label whose values satisfy one matcher, among the first `pairsSeen` of that label. */
interface Scan {
  readonly pairsSeen: number;
  readonly pairs: Uint32Array;
}

interface PairText {
  readonly name: string;
  readonly value: string;
}

/** Pairs whose series a matcher selects (`include`), or all but those. */
interface Term {
  readonly pairs: Uint32Array;
  readonly include: boolean;
  /** Series in them, counted with repetitions. */
  readonly postingsCount: number;
}

export class HeadIndex {
  readonly #reader: HeadReader;
  readonly #scans = new LRUCache<string, Scan>({
    max: scansMax,
    maxSize: scannedPairsMax,
    sizeCalculation: (scan) => scan.pairs.length + 1,
  });
  // By `maxSize`, for `max` makes room for all entries at once.
  readonly #labels = new LRUCache<number, Labels>({ maxSize: labelsCacheMax, sizeCalculation: () => 1 });
  readonly #pairTexts = new LRUCache<number, PairText>({ maxSize: pairTextsMax, sizeCalculation: () => 1 });

  constructor(reader: HeadReader) {
    this.#reader = reader;
  }

  /**
   * References of the series that all matchers select, ascending; with `slots`, only those with samples in one of these
   * generations.
   */
  select(matchers: readonly Matcher[], slots?: readonly number[]): Uint32Array<ArrayBuffer> {
    const set = this.#selectSet(matchers, slots);
    try {
      return set.refs();
    } finally {
      set.release();
    }
  }

  /** Cached by reference. */
  labels(ref: number): Labels {
    const cached = this.#labels.get(ref);
    if (cached) return cached;
    const texts: string[] = [];
    for (const pair of this.#reader.pairsOfSeries(ref)) {
      const { name, value } = this.#pairText(pair);
      texts.push(name, value);
    }
    const labels = new Labels(texts);
    this.#labels.set(ref, labels);
    return labels;
  }

  /** Label sets share their strings through this cache: each with its own would be several times as large. */
  #pairText(pair: number): PairText {
    const cached = this.#pairTexts.get(pair);
    if (cached) return cached;
    const text = { name: decoder.decode(this.#reader.pairName(pair)), value: this.#value(pair) };
    this.#pairTexts.set(pair, text);
    return text;
  }

  /** Names (in no order) among the series that any selector selects (none given: all). */
  labelNames(selectors: readonly (readonly Matcher[])[], slots?: readonly number[]): string[] {
    if (selectors.length === 0 && slots === undefined) {
      return this.#reader.labelNames().map((name) => decoder.decode(name));
    }
    const names = new Set<string>();
    for (const matchers of atLeastOne(selectors)) {
      this.#withSet(matchers, slots, (set) => {
        for (const pair of set.pairs()) names.add(decoder.decode(this.#reader.pairName(pair)));
      });
    }
    return [...names];
  }

  /** Values (in no order) of a name among the series that any selector selects (none given: all). */
  labelValues(name: string, selectors: readonly (readonly Matcher[])[], slots?: readonly number[]): string[] {
    const nameBytes = encoder.encode(name);
    const pairs = new Set<number>();
    if (selectors.length === 0 && slots === undefined) {
      for (const pair of this.#reader.pairsOfName(nameBytes)) pairs.add(pair);
    } else {
      for (const matchers of atLeastOne(selectors)) {
        this.#withSet(matchers, slots, (set) => {
          for (const pair of set.pairs(nameBytes)) pairs.add(pair);
        });
      }
    }
    return Array.from(pairs, (pair) => this.#value(pair));
  }

  #value(pair: number): string {
    return decoder.decode(this.#reader.pairValue(pair));
  }

  #withSet(matchers: readonly Matcher[], slots: readonly number[] | undefined, use: (set: RefSet) => void): void {
    const set = this.#selectSet(matchers, slots);
    try {
      use(set);
    } finally {
      set.release();
    }
  }

  #selectSet(matchers: readonly Matcher[], slots: readonly number[] | undefined): RefSet {
    // The set comes first: it fixes which series are looked at, and all pairs of those are there when pairs are tested.
    const set = this.#reader.refSet('empty');
    try {
      const terms = matchers.flatMap((matcher) => this.#terms(matcher));
      // The smallest sets first: the result cannot be larger, and an empty one stays empty.
      terms.sort((a, b) => Number(b.include) - Number(a.include) || a.postingsCount - b.postingsCount);
      const first = terms[0]?.include ? terms.shift() : undefined;
      if (first) set.addPairs(first.pairs);
      else set.addAll();
      for (const term of terms) if (set.count() > 0) this.#combine(set, term);
      if (slots) set.keepSlots(slots);
      return set;
    } catch (error) {
      set.release();
      throw error;
    }
  }

  #combine(set: RefSet, term: Term): void {
    const other = this.#reader.refSet('empty');
    try {
      other.addPairs(term.pairs);
      if (term.include) set.intersect(other);
      else set.subtract(other);
    } finally {
      other.release();
    }
  }

  /**
   * A matcher that no missing label satisfies includes the pairs that satisfy it; any other excludes those that do not. None
   * where every series satisfies it.
   */
  #terms(matcher: Matcher): Term[] {
    const include = !matcher.matchesEmpty;
    const pairs = this.#pairsOf(matcher, encoder.encode(matcher.name), include);
    if (!include && pairs.length === 0) return [];
    // Pairs that are many have few series each; their number is near enough.
    let postingsCount = pairs.length;
    if (pairs.length <= countedPairsMax) {
      postingsCount = 0;
      for (const pair of pairs) postingsCount += this.#reader.pairSeriesCount(pair);
    }
    return [{ pairs, include, postingsCount }];
  }

  /** The pairs of a label whose values satisfy the matcher (`wanted`), or do not. */
  #pairsOf(matcher: Matcher, name: Uint8Array, wanted: boolean): Uint32Array {
    const { operator, value } = matcher;
    const isRegex = operator === '=~' || operator === '!~';
    const positive = operator === '=' || operator === '=~';
    if (isRegex && value === '.*') return new Uint32Array(0);
    if ((isRegex && value === '.+') || value === '') return this.#reader.pairsOfName(name);
    // `x="a"` and `x=~"a|b"` include, `x!="a"` and `x!~"a|b"` exclude, just the pairs that they name.
    const known = isRegex ? matcher.alternatives : [value];
    return known !== undefined && positive === wanted
      ? this.#namedPairs(name, known)
      : this.#scan(matcher, name, wanted);
  }

  #namedPairs(name: Uint8Array, values: readonly string[]): Uint32Array {
    const pairs = new Set<number>();
    for (const value of values) {
      const pair = value === '' ? undefined : this.#reader.findPair(name, encoder.encode(value));
      if (pair !== undefined) pairs.add(pair);
    }
    return Uint32Array.from(pairs);
  }

  /** As `#pairsOf`, by testing every value that the label has. */
  #scan(matcher: Matcher, name: Uint8Array, wanted: boolean): Uint32Array {
    const key = matcher.toString();
    const before = this.#scans.get(key);
    const pairsCount = this.#reader.pairsOfNameCount(name);
    if (before?.pairsSeen === pairsCount) return before.pairs;
    // Newest first: what was tested before is at the end.
    const all = this.#reader.pairsOfName(name);
    const untested = all.subarray(0, all.length - (before?.pairsSeen ?? 0));
    const found = untested.filter((pair) => matcher.matches(this.#value(pair)) === wanted);
    const pairs = new Uint32Array(found.length + (before?.pairs.length ?? 0));
    pairs.set(found);
    if (before) pairs.set(before.pairs, found.length);
    this.#scans.set(key, { pairsSeen: all.length, pairs });
    return pairs;
  }
}

/** No selector at all stands for the one that selects everything. */
function atLeastOne(selectors: readonly (readonly Matcher[])[]): readonly (readonly Matcher[])[] {
  return selectors.length === 0 ? [[]] : selectors;
}
