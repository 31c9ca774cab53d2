// The map of a head's memory. Everything that changes lies at the addresses given here, so that any instance over the same
// memory sees the same head: no mutable globals, no static data. Extent 0 is this map; the rest is taken in extents
// (memory.ts). Addresses are 32-bit; 0 means "none". All integers are little-endian.
//
// One instance writes (the lane's). Readers in other threads may read the registry while it grows and generations once they
// are frozen; what they meet is published by an atomic store after the data it covers.

export const EXTENT_BITS: u32 = 18;
export const EXTENT_BYTES: u32 = 1 << EXTENT_BITS;
/** 64 KiB pages in an extent. All growth is by whole extents, so extents stay aligned. */
export const EXTENT_PAGES: u32 = EXTENT_BYTES >> 16;
/** The last extent below 4 GiB is never used, so that no end address wraps to 0. */
export const EXTENTS_MAX: u32 = (1 << (32 - EXTENT_BITS)) - 1;
/** Bit writers store 8 bytes at once, up to 7 past their last byte: the end of an extent stays free for that. */
export const EXTENT_SLACK_BYTES: u32 = 16;

export const NONE: u32 = 0xffffffff;
/** Rows from here on (unknown, rejected) are in no head. */
export const REF_REJECTED: u32 = 0xfffffffe;
export const REFS_MAX: u32 = 1 << 25;
export const SLOTS_COUNT: u32 = 4;

// Header fields.
const HEADER: usize = 1024;
/** Limit of the extents that the writer may own, extent 0 included, and those that it owns. Scratch has a limit of its own. */
export const EXTENTS_LIMIT: usize = HEADER;
export const OWNED_EXTENTS: usize = HEADER + 20;
/** First of the extents that were dropped and may be taken again (linked through EXTENT_NEXT), and their number. */
export const FREE_EXTENT: usize = HEADER + 4;
export const FREE_EXTENTS_COUNT: usize = HEADER + 8;
/** Extents [GROWN_NEXT, GROWN_END) came from the last growth and were never used: zero, and not resident. */
export const GROWN_NEXT: usize = HEADER + 12;
export const GROWN_END: usize = HEADER + 16;
/** Secret of this head's hash tables, 8 bytes. */
export const HASH_SEED: usize = HEADER + 24;
/** Extents in use by registry and generations / by scratch regions (atomic: readers take them too). */
export const USED_EXTENTS: usize = HEADER + 32;
export const SCRATCH_EXTENTS: usize = HEADER + 36;
export const SCRATCH_LIMIT: usize = HEADER + 40;

// Registry fields (registry.ts).
const REGISTRY: usize = 1280;
export const SERIES_COUNT: usize = REGISTRY;
export const PAIRS_COUNT: usize = REGISTRY + 4;
export const SYMBOLS_COUNT: usize = REGISTRY + 8;
/** Newest label name: the id of its name pair plus one. */
export const NEWEST_NAME: usize = REGISTRY + 12;
/** The registry's arena: next free byte, end of its extent, extents held (tables included). */
export const REGISTRY_NEXT: usize = REGISTRY + 16;
export const REGISTRY_END: usize = REGISTRY + 20;
export const REGISTRY_EXTENTS: usize = REGISTRY + 24;

/** Hash tables (table.ts): symbols, pairs, series. 64 bytes each. */
export const TABLES: usize = 1536;
export const TABLE_BYTES: usize = 64;

/** Scratch regions: {address, extents << 1 | taken}. */
export const SCRATCH_REGIONS: usize = 2048;
export const SCRATCH_REGIONS_COUNT: u32 = 256;

/** Generations (generation.ts), one per slot. */
export const GENERATIONS: usize = 4096;
export const GENERATION_BYTES: usize = 4096;

/** Directories of pages: addresses of extents. */
export const SERIES_PAGES: usize = 20480;
export const TABLE_PAGES: usize = 22528;
export const TABLE_PAGES_BYTES: usize = 4096;
export const PAIR_PAGES: usize = 34816;
export const PAIR_PAGES_COUNT: u32 = 4096;

/** Writer's scratch: the labels of the set that is being registered, {name, length, value, length} or {pair}. */
export const LABELS_MAX: u32 = 512;
export const PARSED_LABELS: usize = 51200;

/** For every extent the next one of the list that it is in. */
export const EXTENT_NEXT: usize = 59392;

/** Writer's input: 16 bytes of fingerprint, then canonical label bytes. */
export const INPUT: usize = 124928;
export const LABEL_BYTES_MAX: u32 = 131072;
