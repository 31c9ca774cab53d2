// The keeper: the only writer of MANIFEST and of parts. Flushes frozen generations into parts by window, merges parts,
// applies retention and deletes, publishes each version of the catalog, and on start removes what MANIFEST does not name.
// Every change follows one order: write parts/<id>.tmp and sync it, rename, sync parts/, commit the edit of MANIFEST, publish,
// delete the inputs when no reader uses them. All disk work is synchronous in the keeper's own thread, one job at a time.
import { hasCode, mib, RpcPeer, secondMs, TimbalaError } from '../../base/index.ts';
import { encodeLabels, type Labels } from '../../model/index.ts';
import type { Channel, Timer } from '../../ports/index.ts';
import { HeadReader, PagesKernel } from '../../wasm/index.ts';
import { mergeBytesMax, type MergePlan, planMerge } from '../compact/plan.ts';
import type {
  DamageReport,
  DeleteRequest,
  DeleteRuleRequest,
  KeeperStatus,
  Retention,
  StoragePorts,
} from '../contracts.ts';
import type { ManifestEdit, PartEntry } from '../manifest/manifest-edit.ts';
import { Manifest } from '../manifest/manifest-file.ts';
import {
  mergeParts,
  openPart,
  type Part,
  PartCaches,
  type PartOptions,
  type SeriesSource,
  writePart,
} from '../part/index.ts';
import type { Catalog, FlushRequest, KeeperForLane, LaneForKeeper, Policy, Served } from '../protocol.ts';
import { decideRetention } from '../retention/retention.ts';
import { decodeSelectors } from '../selectors.ts';
import { StateFiles } from '../state/state-files.ts';
import { renewStore } from '../state/store-identity.ts';
import { TombstoneIndex } from '../tombstones.ts';
import { alignedWindow, catalogWindows, type Window } from '../windows.ts';
import { CatalogVersions, partPath } from './catalog.ts';
import { FlushSource } from './flush-source.ts';
import { PartChecks } from './part-checks.ts';
import { PartitionDrops } from './partition-drops.ts';
import { isNameAside, isSetAside, setAside } from './quarantine.ts';

export interface KeeperOptions extends StoragePorts {
  readonly retention: Retention;
  /** One per lane. */
  readonly lanes: readonly Channel[];
  /**
   * The node is a member of a cluster. A damaged part then makes the directory another store, without the part: peers fill it
   * in. And retention by size only tells how far it wishes to go: the cluster decides.
   */
  readonly isReplica?: boolean;
  /** The process must end: what is committed is unknown. */
  readonly onFatal: (error: unknown) => void;
}

const maintenanceIntervalMs = 15 * secondMs;
const mergeCacheBytes = 32 * mib;
/** The share of the free space that a merge may take: the log needs room as well. */
const freeShareMax = 0.8;
/** zstd's level by part level: flushed parts are short-lived and hold up the lane; large ones stay for years. */
const compressionLevels = [1, 6, 6, 6];

export class Keeper {
  /** What recovery found damaged and cut. */
  readonly damage: readonly DamageReport[];
  readonly #options: KeeperOptions;
  readonly #manifest: Manifest;
  readonly #catalog: CatalogVersions;
  readonly #kernel: PagesKernel;
  readonly #heads = new Map<number, HeadReader>();
  readonly #lanes: readonly RpcPeer<LaneForKeeper>[];
  /** When each part was first seen by this process, by monotonic time. */
  readonly #seenMs = new Map<number, number>();
  readonly #drops: PartitionDrops;
  readonly #checks: PartChecks;
  /** Told the wish of retention by size. */
  readonly #floorListeners: ((floorMs: number) => void)[] = [];
  #sizeFloorMs = Number.NEGATIVE_INFINITY;
  #jobs: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;
  #closing = false;
  readonly #startedMs: number;
  #nextPartId: number;
  #flushesTotal = 0;
  #compactionsTotal = 0;

  /** Recovers. Throws MANIFEST_CORRUPT, MANIFEST_MISSING, PART_MISSING; the directory must be locked by the caller. */
  static async open(options: KeeperOptions): Promise<Keeper> {
    const { disk, random, onFatal } = options;
    // Before MANIFEST: it is what says that the directory is in use.
    if (!disk.exists('parts')) disk.makeDirectory('parts');
    const manifest = Manifest.open({ disk, random, onFatal });
    removeUnnamed(options, manifest);
    return new Keeper(options, manifest);
  }

