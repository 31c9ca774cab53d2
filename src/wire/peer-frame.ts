// Frames between nodes (docs/formats/peer.md): a header of 24 bytes and a body, under one CRC-32. Pure bytes: what frames
// mean is the connection's (cluster/peers). Nothing in a frame is believed before its checksum is, but its length, which is
// bounded; what may be believed afterwards is only that the other side wrote it.
import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter, mib, TimbalaError } from '../base/index.ts';

export const peerHeaderBytes = 24;
/** A client's request of 32 MiB, decoded, is shorter; longer frames are damage. */
export const peerBodyBytesMax = 64 * mib;
/** Before both sides have said who they are, nobody makes the other hold more than this. */
export const peerOpeningBytesMax = 4_096;

export const peerFrameTypes = {
  /** The first frame of each side: who it is. */
  opening: 1,
  request: 2,
  answer: 3,
  /** Instead of an answer: a code and a text. */
  failure: 4,
  /** No body: gives credit back, and shows that the connection lives. */
  credit: 5,
  /** The last frame: why the connection is being closed, as a code and a text. */
  closing: 6,
  /** No body: the answer to the request of this id is not waited for any more. */
  cancel: 7,
} as const;

export type PeerFrameType = (typeof peerFrameTypes)[keyof typeof peerFrameTypes];

export interface PeerFrameHeader {
  readonly type: PeerFrameType;
  /** Of requests and answers: the number of the message's kind. */
  readonly kind: number;
  /** The body is a message with samples (peer-samples.ts). */
  readonly hasSamples: boolean;
  /** Names a request on its connection; its answer or failure carries the same. */
  readonly id: number;
  /** Bytes that the receiver of this frame may send in addition. */
  readonly creditBytes: number;
  /** Of requests: how long the answer is waited for. */
  readonly patienceMs: number;
}

/** The header of a frame that is about the connection, or carries no message. */
export const controlFrame = (type: PeerFrameType, id = 0, creditBytes = 0): PeerFrameHeader => ({
  type,
  id,
  creditBytes,
  kind: 0,
  hasSamples: false,
  patienceMs: 0,
});

const samplesFlag = 1;
const knownTypes: ReadonlySet<number> = new Set(Object.values(peerFrameTypes));

/** A frame in a new buffer, its body made of `parts`, which are copied. */
export function encodePeerFrame(header: PeerFrameHeader, parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let bodyBytes = 0;
  for (const part of parts) bodyBytes += part.length;
  if (bodyBytes > peerBodyBytesMax) throw tooLarge(bodyBytes, peerBodyBytesMax);
  const frame = new Uint8Array(peerHeaderBytes + bodyBytes);
  let at = peerHeaderBytes;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  const view = new DataView(frame.buffer);
  view.setUint32(0, bodyBytes, true);
  view.setUint8(8, header.type);
  view.setUint8(9, header.kind);
  view.setUint16(10, header.hasSamples ? samplesFlag : 0, true);
  view.setUint32(12, header.id, true);
  view.setUint32(16, header.creditBytes, true);
  view.setUint32(20, header.patienceMs, true);
  view.setUint32(4, crc32(frame.subarray(8)), true);
  return frame;
}

/**
 * Takes the bytes of a stream as they come, in pieces of any size, and gives its frames. Each body has a buffer of its own,
 * which the taker may keep or transfer. After an error the stream is of no use.
 */
export class PeerFrameReader {
  /** May be raised while frames are taken: openings are short, what follows need not be. */
  bodyBytesMax = peerOpeningBytesMax;
  readonly #header = new Uint8Array(peerHeaderBytes);
  readonly #view = new DataView(this.#header.buffer);
  #headerLength = 0;
  #body = new Uint8Array(0);
  #bodyLength = 0;

