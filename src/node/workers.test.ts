import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Channel } from '../ports/index.ts';
import { ThreadWorkers } from './workers.ts';

const workers = new ThreadWorkers(new URL('test-worker.ts', import.meta.url));

const nextMessage = (channel: Channel): Promise<unknown> => new Promise((resolve) => channel.onMessage(resolve));

test('a worker gets its role, its start data and messages from before it listened', async () => {
  const worker = workers.spawn('lane', { a: 1 });
  worker.channel.post('hello');
  assert.deepEqual(await nextMessage(worker.channel), { role: 'lane', start: { a: 1 }, message: 'hello' });
  await worker.terminate();
  assert.equal(await worker.ended, undefined);
});

test('further channels are handed over at the start, and inside messages', async () => {
  const [mine, theirs] = workers.createChannel();
  const worker = workers.spawn('query', undefined, { other: theirs });
  mine.post(7);
  assert.deepEqual(await nextMessage(mine), ['echo', 7]);
  const [here, there] = workers.createChannel();
  worker.channel.post({ reply: there }, [there]);
  assert.equal(await nextMessage(here), 'by the channel in the message');
  for (const channel of [mine, here]) channel.close();
  await worker.terminate();
});

test('a worker that throws has ended with its error', async () => {
  const worker = workers.spawn('lane', undefined);
  worker.channel.post('throw');
  const reason = await worker.ended;
  assert.ok(reason instanceof Error);
  assert.equal(reason.message, 'as told');
});

test('a worker that has nothing left to do has ended without an error', async () => {
  const worker = workers.spawn('lane', undefined);
  worker.channel.post('exit');
  assert.equal(await worker.ended, undefined);
});

test('a transferred buffer is the receiver’s alone', async () => {
  const worker = workers.spawn('lane', undefined);
  const bytes = Uint8Array.of(1, 2, 3);
  worker.channel.post(bytes, [bytes.buffer]);
  assert.equal(bytes.length, 0);
  const { message } = (await nextMessage(worker.channel)) as { message: Uint8Array };
  assert.deepEqual([...message], [1, 2, 3]);
  await worker.terminate();
});
