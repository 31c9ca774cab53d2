// The bodies of writes that are being read or wait for their answer: how many bytes they may take together, and the shared
// buffers they lie in. What becomes of a body, `write` decides.
import type { WriteBody, WriteQueue, WriteResult } from '../api/index.ts';
import { BodyBuffers } from './body-buffers.ts';
import { writeQueueBytesMax } from './limits.ts';

export abstract class BodyQueue implements WriteQueue {
  readonly #buffers = new BodyBuffers();
  #reservedBytes = 0;
  #writesCount = 0;
  #whenIdle: (() => void)[] = [];

  abstract write(body: WriteBody): Promise<WriteResult>;

  /** Bodies that are being read or wait for their answer. */
  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  get isOverHalf(): boolean {
    return this.#reservedBytes > writeQueueBytesMax / 2;
  }

  reserve(lengthBytes: number): boolean {
    // A single body larger than what is free must get its chance when the queue is empty.
    if (this.#writesCount > 0 && this.#reservedBytes + lengthBytes > writeQueueBytesMax) return false;
    this.#reservedBytes += lengthBytes;
    this.#writesCount++;
    return true;
  }

  release(lengthBytes: number): void {
    this.#reservedBytes -= lengthBytes;
    this.#writesCount--;
    if (this.#writesCount > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  takeBuffer(lengthBytes: number): SharedArrayBuffer {
    return this.#buffers.take(lengthBytes);
  }

  giveBuffer(buffer: SharedArrayBuffer): void {
    this.#buffers.give(buffer);
  }

  /** Resolves when no write is under way. */
  idle(): Promise<void> {
    if (this.#writesCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }
}
