// Generations: what was appended between two freezes. Each owns its extents (pages of references and states, chunks) and gives
// them back whole. States are dense, in order of first use: a generation pays only for series that have samples in it.
// Frozen generations are read in place by any thread; of active ones, readers may only look at which series they have.
import { ensureExtents, dropExtents, takeExtent } from './memory';
import { EXTENT_BITS, EXTENT_BYTES, EXTENT_NEXT, EXTENT_SLACK_BYTES, GENERATION_BYTES, GENERATIONS, SLOTS_COUNT } from './layout';
import { CHUNK_BYTES, RUN_BYTES } from './run';

// Fields of a generation.
export const GENERATION_STATE: usize = 0;
const FIRST_EXTENT: usize = 4;
export const GENERATION_EXTENTS: usize = 8;
const ARENA_NEXT: usize = 12;
const ARENA_END: usize = 16;
export const GENERATION_SERIES: usize = 20;
export const GENERATION_SAMPLES: usize = 24;
export const GENERATION_MIN: usize = 32;
export const GENERATION_MAX: usize = 40;
const FIRST_STATE_PAGE: usize = 48;
const STATE_PAGE: usize = 52;
const STATES_USED: usize = 56;
/** Series with a buffer of late samples; series whose next late sample may need one. */
export const GENERATION_BUFFERS: usize = 60;
export const GENERATION_CROWDED: usize = 64;
/** Largest slab that any of its runs may need next. */
export const GENERATION_SLAB_MAX: usize = 68;
const REF_PAGES: usize = 1024;

export const FREE: u32 = 0;
export const ACTIVE: u32 = 1;
export const FROZEN: u32 = 2;

/** A state: the series' first run (run.ts), then these. */
export const STATE_EXTRA: usize = RUN_BYTES;
export const STATE_REF: usize = RUN_BYTES + 4;
export const STATE_BYTES: u32 = <u32>RUN_BYTES + 8;
/** State pages are linked: {next u32, 12 bytes, states}; all but the last are full. */
const STATE_PAGE_HEADER_BYTES: u32 = 16;
const STATES_PER_PAGE: u32 = (EXTENT_BYTES - STATE_PAGE_HEADER_BYTES) / STATE_BYTES;
const REFS_PER_PAGE_BITS: u32 = EXTENT_BITS - 2;

export function generationAt(slot: u32): usize {
  return GENERATIONS + <usize>slot * GENERATION_BYTES;
}

/** A free slot, made active; or SLOTS_COUNT. */
export function openGeneration(): u32 {
  for (let slot: u32 = 0; slot < SLOTS_COUNT; slot++) {
    const generation = generationAt(slot);
    if (load<u32>(generation, GENERATION_STATE) != FREE) continue;
    memory.fill(generation, 0, GENERATION_BYTES);
    store<i64>(generation, i64.MAX_VALUE, GENERATION_MIN);
    store<i64>(generation, i64.MIN_VALUE, GENERATION_MAX);
    store<u32>(generation, CHUNK_BYTES, GENERATION_SLAB_MAX);
    atomic.store<u32>(generation, ACTIVE, GENERATION_STATE);
    return slot;
  }
  return SLOTS_COUNT;
}

export function freezeGeneration(slot: u32): void {
  atomic.store<u32>(generationAt(slot), FROZEN, GENERATION_STATE);
}

export function dropGeneration(slot: u32): void {
  const generation = generationAt(slot);
  const extents = load<u32>(generation, FIRST_EXTENT);
  // Readers that only ask which series a generation has must not meet pages that are used anew.
  memory.fill(generation + REF_PAGES, 0, GENERATION_BYTES - REF_PAGES);
  atomic.store<u32>(generation, FREE, GENERATION_STATE);
  dropExtents(extents);
  store<u32>(generation, 0, FIRST_EXTENT);
  store<u32>(generation, 0, GENERATION_EXTENTS);
}

