// Compresses an answer chunk by chunk, synchronously: in a query worker nothing is to share libuv's pool with the log.
// Each chunk becomes deflate blocks that end on a byte border (a sync flush); one header and one trailer frame them all, so
// that the whole is one ordinary gzip member or zlib stream. zstd is not offered: its frames can't be cut so, and decoders
// (Node's own, for one) stop behind the first of several frames.
import { constants, crc32, deflateRawSync } from 'node:zlib';

export type ContentEncoding = 'identity' | 'gzip' | 'deflate';

/** Smaller answers are sent as they are. */
const compressedBytesMin = 1024;
// The fastest level: answers are compressed while someone waits, and JSON shrinks tenfold even so.
const deflateOptions = { level: 1, finishFlush: constants.Z_SYNC_FLUSH };
const header = {
  // Magic, deflate, no flags, no time, fastest, unknown system (RFC 1952).
  gzip: Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255),
  // Deflate with a window of 32 KiB, fastest (RFC 1950).
  deflate: Uint8Array.of(0x78, 0x01),
};
/** An empty last block: the stream's end. */
const deflateEnd = Uint8Array.of(3, 0);

/** The encoding for an Accept-Encoding header. Of equal preferences gzip wins. */
export function chooseEncoding(acceptEncoding: string | undefined): ContentEncoding {
  let chosen: ContentEncoding = 'identity';
  let chosenWeight = 0;
  for (const part of (acceptEncoding ?? '').toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim());
    const quality = parameters.find((text) => text.startsWith('q='));
    const weight = quality === undefined ? 1 : Number(quality.slice(2));
    const encoding = name === '*' ? 'gzip' : name;
    if (encoding !== 'gzip' && encoding !== 'deflate') continue;
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
  #checksum: number;
  #lengthBytes = 0;

  /** `firstBytes`: size of the first chunk, `isOnly`: nothing follows it; small answers are not worth compressing. */
  constructor(wanted: ContentEncoding, firstBytes: number, isOnly: boolean) {
    this.encoding = isOnly && firstBytes < compressedBytesMin ? 'identity' : wanted;
    this.#checksum = this.encoding === 'gzip' ? 0 : 1;
  }

  encode(chunk: Uint8Array<ArrayBuffer>, isLast: boolean): Uint8Array<ArrayBuffer> {
    const { encoding } = this;
    if (encoding === 'identity') return chunk;
    this.#checksum = encoding === 'gzip' ? crc32(chunk, this.#checksum) : adler32(chunk, this.#checksum);
    this.#lengthBytes += chunk.length;
    const pieces: Uint8Array[] = [deflateRawSync(chunk, deflateOptions)];
    if (!this.#isStarted) pieces.unshift(header[encoding]);
    this.#isStarted = true;
    if (isLast) pieces.push(deflateEnd, this.#trailer());
    return joined(pieces);
  }

  #trailer(): Uint8Array {
    if (this.encoding === 'deflate') {
      const trailer = new DataView(new ArrayBuffer(4));
      trailer.setUint32(0, this.#checksum, false);
      return new Uint8Array(trailer.buffer);
    }
    const trailer = new DataView(new ArrayBuffer(8));
    trailer.setUint32(0, this.#checksum, true);
    trailer.setUint32(4, this.#lengthBytes % 2 ** 32, true);
    return new Uint8Array(trailer.buffer);
  }
}

const adlerModulus = 65521;
/** So many additions of bytes can't leave the 32-bit range of either sum. */
const adlerStride = 3800;

/** Adler-32 (RFC 1950) of `bytes`, behind what has given `before`. */
function adler32(bytes: Uint8Array, before: number): number {
  let low = before & 0xffff;
  let high = before >>> 16;
  for (let start = 0; start < bytes.length; start += adlerStride) {
    const end = Math.min(bytes.length, start + adlerStride);
    for (let i = start; i < end; i++) {
      low += bytes[i] as number;
      high += low;
    }
    low %= adlerModulus;
    high %= adlerModulus;
  }
  return ((high << 16) | low) >>> 0;
}

/** A copy in memory of its own: zlib may answer from Node's buffer pool, which must not be transferred. */
function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
