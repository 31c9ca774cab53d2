// A peer's share of a read, drawn frame by frame. What goes wrong there makes the plan stale; the peer is then left out.
import { errorMessage, hasCode, TimbalaError } from '../../base/index.ts';
import type { Timer } from '../../ports/index.ts';
import type { NodeName } from '../contracts.ts';
import type { Answer, Exchange, Question } from '../exchange.ts';
import { helloQuestion } from '../hello.ts';
import type { NodeState } from '../state.ts';
import type { ClusterTiming } from '../timing.ts';
import { type PlannedRead, PlanStale, type RemoteRead } from './read-stream.ts';
import type { Share } from './shares.ts';
import { type OpenReadId, readEndQuestion, readMoreQuestion, type ReadPiece, readQuestion } from './serve.ts';

export interface AskedOfPeer {
  readonly planned: PlannedRead;
  readonly share: Share;
  readonly wanted: Uint8Array;
}

export class ReadOfPeer implements RemoteRead {
  readonly #state: NodeState;
  readonly #exchange: Exchange;
  readonly #timing: ClusterTiming;
  readonly #asked: AskedOfPeer;
  readonly #from: NodeName;
  readonly #signal: AbortSignal;
  /** What the peer knows the read by, while it has more. */
  #read: OpenReadId | undefined;
  #number = 0;
  #isClosed = false;
  #isDone = false;

  constructor(state: NodeState, exchange: Exchange, timing: ClusterTiming, asked: AskedOfPeer, signal: AbortSignal) {
    this.#state = state;
    this.#exchange = exchange;
    this.#timing = timing;
    this.#asked = asked;
    this.#from = asked.share.from;
    this.#signal = signal;
  }

  async next(): Promise<Uint8Array | undefined> {
    if (this.#isDone) return undefined;
    try {
      const { read, frame, isLast } = await this.#ask();
      this.#isDone = isLast;
      this.#read = isLast ? undefined : read;
      if (this.#isClosed) this.#endThere();
      const { counters } = this.#asked.planned;
      counters.frames++;
      counters.bytes += frame.length;
      return frame;
    } catch (error) {
      throw this.#signal.aborted ? new PlanStale() : this.#stale(error);
    }
  }

  async #ask(): Promise<ReadPiece> {
    if (this.#read) {
      return this.#checked(await this.#put(readMoreQuestion, { read: this.#read, number: ++this.#number }));
    }
    const { planned, share, wanted } = this.#asked;
    const dropsCount = planned.dropsCounts.get(this.#from) ?? 0;
    const { segments } = share;
    return this.#checked(await this.#put(readQuestion, { ...planned.selection, wanted, segments, dropsCount }));
  }

  async #put<Request>(question: Question<Request, ReadPiece>, request: Request): Promise<Answer<ReadPiece>> {
    const silent = new AbortController();
    const stopWatching = this.#watch(silent);
    const signal = AbortSignal.any([this.#signal, silent.signal]);
    try {
      return await this.#exchange.ask(this.#from, question, request, this.#timing.readDeadlineMs, undefined, signal);
    } catch (error) {
      if (!silent.signal.aborted) throw error;
      throw new TimbalaError('PEER_SILENT', `${this.#from} neither goes on nor says that it is there`, {
        cause: error,
      });
    } finally {
      stopWatching();
    }
  }

  /** Asks from time to time whether the peer is there at all: slow is not gone. */
  #watch(silent: AbortController): () => void {
    const { readProbeAfterMs, askDeadlineMs } = this.#timing;
    let isOver = false;
    let timer: Timer | undefined;
    const probe = async (): Promise<void> => {
      try {
        await this.#exchange.ask(this.#from, helloQuestion, {}, askDeadlineMs);
        if (!isOver) probeLater();
      } catch {
        silent.abort();
      }
    };
    const probeLater = (): void => {
      timer = this.#state.clock.setTimer(readProbeAfterMs, () => void probe());
    };
    probeLater();
    return () => {
      isOver = true;
      timer?.cancel();
    };
  }

  #checked({ viewHash, store, body }: Answer<ReadPiece>): ReadPiece {
    if (viewHash === this.#asked.planned.viewHash && store === this.#state.record.member(this.#from)?.store)
      return body;
    throw new PlanStale();
  }

  /** Throws what is the query's own fault: any node would say it. */
  #stale(error: unknown): PlanStale {
    if (error instanceof PlanStale) return error;
    // It gave a partition away meanwhile, or the read up: the next plan knows.
    if (hasCode(error, 'PEER_DROPPED') || hasCode(error, 'READ_CANCELLED')) return new PlanStale();
    if (error instanceof TimbalaError && /^(?:READ|QUERY)_/.test(error.code)) throw error;
    return new PlanStale(this.#from, errorMessage(error));
  }

  close(): void {
    this.#isClosed = true;
    this.#endThere();
  }

  /** The peer would find out by itself, later. */
  #endThere(): void {
    const read = this.#read;
    this.#read = undefined;
    if (read) this.#exchange.ask(this.#from, readEndQuestion, read, this.#timing.askDeadlineMs).catch(() => {});
  }
}
