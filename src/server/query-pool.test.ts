// The pool over scripted workers: what main does when queries are many, slow, cancelled, or take their worker along.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Handlers, RpcPeer } from '../base/index.ts';
import { SimClock } from '../../sim/clock.ts';
import type { Channel, HttpAnswer, HttpRequest, WorkerHandle, Workers } from '../ports/index.ts';
import { createInlineChannel } from '../storage/index.ts';
import { loadTestModule } from '../wasm/test-modules.ts';
import type { CompactorHandlers, LaneHandlers } from './lane-protocol.ts';
import { queriesActiveMax, queryStuckMs, queryTimeoutMs } from './limits.ts';
import { QueryPool } from './query-pool.ts';
import type { AnswerHead, QueryCall } from './query-protocol.ts';
import { TestLog } from './test-node.ts';

const utf8 = new TextEncoder();
const chunk = (text: string): Uint8Array<ArrayBuffer> => utf8.encode(text);

/** One query worker: calls wait until the test answers them. */
class ScriptedWorker {
  readonly calls: { readonly call: QueryCall; answer(head: Partial<AnswerHead>): void }[] = [];
  readonly chunks: string[] = [];
  readonly dropped: number[] = [];
  readonly end: (reason: unknown) => void;
  readonly handle: WorkerHandle;

  constructor() {
    const [ownEnd, workerEnd] = createInlineChannel();
    const { promise: ended, resolve } = Promise.withResolvers<unknown>();
    this.end = resolve;
    this.handle = { channel: ownEnd, ended, terminate: async () => resolve(undefined) };
    void new RpcPeer(workerEnd, {
      answer: (call: QueryCall) =>
        new Promise<AnswerHead>((answered) => {
          const base = { status: 200, headers: {}, chunk: chunk('first'), isLast: true, errorText: undefined };
          this.calls.push({ call, answer: (head) => answered({ ...base, ...head }) });
        }),
      next: () => {
        const text = this.chunks.shift() ?? '';
        return { chunk: chunk(text), isLast: this.chunks.length === 0 };
      },
      drop: ({ id }: { id: number }) => this.dropped.push(id),
    });
  }
}

class ScriptedWorkers implements Workers {
  readonly all: ScriptedWorker[] = [];

  spawn(): WorkerHandle {
    const worker = new ScriptedWorker();
    this.all.push(worker);
    return worker.handle;
  }

  createChannel(): [Channel, Channel] {
    return createInlineChannel();
  }
}

function deafPeer<Remote extends Handlers>(): RpcPeer<Remote> {
  return new RpcPeer<Remote>({ post() {}, onMessage() {} });
}

function newPool(): { pool: QueryPool; workers: ScriptedWorkers; log: TestLog; clock: SimClock } {
  const clock = new SimClock(1000);
  const workers = new ScriptedWorkers();
  const log = new TestLog();
  const modules = { wire: loadTestModule('wire'), head: loadTestModule('head'), pages: loadTestModule('pages') };
  const pool = new QueryPool({
    workers,
    log,
    clock,
    start: { dataDirectory: 'd', retention: { timeMs: 1 }, modules, logLevel: 'info', queryMemoryBytesMax: 1 },
    workersMax: 2,
    lane: deafPeer<LaneHandlers>(),
    compactor: deafPeer<CompactorHandlers>(),
  });
  return { pool, workers, log, clock };
}

function request(onDisconnect: (callback: () => void) => void = () => {}): HttpRequest {
  return {
    method: 'GET',
    path: '/api/v1/query',
    parameters: {},
    queryText: 'query=1',
    contentLength: 0,
    header: () => undefined,
    readBody: () => Promise.reject(new Error('no body')),
    onDisconnect,
  };
}

