// The keeper: the only writer of MANIFEST and of parts. Flushes frozen generations into parts by window, merges parts,
// applies retention and deletes, publishes each version of the catalog, and on start removes what MANIFEST does not name.
// Every change follows one order: write parts/<id>.tmp and sync it, rename, sync parts/, commit the edit of MANIFEST, publish,
// delete the inputs when no reader uses them. All disk work is synchronous in the keeper's own thread, one job at a time.
import { hasCode, mib, RpcPeer, secondMs, TimbalaError } from '../../base/index.ts';
import type { Channel, Timer } from '../../ports/index.ts';
import { HeadReader, PagesKernel } from '../../wasm/index.ts';
import { mergeBytesMax, type MergePlan, planMerge } from '../compact/plan.ts';
import type {
  DamageReport,
  DeleteRequest,
  DeleteRuleRequest,
  KeeperListener,
  KeeperStatus,
  Retention,
  StoragePorts,
} from '../contracts.ts';
import type { ManifestEdit, PartEntry } from '../manifest/manifest-edit.ts';
import { Manifest } from '../manifest/manifest-file.ts';
import { mergeParts, openPart, type Part, PartCaches } from '../part/index.ts';
import type { Catalog, FlushRequest, KeeperForLane, LaneForKeeper, Policy, Served } from '../protocol.ts';
import { decideRetention, sizeFloorMs } from '../retention/retention.ts';
import { StateFiles } from '../state/state-files.ts';
import { renewStore } from '../state/store-identity.ts';
import { TombstoneIndex } from '../tombstones.ts';
import { catalogWindows } from '../windows.ts';
import { CatalogVersions, partPath } from './catalog.ts';
import { FlushSource } from './flush-source.ts';
import { sortedFingerprints, tombstonesOfRules } from './deletes.ts';
import { PartChecks } from './part-checks.ts';
import { PartFiles, recoverParts } from './part-files.ts';
import { PartitionDrops } from './partition-drops.ts';

export interface KeeperOptions extends StoragePorts {
  readonly retention: Retention;
  /** One per lane. */
  readonly lanes: readonly Channel[];
  /**
   * The node is a member of a cluster (`attach`). A damaged part then makes the directory another store, without the part:
   * peers fill it in. And retention by size only tells how far it wishes to go: the cluster decides.
   */
  readonly isReplica?: boolean;
  /** The process must end: what is committed is unknown. */
  readonly onFatal: (error: unknown) => void;
}

const maintenanceIntervalMs = 15 * secondMs;
const mergeCacheBytes = 32 * mib;
/** The share of the free space that a merge may take: the log needs room as well. */
const freeShareMax = 0.8;

export class Keeper {
  /** What recovery found damaged and cut. */
  readonly damage: readonly DamageReport[];
  readonly #options: KeeperOptions;
  readonly #manifest: Manifest;
  readonly #catalog: CatalogVersions;
  readonly #kernel: PagesKernel;
  readonly #files: PartFiles;
  readonly #heads = new Map<number, HeadReader>();
  readonly #lanes: readonly RpcPeer<LaneForKeeper>[];
  readonly #drops: PartitionDrops;
  readonly #checks: PartChecks;
  #listener: KeeperListener | undefined;
  #sizeFloorMs = Number.NEGATIVE_INFINITY;
  #jobs: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;
  #closing = false;
  readonly #startedMs: number;
  #flushesTotal = 0;
  #compactionsTotal = 0;

  /** Recovers. Throws MANIFEST_CORRUPT, MANIFEST_MISSING, PART_MISSING; the directory must be locked by the caller. */
  static async open(options: KeeperOptions): Promise<Keeper> {
    const { disk, random, onFatal } = options;
    // Before MANIFEST: it is what says that the directory is in use.
    if (!disk.exists('parts')) disk.makeDirectory('parts');
    const manifest = Manifest.open({ disk, random, onFatal });
    recoverParts(options, manifest);
    return new Keeper(options, manifest);
  }

