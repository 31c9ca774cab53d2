// A run: an append-only sequence of samples in time order, as a list of chunks of which the last is open. The chunk codec is
// docs/formats/chunk.md: XOR compression (Pelkonen et al., Gorilla, VLDB 2015) within windows of two hours.
//
// chunk    {next u32, window i32, count u16, stream bytes u16, last offset u32, next slab u32, stream}: 48 bytes, of which
//          count, bytes and last offset are written when the chunk is closed; while it is open they are in the run
// slab     {next slab u32, stream}: further bytes of a chunk's stream; sizes follow from the chunk's size so far
import { allocate, GENERATION_SLAB_MAX } from './generation';

/** Chunks are cut where a window of this length begins (counted from the epoch). */
export const WINDOW_MS: i64 = 7200000;

// Fields of a run.
export const RUN_LAST: usize = 0;
export const RUN_VALUE: usize = 8;
/** Last difference between timestamps, and the last timestamp's distance from the begin of its window: below WINDOW_MS. */
const RUN_DELTA: usize = 16;
export const RUN_LAST_OFFSET: usize = 20;
/** The open chunk, 0 in an empty run; the slab that is written to; the oldest chunk. */
export const RUN_CHUNK: usize = 24;
const RUN_SLAB: usize = 28;
/** Next bit to write and end, in bits from the begin of the slab. */
const RUN_BIT: usize = 32;
const RUN_BIT_END: usize = 34;
export const RUN_COUNT: usize = 36;
/** Stream bytes in slabs before the present one. */
const RUN_BYTES_BEFORE: usize = 38;
export const RUN_FIRST_CHUNK: usize = 40;
/** Leading zeros and length of the last XOR that was written with them; length 0: none yet. */
const RUN_LEADING: usize = 44;
const RUN_LENGTH: usize = 45;
/** Slab bytes of the open chunk / 16, chunk header included. */
const RUN_SIZE: usize = 46;
export const RUN_BYTES: usize = 48;

// Fields of a chunk.
export const CHUNK_WINDOW: usize = 4;
export const CHUNK_COUNT: usize = 8;
export const CHUNK_STREAM_BYTES: usize = 10;
export const CHUNK_LAST_OFFSET: usize = 12;
export const CHUNK_SLAB: usize = 16;
export const CHUNK_STREAM: usize = 20;
export const CHUNK_BYTES: u32 = 48;
export const SLAB_STREAM: u32 = 4;
export const SLAB_BYTES_MAX: u32 = 512;

/**
 * A chunk is cut when it has slabs of this size and the last is full: what a reader decodes for one sample, and copies at once.
 * A sample takes two bits at least, so the count of 16 bits suffices.
 */
const CHUNK_SLAB_BYTES_MAX: u32 = 8192;
/** No sample takes more bits: 28 of timestamp, 77 of value. */
const SAMPLE_BITS_MAX: u32 = 105;
/** The first timestamp, as distance from the begin of its window. */
export const FIRST_OFFSET_BITS: u32 = 23;

/** Size of the next slab of a chunk that has `bytes` in slabs: half as much again. */
export function nextSlabBytes(bytes: u32): u32 {
  return min(max(((bytes >> 1) + 15) & ~15, 32), SLAB_BYTES_MAX);
}

/** Stream bytes of the run's open chunk. */
export function openStreamBytes(run: usize): u32 {
  const start: u32 = load<u32>(run, RUN_SLAB) == load<u32>(run, RUN_CHUNK) ? <u32>CHUNK_STREAM : SLAB_STREAM;
  return load<u16>(run, RUN_BYTES_BEFORE) + ((<u32>load<u16>(run, RUN_BIT) + 7) >> 3) - start;
}

