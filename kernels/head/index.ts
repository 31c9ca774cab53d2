// The head kernel: series registry, postings, generations of chunks, and the log's sample records, over shared memory. One
// instance writes; any number in other threads read (layout.ts says what is published how). Bindings: src/wasm/head.ts and
// head-reader.ts. Times cross as f64 (integers, ms), value bits only through memory, addresses as u32.
import { FREE, GENERATION_STATE, generationAt, stateOf } from './generation';
import {
  EXTENT_PAGES,
  EXTENTS_LIMIT,
  GROWN_END,
  GROWN_NEXT,
  HASH_SEED,
  OWNED_EXTENTS,
  SCRATCH_LIMIT,
  SERIES_COUNT,
  SLOTS_COUNT,
} from './layout';
import { createTables } from './table';
import { writeImage as writeImageOf, writeFrame as writeFrameOf, decodeImage as decodeImageOf } from './image';

export { append, checkTimestamps } from './series';
export { dropGeneration, freezeGeneration, openGeneration } from './generation';
export { decodeHeader, decodeSamples, encodeSamples } from './log-samples';
export {
  copyFingerprint,
  copyPairs,
  copyPairText,
  findPair,
  findSymbol,
  pairCount,
  pairTextBytes,
  writeLabels,
  writeNames,
  writePairsOfName,
} from './lookup';
export { register } from './registry';
export { groupRows, keepGroups, markRows, sumFingerprints, writePairs, writePartitions } from './rows';
export { holdsStale } from './image';
export { releaseScratch, scratchAddress, scratchExtents, takeScratch } from './memory';
export { sortRefs } from './order';
export {
  bitmapAddPairs,
  bitmapCount,
  bitmapFill,
  bitmapIntersect,
  bitmapKeepSlots,
  bitmapMarkPairs,
  bitmapRefs,
  bitmapSubtract,
  bitmapTruncate,
} from './postings';

/** Lays out fresh, zeroed memory. Limits in extents, together below EXTENTS_MAX. False: they are too small. */
export function initialize(extentsLimit: u32, scratchLimit: u32, seedLow: u32, seedHigh: u32): bool {
  store<u32>(EXTENTS_LIMIT, extentsLimit);
  store<u32>(SCRATCH_LIMIT, scratchLimit);
  store<u32>(HASH_SEED, seedLow);
  store<u32>(HASH_SEED, seedHigh, 4);
  store<u32>(GROWN_NEXT, 1);
  const extents = <u32>memory.size() / EXTENT_PAGES;
  store<u32>(GROWN_END, extents);
  store<u32>(OWNED_EXTENTS, extents);
  return createTables();
}

export function writeImage(slot: u32, ref: u32, start: f64, end: f64, target: usize, capacity: u32): u32 {
  return writeImageOf(slot, ref, <i64>start, <i64>end, target, capacity);
}

export function writeFrame(slot: u32, refs: usize, count: u32, start: f64, end: f64, target: usize, capacity: u32): u32 {
  return writeFrameOf(slot, refs, count, <i64>start, <i64>end, target, capacity);
}

export function decodeImage(
  image: usize,
  imageBytes: u32,
  start: f64,
  end: f64,
  timestamps: usize,
  values: usize,
  capacity: u32,
  spareTimestamps: usize,
  spareValues: usize,
): u32 {
  return decodeImageOf(image, imageBytes, <i64>start, <i64>end, timestamps, values, capacity, spareTimestamps, spareValues);
}

/**
 * Registered series that have no samples in any live generation, and whose bit is not set in `passing`, a bitmap of
 * `passingBits` bits by reference.
 */
export function deadSeries(passing: usize, passingBits: u32): u32 {
  const count = load<u32>(SERIES_COUNT);
  let dead = count;
  for (let ref: u32 = 0; ref < count; ref++) {
    if (ref < passingBits && (load<u8>(passing + (ref >> 3)) >> <u8>(ref & 7)) & 1) {
      dead--;
      continue;
    }
    for (let slot: u32 = 0; slot < SLOTS_COUNT; slot++) {
      if (load<u32>(generationAt(slot), GENERATION_STATE) == FREE || stateOf(slot, ref) == 0) continue;
      dead--;
      break;
    }
  }
  return dead;
}
