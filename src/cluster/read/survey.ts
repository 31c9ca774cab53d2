// The first half of a read: every member is asked for its marks in the range, before any data is read. Says who was heard,
// and whether the answer may do without the rest.
import { errorMessage, TimbalaError } from '../../base/index.ts';
import type { NodeName } from '../contracts.ts';
import type { OwnerToken } from '../decisions.ts';
import type { Exchange, Question } from '../exchange.ts';
import { type MarksReply, marksReply, marksRequest } from '../messages.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';
import { type HeardMarks, partitionsIn } from './plan.ts';

const marksQuestion: Question<{ fromMs: number; toMs: number }, MarksReply> = {
  kind: 'marks',
  topic: 'marks',
  request: marksRequest,
  reply: marksReply,
};

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

  constructor(state: NodeState, exchange: Exchange, timing: ClusterTiming) {
    this.#state = state;
    this.#exchange = exchange;
    this.#timing = timing;
    exchange.answer(marksQuestion, async ({ body }) => ({ body: this.#ownMarks(body.fromMs, body.toMs) }));
  }

  /** Asks every member but those excluded. The record may be another one when it resolves: compare the view before and after. */
  async survey(fromMs: number, toMs: number, excluded: Excluded): Promise<Survey> {
    const { record, decisions, name: self } = this.#state;
    const heard = new Map<NodeName, Heard>();
    const unheard: string[] = [];
    await Promise.all(
      record.members.map(async ({ name, store, alone }) => {
        try {
          const failure = excluded.get(name);
          if (failure !== undefined) throw new TimbalaError('PEER_FAILED', failure);
          const reply = name === self ? this.#ownMarks(fromMs, toMs) : await this.#askMarks(name, store, fromMs, toMs);
          if (reply.isReplaying) throw new TimbalaError('PEER_REPLAYING', `${name} is replaying its log`);
          heard.set(name, { marks: heardMarks(reply), dropsCount: reply.dropsCount });
        } catch (error) {
          unheard.push(`${name} (${alone > 0 ? 'may alone hold samples; ' : ''}${errorMessage(error)})`);
        }
      }),
    );
    const losses = decisions.countedLosses(record);
    const leftOut = unheard.length + losses.length;
    const isAloneUnheard = record.members.some(({ name, alone }) => alone > 0 && !heard.has(name));
    const warnings: string[] = [];
    if (!decisions.mayLeaveOut(leftOut) || isAloneUnheard) {
      warnings.push(...unheard.map((name) => `not heard: ${name}; samples may be missing`));
      warnings.push(
        ...losses.map((store) => `store ${store} was lost and is not yet made up for; samples may be missing`),
      );
    }
    return { heard, warnings, maySpare: leftOut === 0 };
  }

  async #askMarks(name: NodeName, store: string, fromMs: number, toMs: number): Promise<MarksReply> {
    const answer = await this.#exchange.ask(name, marksQuestion, { fromMs, toMs }, this.#timing.askDeadlineMs);
    if (answer.store !== store || answer.viewHash !== this.#state.view.hash) {
      throw new TimbalaError('PEER_CHANGED', `${name} answered as another store or under another record`);
    }
    return answer.body;
  }

  #ownMarks(fromMs: number, toMs: number): MarksReply {
    const { marks, isReady, dropsCount } = this.#state;
    const owners: OwnerToken[] = [];
    const windows = new Map<
      number | undefined,
      { unconfirmed: Set<number>; confirmed: { partition: number; owners: number[] }[] }
    >();
    for (const { scope, confirmed } of marks.inRange(fromMs, toMs)) {
      let window = windows.get(scope.windowStartMs);
      if (!window) {
        window = { unconfirmed: new Set(), confirmed: [] };
        windows.set(scope.windowStartMs, window);
      }
      if (confirmed.length === 0) window.unconfirmed.add(scope.partition);
      else
        window.confirmed.push({
          partition: scope.partition,
          owners: confirmed.map((owner) => numberOf(owners, owner)),
        });
    }
    return {
      isReplaying: !isReady,
      dropsCount,
      owners,
      windows: [...windows].map(([windowStartMs, { unconfirmed, confirmed }]) => ({
        windowStartMs,
        unconfirmed: bitmapOf(unconfirmed),
        confirmed,
      })),
    };
  }
}

function numberOf(owners: OwnerToken[], owner: OwnerToken): number {
  const number = owners.indexOf(owner);
  return number >= 0 ? number : owners.push(owner) - 1;
}

function bitmapOf(partitions: ReadonlySet<number>): Uint8Array {
  let last = -1;
  for (const partition of partitions) last = Math.max(last, partition);
  const bitmap = new Uint8Array((last + 8) >> 3);
  for (const partition of partitions) bitmap[partition >> 3] = (bitmap[partition >> 3] ?? 0) | (1 << (partition & 7));
  return bitmap;
}

function heardMarks(reply: MarksReply): HeardMarks {
  const heard = new Map<number | undefined, Map<number, OwnerToken[]>>();
  for (const { windowStartMs, unconfirmed, confirmed } of reply.windows) {
    const lists = new Map<number, OwnerToken[]>();
    for (const partition of partitionsIn(unconfirmed)) lists.set(partition, []);
    for (const { partition, owners } of confirmed) {
      lists.set(
        partition,
        owners.map((number) => reply.owners[number]).filter((owner) => owner !== undefined),
      );
    }
    heard.set(windowStartMs, lists);
  }
  return heard;
}
