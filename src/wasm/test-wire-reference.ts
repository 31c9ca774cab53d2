// What the wire kernel must answer, in plain TypeScript: the same input through code that has nothing in common with it.
// Test-only; slow and obvious on purpose (bigints, maps, one object per sample).
import { labelLimits, type RejectionReason } from './wire-rejections.ts';

export interface ReferenceRow {
  /** Canonical label bytes as hex; undefined where the series is refused. */
  readonly labels: string | undefined;
  readonly samples: readonly (readonly [timestampMs: bigint, bits: bigint])[];
}

export interface ReferenceBatch {
  readonly rows: readonly ReferenceRow[];
  /** Per reason: series and samples refused. */
  readonly rejections: ReadonlyMap<RejectionReason, readonly [number, number]>;
  readonly metadataCount: number;
}

/** Thrown where the kernel must answer WIRE_CORRUPT. */
export class Corrupt extends Error {}

/** Decompresses a snappy block, byte by byte. */
export function referenceSnappy(block: Uint8Array): Uint8Array {
  const header = readVarint(block, 0);
  if (header.value > 0xffffffffn) throw new Corrupt('length');
  const length = Number(header.value);
  const output: number[] = [];
  let at = header.end;
  const byte = (): number => {
    const value = block[at++];
    if (value === undefined) throw new Corrupt('cut off');
    return value;
  };
  const little = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++) value += byte() * 256 ** i;
    return value;
  };
  while (at < block.length) {
    const tag = byte();
    let count = (tag >> 2) + 1;
    if ((tag & 3) === 0) {
      if (count > 60) count = little(count - 60) + 1;
      if (count > block.length - at || count > length - output.length) throw new Corrupt('literal');
      for (let i = 0; i < count; i++) output.push(byte());
      continue;
    }
    if ((tag & 3) === 1) count = ((tag >> 2) & 7) + 4;
    const offset = (tag & 3) === 1 ? (tag >> 5) * 256 + byte() : little((tag & 3) === 2 ? 2 : 4);
    if (offset === 0 || offset > output.length || count > length - output.length) throw new Corrupt('copy');
    for (let i = 0; i < count; i++) output.push(output[output.length - offset] as number);
  }
  if (output.length !== length) throw new Corrupt('short');
  return Uint8Array.from(output);
}

interface Field {
  readonly number: number;
  readonly wireType: number;
  readonly integer: bigint;
  readonly content: Uint8Array;
}

function readVarint(bytes: Uint8Array, at: number): { value: bigint; end: number } {
  let value = 0n;
  for (let count = 0; count < 10; count++) {
    const byte = bytes[at + count];
    if (byte === undefined) break;
    value |= BigInt(byte & 127) << BigInt(7 * count);
    if (byte < 128) return { value: BigInt.asUintN(64, value), end: at + count + 1 };
  }
  throw new Corrupt('varint');
}

function readFields(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = readVarint(bytes, at);
    if (tag.value > 0xffffffffn || tag.value < 8n) throw new Corrupt('tag');
    const wireType = Number(tag.value & 7n);
    let end = tag.end;
    let content = bytes.subarray(end, end);
    let integer = 0n;
    if (wireType === 0) {
      ({ value: integer, end } = readVarint(bytes, end));
    } else if (wireType === 2) {
      const length = readVarint(bytes, end);
      if (length.value > BigInt(bytes.length - length.end)) throw new Corrupt('length');
      end = length.end + Number(length.value);
      content = bytes.subarray(length.end, end);
    } else if (wireType === 1 || wireType === 5) {
      const width = wireType === 1 ? 8 : 4;
      if (bytes.length - end < width) throw new Corrupt('fixed');
      content = bytes.subarray(end, end + width);
      end += width;
    } else {
      throw new Corrupt('wire type');
    }
    fields.push({ number: Number(tag.value >> 3n), wireType, integer, content });
    at = end;
  }
  return fields;
}

const bigIntBits = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);

/** Reads a decompressed WriteRequest. */
export function referenceRequest(request: Uint8Array, minMs: bigint, maxMs: bigint): ReferenceBatch {
  const rows: ReferenceRow[] = [];
  const rejections = new Map<RejectionReason, [number, number]>();
  const reject = (reason: RejectionReason, samplesCount: number): void => {
    const record = rejections.get(reason) ?? [0, 0];
    rejections.set(reason, [record[0] + 1, record[1] + samplesCount]);
  };
  let metadataCount = 0;
  for (const field of readFields(request)) {
    if (field.number === 3 && field.wireType === 2) metadataCount++;
    if (field.number !== 1) continue;
    if (field.wireType !== 2) throw new Corrupt('series');
    const series = readFields(field.content);
    if (series.some(({ number, wireType }) => [1, 2, 4].includes(number) && wireType !== 2)) throw new Corrupt('field');
    const all = series.filter(({ number }) => number === 2).map(({ content }) => readSample(content));
    const samples = all.filter(([timestampMs]) => timestampMs >= minMs && timestampMs <= maxMs);
    const old = all.filter(([timestampMs]) => timestampMs < minMs).length;
    const histogramsCount = series.filter(({ number }) => number === 4).length;
    if (old > 0) reject('OUT_OF_BOUNDS_OLD', old);
    if (all.length > old + samples.length) reject('OUT_OF_BOUNDS_FUTURE', all.length - old - samples.length);
    if (histogramsCount > 0) reject('HISTOGRAM_UNSUPPORTED', histogramsCount);
    if (samples.length === 0) continue;
    const labels = series.filter(({ number }) => number === 1).map(({ content }) => readLabel(content));
    const refusal = findRefusal(labels);
    if (refusal) reject(refusal, samples.length);
    rows.push({ labels: refusal ? undefined : canonical(labels), samples });
  }
  return { rows, rejections, metadataCount };
}

