// The first half of a read: every member is asked for its marks in the range, before any data is read. Says who was heard,
// and whether the answer may do without the rest.
//
// What members tell is kept, by window: "as before" takes 16 bytes in place of up to 130 KB, and plans are remembered by it.
import { errorMessage, TimbalaError } from '../../base/index.ts';
import type { Encoded } from '../codec.ts';
import { type NodeName, type StoreId, windowMs } from '../contracts.ts';
import type { Exchange, Question } from '../exchange.ts';
import { packLayer, type ToldLayer, unpackLayer } from '../marks/index.ts';
import { type MarksReply, marksReply, marksRequest } from '../messages.ts';
import type { Member } from '../record/index.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';
import type { HeardMarks } from './plan.ts';

type MarksRequest = Encoded<typeof marksRequest>;

const marksQuestion: Question<MarksRequest, MarksReply> = {
  kind: 'marks',
  topic: 'marks',
  request: marksRequest,
  reply: marksReply,
};

/** Kept of each member: more windows than it has marks of. */
const layersKeptMax = 20;

/** What a member told last. */
interface Told {
  readonly epoch: number;
  readonly layers: ReadonlyMap<number | undefined, ToldLayer>;
}

export interface Heard {
  readonly marks: HeardMarks;
  readonly dropsCount: number;
}

export interface Survey {
  readonly heard: ReadonlyMap<NodeName, Heard>;
  /** What may be missing; empty where no more is left out than may be. */
  readonly warnings: readonly string[];
  /** Nothing is left out, so that one who marks may go unread. */
  readonly maySpare: boolean;
}

/** Why a member counts as unheard, by its name. */
export type Excluded = ReadonlyMap<NodeName, string>;

export class Surveyor {
  readonly #state: NodeState;
  readonly #exchange: Exchange;
  readonly #timing: ClusterTiming;
  readonly #told = new Map<NodeName, Told>();
  readonly #doubtedUntilMs = new Map<NodeName, number>();

