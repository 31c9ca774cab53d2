// Gives equal byte strings one number, in order of first sight: the dictionary of labels while a part is written. All in
// typed arrays, about 20 bytes a string besides its own.

export class ByteInterner {
  #arena = new Uint8Array(4096);
  #arenaBytes = 0;
  /** Where each string ends in the arena; entry 0 is a sentinel. */
  #ends = new Uint32Array(128);
  /** Open addressing: number + 1, or 0; kept at most half full. */
  #table = new Uint32Array(256);
  #hashes = new Uint32Array(128);
  #count = 0;
  readonly #seed: number;

  /** `seed`: an integer that whoever chooses the strings does not know, so that they can't be made to collide. */
  constructor(seed: number) {
    this.#seed = seed;
  }

  get count(): number {
    return this.#count;
  }

  /** The bytes of a number: a view, valid until the next `intern`. */
  bytesOf(id: number): Uint8Array {
    return this.#arena.subarray(this.startOf(id), this.endOf(id));
  }

  startOf(id: number): number {
    return id === 0 ? 0 : (this.#ends[id - 1] as number);
  }

  endOf(id: number): number {
    return this.#ends[id] as number;
  }

  /** All strings one after another; replaced when it grows. */
  get arena(): Uint8Array {
    return this.#arena;
  }

  /** The number of `source[start..end)`. */
  intern(source: Uint8Array, start: number, end: number): number {
    const hash = hashBytes(source, start, end, this.#seed);
    const mask = this.#table.length - 1;
    let slot = hash & mask;
    for (;;) {
      const entry = this.#table[slot] as number;
      if (entry === 0) break;
      if (this.#hashes[entry - 1] === hash && this.#equals(entry - 1, source, start, end)) return entry - 1;
      slot = (slot + 1) & mask;
    }
    const id = this.#append(hash, source, start, end);
    this.#table[slot] = id + 1;
    if (this.#count * 2 > this.#table.length) this.#rehash();
    return id;
  }

  #equals(id: number, source: Uint8Array, start: number, end: number): boolean {
    const from = this.startOf(id);
    if (this.endOf(id) - from !== end - start) return false;
    for (let i = start, j = from; i < end; i++, j++) if (source[i] !== this.#arena[j]) return false;
    return true;
  }

  #append(hash: number, source: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (this.#arenaBytes + length > this.#arena.length) {
      const grown = new Uint8Array(Math.max(this.#arena.length * 2, this.#arenaBytes + length));
      grown.set(this.#arena.subarray(0, this.#arenaBytes));
      this.#arena = grown;
    }
    this.#arena.set(source.subarray(start, end), this.#arenaBytes);
    this.#arenaBytes += length;
    if (this.#count === this.#ends.length) {
      this.#ends = doubled(this.#ends);
      this.#hashes = doubled(this.#hashes);
    }
    this.#ends[this.#count] = this.#arenaBytes;
    this.#hashes[this.#count] = hash;
    return this.#count++;
  }

  #rehash(): void {
    const table = new Uint32Array(this.#table.length * 2);
    const mask = table.length - 1;
    for (let id = 0; id < this.#count; id++) {
      let slot = (this.#hashes[id] as number) & mask;
      while (table[slot] !== 0) slot = (slot + 1) & mask;
      table[slot] = id + 1;
    }
    this.#table = table;
  }
}

function doubled(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(array.length * 2);
  grown.set(array);
  return grown;
}

/** FNV-1a from a secret start, with a final mix. */
function hashBytes(source: Uint8Array, start: number, end: number, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (source[i] as number), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
