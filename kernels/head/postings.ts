// Postings: for each label pair the series that have it, ascending. The first lies in the pair; further ones follow as
// LEB128 differences in slabs {next u32, size u16, used u16, bytes}, which grow with the list. A difference may continue in
// the next slab. The pair's count is published after the bytes it counts, so that readers in other threads can follow.
// Readers turn postings into bitmaps (one bit a series) and do their set operations there.
import { SLOTS_COUNT } from './layout';
import { stateOf } from './generation';
import {
  PAIR_COUNT,
  PAIR_FIRST,
  PAIR_FIRST_SLAB,
  PAIR_LAST_REF,
  PAIR_NAME,
  PAIR_TAIL_SLAB,
  pairAt,
  registryAllocate,
  SERIES_LABELS_COUNT,
  SERIES_PAIRS,
  seriesAt,
} from './registry';

const SLAB_SIZE: usize = 4;
const SLAB_USED: usize = 6;
const SLAB_HEADER_BYTES: u32 = 8;
const SLAB_BYTES_MIN: u32 = 16;
const SLAB_BYTES_MAX: u32 = 1024;
/** What one more posting may allocate. */
export const POSTING_RESERVE_BYTES: u32 = 2 * SLAB_BYTES_MAX;

/** Adds a series to a pair's list. `ref` is above all before it. */
export function addPosting(pairId: u32, ref: u32): void {
  const pair = pairAt(pairId);
  const count = load<u32>(pair, PAIR_COUNT);
  if (count == 0) store<u32>(pair, ref, PAIR_FIRST);
  else appendDifference(pair, ref - load<u32>(pair, PAIR_LAST_REF));
  store<u32>(pair, ref, PAIR_LAST_REF);
  atomic.store<u32>(pair, count + 1, PAIR_COUNT);
}

function appendDifference(pair: usize, difference: u32): void {
  let slab = <usize>load<u32>(pair, PAIR_TAIL_SLAB);
  while (true) {
    if (slab == 0 || load<u16>(slab, SLAB_USED) == load<u16>(slab, SLAB_SIZE)) slab = addSlab(pair, slab);
    const used = load<u16>(slab, SLAB_USED);
    store<u8>(slab + used, <u8>(difference < 128 ? difference : (difference & 127) | 128));
    store<u16>(slab, used + 1, SLAB_USED);
    if (difference < 128) return;
    difference >>= 7;
  }
}

function addSlab(pair: usize, tail: usize): usize {
  const tailBytes: u32 = tail == 0 ? 0 : load<u16>(tail, SLAB_SIZE);
  const bytes = min(max((tailBytes + (tailBytes >> 1) + 7) & ~7, SLAB_BYTES_MIN), SLAB_BYTES_MAX);
  const slab = registryAllocate(bytes, 4);
  store<u16>(slab, <u16>bytes, SLAB_SIZE);
  store<u16>(slab, <u16>SLAB_HEADER_BYTES, SLAB_USED);
  if (tail == 0) store<u32>(pair, <u32>slab, PAIR_FIRST_SLAB);
  else store<u32>(tail, <u32>slab);
  store<u32>(pair, <u32>slab, PAIR_TAIL_SLAB);
  return slab;
}

// --- Bitmaps, for readers. `refsCount` bounds them: series registered later are not in them.

function setBit(bitmap: usize, ref: u32): void {
  const word = bitmap + <usize>((ref >> 5) << 2);
  store<u32>(word, load<u32>(word) | (1 << (ref & 31)));
}

/** Adds the series of the pairs whose ids lie at `pairIds`. */
export function bitmapAddPairs(bitmap: usize, refsCount: u32, pairIds: usize, pairsCount: u32): void {
  for (let i: u32 = 0; i < pairsCount; i++) addPair(bitmap, refsCount, load<u32>(pairIds + (<usize>i << 2)));
}

