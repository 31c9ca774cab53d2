// A model of a node's storage with exact durability: what was synced survives a crash, what was not may or may not. It keeps
// the rules of LocalStore and nothing else: no parts, no kernels. `StoreBugs` plants the bugs that lie in storage.
import { TimbalaError } from '../../src/base/index.ts';
import {
  type DecodedWrite,
  type DeleteRequest,
  type Digest,
  type Extent,
  type LocalStore,
  pairKey,
  type ReadSegment,
  type ReceivedSamples,
  type SampleOrigin,
  type SamplesPayload,
  type Selection,
  type StateName,
  type WindowDigest,
  windowMs,
  windowStartOf,
  type WriteGroups,
} from '../../src/cluster/index.ts';
import type { SimWorld } from '../world.ts';
import {
  decodeSamples,
  digestOf,
  encodeSamples,
  fingerprints,
  hashOf,
  partitionOf,
  partitionsCount,
  rangeBitsOf,
  type Sample,
} from './data.ts';

export interface StoreBugs {
  readonly acksBeforeSync?: boolean;
  readonly acksDuplicatesBeforeSync?: boolean;
  /** A duplicate of what is there, by whatever way it came, is not reported, so that its pair is not marked. */
  readonly hidesDuplicates?: boolean;
  readonly prefersLastArrived?: boolean;
  /** Digests by exclusive or of everything that was appended, retries included. */
  readonly digestsByXor?: boolean;
  /** Deletes take away what is there, and let in what comes later. */
  readonly forgetsDeletes?: boolean;
  readonly ignoresDictionaries?: boolean;
  /** Log that was replayed is cut without asking for the marks that it implies. */
  readonly cutsUnasked?: boolean;
}

/** What a machine's disk holds: survives crashes, not wipes. */
export class ModelDisk {
  storeId: string;
  /** Groups of samples that were synced, ever. */
  position = 0;
  readonly samples = new Map<string, Sample>();
  /** Pairs of written samples in the log that was not cut yet. */
  readonly logPairs = new Set<number>();
  readonly states = new Map<StateName, Uint8Array>();
  /** For the digest that is planted as a bug: how often each sample was appended. */
  readonly appends = new Map<string, { readonly sample: Sample; count: number }>();
  isFull = false;
  /** Where the windows begin that still fit the limit in bytes. */
  sizeFloorMs = Number.NEGATIVE_INFINITY;
  syncMsMax = 10;
  /** How long each durable state takes to be read. */
  loadMs = 0;

  constructor(storeId: string) {
    this.storeId = storeId;
  }

  /** As a snapshot of the file system has it. */
  copy(): ModelDisk {
    const copy = new ModelDisk(this.storeId);
    copy.position = this.position;
    for (const [key, sample] of this.samples) copy.samples.set(key, sample);
    for (const pair of this.logPairs) copy.logPairs.add(pair);
    for (const [name, bytes] of this.states) copy.states.set(name, bytes);
    return copy;
  }
}

/** Few, so that most reads take several frames. */
const samplesPerFrame = 30;

const keyOf = ({ series, timestampMs }: Sample): string => `${series}@${timestampMs}`;
const encodeMatchers = (series: readonly number[]): Uint8Array => Uint8Array.from(series);

/** A delete of some series. */
export const matchersOf = encodeMatchers;

interface Pending {
  readonly samples: readonly Sample[];
  readonly origin: SampleOrigin;
}

/** Before what is dropped is gone, and again before it is known. */
const dropMsMax = 3000;

export class ModelStore implements LocalStore {
  readonly disk: ModelDisk;
  isReady = false;
  isBusy = false;
  #onLogCut: (() => Uint8Array) | undefined;
  #ready: Promise<Float64Array> | undefined;
  /** Told of every sample copied in: the checker looks for what should not travel any more. */
  onCopied: ((sample: Sample) => void) | undefined;
  /** Told when the protocols find that this directory is not what it was. */
  onAbandoned: (() => void) | undefined;
  recoveredPosition = 0;
  readonly #world: SimWorld;
  readonly #bugs: StoreBugs;
  readonly #replayMs: number;
  readonly #isAlive: () => boolean;
  /** In order of arrival; synced from the front. */
  #pending: Pending[] = [];
  #syncDueMs = 0;
  readonly #deletes = new Map<string, DeleteRequest>();
  #horizonMs = Number.NEGATIVE_INFINITY;
  /** Another one after every start: references mean something else then. */
  readonly dictionary: number;
  #groupOf: Uint16Array = Uint16Array.from({ length: partitionsCount }, (_, partition) => partition);
  readonly #seriesOfRef: number[] = [];
  readonly #refs = new Map<number, number>();

