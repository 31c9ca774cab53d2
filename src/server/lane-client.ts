// The way of writes where a node stands alone: the bodies that came in during one tick are posted to the lane as one message
// (a message costs tens of microseconds, whatever it holds).
import type { WriteBody, WriteResult } from '../api/index.ts';
import type { RpcPeer } from '../base/index.ts';
import type { Clock } from '../ports/index.ts';
import { BodyQueue } from './body-queue.ts';
import type { LaneHandlers } from './lane-protocol.ts';

interface WaitingWrite {
  readonly body: WriteBody;
  resolve(result: WriteResult): void;
  reject(error: unknown): void;
}

export class LaneClient extends BodyQueue {
  readonly #peer: RpcPeer<LaneHandlers>;
  readonly #clock: Clock;
  #waiting: WaitingWrite[] = [];

  constructor(peer: RpcPeer<LaneHandlers>, clock: Clock) {
    super();
    this.#peer = peer;
    this.#clock = clock;
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
