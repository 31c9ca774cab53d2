// The query worker: parses, evaluates and formats; everything of a query but its HTTP connection. One storage reader, one
// engine; in a cluster, a query's view of all nodes. Answers that have begun wait here, as generators, until their next chunk is pulled.
import { answerCall, type ApiCall, Parameters } from '../../api/index.ts';
import { present, RpcPeer, Transferred } from '../../base/index.ts';
import type { Channel, Clock } from '../../ports/index.ts';
import { PromqlEngine } from '../../promql/index.ts';
import * as numbers from '../../promql/numbers/index.ts';
import * as parse from '../../promql/parse/index.ts';
import { Reader } from '../../storage/index.ts';
import { AnswerEncoder } from '../answer-encoder.ts';
import type { ClusterReadHandlers } from '../cluster/read-protocol.ts';
import { ClusterSession, type ClusterSessionOptions, ReadIds } from '../cluster/read-session.ts';
import { queryBytesMax, queryTimeoutMs } from '../limits.ts';
import { QueryMemory, SharedQueryControl } from '../query-memory.ts';
import type { AnswerChunk, AnswerHead, QueryCall, QueryHandlers } from '../query-protocol.ts';
import { type QueryStart, type RoleContext, storagePorts } from './role.ts';

/** An answer that has begun: a chunk ahead, so that the last one is known as such when it is sent. */
class RunningAnswer {
  readonly first: AnswerChunk;
  readonly encoder: AnswerEncoder;
  readonly #chunks: Iterator<Uint8Array<ArrayBuffer>>;
  readonly #release: () => void;
  #next: IteratorResult<Uint8Array<ArrayBuffer>>;

  /** `release` is called once, when nothing of the answer is left. */
  constructor(chunks: Iterable<Uint8Array<ArrayBuffer>>, encoding: QueryCall['encoding'], release: () => void) {
    this.#chunks = chunks[Symbol.iterator]();
    this.#release = release;
    const first = this.#chunks.next();
    this.#next = this.#chunks.next();
    const firstChunk = first.done ? new Uint8Array() : first.value;
    this.encoder = new AnswerEncoder(encoding, firstChunk.length, Boolean(this.#next.done));
    this.first = this.#encode(firstChunk);
  }

  #encode(chunk: Uint8Array<ArrayBuffer>): AnswerChunk {
    const isLast = Boolean(this.#next.done);
    if (isLast) this.#release();
    return { chunk: this.encoder.encode(chunk, isLast), isLast };
  }

  pull(): AnswerChunk {
    const chunk = this.#next.done ? new Uint8Array() : this.#next.value;
    this.#next = this.#chunks.next();
    return this.#encode(chunk);
  }

  drop(): void {
    this.#release();
  }
}

class QueryRole {
  readonly #reader: Reader;
  readonly #clock: Clock;
  readonly #engine = new PromqlEngine();
  readonly #memory: QueryMemory;
  readonly #cluster: Pick<ClusterSessionOptions, 'main' | 'readIds'> | undefined;
  readonly #running = new Map<number, RunningAnswer>();
  // `Transferred` is how a handler says what moves; the caller sees what QueryHandlers says.
  readonly handlers = {
    answer: (call: QueryCall) => this.#answer(call),
    next: ({ id }: { id: number }) => this.#pull(id),
    drop: ({ id }: { id: number }) => this.#drop(id),
  } satisfies Record<keyof QueryHandlers, unknown>;

  /** `cluster`: main, which reads the whole cluster; undefined in a node that stands alone. */
  constructor(reader: Reader, clock: Clock, memoryBytesMax: number, cluster: Channel | undefined) {
    this.#reader = reader;
    this.#cluster = cluster && { main: new RpcPeer<ClusterReadHandlers>(cluster), readIds: new ReadIds() };
    this.#clock = clock;
    this.#memory = new QueryMemory(memoryBytesMax);
  }

  /** The limits of a call that may take `timeoutMs` from its arrival. */
  #control(call: QueryCall, timeoutMs: number | undefined): SharedQueryControl {
    const cancelled = new Int32Array(call.cancelled);
    const limitMs = Math.min(timeoutMs ?? queryTimeoutMs, queryTimeoutMs) - call.queuedMs;
    const deadlineMs = this.#clock.monotonicMs() + limitMs;
    const state = (): 'run' | 'cancelled' | 'timeout' => {
      if (Atomics.load(cancelled, 0) !== 0) return 'cancelled';
      return this.#clock.monotonicMs() > deadlineMs ? 'timeout' : 'run';
    };
    const remainingMs = (): number => Math.max(0, deadlineMs - this.#clock.monotonicMs());
    return new SharedQueryControl({ state, remainingMs, bytesMax: queryBytesMax }, this.#memory);
  }

  async #answer(call: QueryCall): Promise<Transferred<AnswerHead>> {
    const controls: SharedQueryControl[] = [];
    const apiCall: ApiCall = {
      endpoint: call.endpoint,
      parameters: new Parameters(...call.parameterTexts),
      labelName: call.labelName,
      nowMs: call.receivedMs,
      queuedMs: call.queuedMs,
      control: (timeoutMs) => {
        const control = this.#control(call, timeoutMs);
        controls.push(control);
        return control;
      },
    };
    const release = (): void => {
      for (const control of controls) control.release();
    };
    try {
      const { status, chunks, error } = await this.#evaluate(apiCall, call.id);
      const answer = new RunningAnswer(chunks, call.encoding, release);
      const { first } = answer;
      if (!first.isLast) this.#running.set(call.id, answer);
      const { encoding } = answer.encoder;
      const headers = encoding === 'identity' ? {} : { 'content-encoding': encoding };
      const errorText = error && `${error.type}: ${error.message}`;
      return new Transferred({ status, headers, ...first, errorText }, [first.chunk.buffer]);
    } catch (error) {
      release();
      throw error;
    }
  }

  async #evaluate(call: ApiCall, callId: number): ReturnType<typeof answerCall> {
    // The session pins one state of the storage; what is answered is the result's own memory and needs it no longer.
    const session = this.#cluster
      ? new ClusterSession({ ...this.#cluster, reader: this.#reader, callId })
      : this.#reader.openSession();
    const context = {
      engine: this.#engine,
      queryable: session,
      parse,
      numbers,
      tsdbStatus: (rowsMax: number) => this.#reader.tsdbStatus(rowsMax),
      monotonicMs: () => this.#clock.monotonicMs(),
    };
    try {
      return await answerCall(context, call);
    } finally {
      session.close();
    }
  }

  #pull(id: number): Transferred<AnswerChunk> {
    const chunk = present(this.#running.get(id), 'a running answer').pull();
    if (chunk.isLast) this.#running.delete(id);
    return new Transferred(chunk, [chunk.chunk.buffer]);
  }

  #drop(id: number): void {
    this.#running.get(id)?.drop();
    this.#running.delete(id);
  }
}

export async function startQueryRole({ ports, start, channels, channel }: RoleContext): Promise<void> {
  ports.lowerThreadPriority(5);
  const queryStart = start as QueryStart;
  const reader = await Reader.open({
    ...storagePorts(ports, queryStart),
    lane: present(channels['lane'], 'channel to the lane'),
    keeper: present(channels['keeper'], 'channel to the keeper'),
  });
  const role = new QueryRole(reader, ports.clock, queryStart.queryMemoryBytesMax, channels['cluster']);
  void new RpcPeer(channel, role.handlers);
}
