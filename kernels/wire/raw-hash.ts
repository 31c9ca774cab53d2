// The hash of a series' raw label bytes, by which the raw-hash cache knows a series without looking at its labels. The
// cache is trusted, so no sender may be able to build a collision, whatever it observes of earlier requests: the hash is
// universal, under a key drawn when the process starts.
//   1. NH (Black, Halevi, Krawczyk, Krovetz and Rogaway, "UMAC", 1999) on words of 32 bits, multiplied in pairs four words
//      apart, as vectors lie; three times under one key that moves on by a pair each time (their Toeplitz construction):
//      three 64-bit sums, all equal for two different zero-padded inputs with a probability of at most 2^-96.
//   2. Multilinear-HM (Lemire and Kaser, "Strongly universal string hashing is fast", 2014) of the sums and the length,
//      four times under independent keys: 128 bits, each half word strongly universal.
// Inputs longer than hashedBytesMax have no key to cover them: their series are not cached.
import { hashKeyAddress, maskTableAddress } from './layout.ts';

export const hashedBytesMax: u32 = 4096;

// The key: 4096 + 64 bytes for NH, then nine words of 64 bits for each quarter of the result.
const outerKeyAddress: usize = hashKeyAddress + 4096 + 64;
const outerKeyBytes: usize = 72;

export let hashLow: u64 = 0;
export let hashHigh: u64 = 0;

/** Hashes up to hashedBytesMax bytes into (hashLow, hashHigh). Loads up to 31 bytes past their end. */
export function hashRaw(source: usize, bytesCount: u32): void {
  let sum0 = i64x2(0, 0);
  let sum1 = i64x2(0, 0);
  let sum2 = i64x2(0, 0);
  let key = hashKeyAddress;
  const wholeEnd = source + (bytesCount & ~31);
  const rest: usize = bytesCount & 31;
  let at = source;
  // Once per 32 bytes, and once more for a rest, whose missing bytes count as zeros.
  while (true) {
    const isRest = at == wholeEnd;
    if (isRest && rest == 0) break;
    let left = v128.load(at);
    let right = v128.load(at, 16);
    if (isRest) {
      left = v128.and(left, v128.load(maskTableAddress + 32 - rest));
      right = v128.and(right, v128.load(maskTableAddress + 48 - rest));
    }
    const left0 = i32x4.add(left, v128.load(key));
    const right0 = i32x4.add(right, v128.load(key, 16));
    const left1 = i32x4.add(left, v128.load(key, 32));
    const right1 = i32x4.add(right, v128.load(key, 48));
    const left2 = i32x4.add(left, v128.load(key, 64));
    const right2 = i32x4.add(right, v128.load(key, 80));
    sum0 = i64x2.add(sum0, i64x2.extmul_low_i32x4_u(left0, right0));
    sum1 = i64x2.add(sum1, i64x2.extmul_low_i32x4_u(left1, right1));
    sum2 = i64x2.add(sum2, i64x2.extmul_low_i32x4_u(left2, right2));
    sum0 = i64x2.add(sum0, i64x2.extmul_high_i32x4_u(left0, right0));
    sum1 = i64x2.add(sum1, i64x2.extmul_high_i32x4_u(left1, right1));
    sum2 = i64x2.add(sum2, i64x2.extmul_high_i32x4_u(left2, right2));
    if (isRest) break;
    at += 32;
    key += 32;
  }
  const word0 = i64x2.extract_lane(sum0, 0) + i64x2.extract_lane(sum0, 1);
  const word1 = i64x2.extract_lane(sum1, 0) + i64x2.extract_lane(sum1, 1);
  const word2 = i64x2.extract_lane(sum2, 0) + i64x2.extract_lane(sum2, 1);
  hashLow =
    outer(outerKeyAddress, word0, word1, word2, bytesCount) |
    (outer(outerKeyAddress + outerKeyBytes, word0, word1, word2, bytesCount) << 32);
  hashHigh =
    outer(outerKeyAddress + 2 * outerKeyBytes, word0, word1, word2, bytesCount) |
    (outer(outerKeyAddress + 3 * outerKeyBytes, word0, word1, word2, bytesCount) << 32);
}

/** 32 bits of the result: the upper half of a sum of products of 64 bits. */
function outer(key: usize, word0: u64, word1: u64, word2: u64, bytesCount: u32): u64 {
  const sum =
    load<u64>(key) +
    (load<u64>(key, 8) + (word0 & 0xffffffff)) * (load<u64>(key, 16) + (word0 >> 32)) +
    (load<u64>(key, 24) + (word1 & 0xffffffff)) * (load<u64>(key, 32) + (word1 >> 32)) +
    (load<u64>(key, 40) + (word2 & 0xffffffff)) * (load<u64>(key, 48) + (word2 >> 32)) +
    (load<u64>(key, 56) + <u64>bytesCount) * load<u64>(key, 64);
  return sum >> 32;
}
