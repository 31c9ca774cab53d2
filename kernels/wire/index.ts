// The wire kernel: untrusted remote-write requests (snappy, protobuf) into validated columns, in a memory of its own,
// so that a bad request can at worst trap this instance. src/wasm/wire.ts is its only caller; layout.ts says where
// everything lies.
import { clearCache, initializeCache } from './cache.ts';
import { bodyAddress, headerDecompressedBytes, headerErrorOffset, initializeLayout, rawAddress, rawBytesMax } from './layout.ts';
import { readRequest, setNewSeriesReference } from './request.ts';
import { decompress, readSnappyLength, snappyPosition } from './snappy.ts';
import { statusDecompressedTooLarge, statusSnappyCorrupt } from './status.ts';

/** Lays out memory for requests up to these sizes; false where there is not enough of it. */
export function initialize(bodyBytesMax: u32, decompressedBytesMax: u32, cacheBytesMax: u32): bool {
  return initializeLayout(bodyBytesMax, decompressedBytesMax) && initializeCache(cacheBytesMax);
}

/** Decodes the request in the body buffer. Times are whole milliseconds (or infinite), as f64 for JavaScript's sake. */
export function decode(bodyBytes: u32, minMs: f64, maxMs: f64): i32 {
  const bodyEnd = bodyAddress + bodyBytes;
  const length = readSnappyLength(bodyAddress, bodyEnd);
  if (length < 0) {
    store<u32>(headerErrorOffset, 0);
    return statusSnappyCorrupt;
  }
  store<u32>(headerDecompressedBytes, <u32>length);
  if (length > <i64>rawBytesMax) return statusDecompressedTooLarge;
  if (!decompress(bodyEnd, rawAddress, <u32>length)) {
    store<u32>(headerErrorOffset, <u32>(snappyPosition - bodyAddress));
    return statusSnappyCorrupt;
  }
  return readRequest(<u32>length, <i64>minMs, <i64>maxMs);
}

/** The head's reference of a new series of the last request. */
export function setReference(index: u32, reference: u32): void {
  setNewSeriesReference(index, reference);
}

/** Empties the raw-hash cache. */
export function clearReferences(): void {
  clearCache();
}
