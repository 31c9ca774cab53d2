// The queue of news: who is told what, and how often.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { BroadcastQueue } from './broadcasts.ts';

suite('the queue of news', () => {
  const message = (size: number, fill: number): Uint8Array => new Uint8Array(size).fill(fill);

  test('sends what was sent least first, each so many times, and newer news instead of older', () => {
    const queue = new BroadcastQueue();
    queue.add('a', message(10, 1));
    queue.add('b', message(10, 2));
    const fills = (bytes: number): (number | undefined)[] => queue.take(bytes, 2, 2).map(([first]) => first);
    assert.deepEqual(fills(12), [1]);
    queue.add('c', message(10, 3));
    assert.deepEqual(fills(24), [2, 3]);
    queue.add('a', message(10, 4));
    assert.deepEqual(fills(12), [4], 'the newer of the two about a');
    assert.deepEqual(fills(100), [2, 3, 4]);
    assert.equal(queue.length, 0);
    assert.deepEqual(fills(100), []);
  });

  test('sends nothing that does not fit', () => {
    const queue = new BroadcastQueue();
    queue.add('a', message(100, 1));
    assert.deepEqual(queue.take(101, 2, 4), []);
    assert.equal(queue.take(102, 2, 4).length, 1);
  });
});
