// Finds series in a part by matchers, and gives their labels (docs/formats/index.md). All reads go through the shared block
// cache; nothing but the roots is held. Positions are ranks in label order.
import { ByteReader, ByteWriter, TimbalaError } from '../../base/index.ts';
import { compareUtf8, Labels, type Matcher } from '../../model/index.ts';
import type { BlockTree, Leaf } from './block-tree.ts';
import { pairKey, postingsBlockBytes, unzigzag } from './index-writer.ts';
import { decodePostings } from './postings.ts';
import { type StringTable, StringTableBuilder } from './string-table.ts';
import { allRuns, countOf, expand, intersect, noRuns, type Runs, subtract, unite } from './runs.ts';

const utf8Encoder = new TextEncoder();

/** Per part, label strings kept beside the block cache. */
const pairStringsMax = 2048;
/** Most labels of all series of a leaf together: a leaf of shared labels could else unfold to any size. */
const leafPairsMax = 4 * 1024 * 1024;
/** Per part, results of matchers that had to scan values. */
const matcherResultsMax = 16;
const matcherResultRunsMax = 65_536;

export interface NamesLeaf extends Leaf {
  readonly names: StringTable;
  /** The first pair of each name. */
  readonly firstPairs: Uint32Array;
}

export interface PairsLeaf extends Leaf {
  readonly nameIds: Uint32Array;
  readonly values: StringTable;
  readonly seriesCounts: Uint32Array;
  /** Where a list lies in the stream; for a single series, its position. */
  readonly listStarts: Float64Array;
  readonly listBytes: Uint32Array;
}

export interface PostingsLeaf extends Leaf {
  readonly bytes: Uint8Array;
}

export interface SeriesLeaf extends Leaf {
  /** Row i has pairs[ends[i − 1]..ends[i]). */
  readonly ends: Uint32Array;
  readonly pairs: Uint32Array;
  readonly timelines: Uint32Array;
  readonly labels: (Labels | undefined)[];
}

export interface SeriesIndexTrees {
  readonly names: BlockTree<NamesLeaf>;
  readonly pairs: BlockTree<PairsLeaf>;
  readonly postings: BlockTree<PostingsLeaf>;
  readonly series: BlockTree<SeriesLeaf>;
}

export interface SeriesIndexCounts {
  readonly series: number;
  readonly names: number;
  readonly pairs: number;
}

/** Pairs of one label name: numbers `first` to `end − 1`. */
interface NameRange {
  readonly nameId: number;
  readonly first: number;
  readonly end: number;
}

export class SeriesIndex {
  readonly #trees: SeriesIndexTrees;
  readonly #counts: SeriesIndexCounts;
  readonly #pairStrings = new Map<number, readonly [name: string, value: string]>();
  readonly #matcherResults = new Map<string, Runs>();
  /** The row that `labelBytes` wrote last: its pairs, and where each ends. */
  readonly #walk = { ids: [] as number[], ends: [] as number[], bytes: new ByteWriter() };

  constructor(trees: SeriesIndexTrees, counts: SeriesIndexCounts) {
    this.#trees = trees;
    this.#counts = counts;
  }

  labels(position: number): Labels {
    const leaf = this.#trees.series.leafAt(position);
    const row = position - leaf.firstOrdinal;
    const known = leaf.labels[row];
    if (known) return known;
    const strings: string[] = [];
    const end = leaf.ends[row] as number;
    for (let i = row === 0 ? 0 : (leaf.ends[row - 1] as number); i < end; i++) {
      const [name, value] = this.#pair(leaf.pairs[i] as number);
      strings.push(name, value);
    }
    return (leaf.labels[row] = new Labels(strings));
  }

  /**
   * The canonical bytes of a series' labels: a view, valid until the next call. Neighbours share most of their labels, so
   * that a walk in order only writes what changes.
   */
  labelBytes(position: number): Uint8Array {
    const leaf = this.#trees.series.leafAt(position);
    const row = position - leaf.firstOrdinal;
    const start = row === 0 ? 0 : (leaf.ends[row - 1] as number);
    const count = (leaf.ends[row] as number) - start;
    const { ids, ends, bytes } = this.#walk;
    let i = 0;
    while (i < count && i < ids.length && ids[i] === leaf.pairs[start + i]) i++;
    ids.length = ends.length = i;
    bytes.truncate(i === 0 ? 0 : (ends[i - 1] as number));
    for (; i < count; i++) {
      const id = leaf.pairs[start + i] as number;
      this.#writePair(id, bytes);
      ids.push(id);
      ends.push(bytes.length);
    }
    return bytes.view();
  }

