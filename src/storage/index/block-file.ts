// Files made of checksummed, compressed blocks: both files of a part (docs/formats/part.md, "Blocks"). A block is found by
// a pointer that is kept elsewhere; its checksum covers its offset, so that a block read from a wrong place is noticed.
import { crc32, constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { assert, hasCode, mib, TimbalaError } from '../../base/index.ts';
import type { Disk, DiskFile } from '../../ports/index.ts';
import type { LazyFile, PartCaches } from './block-cache.ts';

/** What a block holds: its first byte. Numbers are part of the format. */
export const blockKind = {
  frame: 1,
  columns: 2,
  timelines: 3,
  tiles: 4,
  series: 5,
  pairs: 6,
  names: 7,
  postings: 8,
  digests: 9,
  fences: 10,
  footer: 11,
  // 12 is reserved for page summaries.
  partitions: 13,
};

/** Where a block lies, with its header, without its padding. */
export interface BlockPointer {
  readonly offset: number;
  readonly bytesCount: number;
}

export const blockAlignment = 16;
export const blockHeaderBytes = 16;
/** No writer makes larger blocks; a reader refuses them before it allocates. */
const rawBytesMax = 64 * mib;
const encodingStored = 0;
const encodingZstd = 1;
/** Below this, compression gains nothing. */
const compressibleBytesMin = 64;
const bufferBytesMax = 256 * 1024;

export const magicBytesCount = 8;

/** Appends blocks to a new file, buffered. */
export class BlockFileWriter {
  readonly #file: DiskFile;
  /** Grows up to `bufferBytesMax`: many parts are smaller. */
  #buffer = new Uint8Array(4096);
  readonly #compression: { params: Record<number, number> };
  #buffered = 0;
  #flushedBytes = 0;
  #closed = false;

  /** `magic`: the eight characters that the file begins with. */
  constructor(disk: Disk, path: string, magic: string, compressionLevel: number) {
    this.#file = disk.open(path, 'create');
    this.#compression = { params: { [constants.ZSTD_c_compressionLevel]: compressionLevel } };
    this.append(new TextEncoder().encode(magic));
  }

  get sizeBytes(): number {
    return this.#flushedBytes + this.#buffered;
  }

  /** Compresses a payload as `writeBlock` would; lets a caller hold blocks back in little memory. */
  compress(payload: Uint8Array): CompressedPayload {
    if (payload.length >= compressibleBytesMin) {
      const compressed = zstdCompressSync(payload, this.#compression);
      if (compressed.length < payload.length) {
        return { encoding: encodingZstd, bytes: compressed, rawBytesCount: payload.length };
      }
    }
    return { encoding: encodingStored, bytes: payload.slice(), rawBytesCount: payload.length };
  }

  writeBlock(kind: number, payload: Uint8Array): BlockPointer {
    return this.writeCompressed(kind, this.compress(payload));
  }

  writeCompressed(kind: number, payload: CompressedPayload): BlockPointer {
    assert(payload.rawBytesCount <= rawBytesMax, 'a block holds at most 64 MiB');
    this.#pad();
    const offset = this.sizeBytes;
    const header = new Uint8Array(blockHeaderBytes);
    const view = new DataView(header.buffer);
    header[0] = kind;
    header[1] = payload.encoding;
    view.setUint32(4, payload.bytes.length, true);
    view.setUint32(8, payload.rawBytesCount, true);
    view.setUint32(12, blockChecksum(header, payload.bytes, offset), true);
    this.append(header);
    this.append(payload.bytes);
    return { offset, bytesCount: blockHeaderBytes + payload.bytes.length };
  }

  /** Bytes outside any block: magic and trailer. */
  append(bytes: Uint8Array): void {
    if (this.#buffered + bytes.length > bufferBytesMax) this.#flush();
    if (bytes.length > bufferBytesMax) {
      this.#file.write(bytes, this.#flushedBytes);
      this.#flushedBytes += bytes.length;
      return;
    }
    const needed = this.#buffered + bytes.length;
    if (needed > this.#buffer.length) {
      const grown = new Uint8Array(Math.min(bufferBytesMax, Math.max(needed, this.#buffer.length * 2)));
      grown.set(this.#buffer.subarray(0, this.#buffered));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#buffered);
    this.#buffered = needed;
  }

  #pad(): void {
    const over = this.sizeBytes % blockAlignment;
    if (over > 0) this.append(new Uint8Array(blockAlignment - over));
  }

  #flush(): void {
    if (this.#buffered === 0) return;
    this.#file.write(this.#buffer.subarray(0, this.#buffered), this.#flushedBytes);
    this.#flushedBytes += this.#buffered;
    this.#buffered = 0;
  }

  /** Writes what is buffered, and makes the contents durable. */
  finish(): void {
    this.#flush();
    this.#file.sync();
    this.close();
  }

  /** Gives the file up, finished or not. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#file.close();
  }
}

export interface CompressedPayload {
  readonly encoding: number;
  readonly bytes: Uint8Array;
  readonly rawBytesCount: number;
}

function blockChecksum(header: Uint8Array, stored: Uint8Array, offset: number): number {
  const place = new Uint8Array(8);
  new DataView(place.buffer).setBigUint64(0, BigInt(offset), true);
  return crc32(stored, crc32(header.subarray(0, 12), crc32(place)));
}

/** Reads blocks, checking all that they say of themselves. Owns nothing but its names in `caches`. */
export class BlockFile implements LazyFile {
  readonly disk: Disk;
  readonly path: string;
  readonly caches: PartCaches;
  /** Makes keys of this file's blocks. */
  readonly serial: number;

  constructor(disk: Disk, path: string, caches: PartCaches) {
    this.disk = disk;
    this.path = path;
    this.caches = caches;
    this.serial = caches.takeSerial();
  }

  cacheKey(offset: number): number {
    return this.serial * 2 ** 32 + offset / blockAlignment;
  }

  sizeBytes(): number {
    return this.caches.open(this).sizeBytes();
  }

  /** Bytes as they lie; throws PART_CORRUPT where the file ends before. */
  readBytes(offset: number, count: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(count);
    const read = this.#read(bytes, offset);
    if (read < count) throw this.corrupt(offset, `${count} bytes expected, the file ends after ${read}`);
    return bytes;
  }

  #read(bytes: Uint8Array, offset: number): number {
    try {
      return this.caches.open(this).read(bytes, offset);
    } catch (error) {
      // What a disk can't read is damaged too, whatever it calls it.
      if (hasCode(error, 'DISK_IO')) this.caches.onCorrupt(this.path);
      throw error;
    }
  }

  /** The payload of a block of this kind. */
  readBlock(kind: number, pointer: BlockPointer): Uint8Array {
    const { offset, bytesCount } = pointer;
    if (bytesCount < blockHeaderBytes || bytesCount > rawBytesMax + blockHeaderBytes) {
      throw this.corrupt(offset, `a block of ${bytesCount} bytes`);
    }
    return this.parseBlock(kind, this.readBytes(offset, bytesCount), offset);
  }

  /** The payload of the block in `block`, which was read from `offset`. */
  parseBlock(kind: number, block: Uint8Array, offset: number): Uint8Array {
    const header = block.subarray(0, blockHeaderBytes);
    const stored = block.subarray(blockHeaderBytes);
    const view = new DataView(block.buffer, block.byteOffset, blockHeaderBytes);
    const rawBytesCount = view.getUint32(8, true);
    const found = view.getUint32(12, true);
    const expected = blockChecksum(header, stored, offset);
    if (found !== expected) {
      throw this.corrupt(offset, `CRC 0x${found.toString(16)}, expected 0x${expected.toString(16)}`);
    }
    // What passes the checksum is what was written; the rest of the checks catch pointers that lead elsewhere.
    if (header[0] !== kind) throw this.corrupt(offset, `a block of kind ${header[0]}, expected kind ${kind}`);
    if (view.getUint32(4, true) !== stored.length || rawBytesCount > rawBytesMax) {
      throw this.corrupt(offset, 'lengths that do not fit');
    }
    if (header[1] === encodingStored) return stored;
    if (header[1] !== encodingZstd) throw this.corrupt(offset, `encoding ${header[1]} is unknown`);
    try {
      const raw = zstdDecompressSync(stored, { maxOutputLength: Math.max(1, rawBytesCount) });
      if (raw.length !== rawBytesCount) throw this.corrupt(offset, `${raw.length} bytes, expected ${rawBytesCount}`);
      return raw;
    } catch (cause) {
      if (cause instanceof TimbalaError) throw cause;
      throw this.corrupt(offset, 'its contents do not decompress', cause);
    }
  }

  corrupt(offset: number, what: string, cause?: unknown): TimbalaError {
    this.caches.onCorrupt(this.path);
    const where = `${this.path}, offset ${offset}`;
    const consequence = 'the part cannot be read there; restore it from a replica or a backup';
    return new TimbalaError('PART_CORRUPT', `${where}: ${what}; ${consequence}`, { cause });
  }

  /** Runs a decoder over a block of this file; what it throws becomes PART_CORRUPT. */
  decoding<Result>(offset: number, decode: () => Result): Result {
    try {
      return decode();
    } catch (cause) {
      if (cause instanceof TimbalaError && /^(?:DECODE|PAGE|LABELS)_/.test(cause.code)) {
        throw this.corrupt(offset, cause.message, cause);
      }
      throw cause;
    }
  }

  /** Gives the cached blocks and the open file back. */
  close(): void {
    this.caches.close(this);
  }
}