  private constructor(options: KeeperOptions, manifest: Manifest) {
    this.#options = options;
    this.#manifest = manifest;
    this.damage = manifest.damage;
    this.#startedMs = options.clock.monotonicMs();
    this.#kernel = new PagesKernel(options.modules.pages);
    this.#files = new PartFiles(options, manifest, this.#kernel);
    this.#drops = new PartitionDrops(options.disk, this.#kernel, manifest.state);
    this.#catalog = new CatalogVersions(options.disk, options.log, this.#catalogContent());
    this.#lanes = options.lanes.map((channel) => {
      const handlers: Served<KeeperForLane> = {
        hello: ({ lane }) => {
          const flushedGeneration = manifest.state.flushedGenerations.get(lane) ?? 0;
          return { flushedGeneration, policy: this.#catalog.current };
        },
        flush: (request) => this.#exclusive(() => this.#flush(request)),
        drop: ({ partitions }) => this.#exclusive(() => this.#drop(partitions)),
      };
      return new RpcPeer<LaneForKeeper>(channel, handlers);
    });
    this.#checks = new PartChecks({
      disk: options.disk,
      clock: options.clock,
      random: options.random,
      log: options.log,
      pages: options.modules.pages,
      parts: () => manifest.state.parts,
      onDamaged: (part, reason) => this.#onDamaged(part, reason),
    });
    this.#schedule(maintenanceIntervalMs);
  }

  serve(reader: Channel): () => void {
    return this.#catalog.serve(reader, (partId) => this.#checks.suspect(partId));
  }

  // Jobs follow each other; each is synchronous or gives way between its parts.
  #exclusive<Result>(job: () => Result | Promise<Result>): Promise<Result> {
    const done = this.#jobs.then(() => {
      if (this.#closing) throw new TimbalaError('STORAGE_CLOSED', 'the keeper has been closed');
      return job();
    });
    this.#jobs = done.catch(() => undefined);
    return done;
  }

  #catalogContent(): Omit<Catalog, 'version'> {
    const { parts, tombstones, drops, sizeHorizonMs } = this.#manifest.state;
    const retentionMs = this.#options.retention.timeMs;
    const sorted = [...parts.values()].sort((a, b) => a.startMs - b.startMs || a.id - b.id);
    return {
      parts: sorted,
      retentionMs,
      sizeHorizonMs,
      tombstones: [...tombstones.values()],
      drops: [...drops.values()],
    };
  }

  #commit(edit: ManifestEdit): void {
    this.#manifest.commit(edit);
    this.#catalog.publish(this.#catalogContent(), edit.remove ?? []);
    if (edit.addTombstones || edit.removeTombstones || edit.sizeHorizonMs !== undefined) {
      const policy: Policy = this.#catalog.current;
      for (const lane of this.#lanes) lane.notify('policy', policy);
    }
  }

  // ---- flush ----

  async #flush(request: FlushRequest): Promise<{ catalogVersion: number }> {
    const { clock, log } = this.#options;
    const startMs = clock.monotonicMs();
    const reader = this.#headReader(request);
    const { samplesCount, minMs, maxMs } = reader.generationStats(request.slot);
    const add: PartEntry[] = [];
    try {
      if (samplesCount > 0) {
        const refs = reader.sortedRefs(request.slot);
        const tombstones = this.#tombstoneIndex();
        const fromMs = Math.max(minMs, this.#horizonMs());
        for (const window of catalogWindows(fromMs, maxMs, clock.nowMs())) {
          const range = { startMs: Math.max(window.startMs, fromMs), endMs: window.endMs - 1 };
          const source = new FlushSource(reader, request.slot, refs, range, tombstones);
          const { tombstoneSeq } = this.#manifest.state;
          const part = this.#files.write(window, source, tombstoneSeq, { generation: request.generation });
          if (part) add.push(part);
        }
      }
      this.#files.install(add);
      const flushed = { lane: request.lane, generation: request.generation };
      this.#commit(request.final ? { add, flushed } : { add });
    } catch (error) {
      this.#files.removeFailed(add);
      throw error;
    }
    this.#flushesTotal++;
    const { generation } = request;
    const durationMs = Math.round(clock.monotonicMs() - startMs);
    log.info('generation-flushed', { generation, parts: add.length, samplesCount, durationMs });
    return { catalogVersion: this.#catalog.current.version };
  }

  /** One reader per head; readers of heads that lanes have replaced are given up. */
  #headReader({ head }: FlushRequest): HeadReader {
    let reader = this.#heads.get(head.headId);
    if (!reader) {
      for (const old of this.#heads.keys()) if (old < head.headId) this.#heads.delete(old);
      reader = HeadReader.attach(this.#options.modules.head, head.memory);
      this.#heads.set(head.headId, reader);
    }
    return reader;
  }

  // ---- maintenance ----

  #schedule(delayMs: number): void {
    if (this.#closing) return;
    this.#timer = this.#options.clock.setTimer(delayMs, () => {
      void this.#giveUpDamaged();
      this.#exclusive(() => this.#maintain(false)).then(
        (worked) => this.#schedule(worked ? 0 : maintenanceIntervalMs),
        (error: unknown) => {
          if (this.#closing) return;
          this.#options.log.error('maintenance-failed', { reason: String(error) });
          this.#schedule(maintenanceIntervalMs);
        },
      );
    });
  }

  /** Retention, then at most one merge. True where a merge was made: there may be more to do. */
  #maintain(eager: boolean): boolean {
    this.#applyRetention();
    this.#wishForSpace();
    this.#tidyDrops();
    const nowMs = this.#options.clock.nowMs();
    const monotonicMs = this.#options.clock.monotonicMs();
    const { parts, tombstones } = this.#manifest.state;
    const plan = planMerge({
      parts: [...parts.values()].filter(({ id }) => !this.#checks.damaged.has(id) && !this.#checks.isSuspect(id)),
      nowMs,
      ageMs: ({ id }) => monotonicMs - (this.#files.installedMs(id) ?? this.#startedMs),
      eager,
      // Inputs and output are on disk together.
      bytesMax: Math.min(mergeBytesMax, this.#options.disk.freeBytes() * freeShareMax),
      mustRewrite: (part) =>
        this.#drops.isMostlyDropped(part, eager) ||
        [...tombstones.values()].some(
          ({ seq, startMs, endMs }) => seq > part.tombstoneSeq && startMs <= part.maxTimeMs && endMs >= part.minTimeMs,
        ),
    });
    if (plan) this.#merge(plan);
    return plan !== undefined;
  }

  /** Merges until nothing is left to merge. */
  async compactNow(): Promise<void> {
    while (await this.#exclusive(() => this.#maintain(true))) {
      // Give way: a lane may be waiting to have a generation flushed, and readers to let go of the inputs.
      await new Promise<void>((resolve) => this.#options.clock.setTimer(0, resolve));
    }
  }

  #merge({ inputs, window }: MergePlan): void {
    const { disk, clock, log } = this.#options;
    const startMs = clock.monotonicMs();
    const caches = new PartCaches({ bytesMax: mergeCacheBytes });
    const tombstones = this.#tombstoneIndex(Math.min(...inputs.map(({ tombstoneSeq }) => tombstoneSeq)));
    const opened: Part[] = [];
    const add: PartEntry[] = [];
    try {
      for (const { id } of inputs) opened.push(openPart(disk, partPath(id), this.#kernel, caches));
      const horizonMs = this.#horizonMs();
      const source = mergeParts(opened, {
        horizonMs,
        ...(tombstones.isEmpty ? {} : { deletedIntervals: (labels, own) => tombstones.intervals(own, labels) }),
        ...(this.#manifest.state.drops.size === 0 ? {} : { isDropped: this.#drops.lookup() }),
      });
      const part = this.#files.write(window, source, this.#manifest.state.tombstoneSeq);
      if (part) add.push(part);
      this.#files.install(add);
      this.#commit({ add, remove: inputs.map(({ id }) => id) });
    } catch (error) {
      this.#files.removeFailed(add);
      // The damaged one is left alone from now on: queries of its time say what is wrong with it, and other merges go on.
      if (hasCode(error, 'PART_CORRUPT')) for (const { id } of inputs) this.#checks.suspect(id);
      throw error;
    } finally {
      for (const part of opened) part.close();
    }
    this.#compactionsTotal++;
    const durationMs = Math.round(clock.monotonicMs() - startMs);
    const [output] = add;
    const fields = { inputs: inputs.map(({ id }) => id), output: output?.id, windowLevel: window.level, durationMs };
    log.info('parts-merged', { ...fields, sizeBytes: output?.sizeBytes, samplesCount: output?.samplesCount });
  }

  #drop(partitions: Uint16Array): { catalogVersion: number } {
    this.#commit({ addDrops: [{ seq: this.#manifest.state.tombstoneSeq + 1, partitions }] });
    this.#options.log.info('partitions-dropped', { partitionsCount: partitions.length });
    return { catalogVersion: this.#catalog.current.version };
  }

  #tidyDrops(): void {
    const edit = this.#drops.tidy();
    if (edit) this.#commit(edit);
  }

  /**
   * Everything before is hidden, and goes part by part: the cluster's retention has moved on, or was set anew. Where it is set
   * longer, what an earlier horizon hid is there again, and in the same moment what these rules select of it is deleted.
   */
  dropBefore(horizonMs: number, rules: readonly DeleteRuleRequest[]): Promise<void> {
    return this.#exclusive(() => {
      const { state } = this.#manifest;
      if (horizonMs === state.sizeHorizonMs) return;
      const addTombstones = horizonMs < state.sizeHorizonMs ? tombstonesOfRules(rules, state, horizonMs) : [];
      this.#commit({ sizeHorizonMs: horizonMs, ...(addTombstones.length > 0 ? { addTombstones } : {}) });
      this.#applyRetention();
    });
  }

  #applyRetention(): void {
    const { parts, sizeHorizonMs, tombstones } = this.#manifest.state;
    const { clock, retention, log, isReplica } = this.#options;
    const own = isReplica === true ? { timeMs: retention.timeMs } : retention;
    const decision = decideRetention(parts.values(), own, clock.nowMs(), sizeHorizonMs);
    const expired = [...tombstones.values()].filter(({ endMs }) => endMs < decision.horizonMs).map(({ seq }) => seq);
    if (decision.obsolete.length === 0 && expired.length === 0) return;
    const remove = decision.obsolete.map(({ id }) => id);
    this.#commit({
      remove,
      ...(expired.length > 0 ? { removeTombstones: expired } : {}),
      ...(decision.sizeHorizonMs === undefined ? {} : { sizeHorizonMs: decision.sizeHorizonMs }),
    });
    log.info('retention-applied', {
      parts: remove,
      horizonMs: decision.horizonMs,
      bySize: decision.sizeHorizonMs !== undefined,
    });
  }

  /** The protocols of the cluster. */
  attach(listener: KeeperListener): void {
    this.#listener = listener;
    listener.sizeFloor(this.#sizeFloorMs);
  }

  /** The start of the oldest window that fits; it never goes back. */
  #wishForSpace(): void {
    const { isReplica, retention, clock } = this.#options;
    if (isReplica !== true || retention.sizeBytes === undefined) return;
    const { parts, sizeHorizonMs } = this.#manifest.state;
    const floorMs = sizeFloorMs(parts.values(), retention, clock.nowMs(), sizeHorizonMs);
    if (floorMs <= this.#sizeFloorMs) return;
    this.#sizeFloorMs = floorMs;
    this.#listener?.sizeFloor(floorMs);
  }

  #horizonMs(): number {
    const { retention, clock } = this.#options;
    return Math.max(clock.nowMs() - retention.timeMs, this.#manifest.state.sizeHorizonMs);
  }

  #tombstoneIndex(afterSeq = 0): TombstoneIndex {
    return new TombstoneIndex(this.#manifest.state.tombstones.values(), afterSeq);
  }

  // ---- damage ----

  #onDamaged(part: PartEntry, reason: string): void {
    const { log } = this.#options;
    log.error('part-damaged', { part: part.id, fromMs: part.minTimeMs, toMs: part.maxTimeMs, reason });
    void this.#giveUpDamaged();
  }

  /** Does without the damaged parts, once others have what they hold. Until then the rest of them can be read. */
  async #giveUpDamaged(): Promise<void> {
    const { log, isReplica } = this.#options;
    for (const [id, reason] of this.#checks.damaged) {
      if (isReplica !== true || !this.#listener || !this.#manifest.state.parts.has(id)) continue;
      try {
        if (await this.#listener.mayAbandon()) await this.#exclusive(() => this.#quarantine(id, reason));
      } catch (error) {
        if (!this.#closing) log.error('damaged-part-not-moved', { part: id, reason: String(error) });
      }
    }
  }

  /**
   * Without the part the directory lacks what was acknowledged, so it must be another store before: peers then ask others, and
   * fill it in. Ends the process.
   */
  #quarantine(id: number, reason: string): void {
    const { disk, random, onFatal } = this.#options;
    if (!this.#manifest.state.parts.has(id)) return;
    renewStore(new StateFiles(disk, onFatal), random, disk.identity());
    this.#files.setAside(id);
    const consequence = `it is kept as ${partPath(id)}.damaged; started again, this is a new store that its peers fill`;
    onFatal(new TimbalaError('STORE_DAMAGED', `${reason}; ${consequence}`));
  }

  // ---- deletes ----

  /** Deletes durably: from now on no query shows these samples, and writes into the range are refused. */
  deleteSeries({ series, startMs, endMs }: DeleteRequest): Promise<void> {
    return this.#exclusive(() => {
      if (series.length === 0) return;
      if (endMs > this.#options.clock.nowMs()) {
        throw new TimbalaError(
          'DELETE_FUTURE',
          'the range to delete ends in the future; it would refuse samples to come',
        );
      }
      const fingerprints = sortedFingerprints(series, this.#kernel);
      this.#commit({ addTombstones: [{ seq: this.#manifest.state.tombstoneSeq + 1, startMs, endMs, fingerprints }] });
    });
  }

  /**
   * Deletes durably what these rules select, also of series that come later. Rules that are known are left as they are; none is
   * taken back: each goes when its range is past retention.
   */
  applyRules(rules: readonly DeleteRuleRequest[]): Promise<void> {
    return this.#exclusive(() => {
      const addTombstones = tombstonesOfRules(rules, this.#manifest.state, this.#horizonMs());
      if (addTombstones.length > 0) this.#commit({ addTombstones });
    });
  }

  status(): KeeperStatus {
    const parts = [...this.#manifest.state.parts.values()];
    const sum = (of: (part: PartEntry) => number): number => parts.reduce((total, part) => total + of(part), 0);
    return {
      partsCount: parts.length,
      partsBytes: sum(({ sizeBytes }) => sizeBytes),
      partSamplesCount: sum(({ samplesCount }) => samplesCount),
      minMs: parts.length > 0 ? Math.min(...parts.map(({ minTimeMs }) => minTimeMs)) : undefined,
      maxMs: parts.length > 0 ? Math.max(...parts.map(({ maxTimeMs }) => maxTimeMs)) : undefined,
      horizonMs: this.#horizonMs(),
      flushesTotal: this.#flushesTotal,
      compactionsTotal: this.#compactionsTotal,
      partsDeletedTotal: this.#catalog.deletedTotal,
      tombstonesCount: this.#manifest.state.tombstones.size,
      dropsCount: this.#manifest.state.drops.size,
      partsCheckedTotal: this.#checks.totals.parts,
      bytesCheckedTotal: this.#checks.totals.bytes,
      partsDamagedTotal: this.#checks.totals.damaged,
    };
  }

  /** Waits for the job under way; what waits behind it is dropped: it will be found again on the next start. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#timer?.cancel();
    this.#checks.close();
    await this.#jobs;
    this.#manifest.close();
    for (const lane of this.#lanes) lane.close('the keeper has been closed');
  }
}
