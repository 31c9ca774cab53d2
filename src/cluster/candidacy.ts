// Who may found a cluster, where several nodes without one start together. Each may know others than the next one does, so that
// being the first among those one knows is not enough: a node asks all whom it can find (enter.ts) for leave, and each gives it
// to one at a time. Two that find any node in common, or one another, can't both found. Whoever asks is found by others from
// then on: when its leave ends it may be that it has founded one, or is about to, and nobody else would tell.
//
// Kept over the attempts of one start; nothing of it needs to outlive the process, since a founder's record is on disk before
// anybody hears of it, and leave that was given is worth nothing by the time a process is back.
import type { Clock } from '../ports/index.ts';
import type { StoreId } from './contracts.ts';
import type { Decisions } from './decisions.ts';
import type { Claimant } from './introduction.ts';

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
  readonly #decisions: Decisions;
  #isClaiming = false;
  #isDecided = false;
  /** When they last asked, by their addresses. */
  readonly #claimants = new Map<string, number>();
  #leave: { readonly store: StoreId; readonly endsMs: number } | undefined;

  constructor(store: StoreId, clock: Clock, decisions: Decisions) {
    this.#store = store;
    this.#clock = clock;
    this.#decisions = decisions;
  }

  get #hasGivenLeave(): boolean {
    return this.#leave !== undefined && this.#clock.monotonicMs() < this.#leave.endsMs;
  }

  /** It founds or joins a cluster now: until that is on disk it is of none, and yet must not pass for one that will not be. */
  get isDecided(): boolean {
    return this.#isDecided;
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
  get claimants(): readonly string[] {
    const sinceMs = this.#clock.monotonicMs() - claimantMs;
    const lately = [...this.#claimants].filter(([, askedMs]) => askedMs >= sinceMs).map(([address]) => address);
    return this.#decisions.askedClaimants(lately);
  }

  /** Whether another may found. Of two that claim and know one another, the lesser goes first. */
  allows({ store, address }: Claimant): boolean {
    if (store === this.#store) return true;
    const nowMs = this.#clock.monotonicMs();
    this.#claimants.delete(address);
    this.#claimants.set(address, nowMs);
    const [oldest] = this.#claimants.keys();
    if (this.#claimants.size > claimantsMax && oldest !== undefined) this.#claimants.delete(oldest);
    if (this.#isDecided || (this.#isClaiming && this.#store < store)) return false;
    if (this.#hasGivenLeave && this.#leave?.store !== store) return false;
    this.#leave = { store, endsMs: nowMs + leaveMs };
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
