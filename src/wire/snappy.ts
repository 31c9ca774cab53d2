// Snappy blocks of literals alone (google/snappy, format_description.txt): valid for every reader, not smaller than the
// input. For requests that never leave the machine, where compressing would cost more than it saves.
import { ByteWriter } from '../base/index.ts';

const literalBytesMax = 65_536;
/** Up to here the tag itself holds the length, less one. */
const shortLiteralBytesMax = 60;
/** Tag of a literal whose length, less one, follows in two bytes. */
const literalTag = 61 << 2;

/** The bytes as a snappy block. */
export function wrapSnappy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const block = new ByteWriter(bytes.length + 16 + 3 * Math.ceil(bytes.length / literalBytesMax));
  block.uvarint(bytes.length);
  for (let start = 0; start < bytes.length; start += literalBytesMax) {
    const literal = bytes.subarray(start, start + literalBytesMax);
    if (literal.length <= shortLiteralBytesMax) {
      block.u8((literal.length - 1) << 2);
    } else {
      block.u8(literalTag);
      block.u16(literal.length - 1);
    }
    block.bytes(literal);
  }
  return block.copy();
}
