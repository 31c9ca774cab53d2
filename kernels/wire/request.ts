// Reads a decompressed WriteRequest (prometheus/prompb/remote.proto, 1.0) in place into columns:
//   walkRequest      every field; rows (where a series' labels lie, and their raw hash) and sample columns
//   resolveRows      rows to references by the raw-hash cache, in a loop of its own, so that cache misses overlap
//   registerRows     rows that are not known: labels checked, canonical form and fingerprint (series-labels.ts)
//
// Guessing. Nearly every series ends in samples of one of two shapes (18 bytes, or 9 where the value is 0 and left out).
// The fast path takes what looks like such samples from the end of the message, and all before it for the labels,
// without walking them. If the raw hash of that prefix is in the cache, the very same bytes were once found to be label
// fields and nothing else, so what follows begins on a field's border and is what it looks like. If it is not, the labels
// are walked when the row is registered; where the prefix turns out to be anything else, the request is read again without
// guessing. So no guess outlives `readRequest`, whatever the bytes are.
import { foundPartition, insert, lookUp } from './cache.ts';
import {
  headerErrorOffset, headerMetadataCount, headerNewSeriesCount, headerRowsCount, headerSamplesCount, metadataAddress,
  metadataCountMax, newSeriesAddress, newSeriesBytes, newSeriesCacheable, partitionsAddress, rawAddress,
  referencesAddress, rowBytes, rowsAddress, rowsCountMax, samplesCountMax, samplesEndAddress, timestampsAddress,
  valuesAddress,
} from './layout.ts';
import {
  fieldContent, fieldNumber, fieldWireType, readField, readVarint, wireBytes, wireFixed64, wireVarint,
} from './protobuf.ts';
import { hashedBytesMax, hashHigh, hashLow, hashRaw } from './raw-hash.ts';
import { clearRejections, histogramUnsupported, outOfBoundsFuture, outOfBoundsOld, reject } from './rejections.ts';
import { beginCanonical, canonicalBytes, canonicalStart, registerLabels } from './series-labels.ts';
import { statusGuessedWrong, statusOk, statusProtobufCorrupt, statusSamplesTooMany } from './status.ts';

/** References that are none, as in src/wasm/wire.ts. */
const unknownReference: u32 = 0xffffffff;
const rejectedReference: u32 = 0xfffffffe;

// A row: the series' message and its end, its labels and their end (0: not in one piece, or too long to hash), raw hash.
const rowMessage: usize = 0;
const rowMessageEnd: usize = 4;
const rowLabels: usize = 8;
const rowLabelsEnd: usize = 12;
const rowHash: usize = 16;

let rowsCount: u32 = 0;
let samplesCount: u32 = 0;
let newSeriesCount: u32 = 0;
let metadataCount: u32 = 0;
let guessing: bool = false;
let earliestMs: i64 = 0;
let latestMs: i64 = 0;
/** Where the message is corrupt. */
let corruptAt: usize = 0;

/** Reads the request at rawAddress; samples before `minMs` or after `maxMs` are refused. Fills header and columns. */
export function readRequest(rawBytes: u32, minMs: i64, maxMs: i64): i32 {
  earliestMs = minMs;
  latestMs = maxMs;
  let status = readOnce(rawAddress + rawBytes, true);
  if (status == statusGuessedWrong) status = readOnce(rawAddress + rawBytes, false);
  if (status != statusOk) {
    rowsCount = 0;
    samplesCount = 0;
    newSeriesCount = 0;
    metadataCount = 0;
    store<u32>(headerErrorOffset, corruptAt - rawAddress);
  }
  store<u32>(headerRowsCount, rowsCount);
  store<u32>(headerSamplesCount, samplesCount);
  store<u32>(headerNewSeriesCount, newSeriesCount);
  store<u32>(headerMetadataCount, metadataCount);
  return status;
}

/** Gives the new series its reference: in its row, and in the cache. */
export function setNewSeriesReference(index: u32, reference: u32): void {
  const record = newSeriesAddress + <usize>index * newSeriesBytes;
  const row: usize = load<u32>(record);
  store<u32>(referencesAddress + (row << 2), reference);
  if ((load<u32>(record, 12) & newSeriesCacheable) == 0) return;
  insert(load<u64>(record, 32), load<u64>(record, 40), reference, load<u16>(partitionsAddress + (row << 1)));
}

function readOnce(rawEnd: usize, guess: bool): i32 {
  guessing = guess;
  rowsCount = 0;
  samplesCount = 0;
  newSeriesCount = 0;
  metadataCount = 0;
  clearRejections();
  const status = walkRequest(rawEnd);
  if (status != statusOk) return status;
  resolveRows();
  return registerRows();
}

const fieldTimeseries: u32 = 1;
const fieldMetadata: u32 = 3;

