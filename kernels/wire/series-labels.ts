// The labels of a series that the raw-hash cache does not know: read, checked, put into canonical form
// (docs/formats/labels.md) and fingerprinted. Runs once per series and process, not per sample.
//
// The label table holds one entry of 16 bytes per label of the series in hand: address and length of its name, address
// and length of its value, all within the decompressed request.
import { compareBytes } from '../common/bytes.ts';
import { sipHash128 } from '../common/siphash.ts';
import { isUtf8 } from '../common/utf8.ts';
import {
  canonicalAddress, labelNameBytesMax, labelsCountMax, labelSortAddress, labelTableAddress,
  labelValueBytesMax, seriesLabelBytesMax,
} from './layout.ts';
import { fieldContent, fieldNumber, fieldWireType, readField, wireBytes } from './protobuf.ts';
import {
  labelNameDuplicate, labelNameEmpty, labelNameInvalid, labelNameTooLong, labelsTooLong, labelsTooMany,
  labelValueInvalid, labelValueTooLong, metricNameMissing, reject,
} from './rejections.ts';
import { statusOk, statusProtobufCorrupt } from './status.ts';

// The key of series fingerprints, "timbala.series.1": part of the formats, the same on every node for ever.
const fingerprintKey0: u64 = 0x2e616c61626d6974;
const fingerprintKey1: u64 = 0x312e736569726573;

const entryBytes: usize = 16;
const entryNameBytes: usize = 4;
const entryValue: usize = 8;
const entryValueBytes: usize = 12;

/** Where the canonical form of the last series lies, and its length: 0 where the series was refused. */
export let canonicalStart: usize = 0;
export let canonicalBytes: u32 = 0;

let canonicalNext: usize = 0;
let labelsCount: u32 = 0;
let sorted: bool = false;

// Why the series is refused, and the name of the label that it is about.
const notRefused: u32 = 0xffffffff;
let refusal: u32 = notRefused;
let refusedName: usize = 0;
let refusedNameBytes: u32 = 0;

/** Empties the area of canonical labels, for the next request. */
export function beginCanonical(): void {
  canonicalNext = canonicalAddress;
}

/**
 * Registers the labels among the fields of [start, end), `labelsOnly` if nothing else may be there. Leaves
 * canonicalStart and canonicalBytes, and writes the fingerprint to `fingerprintTarget`; or refuses the series, under
 * its message. Answers statusProtobufCorrupt where the fields are not what they should be.
 */
export function registerLabels(
  start: usize,
  end: usize,
  labelsOnly: bool,
  message: usize,
  messageEnd: usize,
  samplesCount: u32,
  fingerprintTarget: usize,
): i32 {
  canonicalBytes = 0;
  labelsCount = 0;
  sorted = true;
  refusal = notRefused;
  for (let at = start; at < end; ) {
    const next = readField(at, end);
    if (next == 0) return statusProtobufCorrupt;
    if (fieldNumber == 1 && fieldWireType == wireBytes) {
      if (!readLabel(fieldContent, next)) return statusProtobufCorrupt;
    } else if (labelsOnly) {
      return statusProtobufCorrupt;
    }
    at = next;
  }
  if (refusal == notRefused) checkNames();
  if (refusal == notRefused) writeCanonical();
  if (refusal != notRefused) {
    reject(refusal, samplesCount, message, messageEnd, refusedName, refusedNameBytes, 0);
    return statusOk;
  }
  sipHash128(canonicalStart, canonicalBytes, fingerprintKey0, fingerprintKey1, fingerprintTarget);
  return statusOk;
}

function refuse(reason: u32, name: usize, nameBytes: u32): void {
  if (refusal != notRefused) return;
  refusal = reason;
  refusedName = name;
  refusedNameBytes = nameBytes;
}

/** Reads a Label message into the table; false where it is malformed. */
function readLabel(message: usize, end: usize): bool {
  let name: usize = 0;
  let nameBytes: u32 = 0;
  let value: usize = 0;
  let valueBytes: u32 = 0;
  for (let at = message; at < end; ) {
    const next = readField(at, end);
    if (next == 0) return false;
    if (fieldNumber == 1 || fieldNumber == 2) {
      if (fieldWireType != wireBytes) return false;
      if (fieldNumber == 1) {
        name = fieldContent;
        nameBytes = <u32>(next - fieldContent);
      } else {
        value = fieldContent;
        valueBytes = <u32>(next - fieldContent);
      }
    }
    at = next;
  }
  if (labelsCount == labelsCountMax) {
    refuse(labelsTooMany, 0, 0);
    return true;
  }
  if (nameBytes == 0) refuse(labelNameEmpty, 0, 0);
  else if (nameBytes > labelNameBytesMax) refuse(labelNameTooLong, name, nameBytes);
  else if (!isUtf8(name, nameBytes)) refuse(labelNameInvalid, name, nameBytes);
  else if (valueBytes > labelValueBytesMax) refuse(labelValueTooLong, name, nameBytes);
  else if (!isUtf8(value, valueBytes)) refuse(labelValueInvalid, name, nameBytes);
  if (refusal != notRefused) return true;
  const entry = labelTableAddress + <usize>labelsCount * entryBytes;
  store<u32>(entry, name);
  store<u32>(entry, nameBytes, entryNameBytes);
  store<u32>(entry, value, entryValue);
  store<u32>(entry, valueBytes, entryValueBytes);
  if (labelsCount > 0 && compareNames(entry - entryBytes, entry) >= 0) sorted = false;
  labelsCount++;
  return true;
}