  constructor(disk: ModelDisk, world: SimWorld, isAlive: () => boolean, bugs: StoreBugs = {}) {
    this.disk = disk;
    this.#world = world;
    this.#isAlive = isAlive;
    this.#bugs = bugs;
    this.#replayMs = world.random.below(2) === 0 ? 0 : world.random.below(3000);
    this.dictionary = world.random.below(1_000_000);
  }

  get id(): string {
    return this.disk.storeId;
  }

  ready(): Promise<Float64Array> {
    return (this.#ready ??= this.#after(this.#replayMs, () => {
      this.isReady = true;
      this.recoveredPosition = this.disk.position;
      const pairs = Float64Array.from(this.disk.logPairs);
      if (this.#bugs.cutsUnasked) this.disk.logPairs.clear();
      return pairs;
    }));
  }

  /** Resolves later, unless the machine has crashed by then: nothing of it goes on. */
  #after<T>(delayMs: number, result: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#world.schedule(delayMs, () => {
        if (!this.#isAlive()) return;
        try {
          resolve(result());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  #delayMs(): number {
    return 0.1 + this.#world.random.float();
  }

  // Series and references

  #refOf(series: number): number {
    let ref = this.#refs.get(series);
    if (ref === undefined) {
      ref = this.#seriesOfRef.push(series) - 1;
      this.#refs.set(series, ref);
    }
    return ref;
  }

  /** Series of own references: what definitions say. */
  define(refs: Iterable<number>): { ref: number; series: number }[] {
    return Array.from(refs, (ref) => ({ ref, series: this.#seriesOfRef[ref] ?? 0 }));
  }

  registerSeries(series: number): number {
    return this.#refOf(series);
  }

  async definitionsOf(): Promise<Uint8Array> {
    throw new TimbalaError('STORE_MODEL', 'simulated connections call define');
  }

  async register(): Promise<never> {
    throw new TimbalaError('STORE_MODEL', 'simulated connections call registerSeries');
  }

  #payload(samples: readonly Sample[]): SamplesPayload {
    return {
      samplesCount: samples.length,
      dictionary: this.dictionary,
      seriesRefs: Uint32Array.from(samples, ({ series }) => this.#refOf(series)),
      fingerprintSum: samples.reduce((sum, { series }) => sum + (fingerprints[series] ?? 0n), 0n) & ((1n << 64n) - 1n),
      bytes: encodeSamples(samples, (series) => this.#refOf(series)),
    };
  }

  // Writing

  get sizeFloorMs(): number {
    return this.disk.sizeFloorMs;
  }

  get position(): number {
    return this.disk.position;
  }

  async abandon(): Promise<void> {
    this.onAbandoned?.();
  }

  setGroups({ groupOf }: WriteGroups): void {
    this.#groupOf = groupOf;
  }

  /** A client's request in the simulation: its samples, encoded. */
  async decode(body: Uint8Array): Promise<DecodedWrite> {
    const samples = decodeSamples(body);
    const groupOf = this.#groupOf;
    const group = ({ series }: Sample): number => groupOf[partitionOf(series)] ?? 0;
    const within = (groups: ReadonlySet<number>): Sample[] => samples.filter((sample) => groups.has(group(sample)));
    return {
      samplesCount: samples.length,
      partitions: Uint32Array.from(new Set(samples.map(group))),
      rejection: undefined,
      payloadFor: async (partitions) => this.#payload(within(partitions)),
      append: (partitions) => this.#append(within(partitions), 'written'),
      release: () => {},
    };
  }

  async append(received: ReceivedSamples, origin: SampleOrigin): Promise<Float64Array> {
    const samples = decodeSamples(received.bytes, (ref) => this.#seriesOfRef[received.ownRefs[ref] ?? -1] ?? -1);
    const sum = samples.reduce((total, { series }) => total + (fingerprints[series] ?? 0n), 0n) & ((1n << 64n) - 1n);
    if (sum !== received.fingerprintSum && !this.#bugs.ignoresDictionaries) {
      throw new TimbalaError('PEER_DICTIONARY', 'the payload names other series than its sum says');
    }
    return this.#append(
      samples.filter(({ series }) => series >= 0),
      origin,
    );
  }

  #append(arrived: readonly Sample[], origin: SampleOrigin): Promise<Float64Array> {
    if (this.disk.isFull) throw new TimbalaError('STORE_FULL', 'the disk is full');
    const samples = this.#bugs.forgetsDeletes ? arrived : arrived.filter((sample) => !this.#isDeleted(sample));
    if (origin === 'copied') for (const sample of samples) this.onCopied?.(sample);
    const isThere = (sample: Sample): boolean =>
      this.disk.samples.get(keyOf(sample))?.value === sample.value ||
      this.#pending.some((pending) => pending.samples.some((other) => other.value === sample.value));
    const reported = this.#bugs.hidesDuplicates ? arrived.filter((sample) => !isThere(sample)) : arrived;
    const pairs = Float64Array.from(
      new Set(reported.map(({ series, timestampMs }) => pairKey(partitionOf(series), windowStartOf(timestampMs)))),
    );
    const isDuplicate = samples.every(isThere);
    const pending = { samples, origin };
    this.#pending.push(pending);
    // Groups are synced one after another.
    const { random, nowMs } = this.#world;
    this.#syncDueMs = Math.max(this.#syncDueMs, nowMs + 0.5 + random.float() * this.disk.syncMsMax);
    const synced = this.#after(this.#syncDueMs - nowMs, () => {
      this.#sync(pending);
      return pairs;
    });
    const isEarly = this.#bugs.acksBeforeSync || (this.#bugs.acksDuplicatesBeforeSync && isDuplicate);
    return isEarly ? Promise.resolve(pairs) : synced;
  }

  #sync(pending: Pending): void {
    this.#pending = this.#pending.filter((other) => other !== pending);
    storeSynced(this.disk, pending, this.#bugs);
  }

  /** The machine loses power: each group that was not synced is on disk, or is not. */
  crash(isUnsyncedLost: boolean): void {
    for (const pending of this.#pending) {
      if (!isUnsyncedLost && this.#world.random.below(3) === 0) storeSynced(this.disk, pending, this.#bugs);
    }
    this.#pending = [];
  }

  get onLogCut(): (() => Uint8Array) | undefined {
    return this.#onLogCut;
  }

  /** What was replayed is written to parts at once, mostly: its log then waits only for somebody who knows the marks. */
  set onLogCut(onLogCut: (() => Uint8Array) | undefined) {
    this.#onLogCut = onLogCut;
    if (onLogCut && this.#world.random.below(4) > 0) void this.ready().then(() => this.flush());
  }

  /** Parts are written and log is cut. */
  flush(): void {
    if (!this.#onLogCut || !this.isReady) return;
    this.disk.states.set('marks', this.#onLogCut());
    this.disk.logPairs.clear();
  }

  // Reading

  #isDeleted({ series, timestampMs }: Sample): boolean {
    return [...this.#deletes.values()].some(
      ({ matchers, fromMs, toMs }) => timestampMs >= fromMs && timestampMs <= toMs && matchers.includes(series),
    );
  }

  #isVisible(sample: Sample): boolean {
    return Boolean(this.#bugs.forgetsDeletes) || !this.#isDeleted(sample);
  }

  #synced({ partitions, startMs, endMs, range }: Extent): Sample[] {
    return [...this.disk.samples.values()].filter(
      (sample) =>
        partitions.includes(partitionOf(sample.series)) &&
        sample.timestampMs >= startMs &&
        sample.timestampMs < endMs &&
        rangeBitsOf(sample.series) >= range.first &&
        rangeBitsOf(sample.series) <= range.last &&
        this.#isVisible(sample),
    );
  }

  digests(extent: Extent): Promise<WindowDigest[][]> {
    return this.#after(this.#delayMs(), () => {
      const byPartition = Map.groupBy(this.#synced(extent), ({ series }) => partitionOf(series));
      return Array.from(extent.partitions, (partition) => {
        const samples = byPartition.get(partition) ?? [];
        const windows = Map.groupBy(samples, ({ timestampMs }) => windowStartOf(timestampMs));
        return [...windows].map(([windowStartMs, held]) => ({
          windowStartMs,
          ...(this.#bugs.digestsByXor ? this.#xorDigest(held) : digestOf(held)),
        }));
      });
    });
  }

  digestsOf(partitions: Uint32Array, startMs: number, endMs: number): Promise<Digest[]> {
    return this.#after(this.#delayMs(), () => {
      const byPartition = Map.groupBy(this.disk.samples.values(), ({ series }) => partitionOf(series));
      return Array.from(partitions, (partition) => {
        const samples = (byPartition.get(partition) ?? []).filter(
          (sample) => sample.timestampMs >= startMs && sample.timestampMs < endMs && this.#isVisible(sample),
        );
        return this.#bugs.digestsByXor ? this.#xorDigest(samples) : digestOf(samples);
      });
    });
  }

  #xorDigest(samples: readonly Sample[]): { samplesCount: number; sum: bigint } {
    let sum = 0n;
    for (const sample of samples) {
      const { count = 1 } = this.disk.appends.get(`${keyOf(sample)}=${sample.value}`) ?? {};
      if (count % 2 === 1) sum ^= hashOf(sample);
    }
    return { samplesCount: 0, sum };
  }

  async *scan(extent: Extent): AsyncGenerator<SamplesPayload> {
    // Partition after partition, each of its own state, as chunks of the real store are.
    for (const partition of extent.partitions) {
      await this.#after(this.#delayMs(), () => undefined);
      const samples = this.#synced({ ...extent, partitions: Uint32Array.of(partition) });
      for (let at = 0; at < samples.length; at += 20) yield this.#payload(samples.slice(at, at + 20));
    }
  }

  async heldPartitions(): Promise<Uint32Array> {
    return Uint32Array.from(new Set([...this.disk.samples.values()].map(({ series }) => partitionOf(series))));
  }

  async *read(_selection: Selection, segments: readonly ReadSegment[]): AsyncGenerator<Uint8Array> {
    const asked = await this.#after(this.#delayMs(), () => {
      const isAsked = ({ series, timestampMs }: Sample): boolean =>
        segments.some(({ fromMs, toMs, partitions }) => {
          const partition = partitionOf(series);
          const bit = (partitions[partition >> 3] ?? 0) & (1 << (partition & 7));
          return bit !== 0 && timestampMs >= fromMs && timestampMs <= toMs;
        });
      const all = [...this.disk.samples.values(), ...this.#pending.flatMap(({ samples }) => samples)];
      return all.filter((sample) => isAsked(sample) && this.#isVisible(sample));
    });
    for (let at = 0; at < asked.length; at += samplesPerFrame) {
      yield encodeSamples(asked.slice(at, at + samplesPerFrame));
      await this.#after(this.#delayMs(), () => undefined);
    }
  }

  // Forgetting, and state

  /** Takes as long as the flush that a drop needs, with all that arrives before. */
  async dropPartition(partition: number): Promise<void> {
    await this.#after(this.#world.random.below(dropMsMax), () => {
      this.#forget(({ series }) => partitionOf(series) === partition);
    });
    await this.#after(this.#world.random.below(dropMsMax), () => {});
  }

  async dropBefore(horizonMs: number, deletes: readonly DeleteRequest[]): Promise<void> {
    this.#horizonMs = horizonMs;
    this.#forget(({ timestampMs }) => windowStartOf(timestampMs) + windowMs <= horizonMs);
    for (const { id, toMs } of this.#deletes.values()) if (toMs < horizonMs) this.#deletes.delete(id);
    await this.applyDeletes(deletes);
  }

  #forget(isForgotten: (sample: Sample) => boolean): void {
    for (const [key, sample] of this.disk.samples) if (isForgotten(sample)) this.disk.samples.delete(key);
    this.#pending = this.#pending.map(({ samples, origin }) => ({
      samples: samples.filter((sample) => !isForgotten(sample)),
      origin,
    }));
  }

  async applyDeletes(deletes: readonly DeleteRequest[]): Promise<void> {
    for (const request of deletes) if (request.toMs >= this.#horizonMs) this.#deletes.set(request.id, request);
    if (this.#bugs.forgetsDeletes) this.#forget((sample) => this.#isDeleted(sample));
  }

  saveState(name: StateName, bytes: Uint8Array): Promise<void> {
    return this.#after(this.#world.random.float() * this.disk.syncMsMax, () => {
      this.disk.states.set(name, bytes);
    });
  }

  loadState(name: StateName): Promise<Uint8Array | undefined> {
    return this.#after(this.disk.loadMs, () => this.disk.states.get(name));
  }
}

function storeSynced(disk: ModelDisk, { samples, origin }: Pending, bugs: StoreBugs): void {
  disk.position++;
  for (const sample of samples) {
    const key = keyOf(sample);
    const other = disk.samples.get(key);
    if (!other || bugs.prefersLastArrived || sample.value > other.value) disk.samples.set(key, sample);
    if (origin === 'written') disk.logPairs.add(pairKey(partitionOf(sample.series), windowStartOf(sample.timestampMs)));
    if (bugs.digestsByXor) {
      const id = `${key}=${sample.value}`;
      const append = disk.appends.get(id) ?? { sample, count: 0 };
      append.count++;
      disk.appends.set(id, append);
    }
  }
}
