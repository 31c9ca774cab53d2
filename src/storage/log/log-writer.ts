// The writing side of a lane's log: frames are gathered into groups, and one group at a time is written and synced while
// the next one gathers (group commit). A frame's sequence number, offset and checksum are fixed when it is appended.
// Invariants: one write or sync is in flight; a frame is only written when every frame before it is durable; a new segment's
// name and header are durable before a frame goes into it. After a failed write the generation is over (`generationEnded`):
// its queued frames fail, and the owner begins the next one. A failed sync is fatal: the owner must end the process.
// Buffers: payloads are copied on append; a group's buffer belongs to the disk from write to sync.
import { assert, errorMessage, hasCode, TimbalaError } from '../../base/index.ts';
import type { Clock, Disk, DiskFile, Random } from '../../ports/index.ts';
import {
  encodeSegmentHeader,
  firstSequence,
  FrameCodec,
  frameHeaderBytes,
  frameTypes,
  segmentHeaderBytes,
  segmentPath,
} from './frame.ts';

export interface LogWriterOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly lane: number;
  /** A segment is left for a new one when it has grown to this. */
  readonly segmentBytesMax: number;
  /** How long a group may wait for more requests while requests come in numbers. */
  readonly lingerMs: number;
  /** A sync failed: what is on disk is unknown, so the process must end. */
  readonly onFatal: (error: unknown) => void;
  /** A write failed: the owner begins another generation. */
  readonly onGenerationFailed: (generation: number, error: unknown) => void;
}

interface Segment {
  readonly file: DiskFile;
  readonly codec: FrameCodec;
  readonly generation: number;
  endOffset: number;
  /** No frame will be added: closed when its last group is durable. */
  finished: boolean;
}

interface Group {
  readonly segment: Segment;
  readonly offset: number;
  bytes: Uint8Array<ArrayBuffer>;
  length: number;
  lastSequence: number;
  readonly waiters: { resolve(): void; reject(error: unknown): void }[];
}

const groupBytesInitial = 64 * 1024;
/** A buffer up to this size is kept for the next group. */
const groupBytesKept = 4 * 1024 * 1024;