function walkRequest(rawEnd: usize): i32 {
  let at = rawAddress;
  while (at < rawEnd) {
    const end = readField(at, rawEnd);
    if (end == 0) return corrupt(at);
    if (fieldNumber == fieldTimeseries) {
      if (fieldWireType != wireBytes) return corrupt(at);
      const message = fieldContent;
      if (!guessing || !guessSeries(message, end)) {
        const status = walkSeries(message, end);
        if (status != statusOk) return status;
      }
    } else if (fieldNumber == fieldMetadata && fieldWireType == wireBytes && metadataCount < metadataCountMax) {
      store<u32>(metadataAddress + (<usize>metadataCount << 3), fieldContent);
      store<u32>(metadataAddress + (<usize>metadataCount << 3), end, 4);
      metadataCount++;
    }
    at = end;
  }
  return statusOk;
}

function corrupt(at: usize): i32 {
  corruptAt = at;
  return statusProtobufCorrupt;
}

// The two shapes of a sample: field 2, 16 bytes: field 1 (fixed64), field 2 (varint of 6 bytes: years 1971 to 2109); or
// field 2, 7 bytes: field 2 alone, where the value is 0. The last 8 bytes of both: one byte, tag 0x10, the varint.
const wholeSampleBytes: usize = 18;
const zeroSampleBytes: usize = 9;
const endMask: u64 = 0x808080808080ff00;
const endPattern: u64 = 0x0080808080801000;

/** Bytes of the sample that seems to end at `end`; 0 where none does. */
function guessSample(message: usize, end: usize): usize {
  const space = end - message;
  if (space < zeroSampleBytes || (load<u64>(end - 8) & endMask) != endPattern) return 0;
  if (space >= wholeSampleBytes && (load<u32>(end - wholeSampleBytes) & 0xffffff) == 0x091012) return wholeSampleBytes;
  return load<u16>(end - zeroSampleBytes) == 0x0712 ? zeroSampleBytes : 0;
}

/** The fast path; false (and nothing taken) where the series does not look as expected. */
function guessSeries(message: usize, end: usize): bool {
  let labelsEnd = end;
  while (true) {
    const bytesCount = guessSample(message, labelsEnd);
    if (bytesCount == 0) break;
    labelsEnd -= bytesCount;
  }
  const labelsBytes = labelsEnd - message;
  if (labelsEnd == end || labelsBytes == 0 || labelsBytes > <usize>hashedBytesMax) return false;
  if (rowsCount == rowsCountMax || <usize>(samplesCountMax - samplesCount) * zeroSampleBytes < end - labelsEnd) return false;
  let count = samplesCount;
  for (let at = labelsEnd; at < end; count++) {
    let value: u64 = 0;
    if (load<u8>(at, 1) == 0x10) {
      value = load<u64>(at, 3);
      at += wholeSampleBytes;
    } else {
      at += zeroSampleBytes;
    }
    const timestampMs = sixByteVarint(load<u64>(at - 8) >> 16);
    if (timestampMs < earliestMs || timestampMs > latestMs) return false;
    store<i64>(timestampsAddress + (<usize>count << 3), timestampMs);
    store<u64>(valuesAddress + (<usize>count << 3), value);
  }
  samplesCount = count;
  addRow(message, end, message, labelsEnd);
  return true;
}

/** The value of six varint bytes, the first one lowest. */
function sixByteVarint(bytes: u64): i64 {
  let groups = bytes & 0x7f7f7f7f7f7f;
  groups = (groups & 0x007f007f007f) | ((groups & 0x7f007f007f00) >> 1);
  return (groups & 0x3fff) | ((groups >> 2) & (0x3fff << 14)) | ((groups >> 4) & (<u64>0x3fff << 28));
}

function addRow(message: usize, messageEnd: usize, labels: usize, labelsEnd: usize): void {
  const row = rowsAddress + <usize>rowsCount * rowBytes;
  store<u32>(row, message, rowMessage);
  store<u32>(row, messageEnd, rowMessageEnd);
  store<u32>(row, labels, rowLabels);
  store<u32>(row, labelsEnd, rowLabelsEnd);
  if (labelsEnd != 0) {
    hashRaw(labels, <u32>(labelsEnd - labels));
    store<u64>(row, hashLow, rowHash);
    store<u64>(row, hashHigh, rowHash + 8);
  }
  store<u32>(samplesEndAddress + (<usize>rowsCount << 2), samplesCount);
  rowsCount++;
}

const fieldLabels: u32 = 1;
const fieldSamples: u32 = 2;
const fieldHistograms: u32 = 4;

/** The careful path: fields in any order, unknown ones skipped. */
function walkSeries(message: usize, end: usize): i32 {
  let labels: usize = 0;
  let labelsEnd: usize = 0;
  let labelsInOnePiece = true;
  let histogramsCount: u32 = 0;
  const firstSample = samplesCount;
  beginBounds();
  for (let at = message; at < end; ) {
    const next = readField(at, end);
    if (next == 0) return corrupt(at);
    if (fieldWireType == wireBytes) {
      if (fieldNumber == fieldLabels) {
        if (labelsEnd == 0) labels = at;
        else if (labelsEnd != at) labelsInOnePiece = false;
        labelsEnd = next;
      } else if (fieldNumber == fieldSamples) {
        const status = walkSample(fieldContent, next);
        if (status != statusOk) return status;
      } else if (fieldNumber == fieldHistograms) {
        histogramsCount++;
      }
    } else if (fieldNumber == fieldLabels || fieldNumber == fieldSamples || fieldNumber == fieldHistograms) {
      return corrupt(at);
    }
    at = next;
  }
  rejectOutOfBounds(message, end);
  if (histogramsCount > 0) reject(histogramUnsupported, histogramsCount, message, end, 0, 0, 0);
  if (samplesCount == firstSample) return statusOk;
  if (rowsCount == rowsCountMax) return statusSamplesTooMany;
  const cacheable = labelsInOnePiece && labelsEnd - labels <= <usize>hashedBytesMax;
  addRow(message, end, labels, cacheable ? labelsEnd : 0);
  return statusOk;
}

