// Main's end of the lane: counts what is under way and posts the bodies that came in during one tick as one message (a
// message costs tens of microseconds, whatever it holds).
import type { WriteBody, WriteQueue, WriteResult } from '../api/index.ts';
import type { RpcPeer } from '../base/index.ts';
import type { Clock } from '../ports/index.ts';
import { BodyBuffers } from './body-buffers.ts';
import type { LaneHandlers } from './lane-protocol.ts';
import { writeQueueBytesMax } from './limits.ts';

interface WaitingWrite {
  readonly body: WriteBody;
  resolve(result: WriteResult): void;
  reject(error: unknown): void;
}

export class LaneClient implements WriteQueue {
  readonly #peer: RpcPeer<LaneHandlers>;
  readonly #clock: Clock;
  readonly #buffers = new BodyBuffers();
  #waiting: WaitingWrite[] = [];
  #reservedBytes = 0;
  #writesCount = 0;
  #whenIdle: (() => void)[] = [];

  constructor(peer: RpcPeer<LaneHandlers>, clock: Clock) {
    this.#peer = peer;
    this.#clock = clock;
  }

  /** Bodies that are being read or wait for their answer. */
  get reservedBytes(): number {
    return this.#reservedBytes;
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

  write(body: WriteBody): Promise<WriteResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ body, resolve, reject });
      // Delay 0 runs behind the sockets that are readable now.
      if (this.#waiting.length === 1) this.#clock.setTimer(0, () => void this.#post());
    });
  }

  async #post(): Promise<void> {
    const writes = this.#waiting;
    this.#waiting = [];
    try {
      const results = await this.#peer.call(
        'write',
        writes.map(({ body }) => body),
      );
      for (const [index, write] of writes.entries()) write.resolve(results[index] as WriteResult);
    } catch (error) {
      for (const write of writes) write.reject(error);
    }
  }
}
