import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TimbalaError } from '../../base/index.ts';
import { Labels } from '../../model/index.ts';
import { LimitedQueryControl } from '../query-control.ts';
import { decodeFragment, encodeFragment, type Fragment } from './fragment-frame.ts';
import { decodeFragmentRequest, encodeFragmentRequest } from './fragment-request.ts';
import type { PartialSeries } from './partials.ts';

const stepsCount = 5;
const expected = { firstStep: 2, stepsCount, columnsCount: 2 };
const control = new LimitedQueryControl();

const plain = { noNullPrototype: true };
const labels = fc
  .dictionary(fc.constantFrom('a', 'b', '__name__', 'ü'), fc.string({ minLength: 1, unit: 'grapheme' }), plain)
  .map((entries) => Labels.of(entries));
const presence = fc
  .uint8Array({ minLength: stepsCount, maxLength: stepsCount, max: 1 })
  .filter((steps) => steps.includes(1));
const column = fc.oneof(
  fc.float64Array({ minLength: stepsCount, maxLength: stepsCount }),
  fc.double().map((value) => new Float64Array(stepsCount).fill(value)),
);
/** As a decoder gives it: 0 where nothing is. */
const series: fc.Arbitrary<PartialSeries> = fc
  .record({ labels, first: labels, presence, columns: fc.tuple(column, column) }, plain)
  .map((each) => ({
    ...each,
    columns: each.columns.map((values) => values.map((value, step) => (each.presence[step] === 1 ? value : 0))),
  }));
const fragments: fc.Arbitrary<Fragment> = fc.record(
  {
    firstStep: fc.constant(expected.firstStep),
    stepsCount: fc.constant(stepsCount),
    samplesLoadedCount: fc.nat(),
    seriesLoadedCount: fc.nat(),
    namesTaken: fc.string(),
    annotations: fc.array(
      fc.record(
        {
          kind: fc.constantFrom('warning', 'info'),
          text: fc.string(),
          site: fc.nat(20),
          offset: fc.nat(1000),
        },
        plain,
      ),
    ),
    series: fc.array(series, { maxLength: 5 }),
  },
  plain,
);

const sample: Fragment = {
  firstStep: 2,
  stepsCount,
  samplesLoadedCount: 300,
  seriesLoadedCount: 2,
  namesTaken: '["m"]',
  annotations: [{ kind: 'info', text: 'i', site: 1, offset: 4 }],
  series: [
    {
      labels: Labels.of({ a: 'b' }),
      first: Labels.of({ __name__: 'm', a: 'b' }),
      presence: Uint8Array.of(0, 1, 0, 1, 0),
      columns: [Float64Array.of(0, 1.5, 0, -2, 0), new Float64Array(5)],
    },
  ],
};

test('what is decoded is what was encoded', () => {
  fc.assert(
    fc.property(fragments, (fragment) => {
      assert.deepEqual(decodeFragment(encodeFragment(fragment), expected, control), fragment);
    }),
  );
});

test('the bytes are those that other versions write and read (docs/formats/fragments.md)', () => {
  const hex = [
    '01 02 05 ac02 02 05 5b226d225d 01 01 01 04 01 69 01',
    '04 01 61 01 62 0f 08 5f5f6e616d655f5f 01 6d 01 61 01 62',
    '01 03 01 05 01 000000000000f83f 00000000000000c0 00 0000000000000000',
  ];
  assert.equal(Buffer.from(encodeFragment(sample)).toString('hex'), hex.join('').replaceAll(' ', ''));
});

test('damaged and cut bytes are an error with a code or another fragment, within the memory of the query', () => {
  const bytes = encodeFragment(sample);
  const decode = (damaged: Uint8Array): void => {
    try {
      decodeFragment(damaged, expected, new LimitedQueryControl({ bytesMax: 10_000 }));
    } catch (error) {
      assert(error instanceof TimbalaError, String(error));
    }
  };
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeFragment(bytes.subarray(0, length), expected, control), TimbalaError);
  }
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
    decode(damaged);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), decode));
});

test('a fragment of other steps, or of another version, is refused', () => {
  const bytes = encodeFragment(sample);
  for (const change of [{ firstStep: 3 }, { stepsCount: 6 }]) {
    assert.throws(() => decodeFragment(bytes, { ...expected, ...change }, control), { code: 'FRAGMENT_UNEXPECTED' });
  }
  bytes[0] = 2;
  assert.throws(() => decodeFragment(bytes, expected, control), { code: 'FRAGMENT_UNEXPECTED' });
});

test('groups beyond what the query may use are refused before they are made', () => {
  const many = { ...sample, series: Array.from({ length: 100 }, () => sample.series[0] as PartialSeries) };
  const limited = new LimitedQueryControl({ bytesMax: 100 });
  assert.throws(() => decodeFragment(encodeFragment(many), expected, limited), { code: 'QUERY_TOO_MUCH_MEMORY' });
});

test('a request says the query, its times, and which aggregation', () => {
  const request = {
    query: { text: 'sum(x) / sum(ü)', startMs: 1, endMs: 2 ** 52, stepMs: 15_000, subqueryStepMs: 60_000 },
    lookbackDeltaMs: 300_000,
    positionStart: 9,
    positionEnd: 15,
    reach: { startMs: -5, stepMs: 1, stepsCount: 11_000, beforeMs: 299_999, afterMs: -60_000 },
  };
  const bytes = encodeFragmentRequest(request);
  assert.deepEqual(decodeFragmentRequest(bytes), request);
  assert.throws(() => decodeFragmentRequest(bytes.subarray(0, -1)), TimbalaError);
  assert.throws(() => decodeFragmentRequest(Uint8Array.of(2, 9)), { code: 'FRAGMENT_UNKNOWN' });
});
