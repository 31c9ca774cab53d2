// The registry: symbols (each distinct string once), label pairs (name, value), series (their pairs and fingerprint). Only
// ever added to; references stay valid for the life of the head. The fingerprint finds a series, its labels decide.
//
// symbol   {hash u32, length u32, bytes}; known by its address
// pair     32 bytes, known by a dense id; fields below. A pair without a value stands for the label name itself: it heads
//          the list of the name's pairs.
// series   {fingerprint 16, labels count u32, pair ids u32 each}, ids in canonical order of the names; known by `ref`
import { compareBytes } from '../common/bytes';
import { bytesEqual, hashBytes, mix } from './bytes';
import { ensureExtents, takeExtent } from './memory';
import {
  EXTENT_BITS,
  EXTENT_BYTES,
  EXTENT_SLACK_BYTES,
  HASH_SEED,
  INPUT,
  LABEL_BYTES_MAX,
  LABELS_MAX,
  NEWEST_NAME,
  NONE,
  PAIR_PAGES,
  PAIR_PAGES_COUNT,
  PAIRS_COUNT,
  PARSED_LABELS,
  REFS_MAX,
  REGISTRY_END,
  REGISTRY_EXTENTS,
  REGISTRY_NEXT,
  SERIES_COUNT,
  SERIES_PAGES,
  SYMBOLS_COUNT,
} from './layout';
import { addPosting, POSTING_RESERVE_BYTES } from './postings';
import { ABSENT, find, insert, PAIRS, SERIES, SYMBOLS } from './table';

const SYMBOL_LENGTH: usize = 4;
const SYMBOL_BYTES: usize = 8;

const PAIR_BYTES_BITS: u32 = 5;
const PAIRS_PER_PAGE_BITS: u32 = EXTENT_BITS - PAIR_BYTES_BITS;
export const PAIR_NAME: usize = 0;
/** 0 for a name's own pair. */
export const PAIR_VALUE: usize = 4;
/** Series that have the pair; of a name: its pairs. Published after what it counts. */
export const PAIR_COUNT: usize = 8;
/** First series that has the pair; of a name: its newest pair, plus one. */
export const PAIR_FIRST: usize = 12;
export const PAIR_FIRST_SLAB: usize = 16;
export const PAIR_TAIL_SLAB: usize = 20;
export const PAIR_LAST_REF: usize = 24;
/** The next older pair of the same name, plus one; of a name: the next older name, plus one. */
export const PAIR_OLDER: usize = 28;

export const SERIES_FINGERPRINT_BYTES: u32 = 16;
export const SERIES_LABELS_COUNT: usize = 16;
export const SERIES_PAIRS: usize = 20;
const REFS_PER_PAGE_BITS: u32 = EXTENT_BITS - 2;

/** Results of `register` from here on are not references. */
export const REGISTER_FULL: u32 = 0xffffffff;
export const REGISTER_BAD_LABELS: u32 = 0xfffffffe;
export const REGISTER_ERROR_MIN: u32 = REGISTER_BAD_LABELS;

/** Extents beyond the arena's that one registration may take: pages of series, pairs and the three tables, and spare. */
const REGISTER_PAGES: u32 = 8;

// --- Memory

/** Bytes of the registry's arena; never given back. 0 where there is no memory, or the request is beyond an extent. */
export function registryAllocate(bytes: u32, alignment: u32): usize {
  let at = (load<u32>(REGISTRY_NEXT) + alignment - 1) & ~(alignment - 1);
  // The space left, not a sum: the extent may end where addresses wrap.
  const end = load<u32>(REGISTRY_END);
  if (at > end || end - at < bytes) {
    if (bytes > EXTENT_BYTES - EXTENT_SLACK_BYTES) return 0;
    const extent = <u32>takeExtent();
    if (extent == 0) return 0;
    store<u32>(REGISTRY_EXTENTS, load<u32>(REGISTRY_EXTENTS) + 1);
    store<u32>(REGISTRY_END, extent + EXTENT_BYTES - EXTENT_SLACK_BYTES);
    at = extent;
  }
  store<u32>(REGISTRY_NEXT, at + bytes);
  return at;
}

function takePage(): u32 {
  const page = <u32>takeExtent();
  if (page != 0) store<u32>(REGISTRY_EXTENTS, load<u32>(REGISTRY_EXTENTS) + 1);
  return page;
}

// --- Access by id

export function pairAt(id: u32): usize {
  const page = <usize>load<u32>(PAIR_PAGES + <usize>((id >> PAIRS_PER_PAGE_BITS) << 2));
  return page + (<usize>(id & ((1 << PAIRS_PER_PAGE_BITS) - 1)) << PAIR_BYTES_BITS);
}

export function seriesAt(ref: u32): usize {
  const page = <usize>load<u32>(SERIES_PAGES + <usize>((ref >> REFS_PER_PAGE_BITS) << 2));
  return load<u32>(page + (<usize>(ref & ((1 << REFS_PER_PAGE_BITS) - 1)) << 2));
}

export function symbolText(symbol: usize): usize {
  return symbol + SYMBOL_BYTES;
}

