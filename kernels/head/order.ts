// Label order: the series of a generation sorted as Labels.compare does, for the flush. Label pairs are ranked once by (name,
// value), byte by byte; then the series are sorted by the ranks of their pairs. Both sort eight bytes at a time: entries with
// equal keys are sorted again by their next eight. Runs in a reader's scratch.
//
// entry  {key u64, id u32, 4 bytes}
import { writeRefs } from './generation';
import { NEWEST_NAME } from './layout';
import {
  PAIR_FIRST,
  PAIR_NAME,
  PAIR_OLDER,
  PAIR_VALUE,
  pairAt,
  SERIES_LABELS_COUNT,
  SERIES_PAIRS,
  seriesAt,
  symbolLength,
  symbolText,
} from './registry';

export const ENTRY_BYTES: u32 = 16;
const ENTRY_ID: usize = 8;
const INSERTION_SORT_MAX: u32 = 16;

// What the ids of entries are, and which text is compared.
const BY_NAME: u32 = 0;
const BY_VALUE: u32 = 1;
const BY_SERIES: u32 = 2;

function entryAt(entries: usize, index: u32): usize {
  return entries + <usize>index * ENTRY_BYTES;
}

/**
 * Writes the references of a frozen generation's series to `target`, in label order; returns how many. `ranks`: a u32 for each
 * of `pairsCount` pairs; `entries`: one for each pair or series, whichever are more.
 */
export function sortRefs(slot: u32, pairsCount: u32, ranks: usize, entries: usize, target: usize): u32 {
  rankPairs(pairsCount, ranks, entries);
  const count = writeRefs(slot, target);
  for (let i: u32 = 0; i < count; i++) store<u32>(entryAt(entries, i), load<u32>(target + (<usize>i << 2)), ENTRY_ID);
  sortGroup(BY_SERIES, entries, 0, count, 0, ranks);
  for (let i: u32 = 0; i < count; i++) store<u32>(target + (<usize>i << 2), load<u32>(entryAt(entries, i), ENTRY_ID));
  return count;
}

/** Ranks pairs from 1 on. Pairs that were registered later than the first `pairsCount` are left out. */
function rankPairs(pairsCount: u32, ranks: usize, entries: usize): void {
  let names: u32 = 0;
  for (let link = atomic.load<u32>(NEWEST_NAME); link != 0; link = load<u32>(pairAt(link - 1), PAIR_OLDER)) {
    if (link - 1 < pairsCount) store<u32>(entryAt(entries, names++), link - 1, ENTRY_ID);
  }
  sortGroup(BY_NAME, entries, 0, names, 0, 0);
  let rank: u32 = 1;
  for (let i: u32 = 0; i < names; i++) {
    const name = pairAt(load<u32>(entryAt(entries, i), ENTRY_ID));
    let end = names;
    for (let link = atomic.load<u32>(name, PAIR_FIRST); link != 0; link = load<u32>(pairAt(link - 1), PAIR_OLDER)) {
      if (link - 1 < pairsCount) store<u32>(entryAt(entries, end++), link - 1, ENTRY_ID);
    }
    sortGroup(BY_VALUE, entries, names, end, 0, 0);
    for (let j = names; j < end; j++) store<u32>(ranks + (<usize>load<u32>(entryAt(entries, j), ENTRY_ID) << 2), rank++);
  }
}

function textOf(kind: u32, id: u32): usize {
  return load<u32>(pairAt(id) + (kind == BY_NAME ? PAIR_NAME : PAIR_VALUE));
}

/** The key of an entry at a depth: eight bytes of its text, big-endian, zeros after the end; or the ranks of two pairs. */
function keyOf(kind: u32, id: u32, depth: u32, ranks: usize): u64 {
  if (kind == BY_SERIES) {
    const series = seriesAt(id);
    const count = load<u32>(series, SERIES_LABELS_COUNT);
    const pairs = series + SERIES_PAIRS + (<usize>depth << 3);
    let key: u64 = 0;
    if (depth * 2 < count) key = <u64>load<u32>(ranks + (<usize>load<u32>(pairs) << 2)) << 32;
    if (depth * 2 + 1 < count) key |= load<u32>(ranks + (<usize>load<u32>(pairs, 4) << 2));
    return key;
  }
  const symbol = textOf(kind, id);
  const length = symbolLength(symbol);
  const at = depth << 3;
  if (at >= length) return 0;
  const text = symbolText(symbol) + at;
  if (length - at >= 8) return bswap(load<u64>(text));
  let key: u64 = 0;
  for (let i: u32 = 0; i < length - at; i++) key |= <u64>load<u8>(text + i) << (56 - (i << 3));
  return key;
}