  /** Calls `take` for each frame that is whole now. Throws PEER_FRAME_TOO_LARGE and PEER_FRAME_CORRUPT, and what `take` throws. */
  push(piece: Uint8Array, take: (header: PeerFrameHeader, body: Uint8Array<ArrayBuffer>) => void): void {
    let at = 0;
    for (;;) {
      if (this.#headerLength < peerHeaderBytes) {
        const end = Math.min(piece.length, at + peerHeaderBytes - this.#headerLength);
        this.#header.set(piece.subarray(at, end), this.#headerLength);
        this.#headerLength += end - at;
        at = end;
        if (this.#headerLength < peerHeaderBytes) return;
        this.#beginBody();
      }
      const end = Math.min(piece.length, at + this.#body.length - this.#bodyLength);
      this.#body.set(piece.subarray(at, end), this.#bodyLength);
      this.#bodyLength += end - at;
      at = end;
      if (this.#bodyLength < this.#body.length) return;
      this.#headerLength = 0;
      take(this.#checkedHeader(), this.#body);
    }
  }

  #beginBody(): void {
    const bodyBytes = this.#view.getUint32(0, true);
    if (bodyBytes > this.bodyBytesMax) throw tooLarge(bodyBytes, this.bodyBytesMax);
    // Zeroed memory that nothing was written to costs no pages: a length alone takes none of ours.
    this.#body = new Uint8Array(bodyBytes);
    this.#bodyLength = 0;
  }

  #checkedHeader(): PeerFrameHeader {
    const view = this.#view;
    const checksum = crc32(this.#body, crc32(this.#header.subarray(8)));
    const expected = view.getUint32(4, true);
    if (checksum !== expected) {
      throw new TimbalaError(
        'PEER_FRAME_CORRUPT',
        `CRC 0x${checksum.toString(16)}, expected 0x${expected.toString(16)}`,
      );
    }
    const type = view.getUint8(8);
    const flags = view.getUint16(10, true);
    if (!isFrameType(type) || (flags & ~samplesFlag) !== 0) {
      throw new TimbalaError('PEER_FRAME_CORRUPT', `frame of type ${type} with flags ${flags}, which nobody writes`);
    }
    return {
      type,
      kind: view.getUint8(9),
      hasSamples: (flags & samplesFlag) !== 0,
      id: view.getUint32(12, true),
      creditBytes: view.getUint32(16, true),
      patienceMs: view.getUint32(20, true),
    };
  }
}

const isFrameType = (type: number): type is PeerFrameType => knownTypes.has(type);

function tooLarge(bodyBytes: number, bytesMax: number): TimbalaError {
  return new TimbalaError('PEER_FRAME_TOO_LARGE', `a frame of ${bodyBytes} bytes, at most ${bytesMax}`);
}

/** What went wrong at the other side, as it crosses a connection. */
export interface PeerFailure {
  readonly code: string;
  /** Without the code. */
  readonly text: string;
}

const failureTextMax = 1_000;
const codePattern = /^[A-Z][A-Z0-9_]{0,63}$/;

export function encodePeerFailure({ code, text }: PeerFailure): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  writer.string(code);
  writer.string(text.slice(0, failureTextMax));
  return writer.copy();
}

/** Throws PEER_FRAME_CORRUPT. */
export function decodePeerFailure(body: Uint8Array): PeerFailure {
  return decodePeerBody('failure', () => {
    const reader = new ByteReader(body);
    const code = reader.string();
    const text = reader.string().slice(0, failureTextMax);
    return { code: codePattern.test(code) ? code : 'PEER_FAILED', text };
  });
}

/** Runs a decoder over a body that came from outside; whatever it stumbles over becomes PEER_FRAME_CORRUPT. */
export function decodePeerBody<Result>(what: string, decode: () => Result): Result {
  try {
    return decode();
  } catch (cause) {
    if (cause instanceof TimbalaError && !cause.code.startsWith('DECODE_')) throw cause;
    throw new TimbalaError('PEER_FRAME_CORRUPT', `${what} that can't be read`, { cause });
  }
}
