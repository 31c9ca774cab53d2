// The loop that forgets: partitions that this node does not own and for which it is not marked, and windows past retention.
// Deletes are forgotten with the last of what they hide; a limit in bytes becomes a wish in the record.
// A leaving node that holds nothing any more says that it has left.
import { dayMs, errorMessage } from '../../base/index.ts';
import type { Timer } from '../../ports/index.ts';
import { windowMs, windowStartOf } from '../contracts.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';

export class Dropper {
  partitionsDropped = 0;
  /** Drops that are not on disk yet. */
  underWayCount = 0;
  readonly #state: NodeState;
  readonly #timing: ClusterTiming;
  readonly #onLeft: () => Promise<void>;
  #droppedBeforeMs: number | undefined;
  #timer: Timer | undefined;
  #isStopped = false;

  /** `onLeft`: the node has said that it has left; others should hear of it. */
  constructor(state: NodeState, timing: ClusterTiming, onLeft: () => Promise<void>) {
    this.#state = state;
    this.#timing = timing;
    this.#onLeft = onLeft;
  }

  start(): void {
    this.#timer = this.#state.clock.setTimer(this.#timing.dropIntervalMs, () => {
      void this.#turn()
        .catch((error: unknown) => this.#state.log.warn('drop-failed', { reason: errorMessage(error) }))
        .finally(() => {
          if (!this.#isStopped) this.start();
        });
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #turn(): Promise<void> {
    const state = this.#state;
    if (!state.isReady) return;
    const drops: Promise<void>[] = [];
    for (const partition of state.held) {
      if (!state.decisions.mayDrop(state.isOwner(partition), state.marks.isMarked(partition))) continue;
      drops.push(this.#drop(partition));
    }
    this.underWayCount = drops.length;
    await Promise.all(drops).finally(() => (this.underWayCount = 0));
    await this.#dropExpired();
    await this.#pruneDeletes();
    await this.#tellFloor();
    if (state.self?.state === 'leaving' && state.held.size === 0 && state.marks.count === 0) {
      await state.changeOwn((own) => (own.state === 'leaving' ? { state: 'left' } : undefined));
      await this.#onLeft();
    }
  }

  async #drop(partition: number): Promise<void> {
    const state = this.#state;
    state.beginDrop(partition);
    try {
      await state.store.dropPartition(partition);
    } catch (error) {
      state.endDrop(partition, false);
      throw error;
    }
    state.endDrop(partition, true);
    this.partitionsDropped++;
  }

  /**
   * One window after the horizon, so that no clock a little ahead takes what another still serves; in whole windows, so that
   * storage has something to write every two hours only. Back goes what was dropped before when retention is set longer,
   * and not because the own clock is in doubt.
   */
  async #dropExpired(): Promise<void> {
    const { horizonMs, isClockTrusted, store } = this.#state;
    const lastMs = this.#droppedBeforeMs;
    const wantedMs = windowStartOf(horizonMs - windowMs);
    if (!Number.isFinite(wantedMs)) return;
    const beforeMs = isClockTrusted || lastMs === undefined ? wantedMs : Math.max(wantedMs, lastMs);
    if (beforeMs === lastMs) return;
    // Storage has forgotten deletes whose range was past retention; where it is set longer they are in force again. One that is
    // just being saved was told to storage as long as it hid the range, and has to be among them.
    await this.#state.betweenChanges((record) => store.dropBefore(beforeMs, record.deletes));
    this.#droppedBeforeMs = beforeMs;
  }

  /** Deletes of what nobody holds any more: a day later, so that nobody who was away for a moment still does. */
  async #pruneDeletes(): Promise<void> {
    const { record, horizonMs } = this.#state;
    const beforeMs = Math.floor(horizonMs / dayMs) * dayMs - dayMs;
    if (!Number.isFinite(beforeMs) || !record.deletes.some(({ toMs }) => toMs < beforeMs)) return;
    await this.#state.change((current) => current.withPruned(beforeMs));
  }

  /** What the limit in bytes has no room for is this node's wish; the record makes a floor of all wishes. */
  async #tellFloor(): Promise<void> {
    const { self, store } = this.#state;
    const floorMs = Math.max(0, windowStartOf(store.sizeFloorMs ?? 0));
    if (!self || !Number.isFinite(floorMs) || floorMs === self.floorMs) return;
    await this.#state.changeOwn(() => ({ floorMs }));
  }
}
