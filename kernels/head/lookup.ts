// Look-ups in the registry for readers, in any thread: everything that they are given was published before, and what they hand
// out is copied to their own scratch (a thread's view of memory may end before what another thread has grown).
import { hashBytes, writeVarint } from './bytes';
import { NEWEST_NAME } from './layout';
import {
  hashPair,
  PAIR_COUNT,
  PAIR_FIRST,
  PAIR_NAME,
  PAIR_OLDER,
  PAIR_VALUE,
  pairAt,
  SERIES_FINGERPRINT_BYTES,
  SERIES_LABELS_COUNT,
  SERIES_PAIRS,
  seriesAt,
  symbolLength,
  symbolText,
} from './registry';
import { ABSENT, findShared, PAIRS, SYMBOLS } from './table';

/** The symbol with this text, or 0. */
export function findSymbol(text: usize, length: u32): u32 {
  const found = findShared(SYMBOLS, hashBytes(text, length), text, length, 0);
  return found == ABSENT ? 0 : found;
}

/** The pair of two symbols (`value` 0: the name's own), or ABSENT. */
export function findPair(name: u32, value: u32): u32 {
  return findShared(PAIRS, hashPair(name, value), name, value, 0);
}

/** Series that have the pair; of a name's own pair: the pairs of that name. */
export function pairCount(pairId: u32): u32 {
  return atomic.load<u32>(pairAt(pairId), PAIR_COUNT);
}

/** Writes the names' own pairs to `target`, newest first, at most `capacity`; returns how many there are. */
export function writeNames(target: usize, capacity: u32): u32 {
  return writeList(atomic.load<u32>(NEWEST_NAME), target, capacity);
}

/** Writes the pairs of a name (given by its own pair) to `target`, newest first, at most `capacity`; returns how many there are. */
export function writePairsOfName(namePair: u32, target: usize, capacity: u32): u32 {
  return writeList(atomic.load<u32>(pairAt(namePair), PAIR_FIRST), target, capacity);
}

function writeList(newest: u32, target: usize, capacity: u32): u32 {
  let count: u32 = 0;
  for (let link = newest; link != 0; link = load<u32>(pairAt(link - 1), PAIR_OLDER)) {
    if (count < capacity) store<u32>(target + (<usize>count << 2), link - 1);
    count++;
  }
  return count;
}

/** Bytes of the name (or value) of a pair. */
export function pairTextBytes(pairId: u32, value: bool): u32 {
  return symbolLength(load<u32>(pairAt(pairId) + (value ? PAIR_VALUE : PAIR_NAME)));
}

export function copyPairText(pairId: u32, value: bool, target: usize): void {
  const symbol = <usize>load<u32>(pairAt(pairId) + (value ? PAIR_VALUE : PAIR_NAME));
  memory.copy(target, symbolText(symbol), symbolLength(symbol));
}

export function copyFingerprint(ref: u32, target: usize): void {
  memory.copy(target, seriesAt(ref), SERIES_FINGERPRINT_BYTES);
}

/** Writes the pairs of a series, in canonical order of their names, to `target`; returns how many (at most LABELS_MAX). */
export function copyPairs(ref: u32, target: usize): u32 {
  const series = seriesAt(ref);
  const count = load<u32>(series, SERIES_LABELS_COUNT);
  memory.copy(target, series + SERIES_PAIRS, <usize>count << 2);
  return count;
}

/** Canonical label bytes of a series, to `target`; returns how many. Registration bounds them by LABEL_BYTES_MAX. */
export function writeLabels(ref: u32, target: usize): u32 {
  const series = seriesAt(ref);
  const count = load<u32>(series, SERIES_LABELS_COUNT);
  let at = target;
  for (let i: u32 = 0; i < count; i++) {
    const pair = pairAt(load<u32>(series + (<usize>i << 2), SERIES_PAIRS));
    at = writeSymbol(at, load<u32>(pair, PAIR_NAME));
    at = writeSymbol(at, load<u32>(pair, PAIR_VALUE));
  }
  return <u32>(at - target);
}

function writeSymbol(target: usize, symbol: usize): usize {
  const length = symbolLength(symbol);
  const at = writeVarint(target, length);
  memory.copy(at, symbolText(symbol), length);
  return at + length;
}
