// The two ends of a series dictionary, each alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KnownSeries, SentSeries, undefinedRef } from './series-dictionary.ts';

const payload = (dictionary: number, refs: readonly number[]) => ({
  dictionary,
  seriesRefs: Uint32Array.from(refs),
  samplesCount: refs.length,
  fingerprintSum: 0n,
  bytes: new Uint8Array(0),
});
const registered = (dictionary: number, ...pairs: readonly (readonly [number, number])[]) => ({
  dictionary,
  senderRefs: Uint32Array.from(pairs, ([ref]) => ref),
  ownRefs: Uint32Array.from(pairs, ([, own]) => own),
});

test('a sender owes each series once, and all of them again in another numbering', () => {
  const lists = fc.array(fc.array(fc.nat(30_000), { maxLength: 20 }), { maxLength: 20 });
  fc.assert(
    fc.property(lists, (sent) => {
      const series = new SentSeries();
      const known = new Set<number>();
      for (const refs of sent) {
        const due = series.due(payload(1, refs));
        assert.deepEqual(new Set(due), new Set(refs.filter((ref) => !known.has(ref))));
        assert.equal(new Set(due).size, due.length);
        series.markSent(due);
        for (const ref of refs) known.add(ref);
      }
      const all = Uint32Array.from(known);
      assert.deepEqual(series.due(payload(2, [...all])), all);
    }),
  );
});

test('a receiver knows what was defined in this numbering, and nothing else', () => {
  const series = new KnownSeries();
  series.begin(7);
  series.define(registered(1, [5, 50], [100_000, 51]));
  assert.deepEqual([series.ownRefs[5], series.ownRefs[100_000], series.ownRefs[6]], [50, 51, undefinedRef]);
  assert.equal(series.ownDictionary, 1);
  series.begin(7);
  assert.equal(series.ownRefs[5], 50);
  series.begin(8);
  assert.equal(series.ownRefs[5], undefinedRef);
  assert.equal(series.ownDictionary, 0);
  // A new numbering of the sender may come with one of ours.
  series.define(registered(2, [5, 60]));
  assert.equal(series.ownRefs[5], 60);
});

test('a receiver that numbers anew, or is given an absurd reference, breaks off', () => {
  const series = new KnownSeries();
  series.begin(7);
  series.define(registered(1, [5, 50]));
  assert.throws(() => series.define(registered(2, [6, 60])), { code: 'PEER_DICTIONARY' });
  assert.throws(() => series.define(registered(1, [2 ** 31, 60])), { code: 'PEER_DICTIONARY' });
});

test('what was given to another thread stays as it was when there are more', () => {
  const series = new KnownSeries();
  series.begin(1);
  series.define(registered(1, [1, 11]));
  const given = series.ownRefs;
  series.define(registered(1, [1_000_000, 12]));
  assert.ok(given.buffer instanceof SharedArrayBuffer);
  assert.equal(given[1], 11);
  assert.equal(series.ownRefs[1], 11);
});
