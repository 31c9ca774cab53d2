// A query's view of the whole cluster: the Queryable that PromQL evaluates over in a node of one. Main plans the read and
// forwards what other nodes hold; the own share is read here, from the worker's own reader, without being encoded.
import { hasCode, present, type RpcPeer, TimbalaError } from '../../base/index.ts';
import { compareUtf8, decodeLabels, Labels } from '../../model/index.ts';
import type { ReadEvent, WantedOfShared } from '../../cluster/index.ts';
import {
  CountedControl,
  evaluateFragment,
  type FragmentAnswer,
  type FragmentRequest,
  type LabelRequest,
  type QueryControl,
  type Queryable,
  type Selection,
  type SelectRequest,
  type StepReach,
} from '../../promql/index.ts';
import {
  type AnswerSeries,
  AnswerUnion,
  encodeWanted,
  knownSeries,
  type Reader,
  readTextFrame,
  type ReadSegment,
  type ReadSession,
  SegmentRanges,
  SegmentSession,
  type WantedLabels,
} from '../../storage/index.ts';
import { queryTimeoutMs } from '../limits.ts';
import type { ClusterReadHandlers } from './read-protocol.ts';

/** What one attempt of a read gathers; a new attempt begins with a new one. */
interface Gathering {
  /** Reads the own share of what was planned, of one state taken now; says what others are to be asked for beside it. */
  begin(session: ReadSession, planned: PlannedEvent, control: QueryControl): Promise<WantedOfShared | undefined>;
  add(source: string, frame: Uint8Array, control: QueryControl): void;
}

type PlannedEvent = Extract<ReadEvent, { kind: 'plan' }>;

type OwnTexts = (session: ReadSession, control: QueryControl) => Promise<string[]>;

/** Numbers reads on one worker's channel. */
export class ReadIds {
  #next = 1;

  take(): number {
    return this.#next++;
  }
}

export interface ClusterSessionOptions {
  readonly reader: Reader;
  readonly main: RpcPeer<ClusterReadHandlers>;
  readonly readIds: ReadIds;
  readonly callId: number;
}

/** What the labels of one series take in JavaScript, roughly. */
const labelsBytesEstimate = 600;

export class ClusterSession implements Queryable {
  readonly #options: ClusterSessionOptions;
  readonly #sessions = new Set<ReadSession>();
  readonly #warnings = new Set<string>();
  #isClosed = false;

  constructor(options: ClusterSessionOptions) {
    this.#options = options;
  }

  warnings(): readonly string[] {
    return [...this.#warnings];
  }

  /** Gives the own snapshots back; nothing that was selected may be read any more, and reads that are under way will fail. */
  close(): void {
    this.#isClosed = true;
    for (const session of this.#sessions) session.close();
    this.#sessions.clear();
  }

  async select(requests: readonly SelectRequest[], control: QueryControl): Promise<Selection[]> {
    if (requests.length === 0) return [];
    const wanted = encodeWanted({ kind: 'samples', requests });
    const fromMs = Math.min(...requests.map(({ startMs }) => startMs));
    const toMs = Math.max(...requests.map(({ endMs }) => endMs));
    const { gathered, warnings } = await this.#read({ fromMs, toMs, wanted }, control, () => {
      const union = new AnswerUnion(requests.length);
      let own: readonly { readonly series: readonly AnswerSeries[] }[] = [];
      return {
        begin: async (session, planned, attempt) => {
          if (planned.own.length > 0) own = await this.#shown(session, planned.own).select(requests, attempt);
          const series = own.map((selection) => selection.series);
          return new Map(
            planned.shared.map(({ from, segments }) => {
              const known = knownSeries(this.#options.reader, series, segments, () => attempt.check());
              for (const { length } of known) attempt.addBytes(length);
              return [from, encodeWanted({ kind: 'samples', requests, known })];
            }),
          );
        },
        add: (source, frame) => union.add(source, frame),
        finish: () =>
          requests.map((_, request) => {
            const ofOwn = own[request]?.series ?? [];
            const series = union.series(request, ofOwn);
            // Own ones were counted when they were found.
            control.addBytes(labelsBytesEstimate * (series.length - ofOwn.length));
            return { series };
          }),
      };
    });
    this.#warn(warnings);
    return gathered.finish();
  }

  #shown(session: ReadSession, own: readonly ReadSegment[]): SegmentSession {
    return new SegmentSession(session, own, (labels) => this.#options.reader.partitionOf(labels));
  }

  #warn(warnings: readonly string[]): void {
    for (const warning of warnings) this.#warnings.add(warning);
  }

