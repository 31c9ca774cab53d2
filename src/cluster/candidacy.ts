// Who may found a cluster, where several nodes without one start together. Each may know others than the next one does, so that
// being the first among those one knows is not enough: a node asks all of them for leave, and each gives it to one at a time.
// Two that have any acquaintance in common, or know one another, can't both found. Whoever asks is known from then on: when its
// leave ends it may be that it has founded one, and nobody else would tell.
//
// Kept over the attempts of one start; nothing of it needs to outlive the process, since a founder's record is on disk before
// anybody hears of it, and leave that was given is worth nothing by the time a process is back.
import type { Clock } from '../ports/index.ts';
import type { StoreId } from './contracts.ts';

/** For so long a node gives leave to nobody else. */
const leaveMs = 6_000;
/** For so long after its last claim a node is asked what came of it; a founder that is silent for longer has failed. */
const claimantMs = 60_000;
const claimantsMax = 64;
/** A claim has to succeed within this: the first leave it was given must still hold, on clocks that run a little unlike. */
const claimMs = 3_000;

export class Candidacy {
  readonly #store: StoreId;
  readonly #clock: Clock;
  #isClaiming = false;
  #isDecided = false;
  /** When they last asked, by their addresses. */
  readonly #claimants = new Map<string, number>();
  #leaveOf: StoreId | undefined;
  #leaveEndsMs = 0;

  constructor(store: StoreId, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  get #hasGivenLeave(): boolean {
    return this.#leaveOf !== undefined && this.#clock.monotonicMs() < this.#leaveEndsMs;
  }

  /** Another attempt begins: the last one found no cluster, or could not save what it found. */
  reopen(): void {
    this.#isDecided = false;
  }

  /** There is a cluster to join: nobody gets leave any more. */
  decide(): void {
    this.#isDecided = true;
  }

  /** Addresses of those that have asked for leave lately: each may have founded a cluster by now. */
  get claimants(): string[] {
    const sinceMs = this.#clock.monotonicMs() - claimantMs;
    return [...this.#claimants].filter(([, askedMs]) => askedMs >= sinceMs).map(([address]) => address);
  }

  /** Whether the store that asks may found. Of two that claim and know one another, the lesser goes first. */
  allows(asker: StoreId, address: string): boolean {
    if (asker === this.#store) return true;
    this.#claimants.delete(address);
    this.#claimants.set(address, this.#clock.monotonicMs());
    const [oldest] = this.#claimants.keys();
    if (this.#claimants.size > claimantsMax && oldest !== undefined) this.#claimants.delete(oldest);
    if (this.#isDecided || (this.#isClaiming && this.#store < asker)) return false;
    if (this.#hasGivenLeave && this.#leaveOf !== asker) return false;
    this.#leaveOf = asker;
    this.#leaveEndsMs = this.#clock.monotonicMs() + leaveMs;
    return true;
  }

  /** Whether this node may found: `askAll` tells whether all others allow it. */
  async claim(askAll: () => Promise<boolean>): Promise<boolean> {
    if (this.#hasGivenLeave) return false;
    const startedMs = this.#clock.monotonicMs();
    this.#isClaiming = true;
    try {
      const isAllowed = await askAll();
      const isInTime = this.#clock.monotonicMs() - startedMs < claimMs;
      // It may have given way meanwhile.
      this.#isDecided = isAllowed && isInTime && !this.#hasGivenLeave;
      return this.#isDecided;
    } finally {
      this.#isClaiming = false;
    }
  }
}
