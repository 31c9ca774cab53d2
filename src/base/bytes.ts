// Little-endian byte writer and reader for our own formats (manifest, index, log records, messages).
// The writer owns a growing buffer; the reader never reads past its end: short or overlong input is a DECODE_SHORT or
// DECODE_OVERLONG error, never garbage. Hot paths live in the kernels, not here.
import { TimbalaError } from './errors.ts';

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#view.setUint16(this.#length, value, true);
    this.#length += 2;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  /** A signed integer of up to 53 bits (timestamps), as 8 bytes in two's complement. */
  i64(value: number): void {
    this.#reserve(8);
    this.#view.setBigInt64(this.#length, BigInt(value), true);
    this.#length += 8;
  }

  /** An unsigned LEB128 integer below 2⁵³. */
  uvarint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Length (uvarint), then UTF-8. */
  string(value: string): void {
    const encoded = utf8Encoder.encode(value);
    this.uvarint(encoded.length);
    this.bytes(encoded);
  }

  /** Overwrites four bytes that were written before. */
  setU32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }

  /** What was written; valid until the next write. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A copy of what was written. */
  copy(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  /** Takes back what was written beyond `length`. */
  truncate(length: number): void {
    if (length < this.#length) this.#length = length;
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position: number;

  constructor(bytes: Uint8Array, position = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#position = position;
  }

  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  #take(count: number): number {
    if (count > this.remaining) {
      throw new TimbalaError('DECODE_SHORT', `${count} bytes expected at ${this.#position}, ${this.remaining} left`);
    }
    const at = this.#position;
    this.#position += count;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  i64(): number {
    return Number(this.#view.getBigInt64(this.#take(8), true));
  }

  uvarint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count++) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 128;
    }
    throw new TimbalaError('DECODE_OVERLONG', `variable-length integer before ${this.#position} exceeds 53 bits`);
  }

  /** A view of the next `count` bytes (not a copy). */
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  string(): string {
    const encoded = this.bytes(this.uvarint());
    try {
      return utf8Decoder.decode(encoded);
    } catch (cause) {
      throw new TimbalaError('DECODE_UTF8', `invalid UTF-8 before ${this.#position}`, { cause });
    }
  }
}