  #writePair(id: number, target: ByteWriter): void {
    const leaf = this.#trees.pairs.leafAt(id);
    const index = id - leaf.firstOrdinal;
    const nameId = leaf.nameIds[index] as number;
    const names = this.#trees.names.leafAt(nameId);
    for (const string of [names.names.bytesOf(nameId - names.firstOrdinal), leaf.values.bytesOf(index)]) {
      target.uvarint(string.length);
      target.bytes(string);
    }
  }

  timelineId(position: number): number {
    const leaf = this.#trees.series.leafAt(position);
    return leaf.timelines[position - leaf.firstOrdinal] as number;
  }

  #pair(id: number): readonly [name: string, value: string] {
    const known = this.#pairStrings.get(id);
    if (known) return known;
    const leaf = this.#trees.pairs.leafAt(id);
    const index = id - leaf.firstOrdinal;
    const nameId = leaf.nameIds[index] as number;
    const names = this.#trees.names.leafAt(nameId);
    const pair = [names.names.get(nameId - names.firstOrdinal), leaf.values.get(index)] as const;
    if (this.#pairStrings.size >= pairStringsMax) this.#pairStrings.clear();
    this.#pairStrings.set(id, pair);
    return pair;
  }

  /** Positions of series that satisfy every matcher, ascending. */
  select(matchers: readonly Matcher[]): Uint32Array {
    return expand(this.#selectRuns(matchers));
  }

  #selectRuns(matchers: readonly Matcher[]): Runs {
    let selected = allRuns(this.#counts.series);
    // Equalities first: they are cheap, and what they leave decides how the rest is worked out.
    const isEquality = (matcher: Matcher): boolean => matcher.operator === '=' && matcher.value !== '';
    for (const matcher of matchers.filter(isEquality)) {
      if (selected.length === 0) return noRuns;
      selected = intersect(selected, this.#runsOfValue(matcher.name, matcher.value));
    }
    for (const matcher of matchers) {
      if (selected.length === 0) return noRuns;
      if (!isEquality(matcher)) selected = this.#narrow(selected, matcher);
    }
    return selected;
  }

  /** What of `selected` satisfies a matcher that is not an equality. */
  #narrow(selected: Runs, matcher: Matcher): Runs {
    const range = this.#nameRange(matcher.name);
    if (!range) return matcher.matchesEmpty ? selected : noRuns;
    if (matcher.operator === '=~' && matcher.value === '.*') return selected;
    const listed = this.#listedValues(matcher);
    if (!listed && countOf(selected) * 4 < range.end - range.first) return this.#filterByLabels(selected, matcher);
    // A missing label is an empty value: where that matches, series are taken away for what they bear, else they are kept.
    const runs = listed
      ? unite(
          listed.map((value) => this.#runsOfValue(matcher.name, value)),
          this.#counts.series,
        )
      : this.#scanValues(range, matcher);
    return matcher.matchesEmpty ? subtract(selected, runs) : intersect(selected, runs);
  }

  /**
   * The values, if they are known without a scan, that decide a matcher: those that don't match where the empty value
   * does, and those that match where it doesn't.
   */
  #listedValues(matcher: Matcher): readonly string[] | undefined {
    const { operator, value, alternatives } = matcher;
    if (operator === '!=' && value !== '') return [value];
    if (alternatives === undefined) return undefined;
    const negative = operator === '!~';
    return matcher.matchesEmpty === negative ? alternatives.filter((text) => text !== '') : undefined;
  }

  #filterByLabels(selected: Runs, matcher: Matcher): Runs {
    const verdicts = new Map<string, boolean>();
    const kept: number[] = [];
    for (const position of expand(selected)) {
      const value = this.labels(position).get(matcher.name);
      let matches = verdicts.get(value);
      if (matches === undefined) verdicts.set(value, (matches = matcher.matches(value)));
      if (!matches) continue;
      if (kept.at(-1) === position) kept[kept.length - 1] = position + 1;
      else kept.push(position, position + 1);
    }
    return Uint32Array.from(kept);
  }

  /** Series whose value decides the matcher, found by trying every value that may. */
  #scanValues(range: NameRange, matcher: Matcher): Runs {
    const key = matcher.toString();
    const known = this.#matcherResults.get(key);
    if (known) return known;
    const excluding = matcher.matchesEmpty;
    // Only values with the prefix can match; those that don't are all others.
    const prefix = matcher.operator === '=~' && !excluding ? matcher.prefix : '';
    const lists: Runs[] = [];
    this.#forEachValue(range, prefix, (leaf, index) => {
      if (matcher.matches(leaf.values.get(index)) !== excluding) lists.push(this.#runsOfPair(leaf, index));
    });
    const runs = unite(lists, this.#counts.series);
    if (runs.length <= matcherResultRunsMax) {
      for (const oldest of this.#matcherResults.keys()) {
        if (this.#matcherResults.size < matcherResultsMax) break;
        this.#matcherResults.delete(oldest);
      }
      this.#matcherResults.set(key, runs);
    }
    return runs;
  }

  /** Visits the values of a name that begin with `prefix`, in order. */
  #forEachValue(range: NameRange, prefix: string, visit: (leaf: PairsLeaf, index: number) => void): void {
    const first = prefix === '' ? range.first : this.#lowerBound(range, prefix);
    for (const leaf of this.#trees.pairs.leaves(first, range.end)) {
      const from = Math.max(first - leaf.firstOrdinal, 0);
      const to = Math.min(range.end - leaf.firstOrdinal, leaf.count);
      for (let index = from; index < to; index++) {
        if (prefix !== '' && !leaf.values.get(index).startsWith(prefix)) return;
        visit(leaf, index);
      }
    }
  }

  /** The first pair of a name whose value is not below `value`. */
  #lowerBound(range: NameRange, value: string): number {
    const bytes = utf8Encoder.encode(value);
    const leaf = this.#trees.pairs.leafForKey(pairKey(range.nameId, bytes));
    let low = Math.max(range.first - leaf.firstOrdinal, 0);
    let high = Math.min(range.end - leaf.firstOrdinal, leaf.count);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (Buffer.compare(leaf.values.bytesOf(middle), bytes) < 0) low = middle + 1;
      else high = middle;
    }
    return leaf.firstOrdinal + low;
  }

  #runsOfValue(name: string, value: string): Runs {
    const range = this.#nameRange(name);
    if (!range) return noRuns;
    const id = this.#lowerBound(range, value);
    if (id >= range.end) return noRuns;
    const leaf = this.#trees.pairs.leafAt(id);
    const index = id - leaf.firstOrdinal;
    return leaf.values.get(index) === value ? this.#runsOfPair(leaf, index) : noRuns;
  }

  #runsOfPair(leaf: PairsLeaf, index: number): Runs {
    const count = leaf.seriesCounts[index] as number;
    const start = leaf.listStarts[index] as number;
    if (count === 1) return Uint32Array.of(start, start + 1);
    const bytes = this.#streamBytes(start, leaf.listBytes[index] as number);
    return decodePostings(new ByteReader(bytes), count, this.#counts.series);
  }

  /** Bytes of the postings stream, which lies in blocks of equal size. */
  #streamBytes(start: number, count: number): Uint8Array {
    const first = Math.floor(start / postingsBlockBytes);
    const from = start - first * postingsBlockBytes;
    const block = this.#trees.postings.leafAt(first).bytes;
    if (from + count <= block.length) return block.subarray(from, from + count);
    const bytes = new Uint8Array(count);
    let filled = 0;
    for (let number = first; filled < count; number++) {
      const { bytes: next } = this.#trees.postings.leafAt(number);
      const chunk = next.subarray(number === first ? from : 0).subarray(0, count - filled);
      bytes.set(chunk, filled);
      filled += chunk.length;
    }
    return bytes;
  }

  #nameRange(name: string): NameRange | undefined {
    const { names } = this.#trees;
    if (names.isEmpty) return undefined;
    const leaf = names.leafForKey(utf8Encoder.encode(name));
    const index = leaf.names.indexOf(name);
    if (index < 0) return undefined;
    const nameId = leaf.firstOrdinal + index;
    return { nameId, first: leaf.firstPairs[index] as number, end: this.#firstPairOf(nameId + 1) };
  }

  #firstPairOf(nameId: number): number {
    if (nameId >= this.#counts.names) return this.#counts.pairs;
    const leaf = this.#trees.names.leafAt(nameId);
    return leaf.firstPairs[nameId - leaf.firstOrdinal] as number;
  }

  /** Names of labels of series that satisfy every matcher, sorted by bytes. */
  labelNames(matchers: readonly Matcher[]): string[] {
    const all = [...this.#trees.names.leaves(0, this.#counts.names)].flatMap((leaf) => leaf.names.all());
    if (matchers.length === 0) return all;
    const found = new Set<string>();
    for (const position of this.select(matchers)) {
      const { pairs } = this.labels(position);
      for (let i = 0; i < pairs.length; i += 2) found.add(pairs[i] as string);
      if (found.size === all.length) break;
    }
    return all.filter((name) => found.has(name));
  }

  /** Values of a label, likewise. */
  labelValues(name: string, matchers: readonly Matcher[]): string[] {
    const range = this.#nameRange(name);
    if (!range) return [];
    const values: string[] = [];
    if (matchers.length === 0) {
      this.#forEachValue(range, '', (leaf, index) => values.push(leaf.values.get(index)));
      return values;
    }
    const selected = this.#selectRuns(matchers);
    if (countOf(selected) < (range.end - range.first) * 4) {
      const found = new Set<string>();
      for (const position of expand(selected)) found.add(this.labels(position).get(name));
      found.delete('');
      return [...found].sort(compareUtf8);
    }
    this.#forEachValue(range, '', (leaf, index) => {
      if (intersect(selected, this.#runsOfPair(leaf, index)).length > 0) values.push(leaf.values.get(index));
    });
    return values;
  }

  /** Per value of a label, how many series bear it. */
  labelValueCounts(name: string): Map<string, number> {
    const counts = new Map<string, number>();
    const range = this.#nameRange(name);
    if (range) {
      this.#forEachValue(range, '', (leaf, index) => {
        counts.set(leaf.values.get(index), leaf.seriesCounts[index] as number);
      });
    }
    return counts;
  }
}

