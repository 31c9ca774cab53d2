// Protobuf's wire format (protobuf.dev, "Encoding"), as far as remote write needs it: varints and skipping of fields.
// Lengths are compared with the space left, never added first.

/** Wire types. */
export const wireVarint: u32 = 0;
export const wireFixed64: u32 = 1;
export const wireBytes: u32 = 2;
export const wireFixed32: u32 = 5;

/** Where the varint that was read last ended; 0 where it was cut off or longer than 10 bytes. */
export let varintEnd: usize = 0;

export function varintFailed(): bool {
  return varintEnd == 0;
}

/** Reads a varint of up to 10 bytes; bits above 64 are dropped, as all readers do. Check `varintEnd`. */
export function readVarint(at: usize, end: usize): u64 {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at >= end) break;
    const byte: u64 = load<u8>(at++);
    value |= (byte & 127) << shift;
    if (byte < 128) {
      varintEnd = at;
      return value;
    }
  }
  varintEnd = 0;
  return 0;
}

/** Number and wire type of the field that `readField` has read. */
export let fieldNumber: u32 = 0;
export let fieldWireType: u32 = 0;
/** Where the field's content begins: behind the length of a bytes field. */
export let fieldContent: usize = 0;

/** Reads the header of the field at `at` and returns where the field ends; 0 where it is malformed. Groups are refused. */
export function readField(at: usize, end: usize): usize {
  const tag = readVarint(at, end);
  if (varintEnd == 0 || tag < 8 || tag > 0xffffffff) return 0;
  fieldNumber = <u32>tag >> 3;
  fieldWireType = <u32>tag & 7;
  fieldContent = varintEnd;
  if (fieldWireType == wireBytes) {
    const length = readVarint(fieldContent, end);
    if (varintEnd == 0) return 0;
    fieldContent = varintEnd;
    return length <= <u64>(end - fieldContent) ? fieldContent + <usize>length : 0;
  }
  if (fieldWireType == wireVarint) {
    readVarint(fieldContent, end);
    return varintEnd;
  }
  const width: usize = fieldWireType == wireFixed64 ? 8 : fieldWireType == wireFixed32 ? 4 : 0;
  return width != 0 && end - fieldContent >= width ? fieldContent + width : 0;
}
