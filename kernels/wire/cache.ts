// The raw-hash cache: from the hash of a series' raw label bytes to the head's reference and the series' partition.
// Extendible hashing (Fagin, Nievergelt, Pippenger and Strong 1979), so that growth costs one page at a time: a directory
// of 2^depth entries leads to pages; a page that is full is split in two by one more bit of the hash.
//
// A page: its depth (u32, padded to 64 bytes), then 80 buckets of 72 bytes.
// A bucket: 4 slots as columns: 64 bits of the hash each (32 bytes), 32 more each (16 bytes), reference + 1 each, 0 where
// the slot is free (16 bytes), partition each (8 bytes).
// Of the 96 bits that are kept, the low ones of the second column choose the page. The remaining 32 bits of the hash
// choose an entry's first bucket; the second one follows from the first and the bits that are kept, and the other way
// round (cuckoo hashing, Pagh and Rodler 2001), so that entries can make room for each other, and a page fills to nine
// tenths. An entry keeps its place when its page is split.
// Where nothing can grow any more, the entry that finds no room is dropped: the next request registers its series again.
import {
  cacheAddress, directoryAddress, directoryDepthMax, headerCacheBytes, headerCacheEntriesCount, reserveUpTo,
} from './layout.ts';

const bucketsCount: u32 = 80;
const bucketBytes: usize = 72;
const slotsCount: u32 = 4;
const bucketsOffset: usize = 64;
const pageBytes: usize = bucketsOffset + <usize>bucketsCount * bucketBytes;
const initialDepth: u32 = 4;
/** Entries that may make room for another, one after the other, before the page is split. */
const movesMax: u32 = 24;
/** Memory grows by at least so much at once: growing detaches the views of JavaScript. */
const growthBytes: u64 = 4 << 20;

let directoryMask: u32 = 0;
let directoryDepth: u32 = 0;
let pagesEnd: usize = 0;
let cacheEnd: u64 = 0;
let entriesCount: u32 = 0;

/** The partition that the last `lookUp` found, where it found a reference. */
export let foundPartition: u32 = 0;

/** False where there is no memory for the smallest cache, which may be larger than `bytesMax`. */
export function initializeCache(bytesMax: u32): bool {
  const smallest: u64 = <u64>pageBytes << initialDepth;
  if (!reserveUpTo(<u64>cacheAddress + smallest)) return false;
  cacheEnd = <u64>cacheAddress + max<u64>(bytesMax, smallest);
  clearCache();
  return true;
}

export function clearCache(): void {
  const pagesCount: u32 = 1 << initialDepth;
  directoryDepth = initialDepth;
  directoryMask = pagesCount - 1;
  pagesEnd = cacheAddress + pageBytes * pagesCount;
  memory.fill(cacheAddress, 0, pagesEnd - cacheAddress);
  for (let i: u32 = 0; i < pagesCount; i++) {
    const page = cacheAddress + pageBytes * i;
    store<u32>(page, initialDepth);
    store<u32>(directoryAddress + (<usize>i << 2), page);
  }
  entriesCount = 0;
  publish();
}

/** The reference of a hash, or 0xFFFFFFFF (a free slot's 0 less 1, too) where it is not known. */
export function lookUp(low: u64, high: u64): u32 {
  const page = pageOf(<u32>high);
  const first = firstBucket(<u32>(high >> 32));
  const second = otherBucket(first, <u32>high);
  // Both buckets at once: a branch on the first one would wait for its memory before the second one's is asked for.
  const firstMatches = matchesIn(page, first, low, <u32>high);
  const secondMatches = matchesIn(page, second, low, <u32>high);
  if ((firstMatches | secondMatches) == 0) return 0xffffffff;
  const bucket = select(first, second, firstMatches != 0);
  const slot = ctz<u32>(select(firstMatches, secondMatches, firstMatches != 0));
  foundPartition = load<u16>(partitionAt(page, bucket, slot));
  return load<u32>(referenceAt(page, bucket, slot)) - 1;
}

/** Stores the reference (below 0xFFFFFFFE) and partition of a hash; replaces those it had. */
export function insert(low: u64, high: u64, reference: u32, partition: u32): void {
  const bucket = firstBucket(<u32>(high >> 32));
  if (replace(pageOf(<u32>high), bucket, low, <u32>high, reference, partition)) return;
  carriedBucket = bucket;
  carriedLow = low;
  carriedHigh = <u32>high;
  carriedReference = reference;
  carriedPartition = partition;
  entriesCount++;
  while (!placeCarried()) {
    if (split(pageOf(carriedHigh), carriedHigh)) continue;
    entriesCount--;
    break;
  }
  publish();
}

// The entry that is looking for a place, and one of its two buckets.
let carriedBucket: u32 = 0;
let carriedLow: u64 = 0;
let carriedHigh: u32 = 0;
let carriedReference: u32 = 0;
let carriedPartition: u32 = 0;

/** Puts the carried entry into a free slot of its buckets, or into a taken one, and carries on with what was there. */
function placeCarried(): bool {
  const page = pageOf(carriedHigh);
  for (let move: u32 = 0; move < movesMax; move++) {
    if (placeIn(page, carriedBucket)) return true;
    carriedBucket = otherBucket(carriedBucket, carriedHigh);
    if (placeIn(page, carriedBucket)) return true;
    swapCarried(page, ((carriedHigh >> 8) + move) & (slotsCount - 1));
  }
  return false;
}

function placeIn(page: usize, bucket: u32): bool {
  const at = page + bucketsOffset + <usize>bucket * bucketBytes;
  const free: u32 = i32x4.bitmask(i32x4.eq(v128.load(at, 48), i32x4(0, 0, 0, 0)));
  if (free == 0) return false;
  put(page, bucket, ctz<u32>(free), carriedLow, carriedHigh, carriedReference, carriedPartition);
  return true;
}

