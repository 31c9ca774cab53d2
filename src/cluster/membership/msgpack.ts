// The part of MessagePack that memberlist's messages use (docs/formats/gossip.md): maps from field names to integers,
// booleans, byte strings and text. memberlist writes the format's first edition, in which byte strings and text are the same
// `raw` type: the reader leaves it to the caller which of the two a field is, and takes the later `bin` type too.
// Fields that are not known are stepped over, so that newer peers may add some.
import { TimbalaError } from '../../base/index.ts';

/** Containers within containers; memberlist itself nests none. */
const depthMax = 8;
/**
 * What comes over a stream may be read again with every piece of it, so that a value may not be long to read: fields of a map, items
 * in containers that are stepped over, bytes of a text. Byte strings take no longer for their length.
 */
const fieldsMax = 64;
const skippedItemsMax = 1_024;
const textBytesMax = 4_096;
const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Field names are a few words, written over and over. */
const encodedNames = new Map<string, Uint8Array>();

function encodedName(name: string): Uint8Array {
  let encoded = encodedNames.get(name);
  if (!encoded) encodedNames.set(name, (encoded = textEncoder.encode(name)));
  return encoded;
}

export type FieldValue = number | boolean | string | Uint8Array | undefined;

/** Writes into a buffer of its own that grows; `copy` ends a message. */
export class MessageWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** `type`, then the value in big-endian bytes. */
  #number(type: number, value: number, width: number): void {
    this.#reserve(1 + width);
    this.#bytes[this.#length++] = type;
    for (let shift = (width - 1) * 8; shift >= 0; shift -= 8) this.#bytes[this.#length++] = value >>> shift;
  }

  /** An unsigned integer of up to 32 bits, in the shortest form. */
  uint(value: number): void {
    if (value < 0x80) this.byte(value);
    else if (value < 0x100) this.#number(0xcc, value, 1);
    else if (value < 0x10000) this.#number(0xcd, value, 2);
    else this.#number(0xce, value, 4);
  }

  raw(value: Uint8Array): void {
    if (value.length < 32) this.byte(0xa0 | value.length);
    else if (value.length < 0x10000) this.#number(0xda, value.length, 2);
    else this.#number(0xdb, value.length, 4);
    this.bytes(value);
  }

  /** A map of the fields that are not undefined. */
  map(fields: Readonly<Record<string, FieldValue>>): void {
    const present = Object.entries(fields).filter(([, value]) => value !== undefined);
    this.byte(0x80 | present.length);
    for (const [name, value] of present) {
      this.raw(encodedName(name));
      if (typeof value === 'number') this.uint(value);
      else if (typeof value === 'boolean') this.byte(value ? 0xc3 : 0xc2);
      else if (typeof value === 'string') this.raw(textEncoder.encode(value));
      else if (value) this.raw(value);
    }
  }

  copy(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }
}

/** What `kind` of value each field of a message has; others are stepped over. */
export type FieldKinds = Readonly<Record<string, 'uint' | 'bool' | 'text' | 'bytes'>>;

/** Values by field name, absent where the message had none (or nil). */
export class Fields {
  readonly #values = new Map<string, FieldValue>();

  set(name: string, value: FieldValue): void {
    this.#values.set(name, value);
  }

  uint(name: string): number {
    const value = this.#values.get(name);
    return typeof value === 'number' ? value : 0;
  }

  bool(name: string): boolean {
    return this.#values.get(name) === true;
  }

  text(name: string): string {
    const value = this.#values.get(name);
    return typeof value === 'string' ? value : '';
  }

  bytes(name: string): Uint8Array {
    const value = this.#values.get(name);
    return value instanceof Uint8Array ? value : new Uint8Array();
  }
}

/**
 * Reads values one after another. Throws GOSSIP_SHORT where the bytes end within a value (a stream may bring more) and
 * GOSSIP_DECODE for all else. Byte strings are views of the input; nothing is allocated for a length that is not there.
 */
export class MessageReader {
  readonly #bytes: Uint8Array;
  #position: number;
  /** Of the map that is being read. */
  #skippedItems = 0;

  constructor(bytes: Uint8Array, position = 0) {
    this.#bytes = bytes;
    this.#position = position;
  }

  get position(): number {
    return this.#position;
  }

