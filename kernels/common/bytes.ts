// Comparing byte strings in memory. Nothing is read beyond their ends.

/** Negative, zero or positive, as the bytes at `a` sort before, with or after those at `b`; a prefix sorts first. */
export function compareBytes(a: usize, aBytes: u32, b: usize, bBytes: u32): i32 {
  const shorter = min(aBytes, bBytes);
  let i: u32 = 0;
  for (; i + 8 <= shorter; i += 8) {
    const left = load<u64>(a + i);
    const right = load<u64>(b + i);
    if (left != right) return bswap<u64>(left) < bswap<u64>(right) ? -1 : 1;
  }
  for (; i < shorter; i++) {
    const difference = <i32>load<u8>(a + i) - <i32>load<u8>(b + i);
    if (difference != 0) return difference;
  }
  return aBytes == bBytes ? 0 : aBytes < bBytes ? -1 : 1;
}
