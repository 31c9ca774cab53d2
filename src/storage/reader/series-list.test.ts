import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Labels } from '../../model/index.ts';
import { uniteFingerprints, uniteSeries } from './series-list.ts';

const labelsOf = (number: number): Labels =>
  Labels.of({ __name__: 'm', a: `${number % 4}`, b: `${Math.floor(number / 4)}` });

test('the union of sources, sorted or not: each label set once, in order, with all its places', () => {
  const source = fc.record({ numbers: fc.uniqueArray(fc.nat(30), { maxLength: 20 }), inLabelOrder: fc.boolean() });
  fc.assert(
    fc.property(fc.array(source, { maxLength: 5 }), (made) => {
      const sources = made.map(({ numbers, inLabelOrder }) => {
        const all = numbers.map(labelsOf);
        if (inLabelOrder) all.sort(Labels.compare);
        return { seriesCount: all.length, inLabelOrder, labels: (index: number) => all[index] as Labels };
      });
      const { labels, firstPlace, placeSource, placeIndex } = uniteSeries(sources);
      const expected = [...new Set(made.flatMap(({ numbers }) => numbers))].map(labelsOf).sort(Labels.compare);
      assert.deepEqual(labels.map(String), expected.map(String));
      for (const [series, own] of labels.entries()) {
        const places: string[] = [];
        for (let place = firstPlace[series] as number; place < (firstPlace[series + 1] as number); place++) {
          const s = placeSource[place] as number;
          assert.ok(sources[s]?.labels(placeIndex[place] as number).equals(own));
          places.push(`${s}`);
        }
        const holders = made.flatMap(({ numbers }, s) =>
          numbers.some((number) => labelsOf(number).equals(own)) ? [`${s}`] : [],
        );
        assert.deepEqual(places, holders, 'in the order of the sources, every source once');
      }
    }),
  );
});

test('the union by fingerprints: each once, in order of appearance, with all its places', () => {
  const fingerprintOf = (number: number): Uint8Array => new Uint8Array(16).fill(255 - number);
  fc.assert(
    fc.property(fc.array(fc.uniqueArray(fc.nat(30), { maxLength: 20 }), { maxLength: 5 }), (made) => {
      const sources = made.map((numbers) => ({
        seriesCount: numbers.length,
        fingerprint: (index: number) => fingerprintOf(numbers[index] as number),
      }));
      const { fingerprints, firstPlace, placeSource, placeIndex } = uniteFingerprints(sources);
      const distinct = [...new Set(made.flat())];
      assert.deepEqual(fingerprints, distinct.map(fingerprintOf));
      for (const [series, number] of distinct.entries()) {
        const [from, to] = [firstPlace[series] as number, firstPlace[series + 1] as number];
        const places = Array.from(placeSource.subarray(from, to), (source, i) => [source, placeIndex[from + i]]);
        const expected = made.flatMap((numbers, source) =>
          numbers.includes(number) ? [[source, numbers.indexOf(number)]] : [],
        );
        assert.deepEqual(places, expected);
      }
    }),
  );
});