/** Writes the low `bits` (1 to 64) of `value` at a bit position, most significant first; what follows is zero still. */
function writeBits(base: usize, position: u32, value: u64, bits: u32): void {
  const at = base + (position >> 3);
  const free: u32 = 64 - (position & 7);
  const word = bswap(load<u64>(at));
  if (bits <= free) {
    store<u64>(at, bswap(word | (value << (free - bits))));
    return;
  }
  const rest = bits - free;
  store<u64>(at, bswap(word | (value >> rest)));
  store<u8>(at + 8, <u8>(value << (8 - rest)));
}

/** Appends bits to the run's open chunk, in a further slab where they do not fit. `value` has no bits above `bits`. */
function putBits(generation: usize, run: usize, value: u64, bits: u32): void {
  const position: u32 = load<u16>(run, RUN_BIT);
  const free = <u32>load<u16>(run, RUN_BIT_END) - position;
  if (bits <= free) {
    writeBits(load<u32>(run, RUN_SLAB), position, value, bits);
    store<u16>(run, position + bits, RUN_BIT);
    return;
  }
  const rest = bits - free;
  if (free != 0) {
    writeBits(load<u32>(run, RUN_SLAB), position, value >> rest, free);
    store<u16>(run, position + free, RUN_BIT);
  }
  addSlab(generation, run);
  const mask = rest == 64 ? ~(<u64>0) : ((<u64>1) << rest) - 1;
  writeBits(load<u32>(run, RUN_SLAB), SLAB_STREAM << 3, value & mask, rest);
  store<u16>(run, (SLAB_STREAM << 3) + rest, RUN_BIT);
}

function addSlab(generation: usize, run: usize): void {
  const slab = <usize>load<u32>(run, RUN_SLAB);
  const chunkBytes = <u32>load<u16>(run, RUN_SIZE) << 4;
  const bytes = nextSlabBytes(chunkBytes);
  const next = allocate(generation, bytes);
  store<u16>(run, openStreamBytes(run), RUN_BYTES_BEFORE);
  store<u32>(slab + (slab == <usize>load<u32>(run, RUN_CHUNK) ? CHUNK_SLAB : 0), <u32>next);
  store<u32>(run, <u32>next, RUN_SLAB);
  store<u16>(run, bytes << 3, RUN_BIT_END);
  store<u16>(run, (chunkBytes + bytes) >> 4, RUN_SIZE);
  const further = nextSlabBytes(chunkBytes + bytes);
  if (further > load<u32>(generation, GENERATION_SLAB_MAX)) store<u32>(generation, further, GENERATION_SLAB_MAX);
}

/** Closes the open chunk, if any, and begins one with this sample. */
export function beginChunk(generation: usize, run: usize, timestamp: i64, value: u64): void {
  const chunk = allocate(generation, CHUNK_BYTES);
  const open = <usize>load<u32>(run, RUN_CHUNK);
  if (open == 0) {
    store<u32>(run, <u32>chunk, RUN_FIRST_CHUNK);
  } else {
    store<u16>(open, load<u16>(run, RUN_COUNT), CHUNK_COUNT);
    store<u16>(open, openStreamBytes(run), CHUNK_STREAM_BYTES);
    store<u32>(open, load<u32>(run, RUN_LAST_OFFSET), CHUNK_LAST_OFFSET);
    store<u32>(open, <u32>chunk);
  }
  let window = timestamp / WINDOW_MS;
  if (window * WINDOW_MS > timestamp) window--;
  const offset = <u32>(timestamp - window * WINDOW_MS);
  store<i32>(chunk, <i32>window, CHUNK_WINDOW);
  store<i64>(run, timestamp, RUN_LAST);
  store<u64>(run, 0, RUN_VALUE);
  store<u32>(run, 0, RUN_DELTA);
  store<u32>(run, offset, RUN_LAST_OFFSET);
  store<u32>(run, <u32>chunk, RUN_CHUNK);
  store<u32>(run, <u32>chunk, RUN_SLAB);
  store<u16>(run, CHUNK_STREAM << 3, RUN_BIT);
  store<u16>(run, CHUNK_BYTES << 3, RUN_BIT_END);
  store<u16>(run, 1, RUN_COUNT);
  store<u16>(run, 0, RUN_BYTES_BEFORE);
  store<u16>(run, 0, RUN_LEADING); // and RUN_LENGTH
  store<u16>(run, CHUNK_BYTES >> 4, RUN_SIZE);
  putBits(generation, run, offset, FIRST_OFFSET_BITS);
  putValue(generation, run, value);
}

