// What the wire kernel refused, in words: per reason the first series that it met and how many there were.
// The kernel keeps one record per reason (kernels/wire/rejections.ts); texts are made only for those that are not zero.
import { present } from '../base/index.ts';
import { formatRawSeries } from './wire-series-text.ts';

/** Part of a request that was refused; the rest goes on. */
export interface WireRejection {
  /** A stable code, one of `rejectionReasons`. */
  readonly reason: RejectionReason;
  /** Names the first series that was refused for this reason, and says why. */
  readonly text: string;
  /** Series of the request refused for this reason; of samples out of bounds, series with at least one. */
  readonly seriesCount: number;
  /** Samples refused for this reason. */
  readonly samplesCount: number;
}

/** In the kernel's order. */
export const rejectionReasons = [
  'OUT_OF_BOUNDS_OLD',
  'OUT_OF_BOUNDS_FUTURE',
  'HISTOGRAM_UNSUPPORTED',
  'METRIC_NAME_MISSING',
  'LABEL_NAME_EMPTY',
  'LABEL_NAME_INVALID',
  'LABEL_VALUE_INVALID',
  'LABEL_NAME_DUPLICATE',
  'LABELS_TOO_MANY',
  'LABEL_NAME_TOO_LONG',
  'LABEL_VALUE_TOO_LONG',
  'LABELS_TOO_LONG',
] as const;
export type RejectionReason = (typeof rejectionReasons)[number];

/** Limits of a series' labels; kernels/wire/limits.ts holds the same. */
export const labelLimits = {
  countMax: 256,
  nameBytesMax: 1024,
  valueBytesMax: 65_536,
  /** Of the canonical bytes of all labels together. */
  seriesBytesMax: 131_072,
} as const;

// A record: series, samples, address and end of the series' message, address and length of the label name it is about,
// then the timestamp as i64.
const recordBytes = 32;

/** Reads the kernel's records, one per reason, at `address`. */
export function readRejections(memory: ArrayBufferLike, address: number): WireRejection[] {
  const rejections: WireRejection[] = [];
  const view = new DataView(memory);
  for (const [index, reason] of rejectionReasons.entries()) {
    const at = address + index * recordBytes;
    const seriesCount = view.getUint32(at, true);
    if (seriesCount === 0) continue;
    const message = slice(memory, view.getUint32(at + 8, true), view.getUint32(at + 12, true));
    const nameAt = view.getUint32(at + 16, true);
    const name = printable(slice(memory, nameAt, nameAt + view.getUint32(at + 20, true)));
    const timestampMs = Number(view.getBigInt64(at + 24, true));
    const text = `series ${formatRawSeries(message)}: ${why(reason, name, timestampMs)}`;
    rejections.push({ reason, text, seriesCount, samplesCount: view.getUint32(at + 4, true) });
  }
  return rejections;
}

function why(reason: RejectionReason, name: string, timestampMs: number): string {
  switch (reason) {
    case 'OUT_OF_BOUNDS_OLD':
      return `timestamp ${timestampMs} ms is before the time that is kept`;
    case 'OUT_OF_BOUNDS_FUTURE':
      return `timestamp ${timestampMs} ms is too far in the future`;
    case 'HISTOGRAM_UNSUPPORTED':
      return 'native histograms are not supported yet';
    case 'METRIC_NAME_MISSING':
      return 'the metric name is missing';
    case 'LABEL_NAME_EMPTY':
      return 'a label name is empty';
    case 'LABEL_NAME_INVALID':
      return `label name ${name} is not valid UTF-8`;
    case 'LABEL_VALUE_INVALID':
      return `the value of label ${name} is not valid UTF-8`;
    case 'LABEL_NAME_DUPLICATE':
      return `label name ${name} is there twice`;
    case 'LABELS_TOO_MANY':
      return `more than ${labelLimits.countMax} labels`;
    case 'LABEL_NAME_TOO_LONG':
      return `label name ${name} is longer than ${labelLimits.nameBytesMax} bytes`;
    case 'LABEL_VALUE_TOO_LONG':
      return `the value of label ${name} is longer than ${labelLimits.valueBytesMax} bytes`;
    case 'LABELS_TOO_LONG':
      return `its labels are longer than ${labelLimits.seriesBytesMax} bytes in all`;
  }
}

const namePrintedBytesMax = 128;
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

function slice(memory: ArrayBufferLike, start: number, end: number): Uint8Array {
  return new Uint8Array(memory, start, present(end, 'end') - start);
}

function printable(name: Uint8Array): string {
  return JSON.stringify(lenient.decode(name.subarray(0, namePrintedBytesMax)));
}
