// The reading side of a lane's log: the frames of one generation, in order, through its segments (docs/formats/log.md).
// Damage is judged by evidence: where a later frame or segment header says that the damaged frame had been durable, acknowledged
// data is lost ('corrupt'; reading goes on at the next whole frame); otherwise it is the end of what was acknowledged, and
// everything after it in the generation is cut ('torn-tail'). Reading changes nothing on disk, so it may be repeated.
import type { Disk, DiskFile } from '../../ports/index.ts';
import type { DamageReport } from '../contracts.ts';
import {
  decodeSegmentHeader,
  firstSequence,
  FrameCodec,
  type FrameHeader,
  frameHeaderBytes,
  framePayloadBytesMax,
  parseSegmentName,
  segmentHeaderBytes,
} from './frame.ts';

export interface LogSegment {
  readonly path: string;
  readonly generation: number;
  readonly segment: number;
}

/** A lane's segments in the order they were written. */
export function listSegments(disk: Disk, lane: number): LogSegment[] {
  return disk
    .list('log')
    .flatMap(({ name }) => {
      const parsed = parseSegmentName(name);
      return parsed?.lane === lane ? [{ path: `log/${name}`, ...parsed }] : [];
    })
    .sort((a, b) => a.generation - b.generation || a.segment - b.segment);
}

export interface LogFrame {
  readonly type: number;
  readonly sequence: number;
  /** Valid until the next call of `next`. */
  readonly payload: Uint8Array;
}

const windowBytes = 4 * 1024 * 1024;

export class GenerationReader {
  readonly damage: DamageReport[] = [];
  /** Of the segments opened so far. */
  sizeBytes = 0;
  framesCount = 0;
  readonly #disk: Disk;
  readonly #generation: number;
  readonly #lane: number;
  readonly #segments: readonly LogSegment[];
  /** Index in #segments of the next one to open. */
  #nextSegment = 0;
  #current: SegmentReader | undefined;
  #lastSequence: number;

  /** `segments`: all of the lane from this generation on, later generations too: they are evidence. */
  constructor(disk: Disk, lane: number, generation: number, segments: readonly LogSegment[]) {
    this.#disk = disk;
    this.#lane = lane;
    this.#generation = generation;
    this.#segments = segments.filter((segment) => segment.generation >= generation);
    this.#lastSequence = firstSequence(generation);
  }

  /** The next frame, or undefined at the end of the generation. */
  next(): LogFrame | undefined {
    for (;;) {
      const current = this.#current ?? this.#openNext();
      if (!current) return undefined;
      const frame = current.next();
      if (frame && this.#isExpected(frame)) {
        this.#lastSequence = frame.sequence;
        this.framesCount++;
        return { type: frame.type, sequence: frame.sequence, payload: current.payload(frame) };
      }
      if (frame || !current.atEnd) this.#judge(current);
      else this.#closeCurrent();
    }
  }

  close(): void {
    this.#closeCurrent();
    this.#nextSegment = this.#segments.length;
  }

