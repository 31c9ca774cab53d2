import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeLabels, Labels, Matcher, type MatchOperator } from '../../model/index.ts';
import { Head, HeadReader } from '../../wasm/index.ts';
import { loadTestModule } from '../../wasm/test-modules.ts';
import { HeadIndex } from './head-postings.ts';

const module = loadTestModule('head');

function fingerprintOf(bytes: Uint8Array): Uint8Array {
  // Any function of the labels serves; collisions are the head's to resolve.
  const fingerprint = new Uint8Array(16);
  for (const [i, byte] of bytes.entries()) fingerprint[i % 16] = (fingerprint[i % 16] as number) * 31 + byte;
  return fingerprint;
}

function register(head: Head, labels: Labels): number {
  const bytes = encodeLabels(labels);
  return head.register(bytes, fingerprintOf(bytes));
}

const names = ['__name__', 'job', 'instance', 'é'];
const values = ['a', 'b', 'ab', 'abc', 'x\ny', 'é', '\u{1f600}'];
const labelsArbitrary = fc
  .array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...values, '')), { maxLength: 5, size: 'max' })
  .map((entries) => Labels.of([['always', 'm'] as const, ...entries]));
const matcherArbitrary = fc
  .tuple(
    fc.constantFrom(...names, 'unknown'),
    fc.constantFrom<MatchOperator>('=', '!=', '=~', '!~'),
    fc.constantFrom(...values, '', 'a|b', 'a|', '.*', '.+', 'a.*', 'a.+', '(a|x).*', '[^a]*', 'zzz'),
  )
  .map(([name, operator, value]) => new Matcher(name, operator, value));

test('select finds what the matchers say of each label set, also after more series came', () => {
  fc.assert(
    fc.property(
      fc.array(labelsArbitrary, { maxLength: 40, size: 'max' }),
      fc.array(labelsArbitrary, { maxLength: 40, size: 'max' }),
      fc.array(fc.array(matcherArbitrary, { maxLength: 3 }), { minLength: 1, maxLength: 6 }),
      (before, after, selectors) => {
        const head = Head.create(module, { bytesMax: 8 * 1024 * 1024 });
        const index = new HeadIndex(HeadReader.attach(module, head.memory));
        const byRef: Labels[] = [];
        for (const batch of [before, after]) {
          for (const labels of batch) byRef[register(head, labels)] = labels;
          for (const [ref, labels] of byRef.entries()) assert.ok(index.labels(ref).equals(labels));
          for (const matchers of selectors) {
            const expected = [...byRef.keys()].filter((ref) =>
              matchers.every((matcher) => matcher.matchesLabels(byRef[ref] as Labels)),
            );
            assert.deepEqual(Array.from(index.select(matchers)), expected, matchers.join());
          }
          const matching = byRef.filter((labels) =>
            selectors.some((matchers) => matchers.every((matcher) => matcher.matchesLabels(labels))),
          );
          const expectedNames = new Set(matching.flatMap((labels) => labels.entries().map(([name]) => name)));
          assert.deepEqual(new Set(index.labelNames(selectors)), expectedNames);
          for (const name of names) {
            const expectedValues = new Set(matching.map((labels) => labels.get(name)).filter(Boolean));
            assert.deepEqual(new Set(index.labelValues(name, selectors)), expectedValues);
          }
        }
        const allNames = new Set(byRef.flatMap((labels) => labels.entries().map(([name]) => name)));
        assert.deepEqual(new Set(index.labelNames([])), allNames);
      },
    ),
    { numRuns: 60 },
  );
});

test('with slots, only series that have samples in one of them are selected', () => {
  const head = Head.create(module, { bytesMax: 8 * 1024 * 1024 });
  const index = new HeadIndex(HeadReader.attach(module, head.memory));
  const refs = Array.from({ length: 100 }, (_, i) => register(head, Labels.of({ __name__: 'm', i: String(i) })));
  const slots = [head.openGeneration(), head.openGeneration()];
  for (const [i, slot] of slots.entries()) {
    const batch = head.stage(1, 1);
    batch.refs[0] = refs[i * 70] as number;
    batch.samplesEnd[0] = 1;
    batch.timestampsMs[0] = 1n;
    batch.valueBits[0] = 1n;
    head.append(slot);
  }
  assert.deepEqual(Array.from(index.select([], slots)), [0, 70]);
  assert.deepEqual(Array.from(index.select([], [slots[1] as number])), [70]);
  assert.deepEqual(index.labelValues('i', [], [slots[1] as number]), ['70']);
  assert.equal(head.deadSeriesShare(), 0.98);
});
