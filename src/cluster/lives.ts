// How far each store's log was seen to reach. A directory that was set back to a snapshot, or copied while its original went
// on, has less than it once told of: it must not pass for the store that acknowledged the rest, and becomes another one.
//
// A store's process tells in every message under which life (a number chosen at its start) it runs, where its log stood when
// that life began, and where it stands. A new life has to begin where the last one was seen, or later. Of two that run at once
// with one store, one is found behind the other.
import { decode, encode, list, struct, text, uvarint } from './codec.ts';
import type { StoreId } from './contracts.ts';
import type { Decisions } from './decisions.ts';

export const lifeCodec = struct({ id: uvarint, startPosition: uvarint, position: uvarint });

export interface Life {
  readonly id: number;
  readonly startPosition: number;
  /** Of the newest record that is synced. */
  readonly position: number;
}

const seenCodec = list(struct({ store: text, id: uvarint, position: uvarint }));

export class SeenLives {
  readonly #seen = new Map<StoreId, { readonly id: number; readonly position: number }>();
  readonly #decisions: Decisions;
  #isChanged = false;

  constructor(decisions: Decisions) {
    this.#decisions = decisions;
  }

  /** False where the store has told of more than it has; notes what it tells otherwise. */
  note(store: StoreId, life: Life): boolean {
    const known = this.#seen.get(store);
    if (known && known.id !== life.id && !this.#decisions.continues(known.position, life.startPosition)) return false;
    const position = known?.id === life.id ? Math.max(known.position, life.position) : life.position;
    if (known?.id === life.id && known.position === position) return true;
    this.#seen.set(store, { id: life.id, position });
    this.#isChanged = true;
    return true;
  }

  /** What has changed since it was last asked for, with only the stores that somebody still has; undefined: nothing. */
  takeChanged(isKept: (store: StoreId) => boolean): Uint8Array | undefined {
    if (!this.#isChanged) return undefined;
    this.#isChanged = false;
    for (const store of this.#seen.keys()) if (!isKept(store)) this.#seen.delete(store);
    return encode(
      seenCodec,
      [...this.#seen].map(([store, seen]) => ({ store, ...seen })),
    );
  }

  /** Throws a DECODE_ error. */
  load(encoded: Uint8Array): void {
    for (const { store, id, position } of decode(seenCodec, encoded)) this.#seen.set(store, { id, position });
  }
}
