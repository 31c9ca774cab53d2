// The query workers as main sees them: at most so many queries at a time, the rest in a queue; a client that leaves cancels
// its query; a worker that dies takes only its own queries along and is replaced.
import { type ApiCall, ApiError, errorAnswer, readParameterTexts, toApiError } from '../api/index.ts';
import { errorMessage, RpcPeer, secondMs } from '../base/index.ts';
import type { Clock, HttpAnswer, HttpRequest, Log, WorkerHandle, Workers } from '../ports/index.ts';
import { chooseEncoding } from './answer-encoder.ts';
import { type ClusterReads, ReadService } from './cluster/read-service.ts';
import type { CompactorHandlers, LaneHandlers } from './lane-protocol.ts';
import { queriesActiveMax, queryStuckMs, queryTimeoutMs } from './limits.ts';
import { QueryGate } from './query-gate.ts';
import type { AnswerChunk, QueryCall, QueryHandlers } from './query-protocol.ts';
import type { QueryStart } from './roles/index.ts';

interface QueryWorker {
  readonly id: number;
  readonly handle: WorkerHandle;
  readonly peer: RpcPeer<QueryHandlers>;
  /** Ends its reads of the cluster. */
  readonly endReads: () => void;
  /** Calls that are not done with it, those with an answer under way included. */
  activeCount: number;
  /** Why it ended. */
  death: unknown;
}

export interface QueryPoolOptions {
  readonly workers: Workers;
  readonly clock: Clock;
  readonly log: Log;
  readonly start: QueryStart;
  /** The first is there from the start, others come when all are busy. */
  readonly workersMax: number;
  readonly lane: RpcPeer<LaneHandlers>;
  readonly compactor: RpcPeer<CompactorHandlers>;
  /** Reads of the whole cluster; undefined for a node that stands alone. */
  readonly clusterReads?: ClusterReads | undefined;
}

// A worker that dies at once would die again: the next attempt waits.
const respawnDelayMs = secondMs;

export class QueryPool {
  readonly #options: QueryPoolOptions;
  readonly #gate: QueryGate;
  readonly #reads: ReadService | undefined;
  readonly #workers = new Set<QueryWorker>();
  #nextWorkerId = 1;
  #nextCallId = 1;
  #isClosed = false;
  respawnsCount = 0;

  constructor(options: QueryPoolOptions) {
    this.#options = options;
    this.#gate = new QueryGate(options.clock, queriesActiveMax);
    this.#reads = options.clusterReads && new ReadService(options.clusterReads);
    this.#spawn();
  }

  get activeCount(): number {
    return this.#gate.activeCount;
  }

  get waitingCount(): number {
    return this.#gate.waitingCount;
  }

