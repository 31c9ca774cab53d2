// A node's own share of a query of the cluster: what it holds of a selection in the partitions and times that a plan has given
// it, as frames of a bounded size, all of one state of the storage. The next frame is worked out when it is asked for.
import { mib, TimbalaError } from '../../base/index.ts';
import { encodeLabels, SampleBuffer } from '../../model/index.ts';
import type { Reader } from '../reader/reader.ts';
import type { ReadControl, ReadSession } from '../reader/session.ts';
import { SampleFrameWriter } from './sample-frame.ts';
import { keepRanges, type ReadSegment, SegmentRanges } from './segment-ranges.ts';
import { writeTextFrames } from './text-frame.ts';
import type { Wanted, WantedLabels, WantedSamples } from './wanted.ts';

/** What the snapshots of one answer may take, and those of all answers under way. */
const answerBytesMax = 512 * mib;
const answersBytesMax = 1024 * mib;

export class AnswerReader {
  readonly #reader: Reader;
  #bytes = 0;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /**
   * Nothing is given where nothing is found. `return()` gives everything back. Throws READ_TOO_LARGE, STORE_BUSY,
   * STORAGE_REPLAYING, PART_CORRUPT.
   */
  async *read(
    wanted: Wanted,
    segments: readonly ReadSegment[],
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    const session = this.#reader.openSession();
    const control = new AnswerControl((count) => this.#take(count));
    try {
      const ranges = new SegmentRanges(segments);
      if (wanted.kind === 'samples') yield* this.#samples(session, wanted.requests, ranges, control);
      else yield* writeTextFrames(await this.#texts(session, wanted.request, ranges, control));
    } finally {
      session.close();
      control.release();
    }
  }

  #take(count: number): void {
    if (count > 0 && this.#bytes + count > answersBytesMax) {
      throw new TimbalaError('STORE_BUSY', `answers under way take over ${answersBytesMax / mib} MiB already`);
    }
    this.#bytes += count;
  }

  async *#samples(
    session: ReadSession,
    requests: readonly WantedSamples[],
    ranges: SegmentRanges,
    control: ReadControl,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    const { extent } = ranges;
    const clipped = requests.map(({ matchers, startMs, endMs }) => ({
      matchers,
      startMs: Math.max(startMs, extent.startMs),
      endMs: Math.min(endMs, extent.endMs),
    }));
    const selections = await session.select(clipped, control);
    const writer = new SampleFrameWriter();
    const samples = new SampleBuffer();
    for (const [request, { series }] of selections.entries()) {
      for (const one of series) {
        const within = ranges.of(this.#reader.partitionOf(one.labels));
        if (within.length === 0) continue;
        one.read(samples);
        keepRanges(samples, within);
        const labelBytes = encodeLabels(one.labels);
        for (let from = 0; from < samples.count;) {
          from = writer.add(request, labelBytes, samples, from);
          if (writer.isFull) yield writer.take();
        }
      }
    }
    if (!writer.isEmpty) yield writer.take();
  }

  /** Names and values are those of all that is held: a union is the same with what others are asked for, and costs no look at series. */
  async #texts(
    session: ReadSession,
    request: WantedLabels,
    ranges: SegmentRanges,
    control: ReadControl,
  ): Promise<Uint8Array[]> {
    if (request.of === 'series') {
      const all = await session.series(request, control);
      const asked = all.filter((labels) => ranges.of(this.#reader.partitionOf(labels)).length > 0);
      return asked.slice(0, request.limit).map((labels) => encodeLabels(labels));
    }
    const all =
      request.of === 'names'
        ? await session.labelNames(request, control)
        : await session.labelValues(request.name, request, control);
    const encoder = new TextEncoder();
    return all.slice(0, request.limit).map((text) => encoder.encode(text));
  }
}

class AnswerControl implements ReadControl {
  readonly #take: (count: number) => void;
  #bytes = 0;

  constructor(take: (count: number) => void) {
    this.#take = take;
  }

  check(): void {}

  addBytes(count: number): void {
    if (this.#bytes + count > answerBytesMax) {
      throw new TimbalaError(
        'READ_TOO_LARGE',
        `a node would take over ${answerBytesMax / mib} MiB for its part of the query; narrow its selectors or its range`,
      );
    }
    this.#take(count);
    this.#bytes += count;
  }

  release(): void {
    this.#take(-this.#bytes);
    this.#bytes = 0;
  }
}