function compareNames(left: usize, right: usize): i32 {
  return compareBytes(load<u32>(left), load<u32>(left, entryNameBytes), load<u32>(right), load<u32>(right, entryNameBytes));
}

// "__name__" as a little-endian word.
const metricNameWord: u64 = 0x5f5f656d616e5f5f;

/** Sorts the table; refuses a repeated name, even of empty values, and a missing metric name. */
function checkNames(): void {
  if (!sorted) sortTable();
  const tableEnd = labelTableAddress + <usize>labelsCount * entryBytes;
  let hasMetricName = false;
  for (let entry = labelTableAddress; entry < tableEnd; entry += entryBytes) {
    const name: usize = load<u32>(entry);
    const nameBytes = load<u32>(entry, entryNameBytes);
    if (nameBytes == 8 && load<u64>(name) == metricNameWord) hasMetricName = load<u32>(entry, entryValueBytes) > 0;
    if (!sorted && entry > labelTableAddress && compareNames(entry - entryBytes, entry) == 0) {
      refuse(labelNameDuplicate, name, nameBytes);
    }
  }
  if (!hasMetricName) refuse(metricNameMissing, 0, 0);
}

/** Merge sort from the bottom up: few comparisons whatever the order, as the sender chooses it. */
function sortTable(): void {
  let from = labelTableAddress;
  let to = labelSortAddress;
  for (let width: u32 = 1; width < labelsCount; width <<= 1) {
    for (let start: u32 = 0; start < labelsCount; start += width << 1) {
      merge(from, to, start, min(start + width, labelsCount), min(start + (width << 1), labelsCount));
    }
    const swapped = from;
    from = to;
    to = swapped;
  }
  if (from != labelTableAddress) memory.copy(labelTableAddress, from, <usize>labelsCount * entryBytes);
}

/** Merges entries [start, middle) and [middle, end) of `from` into `to`. */
function merge(from: usize, to: usize, start: u32, middle: u32, end: u32): void {
  let left = start;
  let right = middle;
  for (let i = start; i < end; i++) {
    const takeLeft =
      left < middle &&
      (right == end || compareNames(from + <usize>left * entryBytes, from + <usize>right * entryBytes) <= 0);
    const taken = takeLeft ? left++ : right++;
    v128.store(to + <usize>i * entryBytes, v128.load(from + <usize>taken * entryBytes));
  }
}

/** Writes the labels whose values are not empty behind those of earlier series. */
function writeCanonical(): void {
  let total: u32 = 0;
  const tableEnd = labelTableAddress + <usize>labelsCount * entryBytes;
  for (let entry = labelTableAddress; entry < tableEnd; entry += entryBytes) {
    // Twice three bytes hold the lengths, which are below 2²¹; the limits keep the sum far from wrapping.
    total += load<u32>(entry, entryNameBytes) + load<u32>(entry, entryValueBytes) + 6;
  }
  if (total > seriesLabelBytesMax) {
    refuse(labelsTooLong, 0, 0);
    return;
  }
  canonicalStart = canonicalNext;
  let to = canonicalStart;
  for (let entry = labelTableAddress; entry < tableEnd; entry += entryBytes) {
    if (load<u32>(entry, entryValueBytes) == 0) continue;
    to = writeText(to, load<u32>(entry), load<u32>(entry, entryNameBytes));
    to = writeText(to, load<u32>(entry, entryValue), load<u32>(entry, entryValueBytes));
  }
  canonicalBytes = <u32>(to - canonicalStart);
  canonicalNext = to;
}

/** Length as a varint, then the bytes, 16 at a time into the slack. */
function writeText(to: usize, source: usize, bytesCount: u32): usize {
  let rest = bytesCount;
  while (rest >= 128) {
    store<u8>(to++, rest | 128);
    rest >>= 7;
  }
  store<u8>(to++, rest);
  for (let i: usize = 0; i < <usize>bytesCount; i += 16) v128.store(to + i, v128.load(source + i));
  return to + bytesCount;
}
