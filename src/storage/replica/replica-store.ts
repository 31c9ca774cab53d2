// A node's storage as the cluster's replication uses it (cluster/contracts.ts's LocalStore, by structure: the rooms don't know
// each other). Lives in the thread of the protocols; lane, keeper and reader may be in others: whoever wires them gives
// objects that call across. Refusals become STORE_BUSY and STORE_FULL; other errors go through as they are.
import { hasCode, TimbalaError } from '../../base/index.ts';
import type { Clock } from '../../ports/index.ts';
import type {
  AppendedPairs,
  DecodedRequest,
  DeleteRuleRequest,
  GroupPayload,
  KeeperListener,
  RegisteredSeries,
  SampleOrigin,
  SamplesForPeer,
  SamplesFromPeer,
  WriteGroups,
  WriteRejection,
} from '../contracts.ts';
import type { AnswerSelection } from '../answers/answer-reader.ts';
import type { ReadSegment } from '../answers/segment-ranges.ts';
import type { Digest } from './digest-totals.ts';
import type { Extent, WindowDigest } from './pair-reader.ts';

type Eventually<Result> = Result | Promise<Result>;

/** The lane, here or in its thread. */
export interface ReplicaLane {
  replayedPairs(): Promise<AppendedPairs>;
  setGroups(groups: WriteGroups): void;
  decode(body: Uint8Array): Eventually<DecodedRequest>;
  payloadOf(writeId: number, groups: Uint16Array): Eventually<SamplesForPeer>;
  appendKept(writeId: number, groups: Uint16Array): Promise<AppendedPairs>;
  release(writeId: number): void;
  register(definitions: Uint8Array): Eventually<RegisteredSeries>;
  definitionsOf(dictionary: number, refs: Uint32Array): Eventually<Uint8Array>;
  appendReceived(samples: SamplesFromPeer, origin: SampleOrigin): Promise<AppendedPairs>;
  abandonStore(code: string, reason: string): Eventually<void>;
  dropPartitions(partitions: Uint16Array): Promise<void>;
  saveState(name: string, bytes: Uint8Array): Eventually<void>;
  loadState(name: string): Eventually<Uint8Array | undefined>;
}

export interface ReplicaKeeper {
  dropBefore(horizonMs: number, rules: readonly DeleteRuleRequest[]): Promise<void>;
  applyRules(rules: readonly DeleteRuleRequest[]): Promise<void>;
  attach(listener: KeeperListener): void;
}