function isFull(run: usize): bool {
  if (load<u16>(run, RUN_SIZE) < CHUNK_SLAB_BYTES_MAX >> 4) return false;
  return <u32>load<u16>(run, RUN_BIT_END) - load<u16>(run, RUN_BIT) < SAMPLE_BITS_MAX;
}

/** Appends a sample that is later than the run's last one. */
export function appendToRun(generation: usize, run: usize, timestamp: i64, value: u64): void {
  const step = timestamp - load<i64>(run, RUN_LAST);
  const offset = step + load<u32>(run, RUN_LAST_OFFSET);
  if (offset >= WINDOW_MS || isFull(run)) {
    beginChunk(generation, run, timestamp, value);
    return;
  }
  const delta = <i32>step;
  putTimestamp(generation, run, delta - load<i32>(run, RUN_DELTA));
  store<i32>(run, delta, RUN_DELTA);
  store<u32>(run, <u32>offset, RUN_LAST_OFFSET);
  store<i64>(run, timestamp, RUN_LAST);
  store<u16>(run, load<u16>(run, RUN_COUNT) + 1, RUN_COUNT);
  putValue(generation, run, value);
}

/** Delta of deltas, by size: 0 | 10 and 7 bits | 110 and 12 | 1110 and 16 | 1111 and 24. */
function putTimestamp(generation: usize, run: usize, change: i32): void {
  if (change == 0) putBits(generation, run, 0, 1);
  else if (change >= -64 && change < 64) putBits(generation, run, (2 << 7) | (change & 0x7f), 9);
  else if (change >= -2048 && change < 2048) putBits(generation, run, (6 << 12) | (change & 0xfff), 15);
  else if (change >= -32768 && change < 32768) putBits(generation, run, (14 << 16) | (change & 0xffff), 20);
  else putBits(generation, run, (15 << 24) | (change & 0xffffff), 28);
}

/** XOR with the value before: 0 same | 10 and the bits of the last place | 11, leading zeros (5), length − 1 (6), bits. */
function putValue(generation: usize, run: usize, value: u64): void {
  const xor = value ^ load<u64>(run, RUN_VALUE);
  store<u64>(run, value, RUN_VALUE);
  if (xor == 0) {
    putBits(generation, run, 0, 1);
    return;
  }
  const leading = min(<u32>clz(xor), 31);
  const trailing = <u32>ctz(xor);
  const lastLeading: u32 = load<u8>(run, RUN_LEADING);
  const lastLength: u32 = load<u8>(run, RUN_LENGTH);
  const lastTrailing: u32 = 64 - lastLeading - lastLength;
  // A place that is more than 13 bits too wide costs more than saying a new one.
  const length: u32 = 64 - leading - trailing;
  if (lastLength != 0 && leading >= lastLeading && trailing >= lastTrailing && lastLength <= length + 13) {
    if (lastLength <= 62) {
      putBits(generation, run, ((<u64>2) << lastLength) | (xor >> lastTrailing), lastLength + 2);
    } else {
      putBits(generation, run, 2, 2);
      putBits(generation, run, xor >> lastTrailing, lastLength);
    }
    return;
  }
  store<u8>(run, <u8>leading, RUN_LEADING);
  store<u8>(run, <u8>length, RUN_LENGTH);
  putBits(generation, run, (3 << 11) | (leading << 6) | (length - 1), 13);
  putBits(generation, run, xor >> trailing, length);
}