/** Lets messages, which take microtasks, arrive. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function bodyText({ body }: HttpAnswer): Promise<string> {
  if (body === undefined || typeof body === 'string') return body ?? '';
  if (body instanceof Uint8Array) return Buffer.from(body).toString();
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts).toString();
}

test('an answer of one chunk gives its place back at once', async () => {
  const { pool, workers } = newPool();
  const answer = pool.answer(request(), 'query');
  await settle();
  assert.equal(pool.activeCount, 1);
  workers.all[0]?.calls[0]?.answer({ headers: { 'content-encoding': 'gzip' } });
  const { status, headers, body } = await answer;
  assert.equal(status, 200);
  assert.equal(headers['content-encoding'], 'gzip');
  assert.ok(body instanceof Uint8Array);
  assert.equal(pool.activeCount, 0);
});

test('an answer of many chunks is pulled, and keeps its place until its end', async () => {
  const { pool, workers } = newPool();
  const answering = pool.answer(request(), 'query');
  await settle();
  const [worker] = workers.all;
  worker?.chunks.push('second', 'third');
  worker?.calls[0]?.answer({ isLast: false });
  const answer = await answering;
  assert.equal(pool.activeCount, 1);
  assert.equal(await bodyText(answer), 'firstsecondthird');
  assert.equal(pool.activeCount, 0);
  assert.deepEqual(worker?.dropped, []);
});

test('a client that leaves in the middle of an answer lets the worker drop it', async () => {
  const { pool, workers } = newPool();
  const answering = pool.answer(request(), 'query');
  await settle();
  const [worker] = workers.all;
  worker?.chunks.push('second', 'third', 'fourth');
  worker?.calls[0]?.answer({ isLast: false });
  const { body } = await answering;
  for await (const part of body as AsyncIterable<Uint8Array>) {
    assert.ok(part.length > 0);
    break;
  }
  await settle();
  assert.deepEqual(worker?.dropped, [worker?.calls[0]?.call.id]);
  assert.equal(pool.activeCount, 0);
});

test('a client that leaves before the answer sets the flag that its query looks at', async () => {
  const { pool, workers } = newPool();
  let leave = (): void => {};
  void pool.answer(
    request((callback) => {
      leave = callback;
    }),
    'query',
  );
  await settle();
  const flag = new Int32Array(workers.all[0]?.calls[0]?.call.cancelled ?? new SharedArrayBuffer(4));
  assert.equal(flag[0], 0);
  leave();
  assert.equal(flag[0], 1);
});

test('queries beyond the limit wait in order, and a waiting one whose client leaves is gone', async () => {
  const { pool, workers } = newPool();
  const running = Array.from({ length: queriesActiveMax }, () => pool.answer(request(), 'query'));
  await settle();
  let leave = (): void => {};
  const leaving = pool.answer(
    request((callback) => {
      leave = callback;
    }),
    'query',
  );
  const waiting = pool.answer(request(), 'query');
  await settle();
  assert.deepEqual([pool.activeCount, pool.waitingCount], [queriesActiveMax, 2]);
  leave();
  assert.equal((await leaving).status, 499);
  const calls = workers.all.flatMap((worker) => worker.calls);
  assert.equal(calls.length, queriesActiveMax);
  calls[0]?.answer({});
  await running[0];
  await settle();
  assert.deepEqual([pool.activeCount, pool.waitingCount], [queriesActiveMax, 0]);
  for (const worker of workers.all) for (const { answer } of worker.calls) answer({});
  assert.equal((await waiting).status, 200);
  await Promise.all(running);
  assert.equal(pool.activeCount, 0);
});

test('a second worker comes when the first is busy, and takes the next query', async () => {
  const { pool, workers } = newPool();
  const answers = [pool.answer(request(), 'query')];
  await settle();
  assert.equal(workers.all.length, 1);
  answers.push(pool.answer(request(), 'query'));
  await settle();
  assert.equal(workers.all.length, 2);
  answers.push(pool.answer(request(), 'query'));
  await settle();
  assert.deepEqual(
    workers.all.map(({ calls }) => calls.length),
    [2, 1],
  );
  for (const worker of workers.all) for (const { answer } of worker.calls) answer({});
  await Promise.all(answers);
});

test('a worker that runs out of memory takes its queries along with 422, and is replaced', async () => {
  const { pool, workers, log, clock } = newPool();
  const answering = pool.answer(request(), 'query');
  await settle();
  workers.all[0]?.end(Object.assign(new Error('heap'), { code: 'ERR_WORKER_OUT_OF_MEMORY' }));
  const answer = await answering;
  assert.equal(answer.status, 422);
  assert.match(await bodyText(answer), /QUERY_TOO_MUCH_MEMORY: a query took all memory of its worker/);
  assert.equal(log.lines[0]?.event, 'query-worker-died');
  const refused = await pool.answer(request(), 'query');
  assert.equal(refused.status, 503);
  await clock.advance(1000);
  assert.equal(workers.all.length, 2);
  assert.equal(pool.respawnsCount, 1);
  const after = pool.answer(request(), 'query');
  await settle();
  workers.all[1]?.calls[0]?.answer({});
  assert.equal((await after).status, 200);
  assert.equal(pool.activeCount, 0);
});

test('a query that waits longer than a query may take is answered with 503', async () => {
  const { pool, workers, clock } = newPool();
  const running = Array.from({ length: queriesActiveMax }, () => pool.answer(request(), 'query'));
  await settle();
  const waiting = pool.answer(request(), 'query');
  await settle();
  await clock.advance(queryTimeoutMs);
  const answer = await waiting;
  assert.equal(answer.status, 503);
  assert.match(await bodyText(answer), /"errorType":"timeout","error":"query timed out in query queue"/);
  assert.equal(pool.waitingCount, 0);
  for (const worker of workers.all) for (const { answer: reply } of worker.calls) reply({});
  await Promise.all(running);
  assert.equal(pool.activeCount, 0);
});

test('a worker that is stuck in a query past its time is replaced', async () => {
  const { pool, workers, log, clock } = newPool();
  const answering = pool.answer(request(), 'query');
  await settle();
  await clock.advance(queryTimeoutMs + queryStuckMs);
  const answer = await answering;
  assert.equal(answer.status, 503);
  assert.match(await bodyText(answer), /"errorType":"timeout"/);
  assert.equal(log.lines[0]?.event, 'query-worker-stuck');
  await clock.advance(1000);
  assert.equal(workers.all.length, 2);
});

test('another death of a worker is answered with 503 and its reason', async () => {
  const { pool, workers } = newPool();
  const answering = pool.answer(request(), 'query');
  await settle();
  workers.all[0]?.end(new Error('a trap'));
  const answer = await answering;
  assert.equal(answer.status, 503);
  assert.match(await bodyText(answer), /"errorType":"unavailable","error":"QUERY_WORKER_DIED: a trap"/);
  await pool.close();
});
