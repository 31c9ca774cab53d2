import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Labels, nameMatcher, SampleBuffer } from '../model/index.ts';
import { MemoryQueryable, setStale } from './memory-queryable.ts';
import { LimitedQueryControl } from './query-control.ts';

const control = new LimitedQueryControl();

test('selects the samples of a closed range, sorted by labels, stale markers included', async () => {
  const queryable = new MemoryQueryable();
  const values = Float64Array.of(1, 0, 3);
  setStale(values, 1);
  queryable.append(Labels.of({ __name__: 'x', b: '2' }), Float64Array.of(10, 20, 30), values);
  queryable.append(Labels.of({ __name__: 'x', a: '1' }), Float64Array.of(10, 20, 30), Float64Array.of(4, 5, 6));
  queryable.append(Labels.of({ __name__: 'y' }), Float64Array.of(10), Float64Array.of(1));
  const [selection] = await queryable.select([{ matchers: [nameMatcher('x')], startMs: 20, endMs: 30 }], control);
  assert.deepEqual(
    selection?.series.map(({ labels }) => labels.toString()),
    ['x{a="1"}', 'x{b="2"}'],
  );
  const samples = new SampleBuffer(1);
  selection?.series[1]?.read(samples);
  assert.deepEqual([...samples.timestampsMs.subarray(0, samples.count)], [20, 30]);
  assert.equal(samples.mayHoldStale && samples.isStale(0), true);
  assert.equal(samples.isStale(1), false);
});

test('a later sample at a timestamp replaces the earlier, and stale markers survive the merge', async () => {
  const queryable = new MemoryQueryable();
  const labels = Labels.of({ __name__: 'x' });
  const stale = Float64Array.of(0);
  setStale(stale, 0);
  queryable.append(labels, Float64Array.of(10, 30), Float64Array.of(1, 3));
  queryable.append(labels, Float64Array.of(20), stale);
  queryable.append(labels, Float64Array.of(30), Float64Array.of(4));
  const [selection] = await queryable.select([{ matchers: [], startMs: 0, endMs: 100 }], control);
  const samples = new SampleBuffer();
  selection?.series[0]?.read(samples);
  assert.deepEqual([...samples.timestampsMs.subarray(0, samples.count)], [10, 20, 30]);
  assert.equal(samples.isStale(1), true);
  assert.equal(samples.values[2], 4);
});

test('series of one array of timestamps share a key within a selection', async () => {
  const queryable = new MemoryQueryable();
  const timestampsMs = Float64Array.of(10, 20);
  queryable.append(Labels.of({ __name__: 'a' }), timestampsMs, Float64Array.of(1, 2));
  queryable.append(Labels.of({ __name__: 'b' }), timestampsMs, Float64Array.of(1, 2));
  queryable.append(Labels.of({ __name__: 'c' }), Float64Array.of(10, 20), Float64Array.of(1, 2));
  const whole = { matchers: [], startMs: 0, endMs: 100 };
  const selections = await queryable.select([whole, { ...whole, startMs: 15 }], control);
  const keys = selections.map(({ series }) =>
    series.map((each) => {
      const samples = new SampleBuffer();
      each.read(samples);
      return samples.timestampsKey;
    }),
  );
  const [[a, b, c] = [], [later] = []] = keys;
  assert.ok(a);
  assert.equal(a, b);
  assert.notEqual(a, c);
  assert.notEqual(a, later);
});

test('lists series, names and values inside a range', async () => {
  const queryable = new MemoryQueryable();
  queryable.append(Labels.of({ __name__: 'x', zone: 'b' }), Float64Array.of(10), Float64Array.of(1));
  queryable.append(Labels.of({ __name__: 'x', zone: 'a' }), Float64Array.of(10), Float64Array.of(1));
  queryable.append(Labels.of({ __name__: 'old', rack: '1' }), Float64Array.of(1), Float64Array.of(1));
  const request = { selectors: [], startMs: 5, endMs: 20 };
  assert.deepEqual(await queryable.labelNames(request, control), ['__name__', 'zone']);
  assert.deepEqual(await queryable.labelValues('zone', request, control), ['a', 'b']);
  const selected = { ...request, selectors: [[nameMatcher('x')], [nameMatcher('old')]] };
  assert.equal((await queryable.series(selected, control)).length, 2);
});
