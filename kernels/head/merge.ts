// The merge order: which of two values at one timestamp stays (docs/formats/samples.md; src/model/samples.ts has the same),
// and the sorting of decoded columns by it.

export const STALE_MARKER: u64 = 0x7ff0000000000002;

/** Position of value bits in the IEEE 754 total order, as an unsigned integer. */
function rank(bits: u64): u64 {
  return <i64>bits < 0 ? ~bits : bits | 0x8000000000000000;
}

/** Positive where `a` wins over `b`, 0 where they are the same bits: a real value beats a stale marker, then the larger. */
export function compareValues(a: u64, b: u64): i32 {
  if (a == b) return 0;
  if (a == STALE_MARKER) return -1;
  if (b == STALE_MARKER) return 1;
  return rank(a) > rank(b) ? 1 : -1;
}

/**
 * Sorts columns that consist of ascending runs, in place, by timestamp; of one timestamp the winning value stays. A natural
 * merge sort: in-order columns cost one look. `spare…`: as large as the columns. Returns how many are left.
 */
export function sortColumns(timestamps: usize, values: usize, count: u32, spareTimestamps: usize, spareValues: usize): u32 {
  let fromTimestamps = timestamps;
  let fromValues = values;
  let toTimestamps = spareTimestamps;
  let toValues = spareValues;
  let left = count;
  while (runEnd(fromTimestamps, 0, left) < left) {
    left = mergeRuns(fromTimestamps, fromValues, left, toTimestamps, toValues);
    const swapTimestamps = fromTimestamps;
    const swapValues = fromValues;
    fromTimestamps = toTimestamps;
    fromValues = toValues;
    toTimestamps = swapTimestamps;
    toValues = swapValues;
  }
  if (fromTimestamps != timestamps) {
    memory.copy(timestamps, fromTimestamps, <usize>left << 3);
    memory.copy(values, fromValues, <usize>left << 3);
  }
  return left;
}

/** End of the strictly ascending run that begins at `start`. */
function runEnd(timestamps: usize, start: u32, count: u32): u32 {
  let index = start + 1;
  while (index < count && load<f64>(timestamps + (<usize>(index - 1) << 3)) < load<f64>(timestamps + (<usize>index << 3))) index++;
  return min(index, count);
}

/** Merges every two neighbouring runs; returns how many samples were written. */
function mergeRuns(timestamps: usize, values: usize, count: u32, toTimestamps: usize, toValues: usize): u32 {
  let written: usize = 0;
  let start: u32 = 0;
  while (start < count) {
    const middle = runEnd(timestamps, start, count);
    const end = middle < count ? runEnd(timestamps, middle, count) : middle;
    let a = <usize>start << 3;
    let b = <usize>middle << 3;
    const aEnd = b;
    const bEnd = <usize>end << 3;
    while (a < aEnd || b < bEnd) {
      let takeFirst = b == bEnd;
      if (a < aEnd && b < bEnd) {
        const difference = load<f64>(timestamps + a) - load<f64>(timestamps + b);
        if (difference == 0) {
          // The loser is left out.
          if (compareValues(load<u64>(values + a), load<u64>(values + b)) > 0) b += 8;
          else a += 8;
          continue;
        }
        takeFirst = difference < 0;
      }
      const from = takeFirst ? a : b;
      store<u64>(toTimestamps + written, load<u64>(timestamps + from));
      store<u64>(toValues + written, load<u64>(values + from));
      written += 8;
      if (takeFirst) a += 8;
      else b += 8;
    }
    start = end;
  }
  return <u32>(written >> 3);
}
