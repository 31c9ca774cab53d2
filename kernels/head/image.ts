// A series' chunks as one contiguous image, and its decoder. Frozen generations are read by copying the chunks that overlap a
// range into the reader's scratch; active ones by the writer copying them into a frame (`writeFrame`), which travels to the
// reader. So one decoder serves both, on contiguous bytes, and never follows an address that it was given.
//
// image   {chunks count u32, samples count u32, chunks}
// chunk   {window i32, count u16, stream bytes u16, last offset u32, kind u32, stream padded to 8}
// frame   {images count u32, 4 bytes, offset u32 of each image and of the end, padded to 8, images}; offset of an empty
//         image: that of the next
import { STATE_EXTRA, stateOf } from './generation';
import { BUFFER_COUNT, BUFFER_SAMPLES, EXTRA_BUFFER, EXTRA_NEXT, SAMPLE_BYTES } from './series';
import { sortColumns, STALE_MARKER } from './merge';
import {
  CHUNK_BYTES,
  CHUNK_COUNT,
  CHUNK_LAST_OFFSET,
  CHUNK_SLAB,
  CHUNK_STREAM,
  CHUNK_STREAM_BYTES,
  CHUNK_WINDOW,
  FIRST_OFFSET_BITS,
  nextSlabBytes,
  openStreamBytes,
  RUN_CHUNK,
  RUN_COUNT,
  RUN_FIRST_CHUNK,
  RUN_LAST_OFFSET,
  SLAB_STREAM,
  WINDOW_MS,
} from './run';

const IMAGE_HEADER_BYTES: u32 = 8;
const IMAGE_CHUNK_BYTES: u32 = 16;
const KIND_XOR: u32 = 0;
/** Samples as {timestamp i64, value u64}. */
const KIND_RAW: u32 = 1;

/** Room that must follow an image: the decoder may load this far past the end of an image. */
export const IMAGE_SLACK_BYTES: u32 = 32;

// --- Writing

/**
 * Copies the chunks of a series that overlap [start, end]. Returns the image's bytes, 0 for none. Writes nothing past
 * `capacity`; where the result exceeds it, the image is not complete.
 */
export function writeImage(slot: u32, ref: u32, start: i64, end: i64, target: usize, capacity: u32): u32 {
  const state = stateOf(slot, ref);
  if (state == 0) return 0;
  if (capacity >= IMAGE_HEADER_BYTES) store<u64>(target, 0);
  let bytes = writeRun(state, start, end, target, capacity, IMAGE_HEADER_BYTES);
  const firstExtra = <usize>load<u32>(state, STATE_EXTRA);
  for (let run = firstExtra; run != 0; run = load<u32>(run, EXTRA_NEXT)) {
    bytes = writeRun(run, start, end, target, capacity, bytes);
  }
  if (firstExtra != 0) {
    const buffer = <usize>load<u32>(firstExtra, EXTRA_BUFFER);
    if (buffer != 0) {
      bytes = writeRun(buffer, start, end, target, capacity, bytes);
      bytes = writeBuffered(buffer, target, capacity, bytes);
    }
  }
  return bytes == IMAGE_HEADER_BYTES ? 0 : bytes;
}

/** Adds a run's chunks after `bytes`; returns the bytes then. */
function writeRun(run: usize, start: i64, end: i64, target: usize, capacity: u32, bytes: u32): u32 {
  const open = <usize>load<u32>(run, RUN_CHUNK);
  for (let chunk = <usize>load<u32>(run, RUN_FIRST_CHUNK); chunk != 0; chunk = load<u32>(chunk)) {
    const isOpen = chunk == open;
    const lastOffset = isOpen ? load<u32>(run, RUN_LAST_OFFSET) : load<u32>(chunk, CHUNK_LAST_OFFSET);
    const windowStart = <i64>load<i32>(chunk, CHUNK_WINDOW) * WINDOW_MS;
    const firstOffset = bswap(load<u32>(chunk, CHUNK_STREAM)) >> (32 - FIRST_OFFSET_BITS);
    if (windowStart + lastOffset < start || windowStart + firstOffset > end) continue;
    const count: u32 = isOpen ? load<u16>(run, RUN_COUNT) : load<u16>(chunk, CHUNK_COUNT);
    const streamBytes = isOpen ? openStreamBytes(run) : load<u16>(chunk, CHUNK_STREAM_BYTES);
    const needed = IMAGE_CHUNK_BYTES + ((streamBytes + 7) & ~7);
    if (bytes + needed <= capacity) {
      const header = target + bytes;
      writeChunkHeader(target, header, load<i32>(chunk, CHUNK_WINDOW), count, streamBytes, lastOffset, KIND_XOR);
      copyStream(chunk, header + IMAGE_CHUNK_BYTES, streamBytes);
    }
    bytes += needed;
  }
  return bytes;
}

