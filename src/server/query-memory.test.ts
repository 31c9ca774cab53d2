import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mib } from '../base/index.ts';
import { QueryMemory, SharedQueryControl } from './query-memory.ts';

test('queries share what their worker may take, and give it back when they are gone', () => {
  const memory = new QueryMemory(10 * mib);
  const first = new SharedQueryControl({}, memory);
  const second = new SharedQueryControl({}, memory);
  first.addBytes(7 * mib);
  first.addBytes(-mib);
  second.addBytes(4 * mib);
  assert.throws(() => second.addBytes(1), /QUERY_TOO_MUCH_MEMORY: other queries .* more than 10 MiB/);
  second.release();
  first.addBytes(4 * mib);
  first.release();
  first.release();
  assert.equal(memory.bytes, 0);
});

test('a query’s own limits hold as before', () => {
  const memory = new QueryMemory(10 * mib);
  const control = new SharedQueryControl({ bytesMax: mib, samplesMax: 5, state: () => 'cancelled' }, memory);
  assert.throws(() => control.addBytes(2 * mib), /QUERY_TOO_MUCH_MEMORY: query processing would take more than 1 MiB/);
  assert.throws(() => control.addSamples(6), /QUERY_TOO_MANY_SAMPLES/);
  assert.throws(() => control.check(), /QUERY_CANCELLED/);
  control.release();
  assert.equal(memory.bytes, 0);
});

test('who is refused has taken nothing, neither of its own limit nor of what all share', () => {
  const memory = new QueryMemory(10 * mib);
  const other = new SharedQueryControl({}, memory);
  other.addBytes(8 * mib);
  const control = new SharedQueryControl({ bytesMax: 4 * mib }, memory);
  assert.throws(() => control.addBytes(5 * mib), /more than 4 MiB/);
  assert.throws(() => control.addBytes(3 * mib), /other queries/);
  control.addBytes(2 * mib);
  other.release();
  control.addBytes(2 * mib);
  assert.throws(() => control.addBytes(1), /more than 4 MiB/);
  control.release();
  assert.equal(memory.bytes, 0);
});