/** Sorts entries [low, high), which are equal above `depth`. */
function sortGroup(kind: u32, entries: usize, low: u32, high: u32, depth: u32, ranks: usize): void {
  while (high - low > 1) {
    let more = false;
    for (let i = low; i < high; i++) {
      const entry = entryAt(entries, i);
      const id = load<u32>(entry, ENTRY_ID);
      const key = keyOf(kind, id, depth, ranks);
      store<u64>(entry, key);
      if (kind == BY_SERIES ? key != 0 : symbolLength(textOf(kind, id)) > depth << 3) more = true;
    }
    if (!more) {
      // All have ended, and are equal up to zero bytes at the end: the shorter comes first.
      if (kind != BY_SERIES) sortByLength(kind, entries, low, high);
      return;
    }
    sortByKey(entries, low, high);
    // Groups of equal keys go on; the largest in this loop, so that the recursion stays flat.
    let largestLow = low;
    let largestHigh = low;
    for (let start = low; start < high; ) {
      let end = start + 1;
      const key = load<u64>(entryAt(entries, start));
      while (end < high && load<u64>(entryAt(entries, end)) == key) end++;
      if (end - start > largestHigh - largestLow) {
        sortGroup(kind, entries, largestLow, largestHigh, depth + 1, ranks);
        largestLow = start;
        largestHigh = end;
      } else {
        sortGroup(kind, entries, start, end, depth + 1, ranks);
      }
      start = end;
    }
    low = largestLow;
    high = largestHigh;
    depth++;
  }
}

function sortByLength(kind: u32, entries: usize, low: u32, high: u32): void {
  for (let i = low; i < high; i++) {
    const entry = entryAt(entries, i);
    store<u64>(entry, symbolLength(textOf(kind, load<u32>(entry, ENTRY_ID))));
  }
  sortByKey(entries, low, high);
}

// --- Sorting by key: quicksort, and heap sort where the pivots turn out badly, so that no input takes quadratic time.

function sortByKey(entries: usize, low: u32, high: u32): void {
  quickSort(entries, low, high, 2 * (32 - <u32>clz(high - low)));
}

function swap(entries: usize, i: u32, j: u32): void {
  const a = entryAt(entries, i);
  const b = entryAt(entries, j);
  const entry = v128.load(a);
  v128.store(a, v128.load(b));
  v128.store(b, entry);
}

function keyAt(entries: usize, index: u32): u64 {
  return load<u64>(entryAt(entries, index));
}

function quickSort(entries: usize, low: u32, high: u32, depthMax: u32): void {
  while (high - low > INSERTION_SORT_MAX) {
    if (depthMax == 0) {
      heapSort(entries, low, high);
      return;
    }
    depthMax--;
    const pivot = median(keyAt(entries, low), keyAt(entries, low + ((high - low) >> 1)), keyAt(entries, high - 1));
    let i = low;
    let j = high - 1;
    while (true) {
      while (keyAt(entries, i) < pivot) i++;
      while (keyAt(entries, j) > pivot) j--;
      if (i >= j) break;
      swap(entries, i++, j--);
    }
    const middle = j + 1;
    if (middle - low < high - middle) {
      quickSort(entries, low, middle, depthMax);
      low = middle;
    } else {
      quickSort(entries, middle, high, depthMax);
      high = middle;
    }
  }
  for (let i = low + 1; i < high; i++) {
    for (let j = i; j > low && keyAt(entries, j - 1) > keyAt(entries, j); j--) swap(entries, j - 1, j);
  }
}

function median(a: u64, b: u64, c: u64): u64 {
  return max(min(a, b), min(max(a, b), c));
}

function heapSort(entries: usize, low: u32, high: u32): void {
  const count = high - low;
  for (let i = count / 2; i > 0; i--) siftDown(entries, low, i - 1, count);
  for (let end = count - 1; end > 0; end--) {
    swap(entries, low, low + end);
    siftDown(entries, low, 0, end);
  }
}

function siftDown(entries: usize, low: u32, root: u32, count: u32): void {
  while (true) {
    let child = root * 2 + 1;
    if (child >= count) return;
    if (child + 1 < count && keyAt(entries, low + child + 1) > keyAt(entries, low + child)) child++;
    if (keyAt(entries, low + root) >= keyAt(entries, low + child)) return;
    swap(entries, low + root, low + child);
    root = child;
  }
}