function writeBuffered(buffer: usize, target: usize, capacity: u32, bytes: u32): u32 {
  const count = load<u32>(buffer, BUFFER_COUNT);
  if (count == 0) return bytes;
  const streamBytes = count * SAMPLE_BYTES;
  const needed = IMAGE_CHUNK_BYTES + streamBytes;
  if (bytes + needed <= capacity) {
    writeChunkHeader(target, target + bytes, 0, count, streamBytes, 0, KIND_RAW);
    memory.copy(target + bytes + IMAGE_CHUNK_BYTES, buffer + BUFFER_SAMPLES, streamBytes);
  }
  return bytes + needed;
}

function writeChunkHeader(image: usize, at: usize, window: i32, count: u32, streamBytes: u32, lastOffset: u32, kind: u32): void {
  store<u32>(image, load<u32>(image) + 1);
  store<u32>(image, load<u32>(image, 4) + count, 4);
  store<i32>(at, window);
  store<u16>(at, <u16>count, 4);
  store<u16>(at, <u16>streamBytes, 6);
  store<u32>(at, lastOffset, 8);
  store<u32>(at, kind, 12);
}

/** Joins the slabs of a chunk. */
function copyStream(chunk: usize, target: usize, streamBytes: u32): void {
  let source = chunk + CHUNK_STREAM;
  let slabBytes = CHUNK_BYTES - <u32>CHUNK_STREAM;
  let next = <usize>load<u32>(chunk, CHUNK_SLAB);
  let chunkBytes = CHUNK_BYTES;
  let rest = streamBytes;
  while (true) {
    const bytes = min(rest, slabBytes);
    memory.copy(target, source, bytes);
    rest -= bytes;
    if (rest == 0) return;
    target += bytes;
    const size = nextSlabBytes(chunkBytes);
    chunkBytes += size;
    slabBytes = size - SLAB_STREAM;
    source = next + SLAB_STREAM;
    next = load<u32>(next);
  }
}

/** A frame of the images of `count` series whose references lie at `refs`. Returns its bytes, as `writeImage`. */
export function writeFrame(slot: u32, refs: usize, count: u32, start: i64, end: i64, target: usize, capacity: u32): u32 {
  let bytes: u32 = (8 + ((count + 1) << 2) + 7) & ~7;
  const complete = bytes <= capacity;
  if (complete) store<u64>(target, count);
  for (let i: u32 = 0; i < count; i++) {
    const ref = load<u32>(refs + (<usize>i << 2));
    const free = bytes < capacity ? capacity - bytes : 0;
    if (complete) store<u32>(target + 8 + (<usize>i << 2), bytes);
    bytes += writeImage(slot, ref, start, end, target + bytes, free);
  }
  if (complete) store<u32>(target + 8 + (<usize>count << 2), bytes);
  return bytes;
}

// --- Reading

export const DECODE_CORRUPT: u32 = 0xffffffff;

/**
 * Decodes an image into columns of `capacity` samples (as large as the spare ones): within [start, end], in time order, one
 * per timestamp. Returns how many, or DECODE_CORRUPT.
 */
export function decodeImage(
  image: usize,
  imageBytes: u32,
  start: i64,
  end: i64,
  timestamps: usize,
  values: usize,
  capacity: u32,
  spareTimestamps: usize,
  spareValues: usize,
): u32 {
  if (imageBytes < IMAGE_HEADER_BYTES) return DECODE_CORRUPT;
  const chunks = load<u32>(image);
  let at: u32 = IMAGE_HEADER_BYTES;
  let count: u32 = 0;
  // Late samples that wait in a buffer may hold one timestamp twice; a chunk never does.
  let sorted = true;
  for (let i: u32 = 0; i < chunks; i++) {
    if (imageBytes - at < IMAGE_CHUNK_BYTES) return DECODE_CORRUPT;
    const header = image + at;
    const chunkCount: u32 = load<u16>(header, 4);
    const streamBytes: u32 = load<u16>(header, 6);
    at += IMAGE_CHUNK_BYTES;
    if (streamBytes > imageBytes - at || chunkCount > capacity - count) return DECODE_CORRUPT;
    const to = <usize>count << 3;
    const isRaw = load<u32>(header, 12) != KIND_XOR;
    const decoded = isRaw
      ? decodeRaw(header, chunkCount, streamBytes, start, end, timestamps + to, values + to)
      : decodeChunk(header, chunkCount, streamBytes, start, end, timestamps + to, values + to);
    if (isRaw) sorted = false;
    if (decoded == DECODE_CORRUPT) return DECODE_CORRUPT;
    if (count > 0 && decoded > 0 && load<f64>(timestamps + to - 8) >= load<f64>(timestamps + to)) sorted = false;
    count += decoded;
    at += min((streamBytes + 7) & ~7, imageBytes - at);
  }
  return sorted ? count : sortColumns(timestamps, values, count, spareTimestamps, spareValues);
}

