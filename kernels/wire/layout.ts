// Where everything lies in the memory of the wire kernel, and its limits. The fixed part comes first; `initializeLayout`
// lays the buffers out behind it, for the longest request there may be, and the raw-hash cache, which grows, comes last.
// Memory that a request never touches is never made resident by the system, so generous limits cost addresses only.

// Header, read by src/wasm/wire.ts: words of 32 bits.
export const headerRowsCount: usize = 1024;
export const headerSamplesCount: usize = 1028;
export const headerNewSeriesCount: usize = 1032;
export const headerMetadataCount: usize = 1036;
export const headerErrorOffset: usize = 1040;
export const headerDecompressedBytes: usize = 1044;
const headerBodyAddress: usize = 1048;
const headerHashKeyAddress: usize = 1052;
const headerHashKeyBytes: usize = 1056;
const headerReferencesAddress: usize = 1060;
const headerSamplesEndAddress: usize = 1064;
const headerPartitionsAddress: usize = 1068;
const headerTimestampsAddress: usize = 1072;
const headerValuesAddress: usize = 1076;
const headerNewSeriesAddress: usize = 1080;
const headerMetadataAddress: usize = 1084;
const headerRejectionsAddress: usize = 1088;
export const headerCacheEntriesCount: usize = 1092;
export const headerCacheBytes: usize = 1096;

/** One record of 32 bytes per reason of rejections.ts. */
export const rejectionsAddress: usize = 2048;
/** 32 bytes of ones, then 32 of zeros: a load at 32 - n gives a mask of the first n bytes. */
export const maskTableAddress: usize = 2560;
/** The key of the raw hash: raw-hash.ts. */
export const hashKeyAddress: usize = 4096;
const hashKeyBytes: u32 = 4448;
/** The labels of the series in hand, 16 bytes each, and as much again to sort them: series-labels.ts. */
export const labelTableAddress: usize = 16384;
export const labelSortAddress: usize = 24576;
/** Page addresses of the raw-hash cache: cache.ts. */
export const directoryAddress: usize = 65536;
export const directoryDepthMax: u32 = 16;
const buffersAddress: usize = 65536 + 4 * 65536;

/** Copies and loads of whole words or vectors may run so far past the end of what they are about. */
const slackBytes: u64 = 64;

// Columns have room for what a request of the longest legal length can hold in practice, where the shortest sample takes
// 9 bytes and the shortest series 40.
const bytesPerSampleMin: u32 = 8;
const bytesPerRowMin: u32 = 32;
const bytesPerMetadataMin: u32 = 512;

// Limits of a series' labels, as in src/wasm/wire-rejections.ts.
export const labelsCountMax: u32 = 256;
export const labelNameBytesMax: u32 = 1024;
export const labelValueBytesMax: u32 = 65536;
export const seriesLabelBytesMax: u32 = 131072;

/** A new series: row u32, address and length of its canonical labels u32, flags u32, fingerprint, raw hash 16 bytes each. */
export const newSeriesBytes: usize = 48;
/** In the flags: the raw hash may be put into the cache. */
export const newSeriesCacheable: u32 = 1;

/** A row as the kernel keeps it: request.ts. */
export const rowBytes: usize = 32;

export let samplesCountMax: u32 = 0;
export let rowsCountMax: u32 = 0;
/** Metadata beyond this is ignored: it is advice. */
export let metadataCountMax: u32 = 0;

export let bodyAddress: usize = 0;
export let rawAddress: usize = 0;
export let rawBytesMax: u32 = 0;
export let referencesAddress: usize = 0;
export let samplesEndAddress: usize = 0;
export let partitionsAddress: usize = 0;
export let timestampsAddress: usize = 0;
export let valuesAddress: usize = 0;
export let rowsAddress: usize = 0;
export let newSeriesAddress: usize = 0;
export let metadataAddress: usize = 0;
/** The canonical labels of new series, one after another. */
export let canonicalAddress: usize = 0;
export let cacheAddress: usize = 0;

let nextAddress: u64 = 0;

/** Wraps where memory is too small for the layout; `initializeLayout` finds out from `nextAddress`. */
function take(bytesCount: u64): usize {
  const address = nextAddress;
  nextAddress = (address + bytesCount + slackBytes + 63) & ~63;
  return <usize>address;
}

/** Lays memory out and grows it; false where it can't grow. */
export function initializeLayout(bodyBytesMax: u32, decompressedBytesMax: u32): bool {
  nextAddress = buffersAddress;
  rawBytesMax = decompressedBytesMax;
  samplesCountMax = decompressedBytesMax / bytesPerSampleMin;
  rowsCountMax = decompressedBytesMax / bytesPerRowMin;
  metadataCountMax = decompressedBytesMax / bytesPerMetadataMin;
  bodyAddress = take(bodyBytesMax);
  rawAddress = take(decompressedBytesMax);
  referencesAddress = take(<u64>rowsCountMax * 4);
  samplesEndAddress = take(<u64>rowsCountMax * 4);
  partitionsAddress = take(<u64>rowsCountMax * 2);
  rowsAddress = take(<u64>rowsCountMax * rowBytes);
  newSeriesAddress = take(<u64>rowsCountMax * newSeriesBytes);
  timestampsAddress = take(<u64>samplesCountMax * 8);
  valuesAddress = take(<u64>samplesCountMax * 8);
  metadataAddress = take(<u64>metadataCountMax * 8);
  // Canonical labels are never longer than the fields that they were read from.
  canonicalAddress = take(decompressedBytesMax);
  cacheAddress = <usize>nextAddress;
  if (!reserveUpTo(nextAddress)) return false;
  memory.fill(maskTableAddress, 0xff, 32);
  writeHeader();
  return true;
}

/** Grows memory so that addresses below `end` exist. */
export function reserveUpTo(end: u64): bool {
  const size = <u64>memory.size() << 16;
  if (end <= size) return true;
  const pagesCount = (end - size + 65535) >> 16;
  return pagesCount < 65536 && memory.grow(<i32>pagesCount) >= 0;
}

function writeHeader(): void {
  store<u32>(headerBodyAddress, bodyAddress);
  store<u32>(headerHashKeyAddress, hashKeyAddress);
  store<u32>(headerHashKeyBytes, hashKeyBytes);
  store<u32>(headerReferencesAddress, referencesAddress);
  store<u32>(headerSamplesEndAddress, samplesEndAddress);
  store<u32>(headerPartitionsAddress, partitionsAddress);
  store<u32>(headerTimestampsAddress, timestampsAddress);
  store<u32>(headerValuesAddress, valuesAddress);
  store<u32>(headerNewSeriesAddress, newSeriesAddress);
  store<u32>(headerMetadataAddress, metadataAddress);
  store<u32>(headerRejectionsAddress, rejectionsAddress);
}
