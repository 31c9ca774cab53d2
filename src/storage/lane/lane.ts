// A lane: takes write requests in, keeps them in its log and its head, and hands frozen generations to the keeper. It alone
// writes its log and its head. Lives in one thread; readers and the keeper see its head through shared memory.
// Invariants: a write resolves only when its samples are on disk; generations are flushed in order, so "flushed up to g"
// says everything about the log; samples in the head that were never acknowledged (a failed log write) may become visible.
import { hasCode, RpcPeer, secondMs, TimbalaError } from '../../base/index.ts';
import type { Channel, Timer } from '../../ports/index.ts';
import { type WireBatch, WireKernel } from '../../wasm/index.ts';
import type {
  AppendedPairs,
  LaneStatus,
  MetricMetadata,
  ReplayReport,
  StoragePorts,
  WriteOutcome,
} from '../contracts.ts';
import { type Generation, Generations, type LiveHead } from '../head/generations.ts';
import { firstSequence } from '../log/frame.ts';
import { listSegments, type LogSegment } from '../log/log-reader.ts';
import { logFailure, LogWriter } from '../log/log-writer.ts';
import type { KeeperForLane, LaneForKeeper, Policy, Served } from '../protocol.ts';
import { StateFiles } from '../state/state-files.ts';
import { renewStore } from '../state/store-identity.ts';
import { TombstoneIndex } from '../tombstones.ts';
import { Flusher } from './flusher.ts';
import { Ingest } from './ingest.ts';
import { defaultLaneLimits, type LaneLimits } from './limits.ts';
import { MetadataStore } from './metadata-store.ts';
import { Replay } from './replay.ts';
import { LaneReplication } from './replication.ts';
import { ReaderConnection } from './snapshots.ts';

export interface LaneOptions extends StoragePorts {
  readonly lane?: number;
  /** To the keeper. */
  readonly keeper: Channel;
  /** The process must end: what is on disk is unknown, or the head is broken. It replays on its next start. */
  readonly onFatal: (error: unknown) => void;
  readonly limits?: Partial<LaneLimits>;
  /** Given where the node is a member of a cluster. */
  readonly replication?: ReplicationOptions;
}

export interface ReplicationOptions {
  /**
   * Asked for before log is removed that implies marks; what it resolves with becomes the durable state `marks` before. Every
   * append that the removed log holds has resolved a macrotask earlier.
   */
  readonly onLogCut: () => Promise<Uint8Array>;
}

const tickMs = 30 * secondMs;
const generationShareMin = 0.05;
/** Memory figures cost a call into the kernel: taken once in so many writes. */
const writesPerMemoryCheck = 64;

export class Lane {
  /** Resolves when the log of earlier runs has been read; queries fail with STORAGE_REPLAYING until then. */
  readonly replayed: Promise<ReplayReport>;
  readonly #options: LaneOptions;
  readonly #limits: LaneLimits;
  readonly #lane: number;
  readonly #keeper: RpcPeer<KeeperForLane>;
  readonly #wire: WireKernel;
  readonly #log: LogWriter;
  readonly #ingest: Ingest;
  /** What replication asks of this lane. */
  readonly replication: LaneReplication;
  /** Durable states of the replication's protocols. */
  readonly state: StateFiles;
  readonly #replayedPairs = new Set<number>();
  /** The position at which the earlier runs ended, as far as the directory knows. */
  #recoveredPosition: number;
  readonly #generations: Generations;
  readonly #metadata: MetadataStore;
  #policy: Policy;
  #tombstones: TombstoneIndex;
  #active: Generation | undefined;
  #lastNumber: number;
  readonly #flusher: Flusher;
  /** What of earlier runs' log has not been flushed partly: flushed before any generation of this run. */
  #replayTarget: Generation | undefined;
  #replaying = true;
  #closing = false;
  #timer: Timer | undefined;
  #activeSamplesCount = 0;
  readonly #totals = { samples: 0, duplicates: 0, rejected: 0, requests: 0, busy: 0 };

