import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figure, geometricMean, median, ratioTable } from './report.ts';

test('the median is the middle value, or the mean of the two in the middle', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
});

test('the geometric mean weighs ratios, not differences', () => {
  assert.equal(Math.round(geometricMean([1, 100])), 10);
});

test('figures have three digits', () => {
  assert.deepEqual([0.1234, 12.345, 123.45, Number.NaN].map(figure), ['0.123', '12.3', '123', '–']);
});

test('a table has our ratio to each peer, and a dash where a server was not measured', () => {
  const rows = [
    {
      what: 'a',
      unit: 'ms',
      figures: new Map([
        ['timbala', 1],
        ['prometheus', 4],
      ]),
    },
  ];
  const lines = ratioTable(['timbala', 'prometheus', 'victoriametrics'], rows).split('\n');
  assert.equal(
    lines[0],
    '| measurement | unit | timbala | prometheus | victoriametrics | timbala / prometheus | timbala / victoriametrics |',
  );
  assert.equal(lines[2], '| a | ms | 1.00 | 4.00 | – | 0.250 × | – |');
});
