// Frames in which nodes answer each other with label names, values or label sets (docs/formats/answer.md): each text by its
// length and bytes. Sorted over all frames of an answer, each text once.
import { ByteReader, ByteWriter, kib } from '../../base/index.ts';
import { corrupt } from './sample-frame.ts';

const version = 1;
const frameBytesMax = 1024 * kib;

/** Packs texts into frames of a bounded size. */
export function* writeTextFrames(texts: Iterable<Uint8Array>): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  let writer: ByteWriter | undefined;
  for (const text of texts) {
    if (!writer) {
      writer = new ByteWriter();
      writer.u8(version);
    }
    writer.uvarint(text.length);
    writer.bytes(text);
    if (writer.length < frameBytesMax) continue;
    yield writer.copy();
    writer = undefined;
  }
  if (writer) yield writer.copy();
}

/** Throws ANSWER_CORRUPT. */
export function* readTextFrame(frame: Uint8Array): Generator<Uint8Array, void, undefined> {
  if (frame[0] !== version) throw corrupt(frame, 0);
  const reader = new ByteReader(frame.subarray(1));
  while (reader.remaining > 0) {
    const at = frame.length - reader.remaining;
    let text: Uint8Array;
    try {
      text = reader.bytes(reader.uvarint());
    } catch {
      throw corrupt(frame, at);
    }
    yield text;
  }
}
