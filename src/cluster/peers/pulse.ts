// When a node was last heard on any connection. One that left a question unanswered and has said nothing since is *mute*:
// stopped, or cut off in a way that no connection shows yet. It is then not waited for again and again; any byte of it, and
// heartbeats come every few seconds, ends that.

/** A shorter wait says nothing: the question may have been hard. */
const patienceMsMin = 1_000;

export class Pulse {
  #lastArrivalMs = Number.NEGATIVE_INFINITY;
  isMute = false;

  arrived(nowMs: number): void {
    this.#lastArrivalMs = nowMs;
    this.isMute = false;
  }

  /** A question that was asked so long ago has not been answered. */
  unanswered(patienceMs: number, nowMs: number): void {
    if (patienceMs >= patienceMsMin && this.#lastArrivalMs < nowMs - patienceMs) this.isMute = true;
  }
}
