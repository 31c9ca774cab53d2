import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WriteResult } from '../api/index.ts';
import { BodyQueue } from './body-queue.ts';
import { writeQueueBytesMax } from './limits.ts';

class UnusedQueue extends BodyQueue {
  write(): Promise<WriteResult> {
    return assert.fail('nothing is written here');
  }
}

test('bodies are refused beyond the bound, and half of it counts as busy', async () => {
  const queue = new UnusedQueue();
  assert.ok(queue.reserve(writeQueueBytesMax / 2));
  assert.equal(queue.isOverHalf, false);
  assert.ok(queue.reserve(1));
  assert.equal(queue.isOverHalf, true);
  assert.equal(queue.reserve(writeQueueBytesMax / 2), false);
  queue.release(1);
  assert.equal(queue.isOverHalf, false);
  queue.release(writeQueueBytesMax / 2);
  await queue.idle();
});

test('a body larger than the bound gets its chance when nothing else waits', () => {
  const queue = new UnusedQueue();
  assert.ok(queue.reserve(2 * writeQueueBytesMax));
  assert.equal(queue.reserve(1), false);
});
