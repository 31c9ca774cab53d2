// Strings of one block as bytes, made into JavaScript strings when they are asked for (docs/formats/index.md, "Front
// coding"): merges want bytes only, queries few of the strings.
import { type ByteReader, ByteWriter, TimbalaError } from '../../base/index.ts';

const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class StringTable {
  readonly #bytes: Uint8Array;
  readonly #ends: Uint32Array;
  readonly #strings: (string | undefined)[];

  constructor(bytes: Uint8Array, ends: Uint32Array) {
    this.#bytes = bytes;
    this.#ends = ends;
    this.#strings = Array.from<undefined>({ length: ends.length });
  }

  bytesOf(index: number): Uint8Array {
    return this.#bytes.subarray(index === 0 ? 0 : this.#ends[index - 1], this.#ends[index]);
  }

  get(index: number): string {
    return (this.#strings[index] ??= this.#decode(index));
  }

  #decode(index: number): string {
    try {
      return utf8Decoder.decode(this.bytesOf(index));
    } catch (cause) {
      throw new TimbalaError('DECODE_UTF8', `string ${index} of a block is not UTF-8`, { cause });
    }
  }

  all(): string[] {
    return Array.from(this.#ends, (_, index) => this.get(index));
  }

  /** −1 where it is missing. */
  indexOf(string: string): number {
    for (let index = 0; index < this.#ends.length; index++) if (this.get(index) === string) return index;
    return -1;
  }
}

export class StringTableBuilder {
  readonly #bytes = new ByteWriter(4096);
  readonly #ends: Uint32Array;
  #count = 0;

  constructor(count: number) {
    this.#ends = new Uint32Array(count);
  }

  /** Reads one string as the number of bytes it shares with the one before, of further bytes, and those. */
  readFrontCoded(reader: ByteReader): void {
    const shared = reader.uvarint();
    const suffix = reader.bytes(reader.uvarint());
    const end = this.#bytes.length;
    const start = this.#count < 2 ? 0 : (this.#ends[this.#count - 2] as number);
    if (shared > end - start) throw new TimbalaError('DECODE_FRONT', `${shared} bytes shared of ${end - start}`);
    this.#bytes.bytes(this.#bytes.view().subarray(start, start + shared));
    this.#bytes.bytes(suffix);
    this.#ends[this.#count++] = this.#bytes.length;
  }

  finish(): StringTable {
    return new StringTable(this.#bytes.copy(), this.#ends);
  }
}

/** Writes what `readFrontCoded` reads. */
export function writeFrontCoded(target: ByteWriter, previous: Uint8Array, next: Uint8Array): void {
  const length = Math.min(previous.length, next.length);
  let shared = 0;
  while (shared < length && previous[shared] === next[shared]) shared++;
  target.uvarint(shared);
  target.uvarint(next.length - shared);
  target.bytes(next.subarray(shared));
}
