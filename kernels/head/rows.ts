// Rows of a staged batch by the partition of their series: the groups of partitions that have the same destinations, the
// selection that goes to one of these, the pairs (partition, window) that the samples lie in, the sum of fingerprints by which
// a peer's references are checked. Replication works row by row; samples are only looked at for their windows.
import { REF_REJECTED } from './layout';
import { seriesAt } from './registry';
import { WINDOW_MS } from './run';

/** Two bytes of the fingerprint, little-endian (docs/formats/labels.md). */
export function partitionOf(ref: u32): u32 {
  return load<u16>(seriesAt(ref));
}

/**
 * Writes the group of each row to `groups` (u16), as the table `groupOf` has it by partition, and each group that there is,
 * once, to `target` (u16). Rows without samples become REF_REJECTED. `seen` is a zeroed bitmap of 65,536 bits. Counts:
 * {groups u32, samples u32}.
 */
export function groupRows(
  rows: u32,
  refs: usize,
  samplesEnd: usize,
  groupOf: usize,
  groups: usize,
  seen: usize,
  target: usize,
  counts: usize,
): void {
  let found: u32 = 0;
  let samples: u32 = 0;
  let start: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const entry = refs + (<usize>row << 2);
    const ref = load<u32>(entry);
    const end = load<u32>(samplesEnd + (<usize>row << 2));
    if (end == start) {
      store<u32>(entry, REF_REJECTED);
    } else if (ref < REF_REJECTED) {
      const group: u32 = load<u16>(groupOf + (<usize>partitionOf(ref) << 1));
      store<u16>(groups + (<usize>row << 1), <u16>group);
      samples += end - start;
      const at = seen + (group >> 3);
      const bits = load<u8>(at);
      const bit = <u8>1 << <u8>(group & 7);
      if ((bits & bit) == 0) {
        store<u8>(at, bits | bit);
        store<u16>(target + (<usize>found << 1), <u16>group);
        found++;
      }
    }
    start = end;
  }
  store<u32>(counts, found);
  store<u32>(counts, samples, 4);
}

/**
 * Keeps the rows whose group is in `bitmap` (65,536 bits): the references of all others become REF_REJECTED. Writes the
 * references of the rows that are kept to `target`, and {rows u32, samples u32} of them to `counts`.
 */
export function keepGroups(
  rows: u32,
  refs: usize,
  samplesEnd: usize,
  groups: usize,
  bitmap: usize,
  target: usize,
  counts: usize,
): void {
  let kept: u32 = 0;
  let samples: u32 = 0;
  let start: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const entry = refs + (<usize>row << 2);
    const ref = load<u32>(entry);
    const end = load<u32>(samplesEnd + (<usize>row << 2));
    if (ref < REF_REJECTED) {
      const group: u32 = load<u16>(groups + (<usize>row << 1));
      if (((load<u8>(bitmap + (group >> 3)) >> <u8>(group & 7)) & 1) == 0) {
        store<u32>(entry, REF_REJECTED);
      } else {
        store<u32>(target + (<usize>kept << 2), ref);
        kept++;
        samples += end - start;
      }
    }
    start = end;
  }
  store<u32>(counts, kept);
  store<u32>(counts, samples, 4);
}

/**
 * Writes window × 65,536 + partition (f64) to `target` for every run of samples of a row that lie in one window; returns how
 * many, at most one a sample. A pair that several rows have is there several times.
 */
export function writePairs(rows: u32, refs: usize, samplesEnd: usize, timestamps: usize, target: usize): u32 {
  let count: u32 = 0;
  let sample: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const ref = load<u32>(refs + (<usize>row << 2));
    const end = load<u32>(samplesEnd + (<usize>row << 2));
    if (ref >= REF_REJECTED || sample == end) {
      sample = end;
      continue;
    }
    const partition = partitionOf(ref);
    let windowStart = i64.MIN_VALUE;
    for (; sample < end; sample++) {
      const timestamp = load<i64>(timestamps + (<usize>sample << 3));
      if (timestamp >= windowStart && timestamp < windowStart + WINDOW_MS) continue;
      let window = timestamp / WINDOW_MS;
      if (window * WINDOW_MS > timestamp) window--;
      windowStart = window * WINDOW_MS;
      store<f64>(target + (<usize>count << 3), <f64>(window * 65536 + partition));
      count++;
    }
  }
  return count;
}

/** The sum, modulo 2⁶⁴, of the first halves of the fingerprints of the rows' series; rows without one are left out. */
export function sumFingerprints(rows: u32, refs: usize): u64 {
  let sum: u64 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const ref = load<u32>(refs + (<usize>row << 2));
    if (ref < REF_REJECTED) sum += load<u64>(seriesAt(ref));
  }
  return sum;
}

/** Writes the partitions (u16) of registered series to `target`. */
export function writePartitions(refs: usize, count: u32, target: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    store<u16>(target + (<usize>i << 1), <u16>partitionOf(load<u32>(refs + (<usize>i << 2))));
  }
}

/** Sets the bits of the rows' series in a bitmap by reference, so that a head knows which series still pass through. */
export function markRows(rows: u32, refs: usize, bitmap: usize, bits: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    const ref = load<u32>(refs + (<usize>row << 2));
    if (ref >= bits) continue;
    const at = bitmap + (ref >> 3);
    store<u8>(at, load<u8>(at) | (<u8>1 << <u8>(ref & 7)));
  }
}