export function decodeNamesLeaf(payload: Uint8Array, firstOrdinal: number): NamesLeaf {
  const reader = new ByteReader(payload);
  const count = boundedCount(reader);
  const names = new StringTableBuilder(count);
  const firstPairs = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    names.readFrontCoded(reader);
    firstPairs[i] = reader.uvarint();
  }
  return { firstOrdinal, count, names: names.finish(), firstPairs, sizeBytes: 4 * payload.length + 64 * count };
}

export function decodePairsLeaf(payload: Uint8Array, firstOrdinal: number): PairsLeaf {
  const reader = new ByteReader(payload);
  const count = boundedCount(reader);
  let nameId = reader.uvarint();
  let stream = reader.uvarint();
  const values = new StringTableBuilder(count);
  const nameIds = new Uint32Array(count);
  const seriesCounts = new Uint32Array(count);
  const listStarts = new Float64Array(count);
  const listBytes = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    nameId += reader.uvarint();
    nameIds[i] = nameId;
    values.readFrontCoded(reader);
    seriesCounts[i] = reader.uvarint();
    const last = reader.uvarint();
    if (seriesCounts[i] === 1) {
      listStarts[i] = last;
    } else {
      listStarts[i] = stream;
      listBytes[i] = last;
      stream += last;
    }
  }
  const sizeBytes = 6 * payload.length + 96 * count;
  return { firstOrdinal, count, nameIds, values: values.finish(), seriesCounts, listStarts, listBytes, sizeBytes };
}

