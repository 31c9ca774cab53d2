// LZW as memberlist compresses messages: GIF's variant, least significant bit first: literals of 8
// bits, codes of 9 to 12 bits, 256 clears the table, 257 ends the data. The encoder clears the table when it is full; the
// decoder, once full, goes on with the table as it is.
import { TimbalaError } from '../../base/index.ts';

const clearCode = 256;
const endCode = 257;
const firstWidth = 9;
const widthMax = 12;
const codesMax = 1 << widthMax;

/** A new buffer with the compressed bytes. */
export function compressLzw(input: Uint8Array): Uint8Array<ArrayBuffer> {
  // At most 12 bits a byte of input, and some codes about it.
  const output = new Uint8Array(Math.ceil((input.length * widthMax) / 8) + 8 + Math.ceil(input.length / 2048));
  let length = 0;
  let bits = 0;
  let bitsCount = 0;
  let width = firstWidth;
  const emit = (code: number): void => {
    bits |= code << bitsCount;
    bitsCount += width;
    while (bitsCount >= 8) {
      output[length++] = bits;
      bits >>>= 8;
      bitsCount -= 8;
    }
  };
  // Keys: a known string's code and the byte after it. At most 3,838 entries between two clears.
  const table = new Map<number, number>();
  let last = endCode;
  emit(clearCode);
  let prefix = -1;
  for (const byte of input) {
    if (prefix < 0) {
      prefix = byte;
      continue;
    }
    const key = (prefix << 8) | byte;
    const known = table.get(key);
    if (known !== undefined) {
      prefix = known;
      continue;
    }
    emit(prefix);
    prefix = byte;
    last++;
    if (last === 1 << width) width++;
    if (last === codesMax - 1) {
      emit(clearCode);
      table.clear();
      width = firstWidth;
      last = endCode;
    } else {
      table.set(key, last);
    }
  }
  if (prefix >= 0) {
    emit(prefix);
    // The decoder counts this code too, so the width of the end code follows the same rule.
    last++;
    if (last === 1 << width) width++;
    if (last === codesMax - 1) {
      emit(clearCode);
      width = firstWidth;
    }
  }
  emit(endCode);
  if (bitsCount > 0) output[length++] = bits;
  return output.slice(0, length);
}

/** A new buffer with the bytes; throws GOSSIP_DECODE for damaged input and GOSSIP_TOO_LARGE beyond `bytesMax`. */
export function decompressLzw(input: Uint8Array, bytesMax: number): Uint8Array<ArrayBuffer> {
  return new LzwDecoder(input, bytesMax).decode();
}

class LzwDecoder {
  readonly #input: Uint8Array;
  readonly #bytesMax: number;
  #position = 0;
  #bits = 0;
  #bitsCount = 0;
  #output: Uint8Array<ArrayBuffer>;
  #length = 0;
  /** A code's string is that of its prefix and one byte more. */
  readonly #prefix = new Uint16Array(codesMax);
  readonly #suffix = new Uint8Array(codesMax);
  readonly #stringLength = new Uint16Array(codesMax);

  constructor(input: Uint8Array, bytesMax: number) {
    this.#input = input;
    this.#bytesMax = bytesMax;
    this.#output = new Uint8Array(Math.min(bytesMax, Math.max(64, input.length * 3)));
    for (let literal = 0; literal < clearCode; literal++) {
      this.#suffix[literal] = literal;
      this.#stringLength[literal] = 1;
    }
  }

  decode(): Uint8Array<ArrayBuffer> {
    let width = firstWidth;
    let last = endCode;
    let previous = -1;
    for (;;) {
      const code = this.#code(width);
      if (code === endCode) return this.#output.slice(0, this.#length);
      if (code === clearCode) {
        width = firstWidth;
        last = endCode;
        previous = -1;
        continue;
      }
      if (previous < 0) {
        if (code > clearCode) fail('a code that was not defined');
        this.#write(code);
      } else {
        // One code beyond the known ones means: the previous string and its own first byte again.
        if (code > last + 1) fail('a code that was not defined');
        if (last < codesMax - 1) this.#define(++last, previous, this.#firstByte(code === last ? previous : code));
        this.#write(code);
      }
      previous = code;
      // The decoder's table is one entry behind the encoder's: widths change one code early on this side.
      if (last + 1 >= 1 << width && width < widthMax) width++;
    }
  }

  #code(width: number): number {
    while (this.#bitsCount < width) {
      const byte = this.#input[this.#position++];
      if (byte === undefined) fail('compressed data that ends early');
      this.#bits |= byte << this.#bitsCount;
      this.#bitsCount += 8;
    }
    const code = this.#bits & ((1 << width) - 1);
    this.#bits >>>= width;
    this.#bitsCount -= width;
    return code;
  }

  #define(code: number, prefix: number, suffix: number): void {
    this.#prefix[code] = prefix;
    this.#suffix[code] = suffix;
    this.#stringLength[code] = (this.#stringLength[prefix] ?? 0) + 1;
  }

  #firstByte(code: number): number {
    let at = code;
    while (at > clearCode) at = this.#prefix[at] ?? 0;
    return at;
  }

  #write(code: number): void {
    const count = this.#stringLength[code] ?? 0;
    if (this.#length + count > this.#bytesMax) {
      throw new TimbalaError('GOSSIP_TOO_LARGE', `a message of over ${this.#bytesMax} bytes; it was dropped`);
    }
    if (this.#length + count > this.#output.length) {
      const grown = new Uint8Array(Math.min(this.#bytesMax, Math.max(this.#output.length * 2, this.#length + count)));
      grown.set(this.#output.subarray(0, this.#length));
      this.#output = grown;
    }
    let at = code;
    for (let target = this.#length + count - 1; target >= this.#length; target--) {
      this.#output[target] = this.#suffix[at] ?? 0;
      at = this.#prefix[at] ?? 0;
    }
    this.#length += count;
  }
}

function fail(what: string): never {
  throw new TimbalaError('GOSSIP_DECODE', `${what}; the message was dropped`);
}