const fieldValue: u32 = 1;
const fieldTimestamp: u32 = 2;

function walkSample(message: usize, end: usize): i32 {
  let value: u64 = 0;
  let timestampMs: i64 = 0;
  for (let at = message; at < end; ) {
    const next = readField(at, end);
    if (next == 0) return corrupt(at);
    if (fieldNumber == fieldValue) {
      if (fieldWireType != wireFixed64) return corrupt(at);
      value = load<u64>(fieldContent);
    } else if (fieldNumber == fieldTimestamp) {
      if (fieldWireType != wireVarint) return corrupt(at);
      timestampMs = readVarint(fieldContent, end);
    }
    at = next;
  }
  if (timestampMs < earliestMs) {
    if (oldCount++ == 0) oldMs = timestampMs;
    return statusOk;
  }
  if (timestampMs > latestMs) {
    if (futureCount++ == 0) futureMs = timestampMs;
    return statusOk;
  }
  if (samplesCount == samplesCountMax) return statusSamplesTooMany;
  store<i64>(timestampsAddress + (<usize>samplesCount << 3), timestampMs);
  store<u64>(valuesAddress + (<usize>samplesCount << 3), value);
  samplesCount++;
  return statusOk;
}

// Samples of the series in hand that are out of bounds, and the first timestamp on either side.
let oldCount: u32 = 0;
let oldMs: i64 = 0;
let futureCount: u32 = 0;
let futureMs: i64 = 0;

function beginBounds(): void {
  oldCount = 0;
  futureCount = 0;
}

function rejectOutOfBounds(message: usize, end: usize): void {
  if (oldCount > 0) reject(outOfBoundsOld, oldCount, message, end, 0, 0, oldMs);
  if (futureCount > 0) reject(outOfBoundsFuture, futureCount, message, end, 0, 0, futureMs);
}

function resolveRows(): void {
  for (let i: u32 = 0; i < rowsCount; i++) {
    const row = rowsAddress + <usize>i * rowBytes;
    let reference = unknownReference;
    if (load<u32>(row, rowLabelsEnd) != 0) reference = lookUp(load<u64>(row, rowHash), load<u64>(row, rowHash + 8));
    store<u32>(referencesAddress + (<usize>i << 2), reference);
    store<u16>(partitionsAddress + (<usize>i << 1), foundPartition);
  }
}

function registerRows(): i32 {
  beginCanonical();
  for (let i: u32 = 0; i < rowsCount; i++) {
    if (load<u32>(referencesAddress + (<usize>i << 2)) != unknownReference) continue;
    const status = registerRow(i);
    if (status != statusOk) return status;
  }
  return statusOk;
}

function registerRow(index: u32): i32 {
  const row = rowsAddress + <usize>index * rowBytes;
  const message: usize = load<u32>(row, rowMessage);
  const messageEnd: usize = load<u32>(row, rowMessageEnd);
  const cacheable = load<u32>(row, rowLabelsEnd) != 0;
  const labels: usize = cacheable ? <usize>load<u32>(row, rowLabels) : message;
  const labelsEnd: usize = cacheable ? <usize>load<u32>(row, rowLabelsEnd) : messageEnd;
  const record = newSeriesAddress + <usize>newSeriesCount * newSeriesBytes;
  const first = index == 0 ? 0 : load<u32>(samplesEndAddress + (<usize>(index - 1) << 2));
  const rowSamplesCount = load<u32>(samplesEndAddress + (<usize>index << 2)) - first;
  const status = registerLabels(labels, labelsEnd, cacheable, message, messageEnd, rowSamplesCount, record + 16);
  if (status == statusProtobufCorrupt) {
    if (guessing) return statusGuessedWrong;
    return corrupt(message);
  }
  if (canonicalBytes == 0) {
    store<u32>(referencesAddress + (<usize>index << 2), rejectedReference);
    return statusOk;
  }
  store<u32>(record, index);
  store<u32>(record, canonicalStart, 4);
  store<u32>(record, canonicalBytes, 8);
  store<u32>(record, cacheable ? newSeriesCacheable : 0, 12);
  store<u64>(record, load<u64>(row, rowHash), 32);
  store<u64>(record, load<u64>(row, rowHash + 8), 40);
  store<u16>(partitionsAddress + (<usize>index << 1), load<u16>(record, 16));
  newSeriesCount++;
  return statusOk;
}
