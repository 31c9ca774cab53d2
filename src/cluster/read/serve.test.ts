// A node's answers to reads of others, with the asking done by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimClock } from '../../../sim/clock.ts';
import { TimbalaError } from '../../base/index.ts';
import { defaultClusterTiming } from '../timing.ts';
import type { ReadOwn, ReadPiece } from './serve.ts';
import { detachedReadServer } from './test-read-server.ts';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function serverOf(frames: ReadOwn) {
  const clock = new SimClock(0);
  const dropped: number[] = [];
  const { answers, counters } = detachedReadServer(clock, frames, () => {
    if (dropped.length > 0) throw new TimbalaError('PEER_DROPPED', 'gone');
  });
  const ask = async (topic: string, body: unknown, from = 'a', signal = new AbortController().signal) => {
    const answer = answers.get(topic);
    assert(answer);
    return (await answer.handler({ from, body, work: { signal } })).body as ReadPiece;
  };
  return {
    clock,
    counters,
    dropped,
    open: (signal?: AbortSignal) =>
      ask(
        'read',
        { fromMs: 0, toMs: 1, wanted: new Uint8Array(), segments: [{ partitions: Uint8Array.of(1) }] },
        'a',
        signal,
      ),
    more: (piece: ReadPiece, number: number, from = 'a') => ask('read-more', { read: piece.read, number }, from),
    end: (piece: ReadPiece) => ask('read-end', piece.read),
  };
}

async function* numbered(count: number): AsyncGenerator<Uint8Array> {
  for (let i = 1; i <= count; i++) yield Uint8Array.of(i);
}

const shown = ({ frame, isLast }: ReadPiece): string => `${frame.join()}${isLast ? ' last' : ''}`;

test('frames come in order by their numbers, the last one says so, and what comes twice is answered alike', async () => {
  const { open, more } = serverOf(() => numbered(3));
  const first = await open();
  assert.equal(shown(first), '1');
  assert.equal(shown(await more(first, 1)), '2');
  assert.equal(shown(await more(first, 1)), '2');
  assert.equal(shown(await more(first, 2)), '3 last');
  assert.equal(shown(await serverOf(() => numbered(0)).open()), ' last');
});

test('a read that is over, of another node, of an earlier process, or out of order is not gone on with', async () => {
  const { open, more, end } = serverOf(() => numbered(5));
  const first = await open();
  const gone = { code: 'PEER_DROPPED' };
  await assert.rejects(more(first, 2), gone);
  await assert.rejects(more(first, 1, 'b'), gone);
  await assert.rejects(more({ ...first, read: { ...first.read, epoch: 8 } }, 1), gone);
  await end(first);
  await assert.rejects(more(first, 1), gone);
});

test('what was dropped since the marks were told is not answered', async () => {
  const { open, dropped } = serverOf(() => numbered(1));
  dropped.push(1);
  await assert.rejects(open(), { code: 'PEER_DROPPED' });
});

test('a read that nobody asks for any more gives its place and its state back', async () => {
  let returned = 0;
  const { open, clock } = serverOf(async function* frames() {
    try {
      yield* numbered(5);
    } finally {
      returned++;
    }
  });
  await open();
  await clock.advance(defaultClusterTiming.readDeadlineMs + 1);
  await settle();
  assert.equal(returned, 1);
});

test('who comes when all places are taken waits for one, or until nobody waits for him', async () => {
  const { open, end, counters } = serverOf(() => numbered(9));
  const taken = await Promise.all(Array.from({ length: 64 }, () => open()));
  const given: string[] = [];
  const leaves = new AbortController();
  const late = open(leaves.signal);
  const next = open().then((piece) => given.push(shown(piece)));
  await settle();
  assert.equal(counters.served, 64);
  leaves.abort();
  await assert.rejects(late, { code: 'PEER_CANCELLED' });
  const [one] = taken;
  assert(one);
  await end(one);
  await next;
  assert.deepEqual(given, ['1']);
  assert.equal(counters.served, 65);
});

test('the frame that is being made is told when nobody wants it any more', async () => {
  const signals: AbortSignal[] = [];
  const { open, more, end } = serverOf((_selection, _segments, signal) => {
    signals.push(signal);
    return {
      [Symbol.asyncIterator]: () => ({
        next: () =>
          new Promise((resolve, reject) => {
            if (signals.length > 1) resolve({ done: false, value: Uint8Array.of(1) });
            else signal.addEventListener('abort', () => reject(new TimbalaError('READ_CANCELLED', 'enough')));
          }),
      }),
    };
  });
  const leaves = new AbortController();
  const cancelled = open(leaves.signal);
  await settle();
  assert.equal(signals[0]?.aborted, false);
  leaves.abort();
  await assert.rejects(cancelled, { code: 'READ_CANCELLED' });
  assert.equal(signals[0]?.aborted, true);

  const piece = await open();
  await more(piece, 1);
  assert.equal(signals[1]?.aborted, false);
  await end(piece);
  assert.equal(signals[1]?.aborted, true);
});

test('whoever has left before there is a place takes none', async () => {
  const { open, counters } = serverOf(() => numbered(9));
  await assert.rejects(open(AbortSignal.abort()), { code: 'PEER_CANCELLED' });
  await Promise.all(Array.from({ length: 64 }, () => open()));
  assert.equal(counters.served, 64);
});
