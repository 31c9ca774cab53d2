// The payload of a log sample record: docs/formats/log-samples.md. Encoding takes the staged batch without its unknown and
// rejected rows; decoding checks every length against what is left, so that a damaged record is an error and nothing else.
//
// payload  {version u8, flags u8, rows uvarint, samples uvarint, rows, samples}
// row      zigzag uvarint of (ref − (ref of the row before + 1)); unless flag 1, samples of the row as uvarint
// sample   {control u8, zigzag timestamp difference 0 to 8 bytes, high bytes of the value 0 to 8}
import { writeVarint } from './bytes';
import { REF_REJECTED } from './layout';

const VERSION: u8 = 1;
/** Every row has one sample: no counts. */
const FLAG_SINGLE: u8 = 1;
/** High half of the control: the timestamp's difference is that of the sample before. */
const SAME_DIFFERENCE: u32 = 15;

export const RECORD_HEADER_BYTES_MAX: u32 = 16;
export const RECORD_ROW_BYTES_MAX: u32 = 10;
export const RECORD_SAMPLE_BYTES_MAX: u32 = 17;
/** Room that must follow a record's payload where it is decoded, and where it is encoded. */
export const RECORD_SLACK_BYTES: u32 = 32;

function zigzag(value: i64): u64 {
  return <u64>((value << 1) ^ (value >> 63));
}

function unzigzag(value: u64): i64 {
  return <i64>(value >> 1) ^ -(<i64>(value & 1));
}

/** Writes the batch to `target`, which has room for the worst case; returns the bytes. */
export function encodeSamples(rows: u32, refs: usize, samplesEnd: usize, timestamps: usize, values: usize, target: usize): u32 {
  let knownRows: u32 = 0;
  let knownSamples: u32 = 0;
  let single = true;
  let start: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const end = load<u32>(samplesEnd + (<usize>row << 2));
    if (load<u32>(refs + (<usize>row << 2)) < REF_REJECTED) {
      knownRows++;
      knownSamples += end - start;
      if (end - start != 1) single = false;
    }
    start = end;
  }
  store<u8>(target, VERSION);
  store<u8>(target, single ? FLAG_SINGLE : 0, 1);
  let at = writeVarint(target + 2, knownRows);
  at = writeVarint(at, knownSamples);
  start = 0;
  let nextRef: i64 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const ref = load<u32>(refs + (<usize>row << 2));
    const end = load<u32>(samplesEnd + (<usize>row << 2));
    if (ref < REF_REJECTED) {
      at = writeVarint(at, zigzag(<i64>ref - nextRef));
      nextRef = <i64>ref + 1;
      if (!single) at = writeVarint(at, end - start);
    }
    start = end;
  }
  return <u32>(encodeColumns(rows, refs, samplesEnd, timestamps, values, at) - target);
}

function encodeColumns(rows: u32, refs: usize, samplesEnd: usize, timestamps: usize, values: usize, at: usize): usize {
  let sample: u32 = 0;
  let last: i64 = 0;
  let lastDifference: i64 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const end = load<u32>(samplesEnd + (<usize>row << 2));
    if (load<u32>(refs + (<usize>row << 2)) >= REF_REJECTED) {
      sample = end;
      continue;
    }
    for (; sample < end; sample++) {
      const timestamp = load<i64>(timestamps + (<usize>sample << 3));
      const value = load<u64>(values + (<usize>sample << 3));
      const difference = timestamp - last;
      const control = at++;
      let timestampBytes: u32 = 0;
      if (difference != 0 && difference == lastDifference) {
        timestampBytes = SAME_DIFFERENCE;
      } else if (difference != 0) {
        const coded = zigzag(difference);
        timestampBytes = 8 - (<u32>clz(coded) >> 3);
        store<u64>(at, coded);
        at += timestampBytes;
        lastDifference = difference;
      }
      last = timestamp;
      const valueBytes = 8 - (<u32>ctz(value) >> 3);
      store<u64>(at, value >> ((64 - (valueBytes << 3)) & 63));
      at += valueBytes;
      store<u8>(control, <u8>((timestampBytes << 4) | valueBytes));
    }
  }
  return at;
}

