// Snappy's block format (google/snappy, format_description.txt): a length, then literals and copies of earlier output.
// Every element is checked against the space left in the input and in the output before it is carried out. Copies move
// 16 bytes at a time and may write up to slackBytes past what they were asked for, into slack or into output that later
// elements overwrite; headers may be read up to 4 bytes past the end of the input, and are refused then.
import { readVarint, varintEnd, varintFailed } from './protobuf.ts';

/** Address of the first element, or of the error. */
export let snappyPosition: usize = 0;

/** The decompressed length that the block claims, or -1 where it has none. */
export function readSnappyLength(source: usize, sourceEnd: usize): i64 {
  const length = readVarint(source, sourceEnd);
  snappyPosition = source;
  if (varintFailed() || length > 0xffffffff) return -1;
  snappyPosition = varintEnd;
  return length;
}

/** Decompresses the elements from `snappyPosition` on into exactly `length` bytes; false if they are corrupt. */
export function decompress(sourceEnd: usize, target: usize, length: u32): bool {
  let source = snappyPosition;
  let to = target;
  const targetEnd = target + length;
  while (source < sourceEnd) {
    const element = source;
    const tag: u32 = load<u8>(source);
    const trailer = load<u32>(source, 1);
    const kind = tag & 3;
    let count = (tag >> 2) + 1;
    if (kind == 0) {
      source++;
      if (count > 60) {
        // 1 to 4 bytes hold the length less one; 2³² wraps to 0 and is refused.
        const lengthBytes = count - 60;
        count = (trailer & (<u32>0xffffffff >> (32 - 8 * lengthBytes))) + 1;
        source += lengthBytes;
        if (source > sourceEnd || count == 0) return corruptAt(element);
      }
      if (<usize>count > sourceEnd - source || <usize>count > targetEnd - to) return corruptAt(element);
      copyLiteral(to, source, count);
      source += count;
      to += count;
    } else {
      // Which kind of copy follows is hard to predict, so it is selected, not branched upon.
      count = select(((tag >> 2) & 7) + 4, count, kind == 1);
      const offset = select(
        ((tag >> 5) << 8) | (trailer & 0xff),
        select(trailer & 0xffff, trailer, kind == 2),
        kind == 1,
      );
      source += select<usize>(kind + 1, 5, kind < 3);
      // An offset of 0 wraps to the largest number and is refused.
      if (source > sourceEnd || <usize>(offset - 1) >= to - target || <usize>count > targetEnd - to) {
        return corruptAt(element);
      }
      copyBack(to, offset, count);
      to += count;
    }
  }
  return to == targetEnd || corruptAt(source);
}

function corruptAt(element: usize): bool {
  snappyPosition = element;
  return false;
}

function copyLiteral(to: usize, from: usize, count: u32): void {
  v128.store(to, v128.load(from));
  if (count <= 16) return;
  if (count > 256) {
    memory.copy(to, from, count);
    return;
  }
  for (let i: usize = 16; i < <usize>count; i += 16) v128.store(to + i, v128.load(from + i));
}

/** Copies 1 to 64 bytes from `offset` back; source and target overlap where the offset is shorter than the count. */
function copyBack(to: usize, offset: u32, count: u32): void {
  const from = to - offset;
  if (offset >= 16) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    if (count > 32) {
      v128.store(to, v128.load(from, 32), 32);
      v128.store(to, v128.load(from, 48), 48);
    }
  } else if (offset >= 8) {
    for (let i: usize = 0; i < <usize>count; i += 8) store<u64>(to + i, load<u64>(from + i));
  } else {
    for (let i: usize = 0; i < <usize>count; i++) store<u8>(to + i, load<u8>(from + i));
  }
}
