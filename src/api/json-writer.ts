// Builds JSON in chunks of bytes. A chunk is allocated for one answer and handed over whole (its buffer can be transferred);
// the writer never touches it again. Small answers fit the first, small chunk.
import { kib } from '../base/index.ts';

const firstChunkBytes = 8 * kib;
/** A round trip between threads costs as much as formatting a few KiB; a chunk is worth many of them. */
const chunkBytes = 512 * kib;
/** A chunk counts as full while it has room for one more batch of samples, so that it need not grow for the last one. */
const roomBytes = 32 * kib;

const encoder = new TextEncoder();
/** Strings that JSON writes as they are. */
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

export class JsonWriter {
  /** Where callers that know the bytes write themselves, at `length`, after `reserve`. */
  bytes = new Uint8Array(firstChunkBytes);
  length = 0;

  /** Time to take the chunk: it is as large as a chunk should be. */
  get isFull(): boolean {
    return this.length >= chunkBytes - roomBytes;
  }

  /** Makes room for `count` more bytes. `bytes` may be replaced. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, Math.min(this.bytes.length * 4, chunkBytes)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  text(text: string): void {
    this.reserve(text.length * 3);
    this.length += encoder.encodeInto(text, this.bytes.subarray(this.length)).written;
  }

  string(text: string): void {
    this.text(quoteJson(text));
  }

  /** The chunk so far; the writer goes on with a new one. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = new Uint8Array(chunkBytes);
    this.length = 0;
    return taken;
  }

  /** The last chunk; the writer is done. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length);
  }
}

/** As JSON.stringify, several times faster for what most labels hold. */
export function quoteJson(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** Label pairs (name, value, …) as an object. */
export function labelsJson(pairs: readonly string[]): string {
  let json = '{';
  for (let i = 0; i < pairs.length; i += 2) {
    json += `${i === 0 ? '' : ','}${quoteJson(pairs[i] as string)}:${quoteJson(pairs[i + 1] as string)}`;
  }
  return `${json}}`;
}
