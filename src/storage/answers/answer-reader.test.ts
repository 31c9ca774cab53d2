// Answers that nobody waits for any more; what answers hold is checked over whole nodes (test/differential/cluster.test.ts).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInlineChannel } from '../inline-channel.ts';
import type { Reader } from '../reader/reader.ts';
import { connectReplicaReader, serveReplicaReader } from '../replica/channels.ts';
import { PairReader } from '../replica/pair-reader.ts';
import type { FragmentEvaluator } from './answer-reader.ts';

const selection = { fromMs: 0, toMs: 9, wanted: Uint8Array.of(2) };

/** A reader in another thread, as it were, which evaluates fragments so; and how many of its sessions are open. */
function readerOver(evaluate: FragmentEvaluator) {
  const opened = { count: 0 };
  const sessions = {
    openSession: () => {
      opened.count++;
      return { close: () => opened.count-- };
    },
  };
  const [here, there] = createInlineChannel();
  serveReplicaReader(there, new PairReader(sessions as unknown as Reader, evaluate));
  return { reader: connectReplicaReader(here), opened };
}

test('the work on a fragment ends soon after nobody waits for it any more', async () => {
  const { promise: hasBegun, resolve: begin } = Promise.withResolvers<void>();
  let slicesCount = 0;
  const { reader, opened } = readerOver(async (_encoded, _range, _session, control) => {
    for (; slicesCount < 1000; slicesCount++) {
      control.check();
      if (slicesCount === 3) begin();
      await sleep(1);
    }
    return new Uint8Array(1);
  });
  const stop = new AbortController();
  const frames = reader.read(selection, [], stop.signal)[Symbol.asyncIterator]();
  const first = frames.next();
  const ended = assert.rejects(first, { code: 'READ_CANCELLED' });
  await hasBegun;
  stop.abort();
  await ended;
  assert.ok(slicesCount < 1000);
  assert.equal(opened.count, 0);
  assert.equal((await frames.next()).done, true);
});

test('a read that was given up before it began looks like no complete one', async () => {
  const { reader, opened } = readerOver(async () => new Uint8Array(1));
  const frames = reader.read(selection, [], AbortSignal.abort())[Symbol.asyncIterator]();
  await assert.rejects(frames.next(), { code: 'READ_CANCELLED' });
  assert.equal(opened.count, 0);
});

test('a read that goes on to its end is not disturbed', async () => {
  const { reader, opened } = readerOver(async () => Uint8Array.of(7));
  const frames: Uint8Array[] = [];
  for await (const frame of reader.read(selection, [], new AbortController().signal)) frames.push(frame);
  assert.deepEqual(frames, [Uint8Array.of(7)]);
  assert.equal(opened.count, 0);
});