  /** Opens the log; writes are taken as soon as this resolves, while the log of earlier runs is still being read. */
  static async open(options: LaneOptions): Promise<Lane> {
    const lane = options.lane ?? 0;
    // A newer policy may come before there is a lane to give it to.
    const received: { policy?: Policy; lane?: Lane } = {};
    const handlers: Served<LaneForKeeper> = {
      policy: (policy) => {
        received.policy = policy;
        received.lane?.setPolicy(policy);
      },
    };
    const keeper = new RpcPeer<KeeperForLane>(options.keeper, handlers);
    const { flushedGeneration, policy } = await keeper.call('hello', { lane });
    const { disk } = options;
    if (!disk.exists('log')) {
      disk.makeDirectory('log');
      disk.syncDirectory('.');
    }
    received.lane = new Lane(options, lane, keeper, received.policy ?? policy, flushedGeneration);
    return received.lane;
  }

  private constructor(
    options: LaneOptions,
    lane: number,
    keeper: RpcPeer<KeeperForLane>,
    policy: Policy,
    flushedGeneration: number,
  ) {
    this.#options = options;
    this.#limits = { ...defaultLaneLimits, ...options.limits };
    this.#lane = lane;
    this.#keeper = keeper;
    this.#policy = policy;
    this.#tombstones = new TombstoneIndex(policy.tombstones);
    this.#wire = new WireKernel(options.modules.wire, options.random, this.#limits.wire);
    this.#generations = new Generations(options.modules.head, options.random, this.#limits.headBytesMax);
    this.#metadata = new MetadataStore(this.#limits.metadataEntriesMax);
    const { disk, clock, random } = options;
    const { segmentBytesMax, lingerMs } = this.#limits;
    this.#log = new LogWriter({
      disk,
      clock,
      random,
      lane,
      segmentBytesMax,
      lingerMs,
      onFatal: options.onFatal,
      onGenerationFailed: (generation, error) => this.#recoverFromFailedWrite(generation, error),
    });
    this.#ingest = new Ingest(this.#wire, this.#log);
    this.replication = this.#openReplication();
    this.state = new StateFiles(disk, options.onFatal);
    this.#flusher = this.#createFlusher();
    this.#flusher.removeLog(flushedGeneration);
    const segments = listSegments(disk, lane);
    // A later one is found in the log.
    this.#recoveredPosition = firstSequence(flushedGeneration + 1);
    this.#lastNumber = Math.max(flushedGeneration, segments.at(-1)?.generation ?? 0);
    // The number of the generation for new writes must be above all that are replayed.
    this.#openActive();
    this.replayed = this.#replay(segments);
    this.replayed.catch(() => undefined); // reported by onFatal; whoever waits for it sees it too
    this.#flusher.beginAfter(
      this.replayed.then(() => this.#replayTarget && this.#flusher.flush(this.#replayTarget, true)),
    );
    this.#scheduleTick();
  }

  /** Called by the keeper: other retention, other tombstones. */
  setPolicy(policy: Policy): void {
    this.#policy = policy;
    this.#tombstones = new TombstoneIndex(policy.tombstones);
  }

  /**
   * Takes a compressed remote-write request, which is read before the call returns; resolves when its samples are on disk.
   * Throws LANE_BUSY, LOG_FAILED and DISK_FULL (nothing acknowledged: send it again later), WIRE_CORRUPT, WIRE_TOO_LARGE.
   */
  async write(body: Uint8Array): Promise<WriteOutcome> {
    this.#totals.requests++;
    const outcome = this.#store(body);
    await this.#log.commit();
    this.#totals.samples += outcome.samplesCount;
    this.#totals.duplicates += outcome.duplicatesCount;
    for (const { samplesCount } of outcome.rejections) this.#totals.rejected += samplesCount;
    return outcome;
  }

  // Synchronous, so that a body is decoded, appended and logged without another one in between.
  #store(body: Uint8Array): WriteOutcome {
    return this.#withActive((active) => {
      const batch = this.#decode(body);
      const outcome = this.#ingest.store(batch, active, this.#tombstones);
      this.#activeSamplesCount += outcome.samplesCount;
      return outcome;
    });
  }

  #decode(body: Uint8Array): WireBatch {
    const batch = this.#ingest.decode(body, this.#bounds());
    for (const entry of batch.metadata) this.#metadata.add(entry);
    return batch;
  }

  /** Runs `work` on the active generation, and freezes it where that filled it. Throws LANE_BUSY. */
  #withActive<Result>(work: (active: Generation) => Result): Result {
    if (this.#closing) throw this.#busy('the node is stopping');
    if (this.#log.pendingBytes > this.#limits.pendingBytesMax) throw this.#busy('the disk is slower than the writers');
    const active = this.#active ?? this.#openActiveOrBusy();
    try {
      const result = work(active);
      this.#freezeIfFull(active);
      return result;
    } catch (error) {
      if (!hasCode(error, 'HEAD_MEMORY_FULL')) throw error;
      this.#freezeActive('memory-full');
      throw this.#busy('the memory for recent samples is full; it is being written to parts');
    }
  }

  #openReplication(): LaneReplication {
    const tombstones = (): TombstoneIndex => this.#tombstones;
    const head = (): LiveHead => this.#generations.current;
    return new LaneReplication({
      ingest: this.#ingest,
      decode: (body) => {
        this.#totals.requests++;
        return this.#decode(body);
      },
      withActive: (work) => this.#withActive(work),
      get tombstones() {
        return tombstones();
      },
      get head() {
        return head();
      },
      headOf: (headId) => this.#generations.heads.find((live) => live.headId === headId),
      commit: () => this.#log.commit(),
      position: () => Math.max(this.#log.durable, this.#recoveredPosition),
      countSamples: (appended, duplicates) => {
        this.#activeSamplesCount += appended + duplicates;
        this.#totals.samples += appended + duplicates;
        this.#totals.duplicates += duplicates;
      },
    });
  }

  #createFlusher(): Flusher {
    const { disk, clock, log } = this.#options;
    return new Flusher({
      lane: this.#lane,
      disk,
      clock,
      log,
      keeper: this.#keeper,
      generations: this.#generations,
      isClosing: () => this.#closing,
      saveMarks: () => this.#saveMarks(),
    });
  }

  #bounds(): { minMs: number; maxMs: number } {
    const nowMs = this.#options.clock.nowMs();
    const { retentionMs, sizeHorizonMs } = this.#policy;
    return { minMs: Math.max(nowMs - retentionMs, sizeHorizonMs), maxMs: nowMs + this.#limits.futureMs };
  }

  #busy(reason: string): TimbalaError {
    this.#totals.busy++;
    return new TimbalaError('LANE_BUSY', `${reason}; nothing was stored, send the samples again`);
  }

  #freezeIfFull(active: Generation): void {
    const { generationSamplesMax, generationLogBytesMax } = this.#limits;
    if (this.#activeSamplesCount >= generationSamplesMax) this.#freezeActive('samples');
    else if (this.#log.generationBytes >= generationLogBytesMax) this.#freezeActive('log-size');
    else if (this.#totals.requests % writesPerMemoryCheck === 0 && this.#isMemoryFull(active))
      this.#freezeActive('memory');
  }

  // A generation that holds little is not worth a flush: where the registry fills the memory, freezing gives nothing back.
  #isMemoryFull({ live, slot }: Generation): boolean {
    const { bytes, bytesMax } = live.head.stats();
    if (bytes <= this.#limits.headShareMax * bytesMax) return false;
    return live.head.generationStats(slot).bytes > generationShareMin * bytesMax;
  }

  #openActive(): Generation {
    const number = this.#lastNumber + 1;
    const generation = this.#generations.open(number, this.#options.clock.monotonicMs());
    this.#lastNumber = number;
    try {
      this.#log.beginGeneration(number);
    } catch (error) {
      this.#generations.freeze(generation);
      generation.flushed = true;
      this.#generations.dropObsolete();
      throw error;
    }
    this.#active = generation;
    this.#activeSamplesCount = 0;
    return generation;
  }

  #openActiveOrBusy(): Generation {
    try {
      return this.#openActive();
    } catch (error) {
      if (hasCode(error, 'HEAD_NO_SLOT') || hasCode(error, 'HEAD_MEMORY_FULL')) {
        throw this.#busy('recent samples are still being written to parts');
      }
      if (!hasCode(error, 'DISK_FULL') && !hasCode(error, 'DISK_IO')) throw error;
      this.#totals.busy++;
      throw logFailure(error);
    }
  }

  /** Freezes the active generation and hands it to the keeper; the next one opens at once, or with the next write. */
  #freezeActive(reason: string): void {
    const active = this.#active;
    if (!active) return;
    this.#active = undefined;
    // Whoever waits for its last frames hears of a failure through their own commit.
    this.#log.endGeneration().catch(() => undefined);
    this.#generations.freeze(active);
    const { bytes, samplesCount, seriesCount } = active.live.head.generationStats(active.slot);
    this.#options.log.info('generation-frozen', {
      generation: active.number,
      reason,
      bytes,
      samplesCount,
      seriesCount,
    });
    this.#flusher.enqueue(active);
    if (this.#generations.replaceHeadIfDead()) this.#wire.clearReferences();
    try {
      this.#openActive();
    } catch (error) {
      this.#options.log.warn('generation-not-opened', { reason: String(error) });
    }
  }

  #recoverFromFailedWrite(generation: number, error: unknown): void {
    this.#options.log.error('log-write-failed', { generation, reason: String(error) });
    const failed = this.#generations.live.find(({ number }) => number === generation);
    if (failed) failed.isUnlogged = true;
    if (this.#active === failed) this.#freezeActive('write-failed');
  }

  // The log that goes with this flush is what would mark its pairs again after a crash.
  async #saveMarks(): Promise<void> {
    const { replication } = this.#options;
    if (!replication) return;
    await this.replication.settled();
    await this.#delay(0);
    this.state.save('marks', await replication.onLogCut());
  }

  #delay(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.setTimer(delayMs, resolve));
  }

  async #replay(segments: readonly LogSegment[]): Promise<ReplayReport> {
    const { disk, clock } = this.#options;
    const replay = new Replay({
      disk,
      clock,
      lane: this.#lane,
      segments,
      openGeneration: (number) => this.#generations.open(number, clock.monotonicMs()),
      flushPartly: async (generation) => {
        this.#generations.freeze(generation);
        await this.#flusher.flush(generation, false);
      },
      isFull: (generation) => this.#isMemoryFull(generation),
      isClosing: () => this.#closing,
      ...(this.#options.replication ? { onWritten: (pairs: Float64Array) => this.#addReplayedPairs(pairs) } : {}),
    });
    // Not before the constructor has returned.
    await Promise.resolve();
    try {
      const report = await replay.run();
      this.#recoveredPosition = Math.max(this.#recoveredPosition, replay.lastSequence);
      this.#replayTarget = replay.target;
      if (replay.target) this.#generations.freeze(replay.target);
      this.#replaying = false;
      return report;
    } catch (error) {
      if (!this.#closing) this.#options.onFatal(error);
      throw error;
    }
  }

  #addReplayedPairs(pairs: Float64Array): void {
    for (const pair of pairs) this.#replayedPairs.add(pair);
  }

  /**
   * The pairs (window number × 65,536 + partition) whose samples the log of earlier runs held as written by clients; empty
   * where no replication was asked for. Resolves when that log has been read, with the position where it ended.
   */
  async replayedPairs(): Promise<AppendedPairs> {
    await this.replayed;
    return { pairs: Float64Array.from(this.#replayedPairs), position: this.#recoveredPosition };
  }

  /**
   * The directory is a new store from the next start on, though what it holds stays: something acknowledged may be missing from
   * it. Durable when it returns; the process then ends with the error `code`.
   */
  abandonStore(code: string, reason: string): void {
    const { disk, random, onFatal } = this.#options;
    renewStore(this.state, random, disk.identity());
    onFatal(new TimbalaError(code, `${reason}; started again, this is a new store that its peers fill`));
  }

  #scheduleTick(): void {
    this.#timer = this.#options.clock.setTimer(tickMs, () => {
      this.tick();
      if (!this.#closing) this.#scheduleTick();
    });
  }

  /** Freezes a generation that has grown old. Called by a timer; by hand in simulations. */
  tick(): void {
    const active = this.#active;
    if (!active || this.#closing) return;
    const ageMs = this.#options.clock.monotonicMs() - active.openedMs;
    if (ageMs >= this.#limits.generationAgeMsMax && this.#activeSamplesCount > 0) this.#freezeActive('age');
  }

  /** Lets a reader in another thread read this lane's head; returns what is to be called when the reader has died. */
  serve(reader: Channel): () => void {
    const connection = new ReaderConnection(
      {
        generations: this.#generations,
        assertComplete: () => this.#assertReplayed(),
        catalogVersionMin: () => this.#flusher.catalogVersionMin,
        sync: () => this.#sync(),
        replication: this.replication,
      },
      reader,
    );
    return () => connection.close();
  }

  // What a failed log write left in the head is on disk only when its generation is.
  async #sync(): Promise<void> {
    await this.#log.commit();
    if (this.#generations.live.some(({ isUnlogged, flushed }) => isUnlogged && !flushed)) await this.#flusher.done;
  }

  #assertReplayed(): void {
    if (!this.#replaying) return;
    throw new TimbalaError('STORAGE_REPLAYING', 'the log is still being read; try again in a moment');
  }

  /** Freezes the active generation and resolves when it and all before it are in parts. */
  async flushNow(): Promise<void> {
    await this.replayed;
    if (this.#activeSamplesCount > 0) this.#freezeActive('asked');
    await this.#flusher.done;
  }

  /**
   * Hides what is held of these partitions by now, durably, and has it removed later; what is appended after the call stays.
   */
  async dropPartitions(partitions: Uint16Array): Promise<void> {
    // Before anything is awaited: the next append goes into another generation.
    if (this.#activeSamplesCount > 0) this.#freezeActive('drop');
    await this.#flusher.drop(partitions);
  }

  metadata(metric?: string): MetricMetadata[] {
    return this.#metadata.list(metric);
  }

  status(): LaneStatus {
    const generations = this.#generations.live.filter(({ flushed }) => !flushed);
    const stats = generations
      .map(({ live, slot }) => live.head.generationStats(slot))
      .filter(({ samplesCount }) => samplesCount > 0);
    const heads = this.#generations.heads.map(({ head }) => head.stats());
    const { samples, duplicates, rejected, requests, busy } = this.#totals;
    return {
      seriesCount: this.#generations.current.head.stats().seriesCount,
      headSamplesCount: stats.reduce((sum, { samplesCount }) => sum + samplesCount, 0),
      headBytes: heads.reduce((sum, { bytes }) => sum + bytes, 0),
      headMinMs: stats.length > 0 ? Math.min(...stats.map(({ minMs }) => minMs)) : undefined,
      headMaxMs: stats.length > 0 ? Math.max(...stats.map(({ maxMs }) => maxMs)) : undefined,
      generation: this.#lastNumber,
      generationsCount: this.#generations.live.length,
      logBytes: this.#log.generationBytes,
      pendingBytes: this.#log.pendingBytes,
      keptCount: this.replication.keptCount,
      keptBytes: this.replication.keptBytes,
      replaying: this.#replaying,
      samplesTotal: samples,
      duplicatesTotal: duplicates,
      rejectedTotal: rejected,
      requestsTotal: requests,
      busyTotal: busy,
      commitsTotal: this.#log.commitsTotal,
      commitSeconds: this.#log.commitSeconds,
    };
  }

  /** Writes out what is pending and ends the log. The head is not flushed: its log is replayed in seconds, and stopping must be quick. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#timer?.cancel();
    await this.#log.endGeneration().catch((error: unknown) => {
      this.#options.log.error('log-not-closed', { reason: String(error) });
    });
    await this.replayed.catch(() => undefined);
    this.#keeper.close('the lane has been closed');
  }
}
