// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein 2012, and their reference's 128-bit variant): the hash of
// series fingerprints (docs/formats/labels.md) and, under a secret key, of page contents (docs/formats/pages.md).

/** Hashes `length` bytes at `source` under the key (k0, k1), and writes 16 bytes, little-endian, to `target`. */
export function sipHash128(source: usize, length: u32, k0: u64, k1: u64, target: usize): void {
  let v0: u64 = 0x736f6d6570736575 ^ k0;
  let v1: u64 = 0x646f72616e646f6d ^ k1 ^ 0xee;
  let v2: u64 = 0x6c7967656e657261 ^ k0;
  let v3: u64 = 0x7465646279746573 ^ k1;

  const tailAt = source + (length & ~7);
  let at = source;
  let rounds: u32 = 2;
  // The body runs once a word, once for the tail, and once more for each half of the result with four rounds.
  for (let stage: u32 = 0; stage < 3; ) {
    let word: u64 = 0;
    if (stage === 0) {
      if (at < tailAt) {
        word = load<u64>(at);
        at += 8;
      } else {
        word = <u64>length << 56;
        for (let i: u32 = 0; i < (length & 7); i++) word |= <u64>load<u8>(tailAt + i) << (8 * i);
        stage = 1;
      }
      v3 ^= word;
    } else if (stage === 1) {
      v2 ^= 0xee;
      rounds = 4;
      stage = 2;
    } else {
      store<u64>(target, v0 ^ v1 ^ v2 ^ v3);
      v1 ^= 0xdd;
      stage = 3;
    }
    for (let i: u32 = 0; i < rounds; i++) {
      v0 += v1;
      v1 = rotl(v1, 13) ^ v0;
      v0 = rotl(v0, 32);
      v2 += v3;
      v3 = rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = rotl(v1, 17) ^ v2;
      v2 = rotl(v2, 32);
    }
    v0 ^= word;
  }
  store<u64>(target, v0 ^ v1 ^ v2 ^ v3, 8);
}
