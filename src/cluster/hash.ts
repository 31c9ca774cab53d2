// A 128-bit hash of bytes for telling records apart: MurmurHash3 x86 128 (Austin Appleby, public domain), seed 0. It finds
// accidents, not attackers: peers are trusted.

const constants = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93] as const;
const rotate = (value: number, count: number): number => (value << count) | (value >>> (32 - count));

function finish(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** 32 hexadecimal digits. */
export function hashBytes(input: Uint8Array): string {
  const [c1, c2, c3, c4] = constants;
  const blocksBytes = (input.length + 15) & ~15;
  // A zero-filled last block hashes like the reference: absent bytes contribute k = 0.
  const padded = new Uint8Array(blocksBytes);
  padded.set(input);
  const view = new DataView(padded.buffer);
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  for (let at = 0; at < blocksBytes; at += 16) {
    const isWhole = at + 16 <= input.length;
    h1 ^= Math.imul(rotate(Math.imul(view.getInt32(at, true), c1), 15), c2);
    if (isWhole) h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotate(Math.imul(view.getInt32(at + 4, true), c2), 16), c3);
    if (isWhole) h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotate(Math.imul(view.getInt32(at + 8, true), c3), 17), c4);
    if (isWhole) h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotate(Math.imul(view.getInt32(at + 12, true), c4), 18), c1);
    if (isWhole) h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  const words = [h1 ^ input.length, h2 ^ input.length, h3 ^ input.length, h4 ^ input.length];
  const spread = (): void => {
    const sum = words.reduce((total, value) => (total + value) | 0, 0);
    for (const [index, value] of words.entries()) words[index] = index === 0 ? sum : (value + sum) | 0;
  };
  spread();
  for (const [index, value] of words.entries()) words[index] = finish(value);
  spread();
  return words.map((value) => (value >>> 0).toString(16).padStart(8, '0')).join('');
}