// Results of `decodeHeader` and `decodeSamples`.
export const RECORD_DECODED: u32 = 0;
export const RECORD_CORRUPT: u32 = 1;
export const RECORD_UNKNOWN_VERSION: u32 = 2;

/**
 * Reads the counts of a record to `counts`: {rows u32, samples u32, bytes before the rows u32}. Counts that the payload is
 * too short for are RECORD_CORRUPT, so callers may allocate by them.
 */
export function decodeHeader(payload: usize, payloadBytes: u32, counts: usize): u32 {
  if (payloadBytes < 4) return RECORD_CORRUPT;
  if (load<u8>(payload) != VERSION) return RECORD_UNKNOWN_VERSION;
  if (load<u8>(payload, 1) > FLAG_SINGLE) return RECORD_CORRUPT;
  const end = payload + payloadBytes;
  let at = payload + 2;
  for (let field: usize = 0; field < 8; field += 4) {
    let count: u64 = 0;
    for (let shift: u64 = 0; ; shift += 7) {
      if (at >= end || shift > 28) return RECORD_CORRUPT;
      const byte = <u64>load<u8>(at++);
      count |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    // A row and a sample take a byte at least.
    if (count > <u64>(end - at)) return RECORD_CORRUPT;
    store<u32>(counts + field, <u32>count);
  }
  store<u32>(counts, <u32>(at - payload), 8);
  return RECORD_DECODED;
}

/** Decodes a record whose `counts` decodeHeader has read. RECORD_SLACK_BYTES follow the payload. */
export function decodeSamples(
  payload: usize,
  payloadBytes: u32,
  counts: usize,
  refs: usize,
  samplesEnd: usize,
  timestamps: usize,
  values: usize,
): u32 {
  const rows = load<u32>(counts);
  const samples = load<u32>(counts, 4);
  const single = load<u8>(payload, 1) == FLAG_SINGLE;
  const end = payload + payloadBytes;
  let at = payload + load<u32>(counts, 8);
  let nextRef: i64 = 0;
  let total: u64 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    let coded: u64 = 0;
    for (let shift: u64 = 0; ; shift += 7) {
      if (at >= end || shift > 35) return RECORD_CORRUPT;
      const byte = <u64>load<u8>(at++);
      coded |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    const ref = nextRef + unzigzag(coded);
    if (ref < 0 || ref >= <i64>REF_REJECTED) return RECORD_CORRUPT;
    nextRef = ref + 1;
    let count: u64 = single ? 1 : 0;
    for (let shift: u64 = 0; !single; shift += 7) {
      if (at >= end || shift > 28) return RECORD_CORRUPT;
      const byte = <u64>load<u8>(at++);
      count |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    total += count;
    if (total > samples) return RECORD_CORRUPT;
    store<u32>(refs + (<usize>row << 2), <u32>ref);
    store<u32>(samplesEnd + (<usize>row << 2), <u32>total);
  }
  if (total != samples) return RECORD_CORRUPT;
  return decodeColumns(at, end, samples, timestamps, values);
}

function decodeColumns(at: usize, end: usize, samples: u32, timestamps: usize, values: usize): u32 {
  let timestamp: i64 = 0;
  let lastDifference: i64 = 0;
  for (let i: usize = 0; i < <usize>samples << 3; i += 8) {
    if (at >= end) return RECORD_CORRUPT;
    const control: u32 = load<u8>(at++);
    const timestampBytes = control >> 4;
    if (timestampBytes == SAME_DIFFERENCE) {
      timestamp += lastDifference;
    } else if (timestampBytes != 0) {
      if (timestampBytes > 8) return RECORD_CORRUPT;
      const unused: u32 = 64 - (timestampBytes << 3);
      lastDifference = unzigzag((load<u64>(at) << unused) >> unused);
      timestamp += lastDifference;
      at += timestampBytes;
    }
    const valueBytes = control & 15;
    if (valueBytes > 8) return RECORD_CORRUPT;
    const value = load<u64>(at) << ((64 - (valueBytes << 3)) & 63);
    store<u64>(values + i, valueBytes == 0 ? 0 : value);
    store<i64>(timestamps + i, timestamp);
    at += valueBytes;
  }
  return at == end ? RECORD_DECODED : RECORD_CORRUPT;
}
