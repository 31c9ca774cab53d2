// Two ends of a channel within one thread, for storage that runs inline (tests, simulation): messages arrive in order, in a
// later microtask, uncloned.
import type { Channel } from '../ports/index.ts';

class InlineEnd implements Channel {
  peer: InlineEnd | undefined;
  #handler: ((message: unknown) => void) | undefined;
  readonly #early: unknown[] = [];

  post(message: unknown): void {
    const { peer } = this;
    queueMicrotask(() => peer?.deliver(message));
  }

  deliver(message: unknown): void {
    if (this.#handler) this.#handler(message);
    else this.#early.push(message);
  }

  onMessage(handler: (message: unknown) => void): void {
    this.#handler = handler;
    for (const message of this.#early.splice(0)) handler(message);
  }

  close(): void {
    if (this.peer) this.peer.peer = undefined;
    this.peer = undefined;
  }
}

export function createInlineChannel(): [Channel, Channel] {
  const first = new InlineEnd();
  const second = new InlineEnd();
  first.peer = second;
  second.peer = first;
  return [first, second];
}
