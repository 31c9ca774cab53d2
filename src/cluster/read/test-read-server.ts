// A read server without a node around it, for tests: what it answers is called by the topic of the question.
import type { Clock } from '../../ports/index.ts';
import type { PeerWork } from '../contracts.ts';
import type { Exchange, Question } from '../exchange.ts';
import type { NodeState } from '../state.ts';
import { defaultClusterTiming } from '../timing.ts';
import { noReads, type ReadCounters } from './counters.ts';
import { type ReadOwn, ReadServer } from './serve.ts';

type Handler = (asked: { from: string; body: unknown; work: Pick<PeerWork, 'signal'> }) => Promise<{ body: unknown }>;

export interface DetachedReadServer {
  readonly answers: ReadonlyMap<string, { readonly question: Question<unknown, unknown>; readonly handler: Handler }>;
  readonly counters: ReadCounters;
}

/** `refuseDropped`: throws where a partition that is asked for was dropped. */
export function detachedReadServer(
  clock: Clock,
  frames: ReadOwn,
  refuseDropped: () => void = () => undefined,
): DetachedReadServer {
  const answers = new Map<string, { question: Question<unknown, unknown>; handler: Handler }>();
  const exchange = {
    answer: (question: Question<unknown, unknown>, handler: Handler) =>
      answers.set(question.topic, { question, handler }),
  };
  const state = { name: 'n', epoch: 7, clock, refuseDropped };
  const counters = noReads();
  void new ReadServer(
    state as unknown as NodeState,
    exchange as unknown as Exchange,
    defaultClusterTiming,
    counters,
    frames,
  );
  return { answers, counters };
}