  /**
   * Aggregates at the nodes that each serve some partitions alone, this one included. Undefined where something may be missing:
   * then samples are read, which tells what. Throws what the read throws, READ_NOT_SHARED above all.
   */
  async fragments({ encoded, reach }: FragmentRequest, control: QueryControl): Promise<FragmentAnswer | undefined> {
    const { startMs, stepMs, stepsCount, beforeMs, afterMs } = reach;
    const lastMs = startMs + (stepsCount - 1) * stepMs;
    // Time must be left to read samples, should nothing come of it.
    const deadlineMs = (control.remainingMs?.() ?? queryTimeoutMs) / 2;
    const selection = { fromMs: startMs - beforeMs, toMs: lastMs + afterMs, wanted: encoded };
    const { gathered, warnings } = await this.#read(
      selection,
      control,
      () => {
        const frames = new Map<string, Uint8Array>();
        let planned: PlannedEvent | undefined;
        return {
          begin: async (session, event, attempt) => {
            planned = event;
            if (event.own.length === 0) return undefined;
            const shown = this.#shown(session, event.own);
            // Samples are counted where the fragments are put together, those of all nodes alike.
            frames.set('', await evaluateFragment(encoded, event.selection, shown, withoutSamples(attempt)));
            return undefined;
          },
          add: (source, frame) => frames.set(source, frame),
          finish: () => ({ frames, planned: present(planned, 'a plan') }),
        };
      },
      { deadlineMs, alone: reach },
    );
    const { frames, planned } = gathered.finish();
    if (warnings.length > 0 || !planned.others.every((source) => frames.has(source))) return undefined;
    const { fromMs, toMs } = planned.selection;
    // In one order whoever answered first, so that sums come out alike.
    const inOrder = [...frames.keys()].sort().map((source) => present(frames.get(source), 'a frame'));
    return { fromMs, toMs, frames: inOrder };
  }

  async series(request: LabelRequest, control: QueryControl): Promise<Labels[]> {
    const found = await this.#labels(
      { ...request, of: 'series', name: '', limit: request.limit },
      control,
      () => new Map<string, Labels>(),
      {
        own: async (into, session, segments, attempt) => {
          const ranges = new SegmentRanges(segments);
          for (const labels of await session.series(request, attempt)) {
            if (ranges.of(this.#options.reader.partitionOf(labels)).length > 0) into.set(labels.key(), labels);
          }
        },
        told: (into, text, attempt) => {
          const labels = decodeLabels(text);
          if (!into.has(labels.key())) attempt.addBytes(labelsBytesEstimate);
          into.set(labels.key(), labels);
        },
      },
    );
    return [...found.values()].sort(Labels.compare);
  }

  labelNames(request: LabelRequest, control: QueryControl): Promise<string[]> {
    const own: OwnTexts = (session, attempt) => session.labelNames(request, attempt);
    return this.#texts({ ...request, of: 'names', name: '', limit: request.limit }, control, own);
  }

  labelValues(name: string, request: LabelRequest, control: QueryControl): Promise<string[]> {
    const own: OwnTexts = (session, attempt) => session.labelValues(name, request, attempt);
    return this.#texts({ ...request, of: 'values', name, limit: request.limit }, control, own);
  }

  async #texts(request: WantedLabels, control: QueryControl, own: OwnTexts): Promise<string[]> {
    const decoder = new TextDecoder();
    const found = await this.#labels(request, control, () => new Set<string>(), {
      own: async (into, session, _segments, attempt) => {
        for (const text of await own(session, attempt)) into.add(text);
      },
      told: (into, text) => into.add(decoder.decode(text)),
    });
    return [...found].sort(compareUtf8);
  }

  /** Gathers texts, those of the own store and those that others tell. */
  async #labels<Found>(
    request: WantedLabels,
    control: QueryControl,
    empty: () => Found,
    gather: {
      own(into: Found, session: ReadSession, segments: readonly ReadSegment[], control: QueryControl): Promise<void>;
      told(into: Found, text: Uint8Array, control: QueryControl): void;
    },
  ): Promise<Found> {
    const { startMs, endMs } = request;
    const wanted = encodeWanted({ kind: 'labels', request });
    const { gathered, warnings } = await this.#read({ fromMs: startMs, toMs: endMs, wanted }, control, () => {
      const into = empty();
      return {
        found: into,
        begin: async (session, { own }, attempt) => {
          if (own.length > 0) await gather.own(into, session, own, attempt);
          return undefined;
        },
        add: (_source, frame, attempt) => {
          for (const text of readTextFrame(frame)) gather.told(into, text, attempt);
        },
      };
    });
    this.#warn(warnings);
    return gathered.found;
  }

  /** One read of the cluster, over as many attempts as it takes. */
  async #read<G extends Gathering>(
    selection: { readonly fromMs: number; readonly toMs: number; readonly wanted: Uint8Array },
    control: QueryControl,
    gathering: () => G,
    options: { readonly deadlineMs?: number; readonly alone?: StepReach } = {},
  ): Promise<{ readonly gathered: G; readonly warnings: readonly string[] }> {
    const { main, readIds, callId } = this.#options;
    const readId = readIds.take();
    const { alone, deadlineMs = control.remainingMs?.() ?? queryTimeoutMs } = options;
    let gathered: G | undefined;
    let session: ReadSession | undefined;
    // What an attempt takes it gives back when another begins.
    const attempt = new CountedControl(control);
    let isOver = false;
    let wantedOfShared: WantedOfShared | undefined;
    try {
      let event = await main.call('open', { readId, callId, selection, deadlineMs, alone });
      for (;;) {
        control.check();
        if (event.kind === 'end') {
          isOver = true;
          return { gathered: present(gathered, 'an attempt'), warnings: event.warnings };
        }
        if (event.kind === 'frame') {
          attempt.addBytes(event.frame.length);
          // Two shares of one node are two lists.
          const source = event.isShared ? `${event.from}, shared` : event.from;
          present(gathered, 'an attempt').add(source, event.frame, attempt);
        } else {
          attempt.giveBack();
          this.#giveBack(session);
          session = this.#openSession();
          gathered = gathering();
          // What is read now is vouched for by the end, so it has to be read before more is asked for.
          wantedOfShared = await gathered.begin(session, event, attempt);
        }
        event = await main.call('next', wantedOfShared ? { readId, wantedOfShared } : { readId });
        wantedOfShared = undefined;
      }
    } catch (error) {
      // Main has ended it by itself.
      isOver ||= hasCode(error, 'RPC_CLOSED');
      this.#giveBack(session);
      throw error;
    } finally {
      if (!isOver) main.notify('cancel', { readId });
    }
  }

  #openSession(): ReadSession {
    if (this.#isClosed) throw new TimbalaError('QUERY_CANCELLED', 'the query has ended before its parts');
    const session = this.#options.reader.openSession();
    this.#sessions.add(session);
    return session;
  }

  #giveBack(session: ReadSession | undefined): void {
    if (!session) return;
    session.close();
    this.#sessions.delete(session);
  }
}

function withoutSamples(control: QueryControl): QueryControl {
  return { check: () => control.check(), addSamples: () => {}, addBytes: (count) => control.addBytes(count) };
}