export function symbolLength(symbol: usize): u32 {
  return load<u32>(symbol, SYMBOL_LENGTH);
}

// --- Keys of the hash tables

export function hashPair(name: u32, value: u32): u64 {
  return mix(load<u64>(HASH_SEED), (<u64>name << 32) | value);
}

/** Fingerprints are public; the seed keeps them from being chosen to fall into one bucket. */
function hashFingerprint(fingerprint: usize): u64 {
  return mix(load<u64>(HASH_SEED), load<u64>(fingerprint, 8));
}

/** Low half of an entry's hash, for table.ts when it splits a bucket. */
export function hashOf(kind: u32, id: u32): u32 {
  if (kind == SYMBOLS) return load<u32>(id);
  if (kind == SERIES) return <u32>hashFingerprint(seriesAt(id));
  const pair = pairAt(id);
  return <u32>hashPair(load<u32>(pair, PAIR_NAME), load<u32>(pair, PAIR_VALUE));
}

/**
 * Whether an entry has a key. Symbols: text at `a`, `b` bytes. Pairs: name symbol `a`, value symbol `b`. Series: fingerprint
 * at `a`, canonical labels at `c`, `b` bytes.
 */
export function isKey(kind: u32, id: u32, a: usize, b: u32, c: usize): bool {
  if (kind == SYMBOLS) return symbolLength(id) == b && bytesEqual(symbolText(id), a, b);
  if (kind == SERIES) return seriesIs(seriesAt(id), a, b, c);
  const pair = pairAt(id);
  return load<u32>(pair, PAIR_NAME) == <u32>a && load<u32>(pair, PAIR_VALUE) == b;
}

function seriesIs(series: usize, fingerprint: usize, labelBytes: u32, labels: usize): bool {
  if (load<u64>(series) != load<u64>(fingerprint) || load<u64>(series, 8) != load<u64>(fingerprint, 8)) return false;
  const end = labels + labelBytes;
  const count = load<u32>(series, SERIES_LABELS_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    const pair = pairAt(load<u32>(series + (<usize>i << 2), SERIES_PAIRS));
    labels = skipEqual(labels, end, load<u32>(pair, PAIR_NAME));
    if (labels == 0) return false;
    labels = skipEqual(labels, end, load<u32>(pair, PAIR_VALUE));
    if (labels == 0) return false;
  }
  return labels == end;
}

/** Address after a length-prefixed string that equals a symbol, or 0. The input was parsed before, so lengths are sound. */
function skipEqual(at: usize, end: usize, symbol: usize): usize {
  if (at >= end) return 0;
  let length: u32 = load<u8>(at++);
  for (let shift: u32 = 7; length >> shift == 1; shift += 7) {
    length = (length & ((1 << shift) - 1)) | (<u32>load<u8>(at++) << shift);
  }
  if (length != symbolLength(symbol) || !bytesEqual(at, symbolText(symbol), length)) return 0;
  return at + length;
}

// --- Registration

/**
 * Parses canonical label bytes into PARSED_LABELS as {name, length, value, length}. Returns how many, or NONE where the bytes
 * are not canonical: cut short, an empty name or value, names not ascending.
 */
function parseLabels(at: usize, end: usize): u32 {
  let count: u32 = 0;
  let parsed = PARSED_LABELS;
  while (at < end) {
    if (count == LABELS_MAX) return NONE;
    for (let part = 0; part < 2; part++) {
      let length: u32 = 0;
      for (let shift: u32 = 0; ; shift += 7) {
        if (at >= end || shift > 21) return NONE;
        const byte: u32 = load<u8>(at++);
        length |= (byte & 127) << shift;
        if (byte < 128) break;
      }
      if (length == 0 || length > <u32>(end - at)) return NONE;
      store<u32>(parsed, <u32>at);
      store<u32>(parsed, length, 4);
      parsed += 8;
      at += length;
    }
    if (count > 0 && !ascending(parsed - 32, parsed - 16)) return NONE;
    count++;
  }
  return count;
}

/** Whether one parsed string sorts before another by bytes. */
function ascending(left: usize, right: usize): bool {
  return compareBytes(load<u32>(left), load<u32>(left, 4), load<u32>(right), load<u32>(right, 4)) < 0;
}

