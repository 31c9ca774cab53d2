// What was refused and why: per reason the first offender and counts. src/wasm/wire-rejections.ts reads the records
// (32 bytes: series, samples, message and its end, label name and its length as u32, then the timestamp as i64) and
// puts them into words.
import { rejectionsAddress } from './layout.ts';

export const outOfBoundsOld: u32 = 0;
export const outOfBoundsFuture: u32 = 1;
export const histogramUnsupported: u32 = 2;
export const metricNameMissing: u32 = 3;
export const labelNameEmpty: u32 = 4;
export const labelNameInvalid: u32 = 5;
export const labelValueInvalid: u32 = 6;
export const labelNameDuplicate: u32 = 7;
export const labelsTooMany: u32 = 8;
export const labelNameTooLong: u32 = 9;
export const labelValueTooLong: u32 = 10;
export const labelsTooLong: u32 = 11;
const reasonsCount: usize = 12;
const recordBytes: usize = 32;

export function clearRejections(): void {
  memory.fill(rejectionsAddress, 0, reasonsCount * recordBytes);
}

/** Counts one series and `samplesCount` samples of it under `reason`; the first one is kept for the error's text. */
export function reject(
  reason: u32,
  samplesCount: u32,
  message: usize,
  messageEnd: usize,
  nameAt: usize,
  nameBytes: u32,
  timestampMs: i64,
): void {
  const record = rejectionsAddress + <usize>reason * recordBytes;
  const seriesCount = load<u32>(record);
  store<u32>(record, seriesCount + 1);
  store<u32>(record, load<u32>(record, 4) + samplesCount, 4);
  if (seriesCount > 0) return;
  store<u32>(record, message, 8);
  store<u32>(record, messageEnd, 12);
  store<u32>(record, nameAt, 16);
  store<u32>(record, nameBytes, 20);
  store<i64>(record, timestampMs, 24);
}
