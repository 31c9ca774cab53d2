// Codecs put together from small ones: the shape of a message, its encoder, its bounds-checked decoder and its type are one
// value. Used for what peers say to each other, the record and the marks; samples have kernels of their own.
// Decoding never trusts a length: a list can't claim more items than bytes are left.
import { ByteReader, ByteWriter, TimbalaError } from '../base/index.ts';

export interface Codec<T> {
  write(writer: ByteWriter, value: T): void;
  read(reader: ByteReader): T;
}

/** The type that a codec encodes. */
export type Encoded<C> = C extends Codec<infer T> ? T : never;

export const uvarint: Codec<number> = {
  write: (writer, value) => writer.uvarint(value),
  read: (reader) => reader.uvarint(),
};

/** A signed integer of up to 53 bits. */
export const integer: Codec<number> = {
  write: (writer, value) => writer.i64(value),
  read: (reader) => reader.i64(),
};

export const boolean: Codec<boolean> = {
  write: (writer, value) => writer.u8(value ? 1 : 0),
  read: (reader) => reader.u8() !== 0,
};

export const text: Codec<string> = {
  write: (writer, value) => writer.string(value),
  read: (reader) => reader.string(),
};

export const bytes: Codec<Uint8Array> = {
  write: (writer, value) => {
    writer.uvarint(value.length);
    writer.bytes(value);
  },
  // A copy: messages outlive the buffer they arrived in.
  read: (reader) => reader.bytes(reader.uvarint()).slice(),
};

/** An unsigned 128-bit number. */
export const uint128: Codec<bigint> = {
  write: (writer, value) => {
    for (let word = 0n; word < 4n; word++) writer.u32(Number((value >> (word * 32n)) & 0xffff_ffffn));
  },
  read: (reader) => {
    let value = 0n;
    for (let word = 0n; word < 4n; word++) value |= BigInt(reader.u32()) << (word * 32n);
    return value;
  },
};

/** One of a few words, as its position; words are only ever added at the end. */
export function word<const Words extends readonly string[]>(...words: Words): Codec<Words[number]> {
  return {
    write: (writer, value) => writer.u8(words.indexOf(value)),
    read: (reader) => {
      const value = words[reader.u8()];
      if (value === undefined) throw new TimbalaError('DECODE_WORD', `none of ${words.join(', ')}`);
      return value;
    },
  };
}

export function optional<T>(inner: Codec<T>): Codec<T | undefined> {
  return {
    write: (writer, value) => {
      writer.u8(value === undefined ? 0 : 1);
      if (value !== undefined) inner.write(writer, value);
    },
    read: (reader) => (reader.u8() === 0 ? undefined : inner.read(reader)),
  };
}

export function list<T>(inner: Codec<T>): Codec<readonly T[]> {
  return {
    write: (writer, values) => {
      writer.uvarint(values.length);
      for (const value of values) inner.write(writer, value);
    },
    read: (reader) => {
      const count = reader.uvarint();
      if (count > reader.remaining)
        throw new TimbalaError('DECODE_SHORT', `${count} items, ${reader.remaining} bytes left`);
      return Array.from({ length: count }, () => inner.read(reader));
    },
  };
}

type Struct<S> = { readonly [K in keyof S]: Encoded<S[K]> };

/** Fields one after another, in the order of the shape. */
export function struct<S extends { readonly [K in keyof S]: Codec<never> | Codec<unknown> }>(
  shape: S,
): Codec<Struct<S>> {
  const fields = Object.entries(shape) as [keyof S, Codec<unknown>][];
  return {
    write: (writer, value) => {
      for (const [name, codec] of fields) codec.write(writer, value[name]);
    },
    read: (reader) => {
      const value: { -readonly [K in keyof S]?: unknown } = {};
      for (const [name, codec] of fields) value[name] = codec.read(reader);
      return value as Struct<S>;
    },
  };
}

/** A struct that later versions may lengthen: what this version does not know is kept, in `rest`, and written back. */
export function extensible<T extends object>(inner: Codec<T>): Codec<T & { readonly rest: Uint8Array }> {
  return {
    write: (writer, value) => {
      const body = new ByteWriter();
      inner.write(body, value);
      body.bytes(value.rest);
      bytes.write(writer, body.view());
    },
    read: (reader) => {
      const body = new ByteReader(bytes.read(reader));
      const value = inner.read(body);
      return { ...value, rest: body.bytes(body.remaining) };
    },
  };
}

export function encode<T>(codec: Codec<T>, value: T): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  codec.write(writer, value);
  return writer.copy();
}

/** Decodes all of `encoded`; throws a DECODE_ error where it is not exactly one value. */
export function decode<T>(codec: Codec<T>, encoded: Uint8Array): T {
  const reader = new ByteReader(encoded);
  const value = codec.read(reader);
  if (reader.remaining > 0) throw new TimbalaError('DECODE_OVERLONG', `${reader.remaining} bytes after the message`);
  return value;
}
