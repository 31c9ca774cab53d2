import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expositionText, familySeries } from './exposition.ts';
import { Registry } from './registry.ts';

test('the text format escapes help and label values and sorts families', () => {
  const registry = new Registry();
  registry.gauge('b', 'two\nlines \\ "quoted"', ['path']).set(-0.5, 'a"b\\c\nd');
  registry.counter('a_total', 'first').add(2);
  assert.equal(
    expositionText(registry.families()),
    '# HELP a_total first\n# TYPE a_total counter\na_total 2\n' +
      '# HELP b two\\nlines \\\\ "quoted"\n# TYPE b gauge\nb{path="a\\"b\\\\c\\nd"} -0.5\n',
  );
});

test('histogram buckets are cumulative and end with +Inf', () => {
  const registry = new Registry();
  const histogram = registry.histogram('h_seconds', 'h', [0.1, 1], ['kind']);
  for (const value of [0.1, 0.5, 2]) histogram.observe(value, 'x');
  const rows = expositionText(registry.families()).split('\n').slice(2, -1);
  assert.deepEqual(rows, [
    'h_seconds_bucket{kind="x",le="0.1"} 1',
    'h_seconds_bucket{kind="x",le="1"} 2',
    'h_seconds_bucket{kind="x",le="+Inf"} 3',
    'h_seconds_sum{kind="x"} 2.6',
    'h_seconds_count{kind="x"} 3',
  ]);
});

test('a counter without labels is there from the start, one with labels when it is first used', () => {
  const registry = new Registry();
  registry.counter('plain_total', 'p');
  registry.counter('labelled_total', 'l', ['code']);
  const counts = registry.families().map(({ name, samples }) => `${name} ${samples.length}`);
  assert.deepEqual(counts, ['plain_total 1', 'labelled_total 0']);
});

test('series of families carry the name with its suffix and the target labels', () => {
  const registry = new Registry();
  registry.histogram('h', 'h', [1]).observe(3);
  const series = familySeries(registry.families(), { job: 'timbala', instance: 'a:1' });
  assert.equal(series[0]?.labels.toString(), 'h_bucket{instance="a:1", job="timbala", le="1"}');
  assert.deepEqual(
    series.map(({ value }) => value),
    [0, 1, 3, 1],
  );
});

test('a metric name can be registered only once', () => {
  const registry = new Registry();
  registry.gauge('g', 'g');
  assert.throws(() => registry.counter('g', 'again'), /ASSERTION_FAILED: metric g is registered once/);
});