  #take(count: number): number {
    const at = this.#position;
    if (count > this.#bytes.length - at) {
      throw new TimbalaError('GOSSIP_SHORT', `${count} bytes expected at ${at}, ${this.#bytes.length - at} left`);
    }
    this.#position += count;
    return at;
  }

  #number(width: number): number {
    const at = this.#take(width);
    let value = 0;
    for (let i = 0; i < width; i++) value = value * 256 + (this.#bytes[at + i] ?? 0);
    return value;
  }

  #fail(what: string): never {
    throw new TimbalaError('GOSSIP_DECODE', `${what} before byte ${this.#position}; the message was dropped`);
  }

  byte(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  /** A view of the next bytes. */
  view(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** The length of a raw or bin whose type byte has been read; undefined for another type. */
  #rawLength(type: number): number | undefined {
    if (type >= 0xa0 && type <= 0xbf) return type & 0x1f;
    if (type === 0xd9 || type === 0xc4) return this.#number(1);
    if (type === 0xda || type === 0xc5) return this.#number(2);
    if (type === 0xdb || type === 0xc6) return this.#number(4);
    return undefined;
  }

  #raw(): Uint8Array {
    const length = this.#rawLength(this.byte());
    if (length === undefined) this.#fail('no string');
    return this.view(length);
  }

  #text(): string {
    const bytes = this.#raw();
    if (bytes.length > textBytesMax) this.#fail(`text of ${bytes.length} bytes`);
    try {
      return textDecoder.decode(bytes);
    } catch {
      return this.#fail('text that is not UTF-8');
    }
  }

  /** An integer of any width that is in [0, 2³²). */
  #uint(): number {
    const type = this.byte();
    if (type < 0x80) return type;
    let value = Number.NaN;
    if (type >= 0xcc && type <= 0xcf) value = this.#number(1 << (type - 0xcc));
    if (type >= 0xd0 && type <= 0xd3) {
      // Signed: the first byte's top bit makes it negative, and no field may be.
      const width = 1 << (type - 0xd0);
      value = this.#number(width);
      if (value >= 2 ** (width * 8 - 1)) this.#fail('a negative number');
    }
    if (!(value < 0x1_0000_0000)) this.#fail('no number of 32 bits');
    return value;
  }

  #isNil(): boolean {
    if (this.#bytes[this.#position] !== 0xc0) return false;
    this.#position++;
    return true;
  }

  #entriesCount(): number {
    const type = this.byte();
    if (type >= 0x80 && type <= 0x8f) return type & 0x0f;
    if (type === 0xde) return this.#number(2);
    return this.#fail('no map');
  }

  map(kinds: FieldKinds): Fields {
    const fields = new Fields();
    const count = this.#entriesCount();
    if (count > fieldsMax) this.#fail(`${count} fields`);
    this.#skippedItems = 0;
    for (let i = 0; i < count; i++) {
      const name = this.#text();
      const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
      if (kind === undefined) this.#skip(0);
      else if (!this.#isNil()) fields.set(name, this.#value(kind));
    }
    return fields;
  }

  #value(kind: 'uint' | 'bool' | 'text' | 'bytes'): FieldValue {
    if (kind === 'uint') return this.#uint();
    if (kind === 'text') return this.#text();
    if (kind === 'bytes') return this.#raw();
    const type = this.byte();
    if (type !== 0xc2 && type !== 0xc3) this.#fail('no boolean');
    return type === 0xc3;
  }

  /** Steps over one value of any type. */
  #skip(depth: number): void {
    if (depth > depthMax) this.#fail('containers nested too deeply');
    const type = this.byte();
    const length = this.#rawLength(type);
    if (length !== undefined) {
      this.#take(length);
      return;
    }
    const items = this.#itemsCount(type);
    if (items !== undefined) {
      this.#skippedItems += items;
      if (this.#skippedItems > skippedItemsMax) this.#fail(`containers of ${this.#skippedItems} items`);
      for (let i = 0; i < items; i++) this.#skip(depth + 1);
      return;
    }
    if (type < 0x80 || type >= 0xe0 || (type >= 0xc0 && type <= 0xc3 && type !== 0xc1)) return;
    if (type >= 0xcc && type <= 0xcf) this.#take(1 << (type - 0xcc));
    else if (type >= 0xd0 && type <= 0xd3) this.#take(1 << (type - 0xd0));
    else if (type === 0xca || type === 0xcb) this.#take(type === 0xca ? 4 : 8);
    else if (type >= 0xd4 && type <= 0xd8) this.#take(1 + (1 << (type - 0xd4)));
    else if (type >= 0xc7 && type <= 0xc9) this.#take(1 + this.#number(1 << (type - 0xc7)));
    else this.#fail('a type that does not exist');
  }

  /** Values within an array or map whose type byte has been read; undefined for another type. */
  #itemsCount(type: number): number | undefined {
    if (type >= 0x80 && type <= 0x8f) return (type & 0x0f) * 2;
    if (type >= 0x90 && type <= 0x9f) return type & 0x0f;
    if (type === 0xdc) return this.#number(2);
    if (type === 0xdd) return this.#number(4);
    if (type === 0xde) return this.#number(2) * 2;
    if (type === 0xdf) return this.#number(4) * 2;
    return undefined;
  }
}
