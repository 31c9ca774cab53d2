// The raw-hash cache: from the hash of a series' raw label bytes to the head's reference and the series' partition.
// Extendible hashing (Fagin, Nievergelt, Pippenger and Strong 1979), so that growth costs one page at a time: a directory
// of 2^depth entries leads to pages; a page that is full is split in two by one more bit of the hash.
//
// A page: its depth (u32, padded to 64 bytes), 80 buckets of 64 bytes, then the partitions (u16) of their slots.
// A bucket: 4 slots as columns, 64 bits of the hash each (32 bytes), 32 more each (16 bytes), then reference + 1 each,
// 0 where the slot is free (16 bytes). The last 32 bits of the hash choose two buckets of the page; an entry lies in
// either, and keeps its place when the page is split. So 96 bits are compared, within two buckets.
// What can't grow any more replaces entries: a missing entry costs a registration that finds the series again.
import {
  cacheAddress, directoryAddress, directoryDepthMax, headerCacheBytes, headerCacheEntriesCount, reserveUpTo,
} from './layout.ts';

const bucketsCount: u32 = 80;
const bucketBytes: usize = 64;
const slotsCount: u32 = 4;
const bucketsOffset: usize = 64;
const partitionsOffset: usize = bucketsOffset + <usize>bucketsCount * bucketBytes;
const pageBytes: usize = partitionsOffset + <usize>bucketsCount * slotsCount * 2;
const initialDepth: u32 = 4;
/** Memory grows by at least so much at once: growing detaches the views of JavaScript. */
const growthBytes: usize = 4 << 20;

let directoryMask: u32 = 0;
let directoryDepth: u32 = 0;
let pagesEnd: usize = 0;
let cacheEnd: usize = 0;
let entriesCount: u32 = 0;

/** The partition that the last `lookUp` found, where it found a reference. */
export let foundPartition: u32 = 0;

/** False where there is no memory for the smallest cache. `bytesMax` may be exceeded by less than a page. */
export function initializeCache(bytesMax: u32): bool {
  const smallest = pageBytes << initialDepth;
  if (!reserveUpTo(cacheAddress + smallest)) return false;
  cacheEnd = cacheAddress + max(<usize>bytesMax, smallest);
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
  const second = secondBucket(<u32>(high >> 32));
  let bucket = first;
  let matches = matchesIn(page, first, low, <u32>high);
  if (matches == 0) {
    bucket = second;
    matches = matchesIn(page, second, low, <u32>high);
    if (matches == 0) return 0xffffffff;
  }
  const slot = ctz<u32>(matches);
  foundPartition = load<u16>(partitionAt(page, bucket, slot));
  return load<u32>(referenceAt(page, bucket, slot)) - 1;
}

/** Stores the reference (below 0xFFFFFFFE) and partition of a hash; replaces those it had. */
export function insert(low: u64, high: u64, reference: u32, partition: u32): void {
  while (!insertInto(pageOf(<u32>high), low, high, reference, partition)) {
    if (split(pageOf(<u32>high), <u32>high)) continue;
    // Full for good: the new entry takes the place of one that its hash chooses.
    const bucket = firstBucket(<u32>(high >> 32));
    put(pageOf(<u32>high), bucket, <u32>low & (slotsCount - 1), low, <u32>high, reference, partition);
    return;
  }
}

function insertInto(page: usize, low: u64, high: u64, reference: u32, partition: u32): bool {
  const first = firstBucket(<u32>(high >> 32));
  const second = secondBucket(<u32>(high >> 32));
  let bucket = first;
  let candidates = matchesIn(page, first, low, <u32>high);
  if (candidates == 0) {
    bucket = second;
    candidates = matchesIn(page, second, low, <u32>high);
  }
  if (candidates == 0) {
    // The emptier bucket of the two: this lets a page fill up to about nine tenths.
    const freeFirst = freeIn(page, first);
    const freeSecond = freeIn(page, second);
    bucket = popcnt<u32>(freeSecond) > popcnt<u32>(freeFirst) ? second : first;
    candidates = bucket == first ? freeFirst : freeSecond;
    if (candidates == 0) return false;
    entriesCount++;
  }
  put(page, bucket, ctz<u32>(candidates), low, <u32>high, reference, partition);
  publish();
  return true;
}

/** Divides a page by the next bit of its entries' hashes; false where nothing can grow. `prefix`: a hash that leads to it. */
function split(page: usize, prefix: u32): bool {
  const depth = load<u32>(page);
  if (depth == directoryDepthMax) return false;
  const created = pagesEnd;
  if (created + pageBytes > cacheEnd) return false;
  if (!reserveUpTo(created + pageBytes + growthBytes) && !reserveUpTo(created + pageBytes)) return false;
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
  return ((choice & 0xffff) * bucketsCount) >> 16;
}

function secondBucket(choice: u32): u32 {
  return ((choice >> 16) * bucketsCount) >> 16;
}

/** A bit per slot of the bucket whose 96 bits of hash are these. */
function matchesIn(page: usize, bucket: u32, low: u64, high: u32): u32 {
  const at = page + bucketsOffset + <usize>bucket * bucketBytes;
  const lows = v128.splat<u64>(low);
  const lowMatches =
    i64x2.bitmask(i64x2.eq(v128.load(at), lows)) | (i64x2.bitmask(i64x2.eq(v128.load(at, 16), lows)) << 2);
  return lowMatches & i32x4.bitmask(i32x4.eq(v128.load(at, 32), v128.splat<u32>(high)));
}

/** A bit per free slot of the bucket. */
function freeIn(page: usize, bucket: u32): u32 {
  const at = page + bucketsOffset + <usize>bucket * bucketBytes;
  return i32x4.bitmask(i32x4.eq(v128.load(at, 48), i32x4(0, 0, 0, 0)));
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
  return page + partitionsOffset + ((<usize>bucket * slotsCount + slot) << 1);
}
