// The payload of a series frame (docs/formats/log.md): the series that a generation uses for the first time, one after
// another, each as reference (u32), fingerprint (16 bytes), length (u32) and canonical label bytes.
import { TimbalaError } from '../../base/index.ts';

const fixedBytes = 24;

/** Collects series; one object is used again and again. */
export class SeriesRecordWriter {
  #bytes = new Uint8Array(64 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  clear(): void {
    this.#length = 0;
  }

  add(ref: number, fingerprint: Uint8Array, labels: Uint8Array): void {
    const end = this.#length + fixedBytes + labels.length;
    if (end > this.#bytes.length) this.#grow(end);
    this.#view.setUint32(this.#length, ref, true);
    this.#bytes.set(fingerprint, this.#length + 4);
    this.#view.setUint32(this.#length + 20, labels.length, true);
    this.#bytes.set(labels, this.#length + fixedBytes);
    this.#length = end;
  }

  #grow(sizeBytes: number): void {
    const grown = new Uint8Array(Math.max(sizeBytes, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  /** Valid until the next `add` or `clear`. */
  payload(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Calls `visit` for each series; the views are valid during the call. Throws LOG_SERIES_CORRUPT. */
export function readSeriesRecord(
  payload: Uint8Array,
  visit: (ref: number, fingerprint: Uint8Array, labels: Uint8Array) => void,
): void {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  let at = 0;
  while (at < payload.length) {
    const left = payload.length - at;
    const labelsBytes = left < fixedBytes ? 0 : view.getUint32(at + 20, true);
    if (left < fixedBytes || labelsBytes > left - fixedBytes) {
      throw new TimbalaError('LOG_SERIES_CORRUPT', `series record ends within a series, ${left} bytes before its end`);
    }
    const labelsAt = at + fixedBytes;
    visit(
      view.getUint32(at, true),
      payload.subarray(at + 4, at + 20),
      payload.subarray(labelsAt, labelsAt + labelsBytes),
    );
    at = labelsAt + labelsBytes;
  }
}
