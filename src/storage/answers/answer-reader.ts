// A node's own share of a query of the cluster: what it holds of a selection in the partitions and times that a plan has given
// it, as frames of a bounded size, all of one state of the storage. The next frame is worked out when it is asked for.
import { mib, TimbalaError } from '../../base/index.ts';
import { encodeLabels, type Labels, SampleBuffer } from '../../model/index.ts';
import type { Reader } from '../reader/reader.ts';
import type { ReadControl, ReadSession } from '../reader/session.ts';
import { KnownSeries } from './known-series.ts';
import { SampleFrameWriter } from './sample-frame.ts';
import { keepRanges, type ReadSegment, SegmentRanges } from './segment-ranges.ts';
import { type SelectableSession, SegmentSession } from './segment-session.ts';
import { writeTextFrames } from './text-frame.ts';
import { decodeWanted, type Wanted, type WantedLabels } from './wanted.ts';

/** What the snapshots of one answer may take, and those of all answers under way. */
const answerBytesMax = 512 * mib;
const answersBytesMax = 1024 * mib;
const seriesPerBreath = 64;

/** A query's range, and what it wants there. */
export interface AnswerSelection {
  readonly fromMs: number;
  readonly toMs: number;
  readonly wanted: Uint8Array;
}

/** PromQL's evaluation of a fragment over what a session shows (promql's evaluateFragment); gives one frame. */
export type FragmentEvaluator = (
  encoded: Uint8Array,
  range: { readonly fromMs: number; readonly toMs: number },
  session: SelectableSession,
  control: ReadControl,
) => Promise<Uint8Array<ArrayBuffer>>;

export class AnswerReader {
  readonly #reader: Reader;
  readonly #evaluate: FragmentEvaluator;
  #bytes = 0;

  constructor(reader: Reader, evaluate: FragmentEvaluator = refuseFragments) {
    this.#reader = reader;
    this.#evaluate = evaluate;
  }

  /**
   * Nothing is given where nothing is found, but one frame of a fragment. `return()` gives everything back, once the frame
   * that is being made is there or, after `signal`, has failed with READ_CANCELLED. Throws WANTED_INVALID, READ_TOO_LARGE,
   * READ_NOT_SHARED, STORE_BUSY, STORAGE_REPLAYING, PART_CORRUPT.
   */
  async *read(
    selection: AnswerSelection,
    segments: readonly ReadSegment[],
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    const wanted = decodeWanted(selection.wanted);
    const session = this.#reader.openSession();
    const control = new AnswerControl((count) => this.#take(count), signal);
    try {
      const ranges = new SegmentRanges(segments);
      if (wanted.kind === 'samples') yield* this.#samples(session, wanted, ranges, control);
      else if (wanted.kind === 'labels')
        yield* writeTextFrames(await this.#texts(session, wanted.request, ranges, control));
      else {
        const shown = new SegmentSession(session, segments, (labels) => this.#reader.partitionOf(labels));
        yield await sharing(this.#evaluate(wanted.encoded, selection, shown, control));
      }
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
    { requests, known }: Extract<Wanted, { kind: 'samples' }>,
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
      const knownHere = known?.[request] && new KnownSeries(known[request]);
      for (const [i, one] of series.entries()) {
        // What is known is not given out: a long stretch of it must not hold up other reads.
        if (i % seriesPerBreath === 0) {
          await this.#reader.breathe();
          control.check();
        }
        const within = ranges.of(this.#reader.partitionOf(one.labels));
        if (within.length === 0) continue;
        one.read(samples);
        keepRanges(samples, within);
        if (samples.count === 0 || (knownHere && this.#isKnown(knownHere, one.labels, samples))) continue;
        const labelBytes = encodeLabels(one.labels);
        for (let from = 0; from < samples.count;) {
          from = writer.add(request, labelBytes, samples, from);
          if (writer.isFull) yield writer.take();
        }
      }
    }
    if (!writer.isEmpty) yield writer.take();
  }

  #isKnown(known: KnownSeries, labels: Labels, samples: SampleBuffer): boolean {
    const fingerprint = this.#reader.fingerprint(labels);
    return known.has(fingerprint, () => this.#reader.digestOf(fingerprint, samples, 0, samples.count));
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

const refuseFragments: FragmentEvaluator = () =>
  Promise.reject(new TimbalaError('READ_NOT_SHARED', 'this store evaluates no queries'));

/** What is not the storage's failure means that this query can't be shared: its samples will be asked for. */
async function sharing<T>(evaluated: Promise<T>): Promise<T> {
  try {
    return await evaluated;
  } catch (error) {
    if (!(error instanceof TimbalaError) || /^(?:PART|STORAGE|STORE|LOG|READ)_/.test(error.code)) throw error;
    throw new TimbalaError('READ_NOT_SHARED', error.message, { cause: error });
  }
}

export function readCancelled(): TimbalaError {
  return new TimbalaError('READ_CANCELLED', 'nobody waits for this part of a query any more');
}

class AnswerControl implements ReadControl {
  readonly #take: (count: number) => void;
  readonly #signal: AbortSignal | undefined;
  #bytes = 0;

  constructor(take: (count: number) => void, signal: AbortSignal | undefined) {
    this.#take = take;
    this.#signal = signal;
  }

  check(): void {
    if (this.#signal?.aborted) throw readCancelled();
  }

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