function swapCarried(page: usize, slot: u32): void {
  const bucket = carriedBucket;
  const low = load<u64>(lowAt(page, bucket, slot));
  const high = load<u32>(highAt(page, bucket, slot));
  const reference = load<u32>(referenceAt(page, bucket, slot)) - 1;
  const partition = load<u16>(partitionAt(page, bucket, slot));
  put(page, bucket, slot, carriedLow, carriedHigh, carriedReference, carriedPartition);
  carriedLow = low;
  carriedHigh = high;
  carriedReference = reference;
  carriedPartition = partition;
}

function replace(page: usize, first: u32, low: u64, high: u32, reference: u32, partition: u32): bool {
  let bucket = first;
  let matches = matchesIn(page, bucket, low, high);
  if (matches == 0) {
    bucket = otherBucket(bucket, high);
    matches = matchesIn(page, bucket, low, high);
  }
  if (matches == 0) return false;
  put(page, bucket, ctz<u32>(matches), low, high, reference, partition);
  return true;
}

/** Divides a page by the next bit of its entries' hashes; false where nothing can grow. `prefix`: a hash that leads to it. */
function split(page: usize, prefix: u32): bool {
  const depth = load<u32>(page);
  if (depth == directoryDepthMax) return false;
  const created = pagesEnd;
  const createdEnd = <u64>created + pageBytes;
  if (createdEnd > cacheEnd || !reserve(createdEnd)) return false;
  if (depth == directoryDepth) {
    // The upper half of the doubled directory leads where the lower half does.
    const sizeBytes = <usize>4 << directoryDepth;
    memory.copy(directoryAddress + sizeBytes, directoryAddress, sizeBytes);
    directoryDepth++;
    directoryMask = (1 << directoryDepth) - 1;
  }
  pagesEnd += pageBytes;
  memory.fill(created, 0, pageBytes);
  store<u32>(page, depth + 1);
  store<u32>(created, depth + 1);
  for (let bucket: u32 = 0; bucket < bucketsCount; bucket++) {
    for (let slot: u32 = 0; slot < slotsCount; slot++) moveIfSet(page, created, bucket, slot, depth);
  }
  const step: u32 = 1 << (depth + 1);
  for (let i = (prefix & ((1 << depth) - 1)) | (1 << depth); i <= directoryMask; i += step) {
    store<u32>(directoryAddress + (<usize>i << 2), created);
  }
  return true;
}

function reserve(end: u64): bool {
  if (end <= <u64>memory.size() << 16) return true;
  return reserveUpTo(end + growthBytes) || reserveUpTo(end);
}

/** Moves an entry to the same place of another page if bit `depth` of its hash is set. */
function moveIfSet(page: usize, created: usize, bucket: u32, slot: u32, depth: u32): void {
  const referenceAddress = referenceAt(page, bucket, slot);
  const stored = load<u32>(referenceAddress);
  const high = load<u32>(highAt(page, bucket, slot));
  if (stored == 0 || ((high >> depth) & 1) == 0) return;
  const partition = load<u16>(partitionAt(page, bucket, slot));
  put(created, bucket, slot, load<u64>(lowAt(page, bucket, slot)), high, stored - 1, partition);
  store<u32>(referenceAddress, 0);
}

function put(page: usize, bucket: u32, slot: u32, low: u64, high: u32, reference: u32, partition: u32): void {
  store<u64>(lowAt(page, bucket, slot), low);
  store<u32>(highAt(page, bucket, slot), high);
  store<u32>(referenceAt(page, bucket, slot), reference + 1);
  store<u16>(partitionAt(page, bucket, slot), partition);
}

function publish(): void {
  store<u32>(headerCacheEntriesCount, entriesCount);
  store<u32>(headerCacheBytes, pagesEnd - cacheAddress);
}

function pageOf(high: u32): usize {
  return load<u32>(directoryAddress + (<usize>(high & directoryMask) << 2));
}

function firstBucket(choice: u32): u32 {
  return <u32>((<u64>choice * bucketsCount) >> 32);
}

/** The second bucket of an entry that is in the first, and the first if it is in the second. */
function otherBucket(bucket: u32, high: u32): u32 {
  const sum = ((high >> 16) * bucketsCount) >> 16;
  return sum >= bucket ? sum - bucket : sum + bucketsCount - bucket;
}

/** A bit per slot of the bucket whose 96 bits of hash are these. */
function matchesIn(page: usize, bucket: u32, low: u64, high: u32): u32 {
  const at = page + bucketsOffset + <usize>bucket * bucketBytes;
  const lows = v128.splat<u64>(low);
  const lowMatches =
    i64x2.bitmask(i64x2.eq(v128.load(at), lows)) | (i64x2.bitmask(i64x2.eq(v128.load(at, 16), lows)) << 2);
  return lowMatches & i32x4.bitmask(i32x4.eq(v128.load(at, 32), v128.splat<u32>(high)));
}

function lowAt(page: usize, bucket: u32, slot: u32): usize {
  return page + bucketsOffset + <usize>bucket * bucketBytes + (<usize>slot << 3);
}

function highAt(page: usize, bucket: u32, slot: u32): usize {
  return page + bucketsOffset + <usize>bucket * bucketBytes + 32 + (<usize>slot << 2);
}

function referenceAt(page: usize, bucket: u32, slot: u32): usize {
  return page + bucketsOffset + <usize>bucket * bucketBytes + 48 + (<usize>slot << 2);
}

function partitionAt(page: usize, bucket: u32, slot: u32): usize {
  return page + bucketsOffset + <usize>bucket * bucketBytes + 64 + (<usize>slot << 1);
}