/** Finds or creates the series whose fingerprint and canonical labels lie at INPUT. */
export function register(labelBytes: u32): u32 {
  const labels = INPUT + SERIES_FINGERPRINT_BYTES;
  if (labelBytes == 0 || labelBytes > LABEL_BYTES_MAX) return REGISTER_BAD_LABELS;
  const count = parseLabels(labels, labels + labelBytes);
  if (count == NONE) return REGISTER_BAD_LABELS;
  const hash = hashFingerprint(INPUT);
  const found = find(SERIES, hash, INPUT, labelBytes, labels);
  if (found != ABSENT) return found;
  const ref = load<u32>(SERIES_COUNT);
  if (ref == REFS_MAX || !reserve(labelBytes, count)) return REGISTER_FULL;
  internPairs(count, ref);
  const series = registryAllocate(<u32>SERIES_PAIRS + (count << 2), 4);
  memory.copy(series, INPUT, SERIES_FINGERPRINT_BYTES);
  store<u32>(series, count, SERIES_LABELS_COUNT);
  memory.copy(series + SERIES_PAIRS, PARSED_LABELS, <usize>count << 2);
  const page = SERIES_PAGES + <usize>((ref >> REFS_PER_PAGE_BITS) << 2);
  if (load<u32>(page) == 0) store<u32>(page, takePage());
  store<u32>(<usize>load<u32>(page) + (<usize>(ref & ((1 << REFS_PER_PAGE_BITS) - 1)) << 2), <u32>series);
  insert(SERIES, hash, ref);
  for (let i: u32 = 0; i < count; i++) addPosting(load<u32>(series + (<usize>i << 2), SERIES_PAIRS), ref);
  atomic.store<u32>(SERIES_COUNT, ref + 1);
  return ref;
}

/** Makes sure that registering cannot run out of memory half-way. */
function reserve(labelBytes: u32, labelsCount: u32): bool {
  // Two symbols, two pairs (one may be the name's own), their overflow buckets and postings, for each label.
  const perLabel: u32 = 2 * 16 + 5 * 128 + POSTING_RESERVE_BYTES;
  if (load<u32>(PAIRS_COUNT) + 2 * labelsCount > PAIR_PAGES_COUNT << PAIRS_PER_PAGE_BITS) return false;
  return ensureExtents(REGISTER_PAGES + 2 * (labelBytes + labelsCount * perLabel) / EXTENT_BYTES);
}

/** Replaces the parsed labels by pair ids: {pair} each, from the start of PARSED_LABELS. */
function internPairs(count: u32, ref: u32): void {
  // Neighbours in a scrape share most labels: the last series' pair at the same place is looked at first.
  const last: usize = ref == 0 ? 0 : seriesAt(ref - 1);
  const lastCount: u32 = ref == 0 ? 0 : load<u32>(last, SERIES_LABELS_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    const parsed = PARSED_LABELS + (<usize>i << 4);
    const name = <usize>load<u32>(parsed);
    const nameLength = load<u32>(parsed, 4);
    const value = <usize>load<u32>(parsed, 8);
    const valueLength = load<u32>(parsed, 12);
    let id = NONE;
    let nameSymbol: u32 = 0;
    if (i < lastCount) {
      const lastId = load<u32>(last + (<usize>i << 2), SERIES_PAIRS);
      const pair = pairAt(lastId);
      if (isKey(SYMBOLS, load<u32>(pair, PAIR_NAME), name, nameLength, 0)) {
        nameSymbol = load<u32>(pair, PAIR_NAME);
        if (isKey(SYMBOLS, load<u32>(pair, PAIR_VALUE), value, valueLength, 0)) id = lastId;
      }
    }
    if (id == NONE) {
      if (nameSymbol == 0) nameSymbol = internSymbol(name, nameLength);
      id = internPair(nameSymbol, internSymbol(value, valueLength));
    }
    store<u32>(PARSED_LABELS + (<usize>i << 2), id);
  }
}

function internSymbol(text: usize, length: u32): u32 {
  const hash = hashBytes(text, length);
  const found = find(SYMBOLS, hash, text, length, 0);
  if (found != ABSENT) return found;
  const symbol = registryAllocate(<u32>SYMBOL_BYTES + length, 4);
  store<u32>(symbol, <u32>hash);
  store<u32>(symbol, length, SYMBOL_LENGTH);
  memory.copy(symbol + SYMBOL_BYTES, text, length);
  insert(SYMBOLS, hash, <u32>symbol);
  atomic.store<u32>(SYMBOLS_COUNT, load<u32>(SYMBOLS_COUNT) + 1);
  return <u32>symbol;
}

function internPair(name: u32, value: u32): u32 {
  const hash = hashPair(name, value);
  const found = find(PAIRS, hash, name, value, 0);
  if (found != ABSENT) return found;
  let head: usize = 0;
  if (value != 0) head = pairAt(internPair(name, 0));
  const id = load<u32>(PAIRS_COUNT);
  const page = PAIR_PAGES + <usize>((id >> PAIRS_PER_PAGE_BITS) << 2);
  if (load<u32>(page) == 0) store<u32>(page, takePage());
  const pair = pairAt(id);
  store<u32>(pair, name, PAIR_NAME);
  store<u32>(pair, value, PAIR_VALUE);
  if (value == 0) {
    store<u32>(pair, load<u32>(NEWEST_NAME), PAIR_OLDER);
    atomic.store<u32>(NEWEST_NAME, id + 1);
  } else {
    store<u32>(pair, load<u32>(head, PAIR_FIRST), PAIR_OLDER);
    atomic.store<u32>(head, id + 1, PAIR_FIRST);
    atomic.store<u32>(head, load<u32>(head, PAIR_COUNT) + 1, PAIR_COUNT);
  }
  atomic.store<u32>(PAIRS_COUNT, id + 1);
  insert(PAIRS, hash, id);
  return id;
}
