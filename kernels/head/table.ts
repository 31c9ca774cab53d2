// Hash tables of ids by linear hashing (Litwin 1980): a table grows by one bucket at a time, so that no insertion stalls and
// memory follows the content. Three tables share the code: symbols, pairs, series (the `kind`).
//
// A bucket is one cache line: 12 one-byte tags (0: empty), the address of an overflow bucket, 12 ids. Tags are compared
// sixteen at a time. Readers in other threads look up under a sequence lock: splitting a bucket makes `version` odd while it
// moves ids; plain insertion writes the id before its tag. Whatever a reader meets meanwhile is a valid id, never garbage.
import { takeExtent } from './memory';
import { REGISTRY_EXTENTS, TABLE_BYTES, TABLE_PAGES, TABLE_PAGES_BYTES, TABLES } from './layout';
import { hashOf, isKey, registryAllocate } from './registry';

export const SYMBOLS: u32 = 0;
export const PAIRS: u32 = 1;
export const SERIES: u32 = 2;
export const TABLES_COUNT: u32 = 3;

// Fields of a table.
const VERSION: usize = 0;
/** Buckets [0, mask] are addressed by `hash & mask`; those below `split` were split, and use one more bit. */
const MASK: usize = 4;
const SPLIT: usize = 8;
const COUNT: usize = 12;

const BUCKET_BYTES: u32 = 64;
const BUCKETS_PER_PAGE_BITS: u32 = 12;
const BUCKETS_PER_PAGE: u32 = 1 << BUCKETS_PER_PAGE_BITS;
const BUCKET_IDS: u32 = 12;
/** Mean ids per bucket before one more bucket is made. */
const FILL_IDS: u32 = 8;
const OVERFLOW: usize = 12;
const IDS: usize = 16;
const TAGS_MASK: u32 = (1 << BUCKET_IDS) - 1;

export const ABSENT: u32 = 0xffffffff;

function pageEntry(kind: u32, page: u32): usize {
  return TABLE_PAGES + <usize>kind * TABLE_PAGES_BYTES + (<usize>page << 2);
}

function bucketAt(kind: u32, index: u32): usize {
  const page = <usize>load<u32>(pageEntry(kind, index >> BUCKETS_PER_PAGE_BITS));
  return page + <usize>(index & (BUCKETS_PER_PAGE - 1)) * BUCKET_BYTES;
}

function bucketOf(kind: u32, hash: u32): usize {
  const table = TABLES + <usize>kind * TABLE_BYTES;
  const mask = load<u32>(table, MASK);
  let index = hash & mask;
  if (index < load<u32>(table, SPLIT)) index = hash & ((mask << 1) | 1);
  return bucketAt(kind, index);
}

function tagOf(hash: u64): u8 {
  return <u8>(hash >> 57) | 0x80;
}

/** Takes the first page of every table; false: no memory. */
export function createTables(): bool {
  for (let kind: u32 = 0; kind < TABLES_COUNT; kind++) {
    const page = takeExtent();
    if (page == 0) return false;
    store<u32>(REGISTRY_EXTENTS, load<u32>(REGISTRY_EXTENTS) + 1);
    store<u32>(pageEntry(kind, 0), <u32>page);
    store<u32>(TABLES + <usize>kind * TABLE_BYTES, BUCKETS_PER_PAGE - 1, MASK);
  }
  return true;
}

/** The id whose key is (a, b, c), as registry.ts's `isKey` takes it, or ABSENT. */
export function find(kind: u32, hash: u64, a: usize, b: u32, c: usize): u32 {
  const wanted = i8x16.splat(<i8>tagOf(hash));
  let bucket = bucketOf(kind, <u32>hash);
  while (bucket != 0) {
    let candidates = <u32>i8x16.bitmask(i8x16.eq(v128.load(bucket), wanted)) & TAGS_MASK;
    while (candidates != 0) {
      const id = load<u32>(bucket + (<usize>ctz(candidates) << 2), IDS);
      if (isKey(kind, id, a, b, c)) return id;
      candidates &= candidates - 1;
    }
    bucket = load<u32>(bucket, OVERFLOW);
  }
  return ABSENT;
}

