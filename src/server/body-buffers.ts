// Shared buffers for the bodies of writes. A buffer is used again and again, so that a stream of requests costs no
// allocation and no page faults; sizes are powers of two, so that buffers fit the next request too.
import { assert } from '../base/index.ts';
import { bodyBufferBytesMin, bodyBuffersIdleBytesMax } from './limits.ts';

export class BodyBuffers {
  readonly #idleBySize = new Map<number, SharedArrayBuffer[]>();
  #idleBytes = 0;

  /** A buffer of at least `lengthBytes`, its content undefined. */
  take(lengthBytes: number): SharedArrayBuffer {
    const sizeBytes = Math.max(bodyBufferBytesMin, 2 ** Math.ceil(Math.log2(Math.max(1, lengthBytes))));
    const idle = this.#idleBySize.get(sizeBytes)?.pop();
    if (!idle) return new SharedArrayBuffer(sizeBytes);
    this.#idleBytes -= sizeBytes;
    return idle;
  }

  /** Gives a buffer back; nobody may look at it any more. */
  give(buffer: SharedArrayBuffer): void {
    const sizeBytes = buffer.byteLength;
    assert(sizeBytes >= bodyBufferBytesMin, 'buffers come from take');
    if (this.#idleBytes + sizeBytes > bodyBuffersIdleBytesMax) return;
    let idle = this.#idleBySize.get(sizeBytes);
    if (!idle) {
      idle = [];
      this.#idleBySize.set(sizeBytes, idle);
    }
    idle.push(buffer);
    this.#idleBytes += sizeBytes;
  }
}
