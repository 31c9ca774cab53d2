// The canonical byte form of a label set (docs/formats/labels.md): for each label, in canonical order, the name's length
// (LEB128), the name, the value's length, the value. The kernels write and read the same form.
import { ByteReader, ByteWriter, TimbalaError } from '../base/index.ts';
import { compareUtf8, Labels } from './labels.ts';

export function encodeLabels(labels: Labels): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  for (const part of labels.pairs) writer.string(part);
  return writer.copy();
}

/** Throws LABELS_CORRUPT for bytes that are not a canonical label set. */
export function decodeLabels(bytes: Uint8Array): Labels {
  const reader = new ByteReader(bytes);
  const pairs: string[] = [];
  while (reader.remaining > 0) {
    const name = reader.string();
    const value = reader.string();
    const previous = pairs.at(-2);
    if (value === '' || (previous !== undefined && compareUtf8(previous, name) >= 0)) {
      throw new TimbalaError('LABELS_CORRUPT', `label ${JSON.stringify(name)} is empty, repeated or out of order`);
    }
    pairs.push(name, value);
  }
  return new Labels(pairs);
}
