// The body of a peer message with samples (docs/formats/peer.md): the message, definitions of series that the connection
// has not carried before, and the samples. The last two are opaque here: storage writes and validates them.
import { ByteReader, TimbalaError } from '../base/index.ts';
import { decodePeerBody } from './peer-frame.ts';

const fixedBytes = 24;

export interface PeerSamplesBody {
  /** For the handler of the message. */
  readonly message: Uint8Array;
  /** Docs/formats/log.md, series payload. */
  readonly definitions: Uint8Array;
  /** Of the sender's series dictionary on this connection; another number than before ends all definitions so far. */
  readonly edition: number;
  readonly samplesCount: number;
  /** Sum modulo 2⁶⁴ of the first halves of the fingerprints of the rows in `samples`. */
  readonly fingerprintSum: bigint;
  readonly samples: Uint8Array;
}

/** The body in parts, to be copied into a frame; the message, definitions and samples of it are those given. */
export function encodePeerSamples(body: PeerSamplesBody): Uint8Array[] {
  const fixed = new Uint8Array(fixedBytes);
  const view = new DataView(fixed.buffer);
  view.setUint32(0, body.message.length, true);
  view.setUint32(4, body.definitions.length, true);
  view.setUint32(8, body.edition, true);
  view.setUint32(12, body.samplesCount, true);
  view.setBigUint64(16, body.fingerprintSum, true);
  return [fixed, body.message, body.definitions, body.samples];
}

/** Views of the body. Throws PEER_FRAME_CORRUPT. */
export function decodePeerSamples(body: Uint8Array): PeerSamplesBody {
  return decodePeerBody('message with samples', () => {
    const reader = new ByteReader(body);
    const messageBytes = reader.u32();
    const definitionsBytes = reader.u32();
    const edition = reader.u32();
    const samplesCount = reader.u32();
    const fingerprintSum = new DataView(body.buffer, body.byteOffset).getBigUint64(reader.position, true);
    reader.bytes(8);
    const message = reader.bytes(messageBytes);
    const definitions = reader.bytes(definitionsBytes);
    const samples = reader.bytes(reader.remaining);
    // No sample takes less than a byte; the number is counted on (metrics, pacing) before the samples are read.
    if (samplesCount > samples.length) {
      throw new TimbalaError('PEER_FRAME_CORRUPT', `${samplesCount} samples in ${samples.length} bytes`);
    }
    return { message, definitions, edition, samplesCount, fingerprintSum, samples };
  });
}
