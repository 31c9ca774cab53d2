// The byte layout of the log (docs/formats/log.md): segment headers and frames. Pure; files are the writer's and the reader's.
// A checksum covers the segment's random id and the frame's offset, so that a frame is only ever valid where it was written:
// blocks of an older file that reappear after a crash, or a frame moved within a file, do not pass.
import { crc32 } from 'node:zlib';
import { TimbalaError } from '../../base/index.ts';

export const segmentHeaderBytes = 48;
export const frameHeaderBytes = 32;
/** A frame holds one request at most; longer ones are damage, whatever else they claim. */
export const framePayloadBytesMax = 256 * 1024 * 1024;

/** Frame types. */
export const frameTypes = {
  /** Series used for the first time in the generation: reference, fingerprint, canonical labels. */
  series: 1,
  /** Samples of one request as columns (docs/formats/log-samples.md). */
  samples: 2,
  /** The generation was ended in order: every frame before is durable. No payload. */
  end: 3,
  /** As `samples`, but moved here by another node of the cluster: no client wrote them to this one. */
  copiedSamples: 4,
} as const;

export interface SegmentHeader {
  /** Random; part of every checksum in the file. */
  readonly fileId: bigint;
  readonly generation: number;
  readonly lane: number;
  readonly segment: number;
  /** As in frames, when the segment was made. */
  readonly durable: number;
}

export interface FrameHeader {
  readonly type: number;
  readonly generation: number;
  readonly lane: number;
  /** Counts the lane's frames; begins at generation × 2³², so that it rises over generations and runs. */
  readonly sequence: number;
  /** The highest sequence number of this run that was known to be on disk when the frame was written; 0: none. */
  readonly durable: number;
  readonly payloadBytes: number;
}

const magic = new Uint8Array([0x54, 0x4d, 0x42, 0x4c, 0x4c, 0x4f, 0x47, 1]); // TMBLLOG, version 1

const segmentName = /^(\d+)-(\d+)-(\d+)$/;

export function segmentPath(generation: number, lane: number, segment: number): string {
  return `log/${generation}-${lane}-${segment}`;
}

/** What a file name in log/ says, or undefined for a name that is none of ours. */
export function parseSegmentName(name: string): { generation: number; lane: number; segment: number } | undefined {
  const match = segmentName.exec(name);
  if (!match) return undefined;
  return { generation: Number(match[1]), lane: Number(match[2]), segment: Number(match[3]) };
}

/** The first sequence number of a generation. */
export function firstSequence(generation: number): number {
  return generation * 2 ** 32;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(segmentHeaderBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(magic);
  view.setBigUint64(8, header.fileId, true);
  view.setUint32(16, header.generation, true);
  view.setUint32(20, header.segment, true);
  view.setUint16(24, header.lane, true);
  view.setBigUint64(32, BigInt(header.durable), true);
  view.setUint32(44, crc32(bytes.subarray(0, 44)), true);
  return bytes;
}

/** Undefined where the bytes are no whole segment header. Throws LOG_VERSION for a version this program does not know. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < segmentHeaderBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, segmentHeaderBytes);
  if (view.getUint32(44, true) !== crc32(bytes.subarray(0, 44))) return undefined;
  if (magic.some((byte, index) => bytes[index] !== byte)) {
    throw new TimbalaError(
      'LOG_VERSION',
      `log version ${bytes[7]}, this program reads version 1; start the newer program`,
    );
  }
  return {
    fileId: view.getBigUint64(8, true),
    generation: view.getUint32(16, true),
    segment: view.getUint32(20, true),
    lane: view.getUint16(24, true),
    durable: Number(view.getBigUint64(32, true)),
  };
}

/** Computes and checks the checksums of one segment's frames. */
export class FrameCodec {
  readonly #seed = new DataView(new ArrayBuffer(16));
  readonly #seedBytes = new Uint8Array(this.#seed.buffer);

  constructor(fileId: bigint) {
    this.#seed.setBigUint64(0, fileId, true);
  }

  /** Writes the header of a frame whose payload lies right behind it in `bytes`; `offset` is the frame's place in the file. */
  seal(bytes: Uint8Array, at: number, offset: number, header: FrameHeader): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, frameHeaderBytes);
    view.setUint32(0, header.payloadBytes, true);
    view.setUint8(8, header.type);
    view.setUint8(9, 0);
    view.setUint16(10, header.lane, true);
    view.setUint32(12, header.generation, true);
    view.setBigUint64(16, BigInt(header.sequence), true);
    view.setBigUint64(24, BigInt(header.durable), true);
    view.setUint32(4, this.#checksum(bytes, at, offset, header.payloadBytes), true);
  }

  /** The header at `at`, if `bytes` holds a whole, undamaged frame there that was written at `offset`. */
  open(bytes: Uint8Array, at: number, offset: number): FrameHeader | undefined {
    if (bytes.length - at < frameHeaderBytes) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, frameHeaderBytes);
    const payloadBytes = view.getUint32(0, true);
    if (payloadBytes > bytes.length - at - frameHeaderBytes) return undefined;
    if (view.getUint32(4, true) !== this.#checksum(bytes, at, offset, payloadBytes)) return undefined;
    return {
      type: view.getUint8(8),
      lane: view.getUint16(10, true),
      generation: view.getUint32(12, true),
      sequence: Number(view.getBigUint64(16, true)),
      durable: Number(view.getBigUint64(24, true)),
      payloadBytes,
    };
  }

  #checksum(bytes: Uint8Array, at: number, offset: number, payloadBytes: number): number {
    this.#seed.setBigUint64(8, BigInt(offset), true);
    const seeded = crc32(this.#seedBytes);
    const length = crc32(bytes.subarray(at, at + 4), seeded);
    return crc32(bytes.subarray(at + 8, at + frameHeaderBytes + payloadBytes), length);
  }
}
