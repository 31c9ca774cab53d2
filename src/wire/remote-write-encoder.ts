// Encodes remote write 1.0 requests (prometheus/prompb/remote.proto): for what the node writes into itself, for the load
// generator and for tests. Values are copied as bits, so that NaN payloads and -0 arrive as they are.
import { ByteWriter } from '../base/index.ts';
import { metadataTypes, type MetricMetadata } from '../wasm/index.ts';

/** Samples of one series. */
export interface WriteSeries {
  /** name0, value0, name1, value1, … in any order, as Labels.pairs has them. */
  readonly labels: readonly string[];
  readonly timestampsMs: ArrayLike<number>;
  /** As many as timestamps. */
  readonly values: Float64Array;
}

// Tags: field number × 8 + wire type.
const tag = {
  requestTimeseries: 0x0a,
  requestMetadata: 0x1a,
  seriesLabels: 0x0a,
  seriesSamples: 0x12,
  labelName: 0x0a,
  labelValue: 0x12,
  sampleValue: 0x09,
  sampleTimestamp: 0x10,
  metadataType: 0x08,
  metadataMetric: 0x12,
  metadataHelp: 0x22,
  metadataUnit: 0x2a,
} as const;

/** The protobuf message, not compressed yet: a snappy block of it (`wrapSnappy`) is a body. */
export function encodeWriteRequest(
  series: Iterable<WriteSeries>,
  metadata: Iterable<MetricMetadata> = [],
): Uint8Array<ArrayBuffer> {
  const request = new ByteWriter(64 * 1024);
  const message = new ByteWriter(1024);
  const inner = new ByteWriter(256);
  for (const { labels, timestampsMs, values } of series) {
    message.clear();
    for (let i = 0; i + 1 < labels.length; i += 2) {
      inner.clear();
      writeText(inner, tag.labelName, labels[i]);
      writeText(inner, tag.labelValue, labels[i + 1]);
      writeMessage(message, tag.seriesLabels, inner);
    }
    const bits = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    for (let i = 0; i < timestampsMs.length; i++) {
      inner.clear();
      writeSample(inner, timestampsMs[i] as number, bits.subarray(8 * i, 8 * i + 8));
      writeMessage(message, tag.seriesSamples, inner);
    }
    writeMessage(request, tag.requestTimeseries, message);
  }
  for (const entry of metadata) {
    message.clear();
    message.u8(tag.metadataType);
    message.uvarint(Math.max(0, metadataTypes.indexOf(entry.type)));
    writeText(message, tag.metadataMetric, entry.metric);
    writeText(message, tag.metadataHelp, entry.help);
    writeText(message, tag.metadataUnit, entry.unit);
    writeMessage(request, tag.requestMetadata, message);
  }
  return request.copy();
}

function writeMessage(target: ByteWriter, fieldTag: number, message: ByteWriter): void {
  target.u8(fieldTag);
  target.uvarint(message.length);
  target.bytes(message.view());
}

function writeText(target: ByteWriter, fieldTag: number, text: string | undefined): void {
  target.u8(fieldTag);
  target.string(text ?? '');
}

/** `bits`: the value's 8 bytes. */
function writeSample(target: ByteWriter, timestampMs: number, bits: Uint8Array): void {
  // Proto3 leaves zeros out; -0 is not zero in bits.
  if (bits.some((byte) => byte !== 0)) {
    target.u8(tag.sampleValue);
    target.bytes(bits);
  }
  if (timestampMs === 0) return;
  target.u8(tag.sampleTimestamp);
  if (timestampMs > 0) target.uvarint(timestampMs);
  else writeNegativeVarint(target, timestampMs);
}

/** A negative int64: two's complement in 64 bits, ten bytes. */
function writeNegativeVarint(target: ByteWriter, value: number): void {
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 128n; rest >>= 7n) target.u8(Number(rest & 127n) | 128);
  target.u8(Number(rest));
}
