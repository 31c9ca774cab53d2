// Brings frozen generations into parts, in their order, and removes the log that then is not needed. The keeper does the work;
// this sees to what must come before and after. Between a drop of partitions and the flush that it takes no later generation
// is flushed: it would count as older than the drop.
import { hasCode, type RpcPeer, secondMs } from '../../base/index.ts';
import type { Clock, Disk, Log } from '../../ports/index.ts';
import type { Generation, Generations } from '../head/generations.ts';
import { listSegments } from '../log/log-reader.ts';
import type { KeeperForLane } from '../protocol.ts';

export interface FlusherOptions {
  readonly lane: number;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly keeper: RpcPeer<KeeperForLane>;
  readonly generations: Generations;
  readonly isClosing: () => boolean;
  /** Makes durable what the log of a generation implies, before that log goes. */
  readonly saveMarks: () => Promise<void>;
}

const retryMs = 10 * secondMs;

export class Flusher {
  readonly #options: FlusherOptions;
  /** Readers of the head need this version of the catalog, or a later one. */
  catalogVersionMin = 0;
  /** All flushes so far, in order. */
  #done: Promise<void> = Promise.resolve();

  constructor(options: FlusherOptions) {
    this.#options = options;
  }

  /** Resolves when all that was asked for so far is in parts; rejects where the replay has failed. */
  get done(): Promise<void> {
    return this.#done;
  }

  /** Comes before every flush: the log of earlier runs. */
  beginAfter(replayed: Promise<void>): void {
    this.#done = replayed;
  }

  /** Flushes a frozen generation after all before it. */
  enqueue(generation: Generation): void {
    this.#done = this.#done.then(() => this.flush(generation, true));
    this.#done.catch(() => undefined); // only a failed replay stops the flushes
  }

  /** Hides partitions in all parts, once what was frozen so far is in them. */
  async drop(partitions: Uint16Array): Promise<void> {
    const dropped = this.#dropAfter(this.#done, partitions);
    this.#done = dropped.catch(() => undefined);
    await dropped;
  }

  async #dropAfter(flushes: Promise<void>, partitions: Uint16Array): Promise<void> {
    await flushes;
    const { catalogVersion } = await this.#options.keeper.call('drop', { partitions });
    this.catalogVersionMin = catalogVersion;
  }

  /** Resolves when the generation is in parts. `final`: nothing more of these log generations will come. */
  async flush(generation: Generation, final: boolean): Promise<void> {
    const { lane, keeper, generations, log, isClosing, saveMarks } = this.#options;
    const { number, slot, live } = generation;
    const request = { lane, generation: number, final, head: generations.handle(live), slot };
    for (;;) {
      if (isClosing()) return;
      try {
        if (final) await saveMarks();
        const { catalogVersion } = await keeper.call('flush', request);
        this.catalogVersionMin = catalogVersion;
        break;
      } catch (error) {
        if (hasCode(error, 'RPC_CLOSED') || isClosing()) return;
        log.error('flush-failed', { generation: number, reason: String(error), retryMs });
        await this.#rest();
      }
    }
    generation.flushed = true;
    generations.dropObsolete();
    if (final) this.removeLog(number);
  }

  #rest(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.setTimer(retryMs, resolve));
  }

  /** A file that stays after a crash is removed on the next start: MANIFEST says which generations are flushed. */
  removeLog(flushedGeneration: number): void {
    const { disk, log, lane } = this.#options;
    try {
      for (const { path, generation } of listSegments(disk, lane)) {
        if (generation <= flushedGeneration) disk.removeFile(path);
      }
    } catch (error) {
      log.warn('log-not-removed', { flushedGeneration, reason: String(error) });
    }
  }
}