export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #groups: Group[] = [];
  readonly #spareBuffers: Uint8Array<ArrayBuffer>[] = [];
  #segment: Segment | undefined;
  #segmentNumber = 0;
  #sequence = 0;
  #durable = 0;
  #running = false;
  #inFlight: Group | undefined;
  #gatheringMany = false;
  #fatal: TimbalaError | undefined;
  /** Bytes of the current generation's segments. */
  generationBytes = 0;
  /** Bytes appended and not yet durable. */
  pendingBytes = 0;
  commitsTotal = 0;
  commitSeconds = 0;

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  /** The sequence number of the newest frame that is on disk; 0 until there is one. */
  get durable(): number {
    return this.#durable;
  }

  /** Begins a generation: its first segment is durable, under a durable name, when this returns. Throws disk errors. */
  beginGeneration(generation: number): void {
    this.#finishSegment();
    this.#segmentNumber = 0;
    this.#segment = this.#createSegment(generation, 0);
    this.#sequence = firstSequence(generation);
    this.generationBytes = segmentHeaderBytes;
  }

  #createSegment(generation: number, segment: number): Segment {
    const { disk, random, lane } = this.#options;
    const id = new Uint8Array(8);
    random.fill(id);
    const fileId = new DataView(id.buffer).getBigUint64(0, true);
    const path = segmentPath(generation, lane, segment);
    const file = disk.open(path, 'create');
    try {
      file.write(encodeSegmentHeader({ fileId, generation, lane, segment, durable: this.#durable }), 0);
    } catch (error) {
      file.close();
      throw error;
    }
    try {
      file.sync();
      disk.syncDirectory('log');
    } catch (cause) {
      throw this.#failSync(path, cause);
    }
    return { file, codec: new FrameCodec(fileId), generation, endOffset: segmentHeaderBytes, finished: false };
  }

  #finishSegment(): void {
    const segment = this.#segment;
    this.#segment = undefined;
    if (!segment) return;
    segment.finished = true;
    if (!this.#groups.some((group) => group.segment === segment)) segment.file.close();
  }

  /** Adds a frame of the current generation. Throws LOG_FAILED where there is none, disk errors where a new segment fails. */
  append(type: number, payload: Uint8Array): void {
    const group = this.#gatheringGroup();
    const { segment } = group;
    const at = group.length;
    this.#reserve(group, frameHeaderBytes + payload.length);
    group.bytes.set(payload, at + frameHeaderBytes);
    group.length += frameHeaderBytes + payload.length;
    group.lastSequence = ++this.#sequence;
    segment.codec.seal(group.bytes, at, segment.endOffset, {
      type,
      generation: segment.generation,
      lane: this.#options.lane,
      sequence: group.lastSequence,
      durable: this.#durable,
      payloadBytes: payload.length,
    });
    segment.endOffset += frameHeaderBytes + payload.length;
    this.generationBytes += frameHeaderBytes + payload.length;
    this.pendingBytes += frameHeaderBytes + payload.length;
  }

  /** Resolves when every frame appended so far is durable; rejects with LOG_FAILED or DISK_FULL where one of them cannot be. */
  commit(): Promise<void> {
    const group = this.#groups.at(-1);
    if (this.#fatal) return Promise.reject(this.#fatal);
    if (!group) return Promise.resolve();
    const durable = new Promise<void>((resolve, reject) => group.waiters.push({ resolve, reject }));
    this.#schedule();
    return durable;
  }

  /** Ends the generation in order: an end frame, and no more frames. Resolves when all of it is durable. */
  endGeneration(): Promise<void> {
    if (!this.#segment) return Promise.resolve();
    this.append(frameTypes.end, new Uint8Array(0));
    const durable = this.commit();
    this.#finishSegment();
    return durable;
  }

  #gatheringGroup(): Group {
    if (this.#fatal) throw this.#fatal;
    const last = this.#groups.at(-1);
    if (last !== undefined && last !== this.#inFlight && !last.segment.finished) return last;
    if (!this.#segment) throw new TimbalaError('LOG_FAILED', 'no log generation is open; send the samples again');
    const segment =
      this.#segment.endOffset < this.#options.segmentBytesMax ? this.#segment : this.#rollSegment(this.#segment);
    const bytes = this.#spareBuffers.pop() ?? new Uint8Array(groupBytesInitial);
    const group = { segment, offset: segment.endOffset, bytes, length: 0, lastSequence: this.#sequence, waiters: [] };
    this.#groups.push(group);
    return group;
  }

  #rollSegment(full: Segment): Segment {
    try {
      const segment = this.#createSegment(full.generation, this.#segmentNumber + 1);
      this.#finishSegment();
      this.#segmentNumber++;
      this.#segment = segment;
      this.generationBytes += segmentHeaderBytes;
      return segment;
    } catch (error) {
      throw this.#failGeneration(full.generation, error);
    }
  }

  #reserve(group: Group, count: number): void {
    if (group.length + count <= group.bytes.length) return;
    const grown = new Uint8Array(Math.max(group.bytes.length * 2, group.length + count));
    grown.set(group.bytes.subarray(0, group.length));
    group.bytes = grown;
  }

  #schedule(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#commitGroups();
  }

  // A lone request is written in the tick it came in; requests that come in numbers wait a moment for each other.
  async #commitGroups(): Promise<void> {
    const { clock, lingerMs } = this.#options;
    if (this.#gatheringMany) await new Promise<void>((resolve) => clock.setTimer(lingerMs, resolve));
    else await Promise.resolve();
    for (let group = this.#groups[0]; group; group = this.#groups[0]) {
      this.#inFlight = group;
      const startMs = clock.monotonicMs();
      if ((await this.#write(group)) && (await this.#sync(group))) {
        this.#finishGroup(group);
        this.commitSeconds += (clock.monotonicMs() - startMs) / 1000;
      }
      this.#inFlight = undefined;
    }
    this.#running = false;
  }

  #finishGroup(group: Group): void {
    assert(group.lastSequence > this.#durable, 'sequence numbers rise');
    this.#durable = group.lastSequence;
    this.#groups.shift();
    this.#gatheringMany = group.waiters.length > 1;
    this.commitsTotal++;
    this.#release(group);
    for (const { resolve } of group.waiters) resolve();
  }

  async #write(group: Group): Promise<boolean> {
    try {
      await group.segment.file.writeAsync([group.bytes.subarray(0, group.length)], group.offset);
      return true;
    } catch (error) {
      this.#failGeneration(group.segment.generation, error, group);
      return false;
    }
  }

  async #sync(group: Group): Promise<boolean> {
    try {
      await group.segment.file.syncAsync();
      return true;
    } catch (cause) {
      this.#failSync(group.segment.file.path, cause);
      return false;
    }
  }

  #failSync(path: string, cause: unknown): TimbalaError {
    const fatal = new TimbalaError('LOG_SYNC_FAILED', `${path} could not be synced; the process must end`, { cause });
    this.#fatal = fatal;
    for (const { waiters } of this.#groups.splice(0)) for (const { reject } of waiters) reject(fatal);
    this.#options.onFatal(fatal);
    return fatal;
  }

  // Frames queued for the generation are numbered and placed behind the hole: they fail with it. A group in flight that is
  // not itself the failure (a new segment was) goes on.
  #failGeneration(generation: number, cause: unknown, failing?: Group): TimbalaError {
    const failure = logFailure(cause);
    const failed = this.#groups.filter(
      (group) => group.segment.generation === generation && (group === failing || group !== this.#inFlight),
    );
    this.#groups.splice(0, this.#groups.length, ...this.#groups.filter((group) => !failed.includes(group)));
    if (this.#segment?.generation === generation) this.#finishSegment();
    for (const group of failed) {
      this.#release(group);
      for (const { reject } of group.waiters) reject(failure);
    }
    this.#options.onGenerationFailed(generation, cause);
    return failure;
  }

  #release(group: Group): void {
    this.pendingBytes -= group.length;
    if (group.bytes.length <= groupBytesKept && this.#spareBuffers.length < 2) this.#spareBuffers.push(group.bytes);
    const { segment } = group;
    if (segment.finished && !this.#groups.some((other) => other.segment === segment)) segment.file.close();
  }
}

/** What is told to writers where the log could not be written. */
export function logFailure(cause: unknown): TimbalaError {
  const consequence = 'nothing was acknowledged, send the samples again';
  return hasCode(cause, 'DISK_FULL')
    ? new TimbalaError('DISK_FULL', `the disk has no room for the log; ${consequence}`, { cause })
    : new TimbalaError('LOG_FAILED', `the log could not be written (${errorMessage(cause)}); ${consequence}`, {
        cause,
      });
}