function readSample(message: Uint8Array): [bigint, bigint] {
  let [timestampMs, bits] = [0n, 0n];
  for (const { number, wireType, integer, content } of readFields(message)) {
    if (number === 1) {
      if (wireType !== 1) throw new Corrupt('value');
      bits = bigIntBits(content);
    } else if (number === 2) {
      if (wireType !== 0) throw new Corrupt('timestamp');
      timestampMs = BigInt.asIntN(64, integer);
    }
  }
  return [timestampMs, bits];
}

interface RawLabel {
  name: Buffer;
  value: Buffer;
}

function readLabel(message: Uint8Array): RawLabel {
  const label: RawLabel = { name: Buffer.alloc(0), value: Buffer.alloc(0) };
  for (const { number, wireType, content } of readFields(message)) {
    if (number !== 1 && number !== 2) continue;
    if (wireType !== 2) throw new Corrupt('label');
    label[number === 1 ? 'name' : 'value'] = Buffer.from(content);
  }
  return label;
}

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strictDecoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** The first thing wrong, in the order in which the kernel looks. */
function findRefusal(labels: readonly RawLabel[]): RejectionReason | undefined {
  for (const [index, { name, value }] of labels.entries()) {
    if (index === labelLimits.countMax) return 'LABELS_TOO_MANY';
    if (name.length === 0) return 'LABEL_NAME_EMPTY';
    if (name.length > labelLimits.nameBytesMax) return 'LABEL_NAME_TOO_LONG';
    if (!isUtf8(name)) return 'LABEL_NAME_INVALID';
    if (value.length > labelLimits.valueBytesMax) return 'LABEL_VALUE_TOO_LONG';
    if (!isUtf8(value)) return 'LABEL_VALUE_INVALID';
  }
  const names = labels.map(({ name }) => name.toString('hex'));
  if (new Set(names).size < names.length) return 'LABEL_NAME_DUPLICATE';
  if (!labels.some(({ name, value }) => name.toString() === '__name__' && value.length > 0))
    return 'METRIC_NAME_MISSING';
  const total = labels.reduce((sum, { name, value }) => sum + name.length + value.length + 6, 0);
  return total > labelLimits.seriesBytesMax ? 'LABELS_TOO_LONG' : undefined;
}

function canonical(labels: readonly RawLabel[]): string {
  const kept = labels.filter(({ value }) => value.length > 0).sort((a, b) => Buffer.compare(a.name, b.name));
  return Buffer.concat(
    kept.flatMap(({ name, value }) => [uvarint(name.length), name, uvarint(value.length), value]),
  ).toString('hex');
}

function uvarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

const mask64 = (1n << 64n) - 1n;
const rotate = (word: bigint, bits: bigint): bigint => ((word << bits) | (word >> (64n - bits))) & mask64;

/** SipHash-2-4 with 128 bits, from the paper, on bigints; hex. */
export function referenceSipHash(bytes: Uint8Array, key: Uint8Array): string {
  const [k0, k1] = [bigIntBits(key.subarray(0, 8)), bigIntBits(key.subarray(8, 16))];
  const v: [bigint, bigint, bigint, bigint] = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn ^ 0xeen,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ];
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i++) {
      v[0] = (v[0] + v[1]) & mask64;
      v[1] = rotate(v[1], 13n) ^ v[0];
      v[0] = rotate(v[0], 32n);
      v[2] = (v[2] + v[3]) & mask64;
      v[3] = rotate(v[3], 16n) ^ v[2];
      v[0] = (v[0] + v[3]) & mask64;
      v[3] = rotate(v[3], 21n) ^ v[0];
      v[2] = (v[2] + v[1]) & mask64;
      v[1] = rotate(v[1], 17n) ^ v[2];
      v[2] = rotate(v[2], 32n);
    }
  };
  const padded = Buffer.alloc(Math.floor(bytes.length / 8) * 8 + 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 255;
  for (let at = 0; at < padded.length; at += 8) {
    const word = bigIntBits(padded.subarray(at, at + 8));
    v[3] ^= word;
    rounds(2);
    v[0] ^= word;
  }
  const result = Buffer.alloc(16);
  v[2] ^= 0xeen;
  rounds(4);
  result.writeBigUInt64LE(v[0] ^ v[1] ^ v[2] ^ v[3], 0);
  v[1] ^= 0xddn;
  rounds(4);
  result.writeBigUInt64LE(v[0] ^ v[1] ^ v[2] ^ v[3], 8);
  return result.toString('hex');
}
