import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hourMs } from '../../base/index.ts';
import { compareUtf8, Labels, Matcher, type MatchOperator } from '../../model/index.ts';
import type { Part } from '../part/index.ts';
import { partOf } from '../part/test-support.ts';

const window = { startMs: 0, endMs: 2 * hourMs };

function partOfLabels(labelSets: readonly Labels[]): { readonly part: Part; readonly sorted: readonly Labels[] } {
  const unique = new Map(labelSets.map((labels) => [labels.key(), labels]));
  const sorted = [...unique.values()].sort(Labels.compare);
  return {
    part: partOf(
      sorted.map((labels) => ({ labels, samples: [[0, 0n]] })),
      window,
    ),
    sorted,
  };
}

function checkSelect(part: Part, sorted: readonly Labels[], matchers: readonly Matcher[]): void {
  const expected = sorted.flatMap((labels, i) =>
    matchers.every((matcher) => matcher.matchesLabels(labels)) ? [i] : [],
  );
  assert.deepEqual([...part.select(matchers)], expected, matchers.join(','));
  const chosen = expected.map((i) => sorted[i] as Labels);
  const names = new Set(chosen.flatMap((labels) => labels.entries().map(([name]) => name)));
  assert.deepEqual(part.labelNames(matchers), [...names].sort(compareUtf8));
  for (const name of ['a', '__name__', 'missing']) {
    const values = new Set(chosen.map((labels) => labels.get(name)).filter((value) => value !== ''));
    assert.deepEqual(part.labelValues(name, matchers), [...values].sort(compareUtf8));
  }
}

const someName = fc.constantFrom('__name__', 'a', 'b', 'Z', '\u{1f600}', '\uffff');
const someValue = fc.constantFrom('', 'x', 'xy', 'xyz', 'y', 'yx', 'ü', '\u{1f600}', '\uffff', 'x'.repeat(300));
const someLabels = fc.dictionary(someName, someValue, { maxKeys: 5 }).map((entries) => Labels.of(entries));
const someRegex = fc.constantFrom(
  '',
  '.*',
  '.+',
  'x.*',
  'x.+',
  'x|y',
  'x|',
  '(x|yx)',
  '[xy]+',
  'xy?z?',
  '\u{1f600}|ü',
  'none',
  'x*',
);
const someMatcher = fc.oneof(
  fc.tuple(fc.oneof(someName, fc.constant('missing')), fc.constantFrom<MatchOperator>('=', '!='), someValue),
  fc.tuple(fc.oneof(someName, fc.constant('missing')), fc.constantFrom<MatchOperator>('=~', '!~'), someRegex),
);

test('select, labelNames and labelValues agree with testing every series', () => {
  fc.assert(
    fc.property(
      fc.array(someLabels, { minLength: 1, maxLength: 60 }),
      fc.array(fc.array(someMatcher, { maxLength: 4 }), { minLength: 1, maxLength: 8 }),
      (labelSets, selectors) => {
        const { part, sorted } = partOfLabels(labelSets);
        for (const [position, labels] of sorted.entries()) {
          assert.deepEqual(part.labels(position).pairs, labels.pairs);
        }
        for (const selector of selectors) {
          checkSelect(
            part,
            sorted,
            selector.map(([name, operator, value]) => new Matcher(name, operator, value)),
          );
        }
        part.close();
      },
    ),
    { numRuns: 150 },
  );
});

test('an index of many blocks: thousands of series, values and names', () => {
  const labelSets: Labels[] = [];
  for (let i = 0; i < 12_000; i++) {
    labelSets.push(
      Labels.of({
        __name__: `metric_${i % 40}`,
        a: `host-${Math.floor(i / 40) % 30}`,
        pod: `pod-${i}-${(i * 2654435761) % 4294967296}`,
        [`label_${i % 1500}`]: 'set',
        job: i % 3 === 0 ? 'node' : 'api',
      }),
    );
  }
  const { part, sorted } = partOfLabels(labelSets);
  assert.equal(part.labelNames().length, 1504);
  assert.equal(part.labelValues('pod').length, 12_000);
  assert.equal(part.labelValueCounts('job').get('node'), 4000);
  const selectors: [string, MatchOperator, string][][] = [
    [['__name__', '=', 'metric_7']],
    [['pod', '=~', 'pod-11.*']],
    [['pod', '!~', 'pod-1.*']],
    [['pod', '=~', '.*9']],
    [['a', '=~', 'host-1|host-2|none']],
    [
      ['__name__', '=', 'metric_7'],
      ['a', '!=', 'host-3'],
      ['job', '=~', 'n.*'],
    ],
    [
      ['__name__', '=', 'metric_7'],
      ['pod', '=~', '.*1.*'],
    ],
    [['label_700', '!=', '']],
    [
      ['job', '=', 'node'],
      ['label_3', '=', ''],
    ],
    [],
  ];
  for (const selector of selectors) {
    checkSelect(
      part,
      sorted,
      selector.map(([name, operator, value]) => new Matcher(name, operator, value)),
    );
  }
  for (let i = 0; i < 500; i++) {
    const position = (i * 7919) % sorted.length;
    assert.deepEqual(part.labels(position).pairs, (sorted[position] as Labels).pairs);
  }
  part.verify();
});

test('label sets of hundreds of labels and long values', () => {
  const wide = Labels.of(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`name_${i}`, `value_${i % 7}`])));
  const long = Labels.of({ __name__: 'long', text: 'é'.repeat(100_000) });
  const { part, sorted } = partOfLabels([wide, long, Labels.empty, Labels.of({ __name__: 'up' })]);
  for (const [position, labels] of sorted.entries()) assert.deepEqual(part.labels(position).pairs, labels.pairs);
  checkSelect(part, sorted, [new Matcher('text', '=~', 'é+')]);
  checkSelect(part, sorted, [new Matcher('name_299', '=', 'value_5')]);
});
