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
