import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimbalaError } from '../../base/index.ts';
import { pairKey, windowMs } from '../contracts.ts';
import { MarksTable } from './index.ts';

const scope = { partition: 7, windowStartMs: 3 * windowMs };
const pair = pairKey(scope.partition, scope.windowStartMs);
const whole = { partition: 7, windowStartMs: undefined };

function marked(): MarksTable {
  const marks = new MarksTable();
  marks.markWritten([pair]);
  return marks;
}

test('a written sample empties the list of its pair, and outdates what was asked before', () => {
  const marks = marked();
  const before = marks.get(scope)?.version ?? 0;
  marks.confirm(scope, before, 'a/1');
  assert.deepEqual(marks.get(scope)?.confirmed, ['a/1']);
  marks.markWritten([pair]);
  assert.deepEqual(marks.get(scope)?.confirmed, []);
  marks.confirm(scope, before, 'b/1');
  assert.deepEqual(marks.get(scope)?.confirmed, []);
});

test('a mark stays as old as at first until it is cleared', () => {
  const marks = marked();
  const since = marks.get(scope)?.since;
  marks.markWritten([pair]);
  assert.equal(marks.get(scope)?.since, since);
  assert.equal(marks.oldestSince(), since);
  marks.clear(scope);
  assert.equal(marks.oldestSince(), Number.POSITIVE_INFINITY);
  assert.equal(marks.count, 0);
  assert.ok(!marks.isMarked(7));
});

test("a partition's mark takes in those of its pairs, and is as old as the oldest", () => {
  const marks = marked();
  const since = marks.get(scope)?.since;
  marks.markPartition(7);
  assert.equal(marks.get(scope), undefined);
  assert.equal(marks.get(whole)?.since, since);
  assert.equal(marks.count, 1);
  marks.markWritten([pair]);
  assert.equal(marks.count, 2);
});

test('many pairs of one partition are folded into a mark of all of it', () => {
  const marks = new MarksTable();
  for (let window = 0; window < 1000; window++) marks.markWritten([pairKey(1, window * windowMs)]);
  assert.ok(marks.count <= 66);
  assert.ok(marks.get({ partition: 1, windowStartMs: undefined }));
});

test('owners that do not stay are struck from the lists', () => {
  const marks = marked();
  for (const owner of ['a/1', 'b/1']) marks.confirm(scope, marks.get(scope)?.version ?? 0, owner);
  marks.retain((partition, owner) => partition === 7 && owner === 'b/1');
  assert.deepEqual(marks.get(scope)?.confirmed, ['b/1']);
});

test('marks in a range are those of its windows and of whole partitions', () => {
  const marks = marked();
  marks.markPartition(9);
  const partitionsIn = (fromMs: number, toMs: number): number[] =>
    [...marks.inRange(fromMs, toMs)].map((mark) => mark.scope.partition).sort();
  assert.deepEqual(partitionsIn(4 * windowMs - 1, 9 * windowMs), [7, 9]);
  assert.deepEqual(partitionsIn(4 * windowMs, 9 * windowMs), [9]);
  assert.deepEqual(partitionsIn(0, 3 * windowMs - 1), [9]);
});

test('marks survive saving with their lists, before 1970 too', () => {
  const marks = marked();
  marks.confirm(scope, marks.get(scope)?.version ?? 0, 'a/1');
  marks.markPartition(9);
  marks.markWritten([pairKey(65_535, -5 * windowMs)]);
  const loaded = new MarksTable();
  assert.deepEqual(loaded.load(marks.encode('view')), { viewHash: 'view' });
  const plain = (table: MarksTable): unknown => [...table.all()].map((mark) => [mark.scope, mark.confirmed]);
  assert.deepEqual(plain(loaded), plain(marks));
  assert.equal(loaded.count, 3);
  const encoded = marks.encode('view');
  assert.throws(() => new MarksTable().load(encoded.subarray(1)), TimbalaError);
});

test('a comparison makes a mark younger, whatever was written meanwhile', () => {
  const marks = marked();
  const before = marks.oldestSince();
  const position = marks.history;
  marks.markWritten([pair]);
  marks.advance(scope, position + 1);
  assert.ok(marks.oldestSince() > before);
  assert.ok(marks.get(scope), 'it stays');
  marks.advance(scope, 0);
  assert.equal(marks.oldestSince(), position + 1);
});

test('the oldest of too many windows become marks of whole partitions, and the new one stays', () => {
  const marks = new MarksTable();
  for (let window = 1; window <= 100; window++) marks.markWritten([pairKey(window, window * windowMs)]);
  assert.equal(marks.count, 100);
  assert.ok(marks.get({ partition: 100, windowStartMs: 100 * windowMs }));
  assert.ok(marks.get({ partition: 1, windowStartMs: undefined }));
  // Older than all that are kept: it takes no window's place.
  marks.markWritten([pairKey(200, 0)]);
  assert.ok(marks.get({ partition: 200, windowStartMs: undefined }));
  assert.ok(marks.get({ partition: 100, windowStartMs: 100 * windowMs }));
});

test('what is told of a window is the same thing until it changes', () => {
  const marks = marked();
  const told = () => marks.told(scope.windowStartMs, scope.windowStartMs)[0];
  const first = told();
  marks.markWritten([pair]);
  assert.equal(told(), first, 'another sample of a marked pair changes nothing that is seen');
  marks.markWritten([pairKey(8, 9 * windowMs)]);
  assert.equal(told(), first, 'nor does another window');
  marks.confirm(scope, marks.get(scope)?.version ?? 0, 'a/1');
  const second = told();
  assert.notEqual(second, first);
  marks.markWritten([pair]);
  assert.notEqual(told(), second);
  assert.notEqual(told()?.shape, first?.shape);
});

test('layers are given with what they hold, and from any partition on', () => {
  const marks = marked();
  marks.markPartition(9);
  marks.markWritten([pairKey(2, scope.windowStartMs), pairKey(2, -windowMs)]);
  assert.deepEqual(
    marks.layers().map(({ windowStartMs, marksCount }) => [windowStartMs, marksCount]),
    [
      [undefined, 1],
      [-windowMs, 1],
      [scope.windowStartMs, 2],
    ],
  );
  const from = (partition: number): number[] =>
    [...marks.marksIn(scope.windowStartMs, partition)].map((mark) => mark.scope.partition);
  assert.deepEqual(from(0), [2, 7]);
  assert.deepEqual(from(3), [7]);
  assert.ok(marks.isMarkedBefore(2, 0));
  assert.ok(!marks.isMarkedBefore(7, scope.windowStartMs));
  assert.ok(marks.isMarkedBefore(9, Number.NEGATIVE_INFINITY), 'a whole partition is of all times');
});

test('marks are counted by group of partitions and by who has confirmed', () => {
  const marks = marked();
  marks.markWritten([pairKey(8, scope.windowStartMs), pairKey(9, 9 * windowMs), pairKey(7, 9 * windowMs)]);
  marks.markPartition(11);
  marks.confirm(scope, marks.get(scope)?.version ?? 0, 'a/1');
  const tally = marks.tally((partition) => (partition % 2 === 0 ? 'even' : 'odd'));
  const plain = [...tally].map(([group, counts]) => [group, [...counts].map(([owners, count]) => [owners, count])]);
  assert.deepEqual(Object.fromEntries(plain), {
    even: [[[], 1]],
    odd: [
      [[], 3],
      [['a/1'], 1],
    ],
  });
});