  private constructor(options: KeeperOptions, manifest: Manifest) {
    this.#options = options;
    this.#manifest = manifest;
    this.damage = manifest.damage;
    this.#startedMs = options.clock.monotonicMs();
    this.#nextPartId = manifest.state.nextPartId;
    this.#kernel = new PagesKernel(options.modules.pages);
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
          const part = this.#writePart(window, source, tombstoneSeq, { generation: request.generation });
          if (part) add.push(part);
        }
      }
      this.#install(add);
      const flushed = { lane: request.lane, generation: request.generation };
      this.#commit(request.final ? { add, flushed } : { add });
    } catch (error) {
      this.#removeFailed(add);
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

  // ---- writing parts ----

  #writePart(
    window: Window,
    source: SeriesSource,
    tombstoneSeq: number,
    extra: Pick<PartOptions, 'generation'> = {},
  ): PartEntry | undefined {
    const { disk, random } = this.#options;
    const id = this.#nextPartId++;
    const contentHashKey = new Uint8Array(16);
    random.fill(contentHashKey);
    const { level, startMs, endMs } = window;
    const compressionLevel = compressionLevels[level] ?? 6;
    const options = { startMs, endMs, level, tombstoneSeq, contentHashKey, compressionLevel, ...extra };
    const summary = writePart(disk, `${partPath(id)}.tmp`, options, source, this.#kernel);
    if (!summary) return undefined;
    const { minTimeMs, maxTimeMs, seriesCount, samplesCount } = summary.meta;
    const { sizeBytes } = summary;
    return { id, level, startMs, endMs, minTimeMs, maxTimeMs, seriesCount, samplesCount, sizeBytes, tombstoneSeq };
  }

  /** Gives written parts their names, durably. */
  #install(parts: readonly PartEntry[]): void {
    if (parts.length === 0) return;
    const { disk, clock } = this.#options;
    for (const { id } of parts) {
      disk.rename(`${partPath(id)}.tmp`, partPath(id));
      this.#seenMs.set(id, clock.monotonicMs());
    }
    try {
      disk.syncDirectory('parts');
    } catch (cause) {
      const fatal = new TimbalaError('PARTS_SYNC_FAILED', 'parts/ could not be synced; the process must end', {
        cause,
      });
      this.#options.onFatal(fatal);
      throw fatal;
    }
  }

  /** Removes parts whose edit was not made; where that is not certain they stay, and the next start decides. */
  #removeFailed(parts: readonly PartEntry[]): void {
    const { disk, log } = this.#options;
    if (!this.#manifest.isCertain) return;
    for (const { id } of parts) {
      if (this.#manifest.state.parts.has(id)) continue;
      for (const path of [partPath(id), `${partPath(id)}.tmp`]) {
        try {
          if (disk.exists(path)) disk.removeTree(path);
        } catch (error) {
          log.warn('part-not-removed', { part: id, reason: String(error) });
        }
      }
    }
  }

  // ---- maintenance ----

  #schedule(delayMs: number): void {
    if (this.#closing) return;
    this.#timer = this.#options.clock.setTimer(delayMs, () => {
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
    this.#forgetDrops();
    const nowMs = this.#options.clock.nowMs();
    const monotonicMs = this.#options.clock.monotonicMs();
    const { parts, tombstones } = this.#manifest.state;
    const plan = planMerge({
      parts: [...parts.values()].filter(({ id }) => !this.#checks.isDamaged(id) && !this.#checks.isSuspect(id)),
      nowMs,
      ageMs: ({ id }) => monotonicMs - (this.#seenMs.get(id) ?? this.#startedMs),
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
      const part = this.#writePart(window, source, this.#manifest.state.tombstoneSeq);
      if (part) add.push(part);
      this.#install(add);
      this.#commit({ add, remove: inputs.map(({ id }) => id) });
    } catch (error) {
      this.#removeFailed(add);
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

  /** Forgets the drops that no part is older than. */
  #forgetDrops(): void {
    const { parts, drops } = this.#manifest.state;
    const oldest = Math.min(Number.POSITIVE_INFINITY, ...[...parts.values()].map(({ tombstoneSeq }) => tombstoneSeq));
    const removeDrops = [...drops.keys()].filter((seq) => seq <= oldest);
    if (removeDrops.length === 0) return;
    this.#commit({ removeDrops });
    if (drops.size === 0) this.#drops.clear();
  }

  /** Everything before is gone, for ever: the cluster's retention has moved on. */
  dropBefore(horizonMs: number): Promise<void> {
    return this.#exclusive(() => {
      if (horizonMs <= this.#manifest.state.sizeHorizonMs) return;
      this.#commit({ sizeHorizonMs: horizonMs });
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

  /** Tells, now and after each change, how far retention by size wishes to go; −∞ where it has no wish. In a cluster only. */
  watchSizeFloor(listener: (floorMs: number) => void): void {
    this.#floorListeners.push(listener);
    listener(this.#sizeFloorMs);
  }

  /** The start of the oldest window that fits; it never goes back. */
  #wishForSpace(): void {
    const { isReplica, retention, clock } = this.#options;
    if (isReplica !== true || retention.sizeBytes === undefined) return;
    const { parts, sizeHorizonMs } = this.#manifest.state;
    const wished = decideRetention(parts.values(), retention, clock.nowMs(), sizeHorizonMs).sizeHorizonMs;
    const { endMs } = alignedWindow((wished ?? sizeHorizonMs) - 1, 0);
    if (endMs <= Math.max(this.#sizeFloorMs, Number.MIN_SAFE_INTEGER / 2)) return;
    this.#sizeFloorMs = endMs;
    for (const listener of this.#floorListeners) listener(endMs);
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
    const { log, isReplica } = this.#options;
    log.error('part-damaged', { part: part.id, fromMs: part.minTimeMs, toMs: part.maxTimeMs, reason });
    if (isReplica !== true) return;
    this.#exclusive(() => this.#quarantine(part.id, reason)).catch((error: unknown) => {
      log.error('damaged-part-not-moved', { part: part.id, reason: String(error) });
    });
  }

  /**
   * Without the part the directory lacks what was acknowledged, so it must be another store before: peers then ask others, and
   * fill it in. Ends the process.
   */
  #quarantine(id: number, reason: string): void {
    const { disk, random, onFatal } = this.#options;
    if (!this.#manifest.state.parts.has(id)) return;
    renewStore(new StateFiles(disk, onFatal), random, disk.identity());
    setAside(disk, id);
    this.#manifest.commit({ remove: [id] });
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
      const fingerprints = concatenate(this.#sortedFingerprints(series));
      this.#commit({ addTombstones: [{ seq: this.#manifest.state.tombstoneSeq + 1, startMs, endMs, fingerprints }] });
    });
  }

  /**
   * Deletes durably what these rules select, also of series that come later. Rules that are known are left as they are; none is
   * taken back: each goes when its range is past retention.
   */
  applyRules(rules: readonly DeleteRuleRequest[]): Promise<void> {
    return this.#exclusive(() => {
      const { tombstones, tombstoneSeq } = this.#manifest.state;
      const known = new Set([...tombstones.values()].map(({ rule }) => rule?.id));
      const horizonMs = this.#horizonMs();
      const added = rules.filter(({ id, endMs }) => !known.has(id) && endMs >= horizonMs);
      if (added.length === 0) return;
      // What can't be decoded must not get into MANIFEST.
      for (const { selectors } of added) decodeSelectors(selectors);
      const addTombstones = added.map(({ id, selectors, startMs, endMs }, index) => ({
        seq: tombstoneSeq + 1 + index,
        startMs,
        endMs,
        fingerprints: new Uint8Array(0),
        rule: { id, selectors },
      }));
      this.#commit({ addTombstones });
    });
  }

  #sortedFingerprints(series: readonly Labels[]): Uint8Array[] {
    const fingerprints = series.map((labels) => this.#kernel.fingerprint(encodeLabels(labels)).slice());
    return fingerprints.sort((a, b) => {
      for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
      return 0;
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

function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Removes what a crash left in parts/: unfinished parts, and those whose edit was not committed, or whose removal was. */
function removeUnnamed({ disk, log }: KeeperOptions, manifest: Manifest): void {
  const named = new Set([...manifest.state.parts.keys()].map(String));
  for (const { name } of disk.list('parts')) {
    if (named.delete(name) || isNameAside(name)) continue;
    disk.removeTree(`parts/${name}`);
    log.info('unfinished-part-removed', { part: name });
  }
  for (const name of named) {
    if (!isSetAside(disk, Number(name))) continue;
    manifest.commit({ remove: [Number(name)] });
    named.delete(name);
  }
  const [missing] = named;
  if (missing === undefined) return;
  throw new TimbalaError(
    'PART_MISSING',
    `MANIFEST names part ${missing}, but parts/${missing} is not there; restore it from a copy`,
  );
}