/** `find`, for readers in other threads. */
export function findShared(kind: u32, hash: u64, a: usize, b: u32, c: usize): u32 {
  const version = TABLES + <usize>kind * TABLE_BYTES + VERSION;
  while (true) {
    const before = atomic.load<u32>(version);
    if ((before & 1) != 0) continue;
    const id = find(kind, hash, a, b, c);
    if (atomic.load<u32>(version) == before) return id;
  }
}

/** Puts an id into the first free place of a bucket's chain. */
function place(first: usize, tag: u8, id: u32): void {
  let bucket = first;
  while (true) {
    const used = <u32>i8x16.bitmask(v128.load(bucket)) & TAGS_MASK;
    if (used != TAGS_MASK) {
      const index = <usize>ctz(~used);
      store<u32>(bucket + (index << 2), id, IDS);
      atomic.store<u8>(bucket + index, tag);
      return;
    }
    let next = <usize>load<u32>(bucket, OVERFLOW);
    if (next == 0) {
      next = registryAllocate(BUCKET_BYTES, BUCKET_BYTES);
      if (next == 0) unreachable(); // registering ensures its memory before it begins
      atomic.store<u32>(bucket, <u32>next, OVERFLOW);
    }
    bucket = next;
  }
}

/** Adds an id that is not in the table. The caller has ensured memory for it (registry.ts). */
export function insert(kind: u32, hash: u64, id: u32): void {
  const table = TABLES + <usize>kind * TABLE_BYTES;
  place(bucketOf(kind, <u32>hash), tagOf(hash), id);
  const count = load<u32>(table, COUNT) + 1;
  store<u32>(table, count, COUNT);
  const buckets = load<u32>(table, MASK) + 1 + load<u32>(table, SPLIT);
  if (count > buckets * FILL_IDS) split(kind, table, buckets);
}

/** Divides the next bucket in line between itself and the new last bucket. */
function split(kind: u32, table: usize, newIndex: u32): void {
  if ((newIndex & (BUCKETS_PER_PAGE - 1)) == 0) {
    if (newIndex >> BUCKETS_PER_PAGE_BITS >= <u32>(TABLE_PAGES_BYTES >> 2)) return; // full buckets chain from here on
    const page = takeExtent();
    if (page == 0) return;
    store<u32>(REGISTRY_EXTENTS, load<u32>(REGISTRY_EXTENTS) + 1);
    store<u32>(pageEntry(kind, newIndex >> BUCKETS_PER_PAGE_BITS), <u32>page);
  }
  const mask = load<u32>(table, MASK);
  const splitIndex = load<u32>(table, SPLIT);
  const version = load<u32>(table, VERSION);
  atomic.store<u32>(table, version + 1, VERSION);
  moveUpper(kind, bucketAt(kind, splitIndex), bucketAt(kind, newIndex), mask + 1);
  if (splitIndex == mask) {
    store<u32>(table, (mask << 1) | 1, MASK);
    store<u32>(table, 0, SPLIT);
  } else {
    store<u32>(table, splitIndex + 1, SPLIT);
  }
  atomic.store<u32>(table, version + 2, VERSION);
}

/** Moves ids whose hash has `bit` from one bucket's chain to another's, and closes the gaps. */
function moveUpper(kind: u32, from: usize, to: usize, bit: u32): void {
  let kept = from;
  let keptIndex: usize = 0;
  for (let bucket = from; bucket != 0; bucket = load<u32>(bucket, OVERFLOW)) {
    for (let index: usize = 0; index < BUCKET_IDS; index++) {
      const tag = load<u8>(bucket + index);
      if (tag == 0) break;
      const id = load<u32>(bucket + (index << 2), IDS);
      store<u8>(bucket + index, 0);
      if ((hashOf(kind, id) & bit) != 0) {
        place(to, tag, id);
        continue;
      }
      if (keptIndex == BUCKET_IDS) {
        kept = load<u32>(kept, OVERFLOW);
        keptIndex = 0;
      }
      store<u32>(kept + (keptIndex << 2), id, IDS);
      store<u8>(kept + keptIndex, tag);
      keptIndex++;
    }
  }
}