function takePage(generation: usize): usize {
  const page = takeExtent();
  if (page == 0) unreachable(); // appending ensures its memory before it begins
  const extent = <u32>(page >> EXTENT_BITS);
  store<u32>(EXTENT_NEXT + (<usize>extent << 2), load<u32>(generation, FIRST_EXTENT));
  store<u32>(generation, extent, FIRST_EXTENT);
  store<u32>(generation, load<u32>(generation, GENERATION_EXTENTS) + 1, GENERATION_EXTENTS);
  return page;
}

/** Zeroed bytes of the generation's arena, aligned to 4. */
export function allocate(generation: usize, bytes: u32): usize {
  let at = load<u32>(generation, ARENA_NEXT);
  if (load<u32>(generation, ARENA_END) - at < bytes) {
    at = <u32>takePage(generation);
    store<u32>(generation, at + EXTENT_BYTES - EXTENT_SLACK_BYTES, ARENA_END);
  }
  store<u32>(generation, at + bytes, ARENA_NEXT);
  return at;
}

/** The state of a series in a slot, or 0. */
export function stateOf(slot: u32, ref: u32): usize {
  const page = <usize>load<u32>(generationAt(slot) + (<usize>(ref >> REFS_PER_PAGE_BITS) << 2), REF_PAGES);
  if (page == 0) return 0;
  return load<u32>(page + (<usize>(ref & ((1 << REFS_PER_PAGE_BITS) - 1)) << 2));
}

/** Where the state's address of a series is kept; makes the page. */
export function stateEntry(generation: usize, ref: u32): usize {
  const pageEntry = generation + (<usize>(ref >> REFS_PER_PAGE_BITS) << 2) + REF_PAGES;
  let page = load<u32>(pageEntry);
  if (page == 0) {
    page = <u32>takePage(generation);
    atomic.store<u32>(pageEntry, page);
  }
  return <usize>page + (<usize>(ref & ((1 << REFS_PER_PAGE_BITS) - 1)) << 2);
}

export function hasRefPage(generation: usize, ref: u32): bool {
  return load<u32>(generation + (<usize>(ref >> REFS_PER_PAGE_BITS) << 2), REF_PAGES) != 0;
}

/** A zeroed state for a series at its first use. */
export function addState(generation: usize, ref: u32): usize {
  let page = <usize>load<u32>(generation, STATE_PAGE);
  let used = load<u32>(generation, STATES_USED);
  if (page == 0 || used == STATES_PER_PAGE) {
    const next = takePage(generation);
    if (page == 0) store<u32>(generation, <u32>next, FIRST_STATE_PAGE);
    else store<u32>(page, <u32>next);
    store<u32>(generation, <u32>next, STATE_PAGE);
    page = next;
    used = 0;
  }
  const state = page + STATE_PAGE_HEADER_BYTES + <usize>(used * STATE_BYTES);
  store<u32>(state, ref, STATE_REF);
  store<u32>(generation, used + 1, STATES_USED);
  store<u32>(generation, load<u32>(generation, GENERATION_SERIES) + 1, GENERATION_SERIES);
  return state;
}

/** Writes the references of the generation's series to `target`, in order of first use; returns how many. */
export function writeRefs(slot: u32, target: usize): u32 {
  const generation = generationAt(slot);
  const count = load<u32>(generation, GENERATION_SERIES);
  let page = <usize>load<u32>(generation, FIRST_STATE_PAGE);
  let index: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    if (index == STATES_PER_PAGE) {
      page = load<u32>(page);
      index = 0;
    }
    const state = page + STATE_PAGE_HEADER_BYTES + <usize>(index * STATE_BYTES);
    index++;
    store<u32>(target + (<usize>i << 2), load<u32>(state, STATE_REF));
  }
  return count;
}

/** Makes sure that `bytes` of the arena, `states` states and `refPages` pages can be allocated. */
export function ensureGeneration(bytes: u64, states: u32, refPages: u32): bool {
  const usable: u64 = EXTENT_BYTES - EXTENT_SLACK_BYTES - 1024; // an allocation of up to 1 KiB may leave its like unused
  const extents = bytes / usable + states / STATES_PER_PAGE + refPages + 3;
  return extents < u32.MAX_VALUE && ensureExtents(<u32>extents);
}
