// Byte strings: comparison, hashing, varints.
import { HASH_SEED } from './layout';

export function bytesEqual(a: usize, b: usize, length: u32): bool {
  const end = a + length;
  while (a + 8 <= end) {
    if (load<u64>(a) != load<u64>(b)) return false;
    a += 8;
    b += 8;
  }
  while (a < end) {
    if (load<u8>(a) != load<u8>(b)) return false;
    a++;
    b++;
  }
  return true;
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
  const end = address + length;
  while (address + 8 <= end) {
    hash = mix(hash, load<u64>(address));
    address += 8;
  }
  let tail: u64 = 0;
  for (let shift: u64 = 0; address < end; shift += 8) tail |= <u64>load<u8>(address++) << shift;
  return mix(hash, tail);
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
