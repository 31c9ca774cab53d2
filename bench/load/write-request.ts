// Remote write 1.0 requests, as Prometheus's sender makes them: one TimeSeries message per sample, labels repeated in each,
// compressed by snappy. The caller keeps each series' labels encoded, so that a sample costs one copy.
import snappy from 'snappyjs';

// Protobuf tags of prometheus.WriteRequest: field number << 3 | wire type.
const timeSeriesTag = 0x0a;
const labelTag = 0x0a;
const labelNameTag = 0x0a;
const labelValueTag = 0x12;
const sampleTag = 0x12;
const sampleValueTag = 0x09;
const sampleTimestampTag = 0x10;

const utf8 = new TextEncoder();

function uvarintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** The repeated Label fields of one TimeSeries. `labels`: name and value pairs, sorted by name. */
export function encodeLabelFields(labels: readonly (readonly [string, string])[]): Uint8Array {
  const encoded = labels.map(([name, value]) => [utf8.encode(name), utf8.encode(value)] as const);
  const bodyBytes = (name: Uint8Array, value: Uint8Array): number =>
    2 + uvarintBytes(name.length) + name.length + uvarintBytes(value.length) + value.length;
  let total = 0;
  for (const [name, value] of encoded) total += 1 + uvarintBytes(bodyBytes(name, value)) + bodyBytes(name, value);
  const out = new Uint8Array(total);
  let at = 0;
  const uvarint = (value: number): void => {
    at = writeUvarint(out, at, value);
  };
  for (const [name, value] of encoded) {
    out[at++] = labelTag;
    uvarint(bodyBytes(name, value));
    out[at++] = labelNameTag;
    uvarint(name.length);
    out.set(name, at);
    at += name.length;
    out[at++] = labelValueTag;
    uvarint(value.length);
    out.set(value, at);
    at += value.length;
  }
  return out;
}

function writeUvarint(out: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= 128) {
    out[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  out[at++] = rest;
  return at;
}

/** Gathers samples into one request. Reused for any number of requests; what `finish` returns is the caller's. */
export class WriteRequestBuilder {
  samplesCount = 0;
  #bytes = new Uint8Array(1 << 20);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /**
   * A sample of the series whose encoded labels are `labelFields[start, end)`; its value's bits are halves 2·index (low) and
   * 2·index + 1 of `valueHalves`: a floating-point store may quiet a signalling NaN, and the stale marker is one.
   */
  add(
    labelFields: Uint8Array,
    start: number,
    end: number,
    timestampMs: number,
    valueHalves: Uint32Array,
    index: number,
  ): void {
    const labelBytes = end - start;
    const sampleBytes = 10 + uvarintBytes(timestampMs);
    this.#reserve(labelBytes + sampleBytes + 16);
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at++] = timeSeriesTag;
    at = writeUvarint(bytes, at, labelBytes + 2 + sampleBytes);
    for (let from = start; from < end; from++) bytes[at++] = labelFields[from] as number;
    bytes[at++] = sampleTag;
    bytes[at++] = sampleBytes;
    bytes[at++] = sampleValueTag;
    this.#view.setUint32(at, valueHalves[2 * index] as number, true);
    this.#view.setUint32(at + 4, valueHalves[2 * index + 1] as number, true);
    at += 8;
    bytes[at++] = sampleTimestampTag;
    this.#length = writeUvarint(bytes, at, timestampMs);
    this.samplesCount++;
  }

  /** The compressed body of what was added; begins anew. */
  finish(): Uint8Array {
    const body = snappy.compress(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    this.samplesCount = 0;
    return body;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(2 * this.#bytes.length + count);
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
