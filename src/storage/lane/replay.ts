// Reads the log of earlier runs into the head, beside new writes: in slices, giving way between them. All log generations
// that are not in parts go into one generation of the head (more, where one is full), which is flushed at once, so a node
// that restarts often keeps little log. Replaying twice is harmless: samples are a set.
import { hasCode, TimbalaError } from '../../base/index.ts';
import type { Clock, Disk } from '../../ports/index.ts';
import { unknownRef } from '../../wasm/index.ts';
import type { DamageReport, ReplayReport } from '../contracts.ts';
import type { Generation } from '../head/generations.ts';
import { frameTypes } from '../log/frame.ts';
import { GenerationReader, type LogFrame, type LogSegment } from '../log/log-reader.ts';
import { readSeriesRecord } from '../log/series-record.ts';

/** A slice holds up new writes for so long at most. */
const sliceMs = 10;

export interface ReplayOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly lane: number;
  /** Segments of earlier runs only, in order; none of a generation that is in parts. */
  readonly segments: readonly LogSegment[];
  /** Opens the generation of the head that takes the samples. */
  readonly openGeneration: (number: number) => Generation;
  /** Freezes a generation that is full, and resolves when it is in parts and its memory can be used again. */
  readonly flushPartly: (generation: Generation) => Promise<void>;
  readonly isFull: (generation: Generation) => boolean;
  readonly isClosing: () => boolean;
  /** Told the pairs (Head.stagedPairs) of each record of samples that clients wrote. */
  readonly onWritten?: (pairs: Float64Array) => void;
}

export class Replay {
  readonly #options: ReplayOptions;
  #target: Generation | undefined;
  /** By the log generation's reference. */
  #refs = new Uint32Array(1 << 16).fill(unknownRef);
  #seriesCount = 0;
  #samplesCount = 0;
  #sizeBytes = 0;
  #lostRowsCount = 0;
  #lastSequence = 0;
  readonly #damage: DamageReport[] = [];

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  /** What the samples are in now, frozen by nobody yet; undefined where there was nothing to replay. */
  get target(): Generation | undefined {
    return this.#target;
  }

  /** The sequence number of the last frame that was found; 0: none was. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  async run(): Promise<ReplayReport> {
    const { segments, clock } = this.#options;
    const startMs = clock.monotonicMs();
    const generations = [...new Set(segments.map(({ generation }) => generation))];
    const highest = generations.at(-1);
    if (highest !== undefined) this.#target = this.#options.openGeneration(highest);
    for (const generation of generations) await this.#replayGeneration(generation);
    if (this.#lostRowsCount > 0) this.#reportLostRows();
    return {
      segmentsCount: segments.length,
      seriesCount: this.#seriesCount,
      samplesCount: this.#samplesCount,
      sizeBytes: this.#sizeBytes,
      durationMs: clock.monotonicMs() - startMs,
      damage: this.#damage,
    };
  }

  async #replayGeneration(generation: number): Promise<void> {
    const { disk, lane, segments, clock } = this.#options;
    const reader = new GenerationReader(disk, lane, generation, segments);
    this.#refs.fill(unknownRef);
    let sliceStartMs = clock.monotonicMs();
    try {
      for (let frame = reader.next(); frame; frame = reader.next()) {
        await this.#replayFrame(frame);
        this.#lastSequence = frame.sequence;
        if (clock.monotonicMs() - sliceStartMs < sliceMs) continue;
        await new Promise<void>((resolve) => clock.setTimer(0, resolve));
        if (this.#options.isClosing()) throw new TimbalaError('STORAGE_CLOSED', 'closed while the log was being read');
        sliceStartMs = clock.monotonicMs();
      }
    } finally {
      reader.close();
      this.#sizeBytes += reader.sizeBytes;
      this.#damage.push(...reader.damage);
    }
  }

  async #replayFrame(frame: LogFrame): Promise<void> {
    try {
      this.#applyFrame(frame);
    } catch (error) {
      if (!hasCode(error, 'HEAD_MEMORY_FULL')) throw error;
      // The frame's bytes are the reader's and stay where they are: nothing reads on meanwhile.
      await this.#continueInNewGeneration();
      this.#applyFrame(frame);
    }
    if (this.#target && this.#options.isFull(this.#target)) await this.#continueInNewGeneration();
  }

  async #continueInNewGeneration(): Promise<void> {
    const full = this.#target;
    if (!full) return;
    this.#target = undefined;
    await this.#options.flushPartly(full);
    this.#target = this.#options.openGeneration(full.number);
  }

  #applyFrame({ type, payload }: LogFrame): void {
    const target = this.#target;
    if (!target) return;
    const { head } = target.live;
    if (type === frameTypes.series) {
      readSeriesRecord(payload, (ref, fingerprint, labels) => this.#setRef(ref, head.register(labels, fingerprint)));
    } else if (type === frameTypes.samples || type === frameTypes.copiedSamples) {
      const { refs } = head.decodeSamples(payload);
      for (let row = 0; row < refs.length; row++) {
        const ref = this.#refs[refs[row] as number] ?? unknownRef;
        if (ref === unknownRef) this.#lostRowsCount++;
        refs[row] = ref;
      }
      if (type === frameTypes.samples) this.#options.onWritten?.(head.stagedPairs());
      const { appended, duplicates } = head.append(target.slot);
      this.#samplesCount += appended + duplicates;
    }
  }

  #setRef(logRef: number, ref: number): void {
    if (logRef >= this.#refs.length) {
      const grown = new Uint32Array(Math.max(2 * this.#refs.length, logRef + 1)).fill(unknownRef);
      grown.set(this.#refs);
      this.#refs = grown;
    }
    if (this.#refs[logRef] === unknownRef) this.#seriesCount++;
    this.#refs[logRef] = ref;
  }

  #reportLostRows(): void {
    const text = `${this.#lostRowsCount} rows of samples belong to series whose records were in a damaged frame; they are lost`;
    this.#damage.push({ file: 'log', offset: 0, kind: 'corrupt', text });
  }
}
