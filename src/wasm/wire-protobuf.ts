// A lenient protobuf reader for the few messages that JavaScript reads: metadata, and series that were refused and are
// to be named in an error. It stops at the first malformed field and never throws. The data path is the kernel's.

export const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export class ProtobufReader {
  readonly #message: Uint8Array;
  #position = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Number, wire type and content of the field that `next` has read. */
  field = 0;
  wireType = -1;
  /** Of a varint field; its low 53 bits at most. */
  integer = 0;
  /** True after a malformed field. */
  failed = false;

  constructor(message: Uint8Array) {
    this.#message = message;
  }

  /** Reads the next field; false at the end of the message or where it is malformed. */
  next(): boolean {
    if (this.#position >= this.#message.length) return false;
    const tag = this.#varint();
    this.field = Math.floor(tag / 8);
    this.wireType = tag % 8;
    switch (this.wireType) {
      case wireType.varint:
        this.integer = this.#varint();
        break;
      case wireType.fixed64:
        this.#take(8);
        break;
      case wireType.bytes:
        this.#take(this.#varint());
        break;
      case wireType.fixed32:
        this.#take(4);
        break;
      default:
        this.failed = true;
    }
    return !this.failed;
  }

  /** The content of a bytes field; a view. */
  bytes(): Uint8Array {
    return this.#bytes;
  }

  /** As text, invalid UTF-8 replaced. */
  text(): string {
    return decoder.decode(this.#bytes);
  }

  #take(count: number): void {
    if (this.failed || count > this.#message.length - this.#position) {
      this.failed = true;
      return;
    }
    this.#bytes = this.#message.subarray(this.#position, this.#position + count);
    this.#position += count;
  }

  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      const byte = this.#message[this.#position++];
      if (byte === undefined) break;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    this.failed = true;
    return 0;
  }
}
