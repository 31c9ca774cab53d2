// Byte strings: comparison, hashing, varints.
import { HASH_SEED } from './layout';

// Strings are compared and hashed eight bytes at a time, up to seven bytes past their end: extents, and the regions that texts
// are put in to be looked up, end later than that.

export function bytesEqual(a: usize, b: usize, length: u32): bool {
  const end = a + (length & ~7);
  for (; a < end; a += 8, b += 8) if (load<u64>(a) != load<u64>(b)) return false;
  const rest = length & 7;
  return rest == 0 || (load<u64>(a) ^ load<u64>(b)) << (64 - (rest << 3)) == 0;
}

/** Mixes one word in: bijective in the word, and two multiplications deep, so that structured names do not collide. */
export function mix(hash: u64, word: u64): u64 {
  let mixed = (hash ^ word) * 0x9e3779b97f4a7c15;
  mixed ^= mixed >> 32;
  mixed *= 0xd6e8feb86659fd93;
  return mixed ^ (mixed >> 29);
}

/** Hash of a byte string under this head's seed. */
export function hashBytes(address: usize, length: u32): u64 {
  let hash = mix(load<u64>(HASH_SEED), length);
  const end = address + (length & ~7);
  for (; address < end; address += 8) hash = mix(hash, load<u64>(address));
  const rest = length & 7;
  return rest == 0 ? hash : mix(hash, load<u64>(address) << (64 - (rest << 3)));
}

/** Writes an unsigned LEB128 integer; returns the address after it. */
export function writeVarint(address: usize, value: u64): usize {
  while (value >= 128) {
    store<u8>(address++, <u8>value | 128);
    value >>= 7;
  }
  store<u8>(address, <u8>value);
  return address + 1;
}