export function decodePostingsLeaf(payload: Uint8Array, firstOrdinal: number): PostingsLeaf {
  return { firstOrdinal, count: 1, bytes: payload, sizeBytes: payload.length + 64 };
}

export function decodeSeriesLeaf(payload: Uint8Array, firstOrdinal: number): SeriesLeaf {
  const reader = new ByteReader(payload);
  const count = boundedCount(reader);
  const ends = new Uint32Array(count);
  const timelines = new Uint32Array(count);
  const pairs: number[] = [];
  let previousStart = 0;
  let previousCount = 0;
  let timeline = 0;
  for (let row = 0; row < count; row++) {
    const start = pairs.length;
    const rowCount = reader.uvarint();
    const prefix = reader.uvarint();
    const suffix = reader.uvarint();
    if (prefix + suffix > rowCount || prefix + suffix > previousCount || start + rowCount > leafPairsMax) {
      throw new TimbalaError('DECODE_SERIES', `row ${row} has or shares more labels than there can be`);
    }
    for (let i = 0; i < rowCount; i++) {
      const before = i < previousCount ? (pairs[previousStart + i] as number) : 0;
      pairs.push(i < prefix || i >= rowCount - suffix ? before : before + unzigzag(reader.uvarint()));
    }
    timeline += unzigzag(reader.uvarint());
    timelines[row] = timeline;
    ends[row] = pairs.length;
    previousStart = start;
    previousCount = rowCount;
  }
  const labels = Array.from<undefined>({ length: count });
  const sizeBytes = 12 * count + 12 * pairs.length + 160 * count;
  return { firstOrdinal, count, ends, pairs: Uint32Array.from(pairs), timelines, labels, sizeBytes };
}

/** The number of entries that a leaf begins with; each takes a byte at least, so that a false one can't allocate much. */
export function boundedCount(reader: ByteReader): number {
  const count = reader.uvarint();
  if (count === 0 || count > reader.remaining) throw new TimbalaError('DECODE_COUNT', `${count} entries in a leaf`);
  return count;
}
