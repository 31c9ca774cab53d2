// Where things lie in the kernel's memory. All of it is scratch that one call fills and the next overwrites, save the table
// of powers and the base slots. There are no static data and no mutable globals, so the map is complete.
// Every region ends with slack, because streams are read and written eight bytes at a time.

/** Most samples in a page. */
export const samplesMax: u32 = 2048;

/** 10^0 to 10^22, the powers that a double holds exactly. */
export const powersAt: usize = 1024;
export const exponentMax: u32 = 22;

/** Results that are more than a return value: hashes, digests, ranges. */
export const resultAt: usize = 2048;
/** The key of content hashes: 16 bytes. */
export const hashKeyAt: usize = 2112;
/** Fingerprint of the series whose samples a digest takes in: 16 bytes. */
export const fingerprintAt: usize = 2128;
/** Samples by the decimal places they need: 32 counters of u32. */
export const placesAt: usize = 2176;

const columnBytes: usize = 2048 * 8 + 64;
/** A page's values, as bits. */
export const valuesAt: usize = 4096;
/** A page's timestamps, f64 ms. */
export const timesAt: usize = valuesAt + columnBytes;
/** The integers that a page's values are multiples of: i64. */
export const mantissasAt: usize = timesAt + columnBytes;
/** Per sample the distance of near decimals: i64 units in the last place. */
export const distancesAt: usize = mantissasAt + columnBytes;
/** Positions of exceptions: u16. */
export const exceptionsAt: usize = distancesAt + columnBytes;
/** An encoded page that leaves, or comes in. The largest page is a raw one: header and 8 bytes a sample. */
export const pageAt: usize = exceptionsAt + 8192;
export const pageBytesMax: usize = 2048 * 8 + 64;
/** Mantissas of pages that other pages are differences from: i64, one column a slot. */
export const basesAt: usize = pageAt + 32768;
export const baseSlots: u32 = 256;
export const baseBytes: usize = 2048 * 8;
/** Bytes of any length to be hashed; the memory is grown to hold them. */
export const hashInputAt: usize = basesAt + <usize>baseSlots * baseBytes;
