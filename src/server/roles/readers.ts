// The query workers that an actor serves, so that one that died can be forgotten.
import type { Channel } from '../../ports/index.ts';
import type { ReaderConnection } from '../lane-protocol.ts';

export class ReaderConnections {
  readonly #serve: (channel: Channel) => () => void;
  readonly #detachById = new Map<number, () => void>();

  constructor(serve: (channel: Channel) => () => void) {
    this.#serve = serve;
  }

  connect({ readerId, channel }: ReaderConnection): void {
    this.#detachById.set(readerId, this.#serve(channel));
  }

  disconnect(readerId: number): void {
    this.#detachById.get(readerId)?.();
    this.#detachById.delete(readerId);
  }
}
