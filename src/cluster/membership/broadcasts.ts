// News that is passed on by gossip, a bounded number of times. One entry for each member: what is newer about it takes the
// place of what was said before. What was sent the fewest times goes first, and of those the oldest.

interface Entry {
  readonly about: string;
  readonly message: Uint8Array;
  transmissions: number;
}

export class BroadcastQueue {
  readonly #entries = new Map<string, Entry>();
  /** Entries by the times that they have been sent, each in order of arrival. */
  readonly #tiers: Set<Entry>[] = [];

  get length(): number {
    return this.#entries.size;
  }

  has(about: string): boolean {
    return this.#entries.has(about);
  }

  add(about: string, message: Uint8Array): void {
    const previous = this.#entries.get(about);
    if (previous) this.#tiers[previous.transmissions]?.delete(previous);
    const entry = { about, message, transmissions: 0 };
    this.#entries.set(about, entry);
    this.#tier(0).add(entry);
  }

  /**
   * Messages that fit into `bytesFree` together, each with `overheadBytes`; they count as sent once more, and leave the queue
   * after `transmissionsMax` times.
   */
  take(bytesFree: number, overheadBytes: number, transmissionsMax: number): Uint8Array[] {
    const taken: Entry[] = [];
    let free = bytesFree;
    for (const tier of this.#tiers) {
      for (const entry of tier) {
        const bytes = entry.message.length + overheadBytes;
        // The next may be smaller, but looking through a long queue for it is not worth it.
        if (bytes > free) break;
        free -= bytes;
        taken.push(entry);
      }
    }
    for (const entry of taken) {
      this.#tiers[entry.transmissions]?.delete(entry);
      entry.transmissions++;
      if (entry.transmissions < transmissionsMax) this.#tier(entry.transmissions).add(entry);
      else this.#entries.delete(entry.about);
    }
    return taken.map(({ message }) => message);
  }

  #tier(transmissions: number): Set<Entry> {
    return (this.#tiers[transmissions] ??= new Set());
  }
}