  constructor(state: NodeState, exchange: Exchange, timing: ClusterTiming) {
    this.#state = state;
    this.#exchange = exchange;
    this.#timing = timing;
    exchange.answer(marksQuestion, async ({ body }) => ({ body: this.#tell(body) }));
  }

  /** Asks every member but those excluded. The record may be another one when it resolves: compare the view before and after. */
  async survey(fromMs: number, toMs: number, excluded: Excluded): Promise<Survey> {
    const { record, decisions } = this.#state;
    const heard = new Map<NodeName, Heard>();
    const unheard = new Map<NodeName, string>();
    const ask = async ({ name, store }: Member, deadlineMs: number): Promise<void> => {
      try {
        const failure = excluded.get(name);
        if (failure !== undefined) throw new TimbalaError('PEER_FAILED', failure);
        heard.set(name, await this.#hear(name, store, fromMs, toMs, deadlineMs));
        unheard.delete(name);
      } catch (error) {
        unheard.set(name, errorMessage(error));
      }
    };
    const losses = decisions.countedLosses(record);
    const isComplete = (): boolean =>
      decisions.mayLeaveOut(unheard.size + losses.length) &&
      record.members.every(({ name, alone }) => alone === 0 || heard.has(name));

    const { askDeadlineMs, briefAskDeadlineMs } = this.#timing;
    const doubted = new Set(record.members.filter(({ name }) => this.#isDoubted(name)));
    await Promise.all(
      record.members.map((member) => ask(member, doubted.has(member) ? briefAskDeadlineMs : askDeadlineMs)),
    );
    if (!isComplete()) {
      // Who is only slow should not make an answer incomplete.
      const again = record.members.filter(({ name }) => unheard.has(name) && !excluded.has(name));
      await Promise.all(again.map((member) => ask(member, askDeadlineMs)));
    }
    const warnings = isComplete() ? [] : [...this.#missing(record.members, unheard), ...losses.map(lossText)];
    // In one order whoever answered first: plans are remembered by it.
    const ordered = new Map([...heard].sort(([a], [b]) => (a < b ? -1 : 1)));
    return { heard: ordered, warnings, maySpare: unheard.size + losses.length === 0 };
  }

  #missing(members: readonly Member[], unheard: ReadonlyMap<NodeName, string>): string[] {
    return members.flatMap(({ name, alone }) => {
      const reason = unheard.get(name);
      if (reason === undefined) return [];
      return [`not heard: ${name} (${alone > 0 ? 'may alone hold samples; ' : ''}${reason}); samples may be missing`];
    });
  }

  /** It did not answer lately: a query that can do without does not wait long. */
  #isDoubted(name: NodeName): boolean {
    return (this.#doubtedUntilMs.get(name) ?? Number.NEGATIVE_INFINITY) > this.#state.clock.monotonicMs();
  }

  async #hear(name: NodeName, store: StoreId, fromMs: number, toMs: number, deadlineMs: number): Promise<Heard> {
    if (name === this.#state.name) return this.#ownMarks(fromMs, toMs);
    try {
      const heard = await this.#askMarks(name, store, fromMs, toMs, deadlineMs);
      this.#doubtedUntilMs.delete(name);
      return heard;
    } catch (error) {
      this.#doubtedUntilMs.set(name, this.#state.clock.monotonicMs() + this.#timing.doubtMs);
      throw error;
    }
  }

  #ownMarks(fromMs: number, toMs: number): Heard {
    const { marks, isReady, dropsCount, name } = this.#state;
    if (!isReady) throw new TimbalaError('PEER_REPLAYING', `${name} is replaying its log`);
    return { marks: byWindow(marks.told(fromMs, toMs)), dropsCount };
  }

  async #askMarks(name: NodeName, store: StoreId, fromMs: number, toMs: number, deadlineMs: number): Promise<Heard> {
    const told = this.#told.get(name);
    const known = [...(told?.layers.values() ?? [])].filter((layer) => isInRange(layer, fromMs, toMs));
    const answer = await this.#exchange.ask(
      name,
      marksQuestion,
      {
        fromMs,
        toMs,
        epoch: told?.epoch ?? 0,
        known: known.map(({ windowStartMs, shape }) => ({ windowStartMs, shape })),
      },
      deadlineMs,
    );
    if (answer.store !== store || answer.viewHash !== this.#state.view.hash) {
      throw new TimbalaError('PEER_CHANGED', `${name} answered as another store or under another record`);
    }
    const { isReplaying, dropsCount, epoch, unchanged, layers } = answer.body;
    if (isReplaying) throw new TimbalaError('PEER_REPLAYING', `${name} is replaying its log`);
    const byStart = byWindow(known);
    const kept = unchanged.map((windowStartMs) => byStart.get(windowStartMs)).filter((layer) => layer !== undefined);
    if (kept.length < unchanged.length) throw new TimbalaError('PEER_FAILED', `${name} answered what was not asked`);
    const current = [...kept, ...layers.map(unpackLayer)];
    this.#keep(name, epoch, current, fromMs, toMs);
    return { marks: byWindow(current), dropsCount };
  }

  /** Windows out of the range stay as they are known; what lies behind the newest is forgotten by and by. */
  #keep(name: NodeName, epoch: number, current: readonly ToldLayer[], fromMs: number, toMs: number): void {
    const before = this.#told.get(name);
    const layers = new Map<number | undefined, ToldLayer>();
    if (before?.epoch === epoch) {
      for (const [start, layer] of before.layers) if (!isInRange(layer, fromMs, toMs)) layers.set(start, layer);
    }
    for (const layer of current) layers.set(layer.windowStartMs, layer);
    for (const start of layers.keys()) {
      if (layers.size <= layersKeptMax) break;
      if (start !== undefined) layers.delete(start);
    }
    this.#told.set(name, { epoch, layers });
  }

  #tell({ fromMs, toMs, epoch, known }: MarksRequest): MarksReply {
    const { marks, isReady, dropsCount } = this.#state;
    const shapes = new Map(known.map(({ windowStartMs, shape }) => [windowStartMs, shape]));
    const isKnown = ({ windowStartMs, shape }: ToldLayer): boolean =>
      epoch === this.#state.epoch && shapes.get(windowStartMs) === shape;
    const layers = isReady ? marks.told(fromMs, toMs) : [];
    return {
      isReplaying: !isReady,
      dropsCount,
      epoch: this.#state.epoch,
      unchanged: layers.filter(isKnown).map(({ windowStartMs }) => windowStartMs),
      layers: layers.filter((layer) => !isKnown(layer)).map(packLayer),
    };
  }
}

function isInRange({ windowStartMs }: ToldLayer, fromMs: number, toMs: number): boolean {
  return windowStartMs === undefined || (windowStartMs <= toMs && windowStartMs + windowMs > fromMs);
}

function byWindow(layers: readonly ToldLayer[]): Map<number | undefined, ToldLayer> {
  return new Map(layers.map((layer) => [layer.windowStartMs, layer]));
}

function lossText(store: StoreId): string {
  return `store ${store} was lost and is not yet made up for; samples may be missing`;
}