  #isExpected(frame: FrameHeader): boolean {
    const follows = this.#lastSequence + 1 === frame.sequence || this.#current?.resynchronised === true;
    return frame.generation === this.#generation && frame.lane === this.#lane && follows;
  }

  #closeCurrent(): void {
    this.#current?.close();
    this.#current = undefined;
  }

  #openNext(): SegmentReader | undefined {
    const segment = this.#segments[this.#nextSegment];
    if (segment?.generation !== this.#generation) return undefined;
    this.#nextSegment++;
    const opened = SegmentReader.open(this.#disk, segment.path);
    this.sizeBytes += opened.sizeBytes;
    if (opened.headerValid) {
      this.#current = opened;
      return opened;
    }
    opened.close();
    // No frame is written before the header is durable, so a file without one holds frames only if it was damaged later.
    if (opened.sizeBytes > segmentHeaderBytes || this.#evidence(undefined) > this.#lastSequence) {
      this.#report(segment.path, 0, 'corrupt', 'segment header damaged; the frames of this file are lost');
    } else {
      this.#report(segment.path, 0, 'torn-tail', 'segment was being made; it held nothing');
    }
    return this.#openNext();
  }

  #judge(current: SegmentReader): void {
    const { path } = current;
    const offset = current.damagedAt;
    const found = current.resynchronise(this.#generation, this.#lane);
    if (this.#evidence(found ? current : undefined) > this.#lastSequence) {
      const lost = found ? `${found.sequence - this.#lastSequence - 1} frames` : 'the rest of the file';
      this.#report(
        path,
        offset,
        'corrupt',
        `no whole frame here; lost ${lost}, kept ${this.framesCount} frames before`,
      );
      if (!found) this.#closeCurrent();
      return;
    }
    this.#report(path, offset, 'torn-tail', `unacknowledged end cut; kept ${this.framesCount} frames before`);
    this.close();
  }

  #report(file: string, offset: number, kind: DamageReport['kind'], text: string): void {
    this.damage.push({ file, offset, kind, text });
  }

  /** The highest sequence number of this generation that anything written later says was durable. */
  #evidence(rest: SegmentReader | undefined): number {
    const inGeneration = (durable: number): boolean =>
      durable >= firstSequence(this.#generation) && durable < firstSequence(this.#generation + 1);
    let highest = 0;
    const consider = (durable: number): void => {
      if (inGeneration(durable)) highest = Math.max(highest, durable);
    };
    rest?.eachRemaining((frame) => consider(frame.durable));
    for (const segment of this.#segments.slice(this.#nextSegment)) {
      const later = SegmentReader.open(this.#disk, segment.path);
      if (later.headerValid) {
        consider(later.durable);
        later.eachRemaining((frame) => {
          consider(frame.durable);
          // What frames know only rises; beyond this generation they say nothing more about it.
          return frame.durable < firstSequence(this.#generation + 1);
        });
      }
      later.close();
    }
    return highest;
  }
}

/** Reads one segment through a window that grows for frames that need it. */
class SegmentReader {
  readonly path: string;
  readonly sizeBytes: number;
  readonly durable: number;
  readonly headerValid: boolean;
  /** True until the first frame after a resynchronisation has been taken: its number leaves a gap. */
  resynchronised = false;
  /** Where the next frame begins in the file. */
  frameOffset = segmentHeaderBytes;
  readonly #file: DiskFile;
  readonly #codec: FrameCodec;
  #window = new Uint8Array(0);
  #windowOffset = 0;
  #windowLength = 0;
  #lastFrame: FrameHeader | undefined;

  static open(disk: Disk, path: string): SegmentReader {
    const file = disk.open(path, 'read');
    try {
      return new SegmentReader(path, file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  private constructor(path: string, file: DiskFile) {
    this.path = path;
    this.#file = file;
    this.sizeBytes = file.sizeBytes();
    const bytes = new Uint8Array(segmentHeaderBytes);
    const header = file.read(bytes, 0) === segmentHeaderBytes ? decodeSegmentHeader(bytes) : undefined;
    this.headerValid = header !== undefined;
    this.durable = header?.durable ?? 0;
    this.#codec = new FrameCodec(header?.fileId ?? 0n);
  }

  get atEnd(): boolean {
    return this.frameOffset >= this.sizeBytes;
  }

  /** Where what is wrong begins: a whole frame with an unexpected number is not itself missing, but what was before it. */
  get damagedAt(): number {
    const last = this.#lastFrame;
    return last ? this.frameOffset - frameHeaderBytes - last.payloadBytes : this.frameOffset;
  }

  /** The frame at `frameOffset`, which then moves behind it; undefined at the end or where there is no whole frame. */
  next(): FrameHeader | undefined {
    this.#lastFrame = undefined;
    const left = this.sizeBytes - this.frameOffset;
    if (left < frameHeaderBytes) return undefined;
    this.#load(frameHeaderBytes);
    const payloadBytes = this.#u32(this.frameOffset - this.#windowOffset);
    if (payloadBytes > framePayloadBytesMax || payloadBytes > left - frameHeaderBytes) return undefined;
    this.#load(frameHeaderBytes + payloadBytes);
    const window = this.#window.subarray(0, this.#windowLength);
    const frame = this.#codec.open(window, this.frameOffset - this.#windowOffset, this.frameOffset);
    if (!frame) return undefined;
    this.#lastFrame = frame;
    this.frameOffset += frameHeaderBytes + frame.payloadBytes;
    return frame;
  }

  /** The payload of the frame that `next` gave last; a view. */
  payload(frame: FrameHeader): Uint8Array {
    this.resynchronised = false;
    const end = this.frameOffset - this.#windowOffset;
    return this.#window.subarray(end - frame.payloadBytes, end);
  }

  /**
   * After damage: moves `frameOffset` to the next whole frame of the generation and returns its header, without taking it.
   */
  resynchronise(generation: number, lane: number): FrameHeader | undefined {
    this.frameOffset = this.#lastFrame ? this.damagedAt : Math.min(this.frameOffset + 1, this.sizeBytes);
    this.#load(this.sizeBytes - this.frameOffset);
    const window = this.#window.subarray(0, this.#windowLength);
    const view = new DataView(window.buffer, window.byteOffset, window.byteLength);
    const first = this.frameOffset - this.#windowOffset;
    for (let at = first; at + frameHeaderBytes <= window.length; at++) {
      if (view.getUint32(at + 12, true) !== generation || view.getUint16(at + 10, true) !== lane) continue;
      const frame = this.#codec.open(window, at, this.#windowOffset + at);
      if (!frame) continue;
      this.frameOffset = this.#windowOffset + at;
      this.resynchronised = true;
      return frame;
    }
    this.frameOffset = this.sizeBytes;
    return undefined;
  }

  /** Looks at the whole frames from `frameOffset` on until the visitor returns false; moves nothing. */
  eachRemaining(visit: (frame: FrameHeader) => unknown): void {
    const start = this.frameOffset;
    for (let frame = this.next(); frame; frame = this.next()) if (visit(frame) === false) break;
    this.frameOffset = start;
    this.#lastFrame = undefined;
  }

  close(): void {
    this.#file.close();
  }

  #u32(at: number): number {
    const { buffer, byteOffset } = this.#window;
    return new DataView(buffer, byteOffset).getUint32(at, true);
  }

  /** Makes `count` bytes from `frameOffset` on available in the window (all of them are in the file). */
  #load(count: number): void {
    const at = this.frameOffset - this.#windowOffset;
    if (at >= 0 && at + count <= this.#windowLength) return;
    const wanted = Math.min(Math.max(count, windowBytes), this.sizeBytes - this.frameOffset);
    if (wanted > this.#window.length) this.#window = new Uint8Array(wanted);
    this.#windowLength = this.#file.read(this.#window.subarray(0, wanted), this.frameOffset);
    this.#windowOffset = this.frameOffset;
  }
}