function decodeRaw(header: usize, chunkCount: u32, streamBytes: u32, start: i64, end: i64, timestamps: usize, values: usize): u32 {
  if (streamBytes != chunkCount * SAMPLE_BYTES) return DECODE_CORRUPT;
  let count: u32 = 0;
  for (let i: u32 = 0; i < chunkCount; i++) {
    const sample = header + IMAGE_CHUNK_BYTES + <usize>(i * SAMPLE_BYTES);
    const timestamp = load<i64>(sample);
    if (timestamp < start || timestamp > end) continue;
    store<f64>(timestamps + (<usize>count << 3), <f64>timestamp);
    store<u64>(values + (<usize>count << 3), load<u64>(sample, 8));
    count++;
  }
  return count;
}

/** 64 bits from a bit position, of which at least 57 are of the stream. */
function bitsAt(stream: usize, position: u32): u64 {
  return bswap(load<u64>(stream + (position >> 3))) << (position & 7);
}

function decodeChunk(header: usize, chunkCount: u32, streamBytes: u32, start: i64, end: i64, timestamps: usize, values: usize): u32 {
  const stream = header + IMAGE_CHUNK_BYTES;
  const bitEnd = streamBytes << 3;
  let timestamp = <i64>load<i32>(header) * WINDOW_MS + <i64>(bitsAt(stream, 0) >> (64 - FIRST_OFFSET_BITS));
  let position = FIRST_OFFSET_BITS;
  let delta: i64 = 0;
  let value: u64 = 0;
  let leading: u32 = 0;
  let length: u32 = 1;
  let trailing: u32 = 0;
  let count: u32 = 0;
  for (let i: u32 = 0; i < chunkCount; i++) {
    // A sample ends at most 105 bits on: with the slack, loads stay inside.
    if (position >= bitEnd) return DECODE_CORRUPT;
    let word = bitsAt(stream, position);
    if (i > 0) {
      if (<i64>word >= 0) {
        // The usual case: the value's code is in the same word.
        position += 1;
        word <<= 1;
      } else {
        const ones = <u32>clz(~word);
        if (ones == 1) {
          delta += <i64>(word << 2) >> 57;
          position += 9;
        } else if (ones == 2) {
          delta += <i64>(word << 3) >> 52;
          position += 15;
        } else if (ones == 3) {
          delta += <i64>(word << 4) >> 48;
          position += 20;
        } else {
          delta += <i64>(word << 4) >> 40;
          position += 28;
        }
        word = bitsAt(stream, position);
      }
      timestamp += delta;
    }
    // At least 56 bits of `word` are of the stream.
    if (<i64>word >= 0) {
      position += 1;
    } else {
      let codeBits: u32 = 2;
      if (((word >> 62) & 1) != 0) {
        leading = <u32>(word >> 57) & 31;
        length = (<u32>(word >> 51) & 63) + 1;
        trailing = 64 - leading - length;
        if (trailing > 63) return DECODE_CORRUPT;
        codeBits = 13;
      }
      position += codeBits;
      if (codeBits + length <= 56) {
        value ^= ((word << codeBits) >> (64 - length)) << trailing;
      } else {
        let bits = bitsAt(stream, position) >> (64 - length);
        if (length > 57) bits |= <u64>load<u8>(stream + (position >> 3) + 8) >> (8 - (position & 7)) >> (64 - length);
        value ^= bits << trailing;
      }
      position += length;
    }
    if (timestamp < start) continue;
    if (timestamp > end) break;
    store<f64>(timestamps + (<usize>count << 3), <f64>timestamp);
    store<u64>(values + (<usize>count << 3), value);
    count++;
  }
  return position > bitEnd ? DECODE_CORRUPT : count;
}

/** Whether any of the values is a stale marker. */
export function holdsStale(values: usize, count: u32): bool {
  const end = values + (<usize>count << 3);
  for (; values < end; values += 8) if (load<u64>(values) == STALE_MARKER) return true;
  return false;
}
