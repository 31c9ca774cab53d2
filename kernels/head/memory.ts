// Extents, 256 KiB each: the unit in which the registry and the generations take memory, and in which a dropped generation
// gives it back. Only the writer takes and drops extents. Scratch regions are the exception: readers in any thread take
// them by memory.grow, which is atomic, and share them through a table of compare-and-swap slots.
import {
  EXTENT_BITS,
  EXTENT_BYTES,
  EXTENT_NEXT,
  EXTENT_PAGES,
  EXTENTS_LIMIT,
  FREE_EXTENT,
  FREE_EXTENTS_COUNT,
  GROWN_END,
  GROWN_NEXT,
  OWNED_EXTENTS,
  SCRATCH_EXTENTS,
  SCRATCH_LIMIT,
  SCRATCH_REGIONS,
  SCRATCH_REGIONS_COUNT,
  USED_EXTENTS,
} from './layout';

/** Extents in one growth: growing shared memory interrupts every thread that has it. */
const GROWTH_EXTENTS: u32 = 16;

/** Grows memory by whole extents. Returns the first extent's number, 0 where that is impossible. */
function grow(count: u32): u32 {
  const before = memory.grow(count * EXTENT_PAGES);
  return before < 0 ? 0 : <u32>before / EXTENT_PAGES;
}

function pushFree(extent: u32): void {
  store<u32>(EXTENT_NEXT + (<usize>extent << 2), load<u32>(FREE_EXTENT));
  store<u32>(FREE_EXTENT, extent);
  store<u32>(FREE_EXTENTS_COUNT, load<u32>(FREE_EXTENTS_COUNT) + 1);
}

/** Makes sure that the next `count` takes succeed. False: the limit, or the operating system, stands against it. */
export function ensureExtents(count: u32): bool {
  while (true) {
    const grownNext = load<u32>(GROWN_NEXT);
    const grownEnd = load<u32>(GROWN_END);
    const free = load<u32>(FREE_EXTENTS_COUNT) + (grownEnd - grownNext);
    if (free >= count) return true;
    const missing = count - free;
    const owned = load<u32>(OWNED_EXTENTS);
    const allowed = load<u32>(EXTENTS_LIMIT) - owned;
    if (missing > allowed) return false;
    const grown = min(max(missing, GROWTH_EXTENTS), allowed);
    const first = grow(grown);
    if (first == 0) return false;
    store<u32>(OWNED_EXTENTS, owned + grown);
    if (first == grownEnd) {
      store<u32>(GROWN_END, first + grown);
      continue;
    }
    // A reader's scratch lies between: what was left of the last growth goes to the free list.
    for (let extent = grownNext; extent < grownEnd; extent++) pushFree(extent);
    store<u32>(GROWN_NEXT, first);
    store<u32>(GROWN_END, first + grown);
  }
}

/** Takes one zeroed extent; its address, or 0. Never 0 after `ensureExtents` for it. */
export function takeExtent(): usize {
  if (!ensureExtents(1)) return 0;
  store<u32>(USED_EXTENTS, load<u32>(USED_EXTENTS) + 1);
  const free = load<u32>(FREE_EXTENT);
  if (free != 0) {
    store<u32>(FREE_EXTENT, load<u32>(EXTENT_NEXT + (<usize>free << 2)));
    store<u32>(FREE_EXTENTS_COUNT, load<u32>(FREE_EXTENTS_COUNT) - 1);
    const address = <usize>free << EXTENT_BITS;
    memory.fill(address, 0, EXTENT_BYTES);
    return address;
  }
  const extent = load<u32>(GROWN_NEXT);
  store<u32>(GROWN_NEXT, extent + 1);
  return <usize>extent << EXTENT_BITS;
}

/** Gives back a list of extents that are linked through EXTENT_NEXT. */
export function dropExtents(first: u32): void {
  let extent = first;
  while (extent != 0) {
    const next = load<u32>(EXTENT_NEXT + (<usize>extent << 2));
    pushFree(extent);
    store<u32>(USED_EXTENTS, load<u32>(USED_EXTENTS) - 1);
    extent = next;
  }
}

function growScratch(extents: u32): u32 {
  const before = atomic.add<u32>(SCRATCH_EXTENTS, extents);
  const limit = load<u32>(SCRATCH_LIMIT);
  const first: u32 = extents > limit || before > limit - extents ? 0 : grow(extents);
  if (first == 0) atomic.sub<u32>(SCRATCH_EXTENTS, extents);
  return first;
}

/**
 * Takes a scratch region of at least `extents` extents, from any thread. Its contents are undefined. Returns the index of
 * its entry in the table, or -1: no memory, or no free entry.
 */
export function takeScratch(extents: u32): i32 {
  for (let index: u32 = 0; index < SCRATCH_REGIONS_COUNT; index++) {
    const entry = SCRATCH_REGIONS + (<usize>index << 3);
    const state = atomic.load<u32>(entry, 4);
    // Much larger regions are left to those who need them.
    if ((state & 1) != 0 || state >> 1 < extents || state >> 1 > extents * 4) continue;
    if (atomic.cmpxchg<u32>(entry + 4, state, state | 1) == state) return index;
  }
  for (let index: u32 = 0; index < SCRATCH_REGIONS_COUNT; index++) {
    const entry = SCRATCH_REGIONS + (<usize>index << 3);
    if (atomic.load<u32>(entry, 4) != 0) continue;
    if (atomic.cmpxchg<u32>(entry + 4, 0, (extents << 1) | 1) != 0) continue;
    const first = growScratch(extents);
    if (first == 0) {
      atomic.store<u32>(entry + 4, 0);
      return -1;
    }
    store<u32>(entry, first << EXTENT_BITS);
    return index;
  }
  return -1;
}

export function scratchAddress(index: i32): usize {
  return load<u32>(SCRATCH_REGIONS + (<usize>index << 3));
}

export function scratchExtents(index: i32): u32 {
  return load<u32>(SCRATCH_REGIONS + (<usize>index << 3), 4) >> 1;
}

/** Gives a region back, for whoever takes one of its size next. */
export function releaseScratch(index: i32): void {
  const entry = SCRATCH_REGIONS + (<usize>index << 3);
  atomic.store<u32>(entry, atomic.load<u32>(entry, 4) & ~1, 4);
}
