// Compresses an answer chunk by chunk, synchronously: in a query worker nothing is to share libuv's pool with the log.
// gzip: each chunk becomes deflate blocks that end on a byte border (a sync flush), framed by one header and one trailer,
// which is one ordinary gzip member. zstd: each chunk is a frame; frames follow each other (RFC 8878, 3.1).
import { constants, crc32, deflateRawSync, zstdCompressSync } from 'node:zlib';

export type ContentEncoding = 'identity' | 'gzip' | 'zstd';

/** Smaller answers are sent as they are. */
const compressedBytesMin = 1024;
// The fastest level: answers are compressed while someone waits, and JSON shrinks tenfold even so.
const deflateOptions = { level: 1, finishFlush: constants.Z_SYNC_FLUSH };
const zstdOptions = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
// Magic, deflate, no flags, no time, fastest, unknown system (RFC 1952).
const gzipHeader = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255);
/** An empty last block: the stream's end. */
const deflateEnd = Uint8Array.of(3, 0);

/** The encoding for an Accept-Encoding header. Of equal preferences gzip wins: every client that asks for it can read it. */
export function chooseEncoding(acceptEncoding: string | undefined): ContentEncoding {
  let chosen: ContentEncoding = 'identity';
  let chosenWeight = 0;
  for (const part of (acceptEncoding ?? '').toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim());
    const quality = parameters.find((text) => text.startsWith('q='));
    const weight = quality === undefined ? 1 : Number(quality.slice(2));
    const encoding = name === '*' ? 'gzip' : name;
    if (encoding !== 'gzip' && encoding !== 'zstd') continue;
    if (weight > chosenWeight || (weight === chosenWeight && weight > 0 && encoding === 'gzip')) {
      chosen = encoding;
      chosenWeight = weight;
    }
  }
  return chosen;
}

/** One per answer. What it gives is the caller's own memory. */
export class AnswerEncoder {
  readonly encoding: ContentEncoding;
  #isStarted = false;
  #checksum = 0;
  #lengthBytes = 0;

  /** `firstBytes`: size of the first chunk, `isOnly`: nothing follows it; small answers are not worth compressing. */
  constructor(wanted: ContentEncoding, firstBytes: number, isOnly: boolean) {
    this.encoding = isOnly && firstBytes < compressedBytesMin ? 'identity' : wanted;
  }

  encode(chunk: Uint8Array<ArrayBuffer>, isLast: boolean): Uint8Array<ArrayBuffer> {
    if (this.encoding === 'identity') return chunk;
    if (this.encoding === 'zstd') return owned([zstdCompressSync(chunk, zstdOptions)]);
    this.#checksum = crc32(chunk, this.#checksum);
    this.#lengthBytes += chunk.length;
    const pieces: Uint8Array[] = [deflateRawSync(chunk, deflateOptions)];
    if (!this.#isStarted) pieces.unshift(gzipHeader);
    this.#isStarted = true;
    if (isLast) pieces.push(deflateEnd, this.#trailer());
    return owned(pieces);
  }

  #trailer(): Uint8Array {
    const trailer = new DataView(new ArrayBuffer(8));
    trailer.setUint32(0, this.#checksum, true);
    trailer.setUint32(4, this.#lengthBytes % 2 ** 32, true);
    return new Uint8Array(trailer.buffer);
  }
}

/** A copy in memory of its own: zlib may answer from Node's buffer pool, which must not be transferred. */
function owned(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