  #spawn(): void {
    const { workers, start, lane, compactor } = this.#options;
    const id = this.#nextWorkerId++;
    const [laneEnd, readerOfLane] = workers.createChannel();
    const [compactorEnd, readerOfKeeper] = workers.createChannel();
    lane.notify('connectReader', { readerId: id, channel: laneEnd }, [laneEnd]);
    compactor.notify('connectReader', { readerId: id, channel: compactorEnd }, [compactorEnd]);
    const [mainEnd, workerEnd] = this.#reads ? workers.createChannel() : [];
    const channels = { lane: readerOfLane, keeper: readerOfKeeper };
    const handle = workers.spawn('query', start, workerEnd ? { ...channels, cluster: workerEnd } : channels);
    const peer = new RpcPeer<QueryHandlers>(handle.channel);
    const endReads = (mainEnd && this.#reads?.serve(mainEnd)) ?? ((): void => undefined);
    const worker: QueryWorker = { id, handle, peer, endReads, activeCount: 0, death: undefined };
    this.#workers.add(worker);
    void handle.ended.then((reason) => this.#bury(worker, reason));
  }

  #bury(worker: QueryWorker, reason: unknown): void {
    const { log, clock, lane, compactor } = this.#options;
    worker.death ??= reason;
    this.#workers.delete(worker);
    worker.endReads();
    worker.peer.close(`the query worker has ended: ${reason === undefined ? 'shut down' : errorMessage(reason)}`);
    if (this.#isClosed) return;
    log.error('query-worker-died', { workerId: worker.id, queriesLostCount: worker.activeCount, error: reason });
    lane.notify('disconnectReader', { readerId: worker.id });
    compactor.notify('disconnectReader', { readerId: worker.id });
    this.respawnsCount++;
    clock.setTimer(respawnDelayMs, () => {
      if (!this.#isClosed && this.#workers.size === 0) this.#spawn();
    });
  }

  /** Answers an API call; never throws for what a query can do wrong. */
  async answer(request: HttpRequest, endpoint: ApiCall['endpoint']): Promise<HttpAnswer> {
    const cancelled = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    let release: (() => void) | undefined;
    const whenCancelled = Promise.withResolvers<void>();
    request.onDisconnect(() => {
      Atomics.store(new Int32Array(cancelled), 0, 1);
      whenCancelled.resolve();
    });
    try {
      const receivedMs = this.#options.clock.nowMs();
      const arrivedMs = this.#options.clock.monotonicMs();
      const parameterTexts = await readParameterTexts(request);
      release = await this.#gate.enter(whenCancelled.promise);
      const id = this.#nextCallId++;
      void whenCancelled.promise.then(() => this.#reads?.cancelCall(id));
      return await this.#run(
        {
          id,
          endpoint,
          parameterTexts,
          labelName: request.parameters['name'] ?? '',
          encoding: chooseEncoding(request.header('accept-encoding')),
          receivedMs,
          queuedMs: this.#options.clock.monotonicMs() - arrivedMs,
          cancelled,
        },
        release,
      );
    } catch (error) {
      release?.();
      return errorAnswer(toApiError(error));
    }
  }

  /** Takes over `release`, unless it throws. */
  async #run(call: QueryCall, release: () => void): Promise<HttpAnswer> {
    const worker = this.#leastBusy();
    worker.activeCount++;
    const stuck = this.#options.clock.setTimer(queryTimeoutMs + queryStuckMs, () => this.#endStuck(worker, call));
    try {
      const head = await worker.peer.call('answer', call);
      if (head.errorText !== undefined) {
        const { id, endpoint } = call;
        this.#options.log.debug('query-failed', { id, endpoint, status: head.status, errorText: head.errorText });
      }
      const headers = { 'content-type': 'application/json', vary: 'accept-encoding', ...head.headers };
      if (head.isLast) {
        worker.activeCount--;
        release();
        return { status: head.status, headers, body: head.chunk };
      }
      return { status: head.status, headers, body: this.#stream(worker, call.id, head.chunk, release) };
    } catch (error) {
      worker.activeCount--;
      throw worker.death === undefined ? error : deathError(worker.death);
    } finally {
      stuck.cancel();
    }
  }

  /** A query looks at its deadline at every batch of work; one that does not will never end. */
  #endStuck(worker: QueryWorker, { id, endpoint, parameterTexts }: QueryCall): void {
    this.#options.log.error('query-worker-stuck', { workerId: worker.id, id, endpoint, parameterTexts });
    worker.death = new ApiError('timeout', 'query timed out in expression evaluation');
    void worker.handle.terminate();
  }

  /** One chunk is on its way from the worker while the one before it is on its way to the client. */
  async *#stream(
    worker: QueryWorker,
    id: number,
    first: Uint8Array<ArrayBuffer>,
    release: () => void,
  ): AsyncGenerator<Uint8Array> {
    let isDone = false;
    const pull = (): Promise<AnswerChunk> => {
      const pulled = worker.peer.call('next', { id });
      // Whoever leaves does not wait for it any more.
      pulled.catch(() => {});
      return pulled;
    };
    try {
      let pulled = pull();
      yield first;
      while (!isDone) {
        const { chunk, isLast } = await pulled;
        isDone = isLast;
        if (!isLast) pulled = pull();
        yield chunk;
      }
    } finally {
      if (!isDone) worker.peer.notify('drop', { id });
      worker.activeCount--;
      release();
    }
  }

  #leastBusy(): QueryWorker {
    let chosen: QueryWorker | undefined;
    for (const worker of this.#workers) {
      if (chosen === undefined || worker.activeCount < chosen.activeCount) chosen = worker;
    }
    // The new worker is not there in time for this call, but for the next.
    if (chosen && chosen.activeCount > 0 && this.#workers.size < this.#options.workersMax) this.#spawn();
    if (!chosen) throw new ApiError('unavailable', 'QUERY_WORKERS_GONE: the query workers are being started again');
    return chosen;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#workers].map(({ handle }) => handle.terminate()));
  }
}

/** What the client of a query hears whose worker died. A heap that ran over is the query's own doing. */
function deathError(death: unknown): ApiError {
  if (death instanceof ApiError) return death;
  const code = typeof death === 'object' && death !== null && 'code' in death ? death.code : undefined;
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') {
    const message =
      "QUERY_TOO_MUCH_MEMORY: a query took all memory of its worker; narrow the query's selectors or its range";
    return new ApiError('execution', message);
  }
  return new ApiError('unavailable', `QUERY_WORKER_DIED: ${errorMessage(death)}`);
}