export interface ReplicaReader {
  digests(extent: Extent): Promise<WindowDigest[][]>;
  digestsOf(partitions: Uint32Array, startMs: number, endMs: number): Promise<Digest[]>;
  scan(extent: Extent): AsyncIterable<SamplesForPeer>;
  heldPartitions(): Promise<Uint32Array>;
  read(selection: AnswerSelection, segments: readonly ReadSegment[], signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface ReplicaStoreOptions {
  /** The store's id (state/store-identity.ts). */
  readonly id: string;
  readonly clock: Clock;
  readonly lane: ReplicaLane;
  readonly keeper: ReplicaKeeper;
  readonly reader: ReplicaReader;
  /** True while the queues of writes are over half. */
  readonly isBusy: () => boolean;
}

/** A drop flushes the head, so that those which are asked for within this are done together. */
const dropLingerMs = 1000;

export class ReplicaStore {
  readonly id: string;
  /** Set by the protocols: whether other members have what this store holds. */
  mayAbandon: (() => boolean) | undefined;
  readonly #options: ReplicaStoreOptions;
  #isReady = false;
  #ready: Promise<Float64Array> | undefined;
  #position = 0;
  #recoveredPosition = 0;
  #sizeFloorMs = Number.NEGATIVE_INFINITY;
  #dropping: { readonly partitions: Set<number>; readonly done: Promise<void> } | undefined;
  #onLogCut: (() => Uint8Array) | undefined;
  #logCutSet: () => void = () => undefined;
  readonly #hasLogCut = new Promise<void>((resolve) => (this.#logCutSet = resolve));

  constructor(options: ReplicaStoreOptions) {
    this.id = options.id;
    this.#options = options;
    options.keeper.attach({
      sizeFloor: (floorMs) => {
        this.#sizeFloorMs = floorMs;
      },
      mayAbandon: () => this.mayAbandon?.() ?? false,
    });
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  ready(): Promise<Float64Array> {
    this.#ready ??= this.#awaitReplay();
    return this.#ready;
  }

  async #awaitReplay(): Promise<Float64Array> {
    const { pairs, position } = await this.#options.lane.replayedPairs();
    this.#recoveredPosition = position;
    this.#position = Math.max(this.#position, position);
    this.#isReady = true;
    return pairs;
  }

  /**
   * Of the newest record on disk, as far as appends have resolved: peers that are told remember it. Rises over the directory's
   * life.
   */
  get position(): number {
    return this.#position;
  }

  /**
   * Where the log of earlier runs ended, once `isReady`. Less than what a peer remembers: the directory was rolled back, and
   * lacks what it had acknowledged. It stays so while this process lives, however much is written.
   */
  get recoveredPosition(): number {
    return this.#recoveredPosition;
  }

  /** Makes the directory another store (durably), and ends the process with STORE_ROLLED_BACK. What it holds stays. */
  async abandon(reason: string): Promise<void> {
    await this.#options.lane.abandonStore('STORE_ROLLED_BACK', reason);
  }

  async #appended(append: () => Promise<AppendedPairs>): Promise<Float64Array> {
    const { pairs, position } = await refusing(append);
    this.#position = Math.max(this.#position, position);
    return pairs;
  }

  get isBusy(): boolean {
    return this.#options.isBusy();
  }

  /** Cuts the requests that are decoded from now on by these groups of partitions; until then each partition is a group. */
  setGroups(groups: WriteGroups): void {
    this.#options.lane.setGroups(groups);
  }

  async decode(body: Uint8Array): Promise<ReplicaWrite> {
    const { lane } = this.#options;
    const decoded = await refusing(() => lane.decode(body));
    return new ReplicaWrite(lane, decoded, (append) => this.#appended(append));
  }

  append(samples: SamplesFromPeer, origin: SampleOrigin): Promise<Float64Array> {
    return this.#appended(() => this.#options.lane.appendReceived(samples, origin));
  }

  async definitionsOf(dictionary: number, refs: Uint32Array): Promise<Uint8Array> {
    return this.#options.lane.definitionsOf(dictionary, refs);
  }

  register(definitions: Uint8Array): Promise<RegisteredSeries> {
    return refusing(() => this.#options.lane.register(definitions));
  }

  digests(extent: Extent): Promise<WindowDigest[][]> {
    return refusing(() => this.#options.reader.digests(extent));
  }

  /** A payload is encoded by the lane, which may be busy. */
  async *scan(extent: Extent): AsyncGenerator<SamplesForPeer, void, undefined> {
    const payloads = this.#options.reader.scan(extent)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await refusing(() => payloads.next());
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await payloads.return?.();
    }
  }

  /** One digest for each partition (ascending), over the windows from `startMs` to before `endMs`. */
  digestsOf(partitions: Uint32Array, startMs: number, endMs: number): Promise<Digest[]> {
    return refusing(() => this.#options.reader.digestsOf(partitions, startMs, endMs));
  }

  heldPartitions(): Promise<Uint32Array> {
    return this.#options.reader.heldPartitions();
  }

  dropPartition(partition: number): Promise<void> {
    if (!this.#dropping) {
      const partitions = new Set<number>();
      this.#dropping = { partitions, done: this.#dropSoon(partitions) };
    }
    this.#dropping.partitions.add(partition);
    return this.#dropping.done;
  }

  async #dropSoon(partitions: ReadonlySet<number>): Promise<void> {
    const { clock, lane } = this.#options;
    await new Promise<void>((resolve) => clock.setTimer(dropLingerMs, resolve));
    this.#dropping = undefined;
    await refusing(() => lane.dropPartitions(Uint16Array.from(partitions).sort()));
  }

  /** The start of the oldest window for which the node's limit by size leaves room; −∞ where it has dropped nothing for it. */
  get sizeFloorMs(): number {
    return this.#sizeFloorMs;
  }

  dropBefore(horizonMs: number, deletes: readonly ReplicaDelete[]): Promise<void> {
    return this.#options.keeper.dropBefore(horizonMs, rulesOf(deletes));
  }

  applyDeletes(deletes: readonly ReplicaDelete[]): Promise<void> {
    return this.#options.keeper.applyRules(rulesOf(deletes));
  }

  read(selection: AnswerSelection, segments: readonly ReadSegment[], signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#options.reader.read(selection, segments, signal);
  }

  async saveState(name: string, bytes: Uint8Array): Promise<void> {
    await refusing(() => this.#options.lane.saveState(name, bytes));
  }

  async loadState(name: string): Promise<Uint8Array | undefined> {
    return this.#options.lane.loadState(name);
  }

  get onLogCut(): (() => Uint8Array) | undefined {
    return this.#onLogCut;
  }

  set onLogCut(onLogCut: (() => Uint8Array) | undefined) {
    this.#onLogCut = onLogCut;
    if (onLogCut) this.#logCutSet();
  }

  /**
   * The lane's question before it cuts its log (ReplicationOptions). Waits until the protocols have taken the replayed pairs
   * and can answer: until then nothing is cut.
   */
  async marksForLogCut(): Promise<Uint8Array> {
    await this.#hasLogCut;
    await this.ready();
    const { onLogCut } = this;
    if (!onLogCut) throw new TimbalaError('STORAGE_CLOSED', 'the protocols have ended; the log is kept');
    return onLogCut();
  }
}

/** A delete as the protocols have it; storage calls it a rule. */
interface ReplicaDelete {
  readonly id: string;
  readonly matchers: Uint8Array;
  readonly fromMs: number;
  readonly toMs: number;
}

function rulesOf(deletes: readonly ReplicaDelete[]): DeleteRuleRequest[] {
  return deletes.map(({ id, matchers, fromMs, toMs }) => ({ id, selectors: matchers, startMs: fromMs, endMs: toMs }));
}

/** A client's request, decoded; what the protocols do with it goes to the lane. */
export class ReplicaWrite {
  readonly samplesCount: number;
  /** One of each group (`setGroups`) that the request has samples in; it stands for all of the group. */
  readonly partitions: Uint32Array;
  readonly rejections: readonly WriteRejection[];
  readonly rejection: string | undefined;
  readonly #lane: ReplicaLane;
  readonly #writeId: number;
  readonly #payloads: readonly GroupPayload[];
  readonly #appended: (append: () => Promise<AppendedPairs>) => Promise<Float64Array>;

  constructor(
    lane: ReplicaLane,
    { writeId, samplesCount, groups, rejections, payloads }: DecodedRequest,
    appended: (append: () => Promise<AppendedPairs>) => Promise<Float64Array>,
  ) {
    this.#lane = lane;
    this.#appended = appended;
    this.#writeId = writeId;
    this.#payloads = payloads;
    this.samplesCount = samplesCount;
    this.partitions = Uint32Array.from(groups);
    this.rejections = rejections;
    this.rejection = rejectionText(rejections);
  }

  /** Of `partitions`, some. Only for nodes that stand in is the lane asked again. */
  payloadFor(partitions: ReadonlySet<number>): Promise<SamplesForPeer> {
    const ready = this.#payloads.find(({ groups }) => isSame(groups, partitions));
    if (ready) return Promise.resolve(ready.samples);
    return refusing(() => this.#lane.payloadOf(this.#writeId, Uint16Array.from(partitions)));
  }

  append(partitions: ReadonlySet<number>): Promise<Float64Array> {
    return this.#appended(() => this.#lane.appendKept(this.#writeId, Uint16Array.from(partitions)));
  }

  release(): void {
    this.#lane.release(this.#writeId);
  }
}

function isSame(groups: Uint16Array, partitions: ReadonlySet<number>): boolean {
  return groups.length === partitions.size && groups.every((group) => partitions.has(group));
}

function rejectionText(rejections: readonly WriteRejection[]): string | undefined {
  if (rejections.length === 0) return undefined;
  return rejections.map(({ text, samplesCount }) => `${text} (${samplesCount} samples)`).join('; ');
}

/** Runs `work`; what means "not now" is told as the contract has it. */
async function refusing<Result>(work: () => Eventually<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (hasCode(cause, 'DISK_FULL'))
      throw new TimbalaError('STORE_FULL', 'the disk is full; nothing was stored', { cause });
    if (['LANE_BUSY', 'STORAGE_REPLAYING'].some((code) => hasCode(cause, code))) {
      throw new TimbalaError('STORE_BUSY', 'the storage can not take this now; nothing was acknowledged', { cause });
    }
    throw cause;
  }
}
