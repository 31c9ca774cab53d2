// The query worker: parses, evaluates and formats; everything of a query but its HTTP connection. One storage reader, one
// engine. Answers that have begun wait here, as generators, until their next chunk is pulled.
import { answerCall, type ApiCall, Parameters, type QueryContext } from '../../api/index.ts';
import { present, RpcPeer, Transferred } from '../../base/index.ts';
import { LimitedQueryControl, PromqlEngine, type QueryControl } from '../../promql/index.ts';
import * as numbers from '../../promql/numbers/index.ts';
import * as parse from '../../promql/parse/index.ts';
import { Reader } from '../../storage/index.ts';
import { AnswerEncoder } from '../answer-encoder.ts';
import { queryTimeoutMs } from '../limits.ts';
import type { AnswerChunk, AnswerHead, QueryCall, QueryHandlers } from '../query-protocol.ts';
import { type RoleContext, type StorageStart, storagePorts } from './role.ts';

/** An answer that has begun: a chunk ahead, so that the last one is known as such when it is sent. */
class RunningAnswer {
  readonly encoder: AnswerEncoder;
  readonly #chunks: Iterator<Uint8Array<ArrayBuffer>>;
  #next: IteratorResult<Uint8Array<ArrayBuffer>>;

  constructor(chunks: Iterable<Uint8Array<ArrayBuffer>>, encoding: QueryCall['encoding']) {
    this.#chunks = chunks[Symbol.iterator]();
    const first = this.#chunks.next();
    this.#next = this.#chunks.next();
    const firstChunk = first.done ? new Uint8Array() : first.value;
    this.encoder = new AnswerEncoder(encoding, firstChunk.length, Boolean(this.#next.done));
    this.first = this.#encode(firstChunk);
  }

  readonly first: AnswerChunk;

  #encode(chunk: Uint8Array<ArrayBuffer>): AnswerChunk {
    const isLast = Boolean(this.#next.done);
    return { chunk: this.encoder.encode(chunk, isLast), isLast };
  }

  pull(): AnswerChunk {
    const chunk = this.#next.done ? new Uint8Array() : this.#next.value;
    this.#next = this.#chunks.next();
    return this.#encode(chunk);
  }
}

export async function startQueryRole(role: RoleContext): Promise<void> {
  const { clock } = role.ports;
  role.ports.lowerThreadPriority(5);
  const reader = await Reader.open({
    ...storagePorts(role.ports, role.start as StorageStart),
    lane: present(role.channels['lane'], 'channel to the lane'),
    keeper: present(role.channels['keeper'], 'channel to the keeper'),
  });
  const shared = {
    engine: new PromqlEngine(),
    parse,
    numbers,
    tsdbStatus: (rowsMax: number) => reader.tsdbStatus(rowsMax),
    monotonicMs: () => clock.monotonicMs(),
  };
  const running = new Map<number, RunningAnswer>();

  const control = (call: QueryCall, timeoutMs: number | undefined): QueryControl => {
    const cancelled = new Int32Array(call.cancelled);
    const limitMs = Math.min(timeoutMs ?? queryTimeoutMs, queryTimeoutMs) - call.queuedMs;
    const deadlineMs = clock.monotonicMs() + limitMs;
    return new LimitedQueryControl({
      state: () => {
        if (Atomics.load(cancelled, 0) !== 0) return 'cancelled';
        return clock.monotonicMs() > deadlineMs ? 'timeout' : 'run';
      },
    });
  };

  const handlers = {
    async answer(call: QueryCall): Promise<Transferred<AnswerHead>> {
      const apiCall: ApiCall = {
        endpoint: call.endpoint,
        parameters: new Parameters(...call.parameterTexts),
        labelName: call.labelName,
        nowMs: call.receivedMs,
        queuedMs: call.queuedMs,
        control: (timeoutMs) => control(call, timeoutMs),
      };
      // The session pins one state of the storage; what is answered is the result's own memory and needs it no longer.
      const session = reader.openSession();
      const context: QueryContext = { ...shared, queryable: session };
      const { status, chunks, error } = await answerCall(context, apiCall).finally(() => session.close());
      const answer = new RunningAnswer(chunks, call.encoding);
      const { first } = answer;
      if (!first.isLast) running.set(call.id, answer);
      const { encoding } = answer.encoder;
      const headers = encoding === 'identity' ? {} : { 'content-encoding': encoding };
      const errorText = error && `${error.type}: ${error.message}`;
      return new Transferred({ status, headers, ...first, errorText }, [first.chunk.buffer]);
    },
    next({ id }: { id: number }): Transferred<AnswerChunk> {
      const chunk = present(running.get(id), 'a running answer').pull();
      if (chunk.isLast) running.delete(id);
      return new Transferred(chunk, [chunk.chunk.buffer]);
    },
    drop({ id }: { id: number }): void {
      running.delete(id);
    },
  };
  // `Transferred` is how a handler says what moves; the caller sees what QueryHandlers says.
  void new RpcPeer(role.channel, handlers satisfies Record<keyof QueryHandlers, unknown>);
}