function addPair(bitmap: usize, refsCount: u32, pairId: u32): void {
  const pair = pairAt(pairId);
  const count = atomic.load<u32>(pair, PAIR_COUNT);
  if (count == 0) return;
  let ref = load<u32>(pair, PAIR_FIRST);
  if (ref >= refsCount) return;
  setBit(bitmap, ref);
  if (count == 1) return;
  let slab = <usize>load<u32>(pair, PAIR_FIRST_SLAB);
  let at = slab + SLAB_HEADER_BYTES;
  let end = slab + load<u16>(slab, SLAB_SIZE);
  for (let i: u32 = 1; i < count; i++) {
    let difference: u32 = 0;
    for (let shift: u32 = 0; ; shift += 7) {
      if (at == end) {
        slab = load<u32>(slab);
        at = slab + SLAB_HEADER_BYTES;
        end = slab + load<u16>(slab, SLAB_SIZE);
      }
      const byte: u32 = load<u8>(at++);
      difference |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    ref += difference;
    if (ref >= refsCount) return;
    setBit(bitmap, ref);
  }
}

/** Fills a bitmap with all series below `refsCount`, or with none. Whole 64-bit words are written. */
export function bitmapFill(bitmap: usize, refsCount: u32, all: bool): void {
  const bytes = <usize>((refsCount + 63) >> 6) << 3;
  memory.fill(bitmap, all ? 0xff : 0, bytes);
  if (all && (refsCount & 63) != 0) store<u64>(bitmap + bytes - 8, ((<u64>1) << (refsCount & 63)) - 1);
}

/** Clears the bits from `refsCount` on in the last word that it reaches into. */
export function bitmapTruncate(bitmap: usize, refsCount: u32): void {
  if ((refsCount & 63) == 0) return;
  const word = bitmap + (<usize>(refsCount >> 6) << 3);
  store<u64>(word, load<u64>(word) & (((<u64>1) << (refsCount & 63)) - 1));
}

export function bitmapIntersect(target: usize, other: usize, refsCount: u32): void {
  const end = target + (<usize>((refsCount + 63) >> 6) << 3);
  for (; target < end; target += 8, other += 8) store<u64>(target, load<u64>(target) & load<u64>(other));
}

export function bitmapSubtract(target: usize, other: usize, refsCount: u32): void {
  const end = target + (<usize>((refsCount + 63) >> 6) << 3);
  for (; target < end; target += 8, other += 8) store<u64>(target, load<u64>(target) & ~load<u64>(other));
}

export function bitmapCount(bitmap: usize, refsCount: u32): u32 {
  let count: u32 = 0;
  const end = bitmap + (<usize>((refsCount + 63) >> 6) << 3);
  for (; bitmap < end; bitmap += 8) count += <u32>popcnt(load<u64>(bitmap));
  return count;
}

/** Writes the references in a bitmap, ascending, to `target`; returns how many. */
export function bitmapRefs(bitmap: usize, refsCount: u32, target: usize): u32 {
  const words = (refsCount + 63) >> 6;
  const first = target;
  for (let word: u32 = 0; word < words; word++) {
    let bits = load<u64>(bitmap + (<usize>word << 3));
    while (bits != 0) {
      store<u32>(target, (word << 6) | <u32>ctz(bits));
      target += 4;
      bits &= bits - 1;
    }
  }
  return <u32>(target - first) >> 2;
}

/** Removes the series that have no samples in any generation of `slotsMask`. */
export function bitmapKeepSlots(bitmap: usize, refsCount: u32, slotsMask: u32): void {
  const words = (refsCount + 63) >> 6;
  for (let word: u32 = 0; word < words; word++) {
    const at = bitmap + (<usize>word << 3);
    let bits = load<u64>(at);
    let kept = bits;
    while (bits != 0) {
      const bit = ctz(bits);
      const ref = (word << 6) | <u32>bit;
      let live = false;
      for (let slot: u32 = 0; slot < SLOTS_COUNT && !live; slot++) {
        live = ((slotsMask >> slot) & 1) != 0 && stateOf(slot, ref) != 0;
      }
      if (!live) kept ^= (<u64>1) << bit;
      bits &= bits - 1;
    }
    store<u64>(at, kept);
  }
}

/** Marks in `pairs` (a zeroed bitmap of pairs below `pairsCount`) those of the set's series; of one name where it is not 0. */
export function bitmapMarkPairs(bitmap: usize, refsCount: u32, name: u32, pairs: usize, pairsCount: u32): void {
  const words = (refsCount + 63) >> 6;
  for (let word: u32 = 0; word < words; word++) {
    let bits = load<u64>(bitmap + (<usize>word << 3));
    while (bits != 0) {
      const series = seriesAt((word << 6) | <u32>ctz(bits));
      bits &= bits - 1;
      const count = load<u32>(series, SERIES_LABELS_COUNT);
      for (let i: u32 = 0; i < count; i++) {
        const id = load<u32>(series + (<usize>i << 2), SERIES_PAIRS);
        if (id >= pairsCount) continue;
        if (name != 0 && load<u32>(pairAt(id), PAIR_NAME) != name) continue;
        setBit(pairs, id);
        if (name != 0) break;
      }
    }
  }
}
