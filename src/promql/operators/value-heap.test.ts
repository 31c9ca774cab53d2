import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { highestFirst, lowestFirst, ValueHeaps } from './value-heap.ts';

const value = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant(NaN));

test('a heap keeps the best k values of a step, best first, NaN last', () => {
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 20 }),
      fc.boolean(),
      (values, k, isTop) => {
        const heaps = new ValueHeaps(2, k, isTop ? lowestFirst : highestFirst);
        for (const [member, each] of values.entries()) heaps.offer(1, k, each, member);
        const members = heaps.sortedMembers(1);
        assert.equal(new Set(members).size, members.length);
        const rank = (each: number): number => (Number.isNaN(each) ? -Infinity : isTop ? each : -each);
        const expected = values.toSorted((a, b) => (rank(a) === rank(b) ? 0 : rank(b) - rank(a))).slice(0, k);
        assert.deepEqual(
          members.map((member) => values[member]),
          expected,
        );
        assert.equal(heaps.size(0), 0);
      },
    ),
  );
});

test('of equal values those stay that Go would leave in its heap', () => {
  const heaps = new ValueHeaps(1, 2, lowestFirst);
  for (const [member, each] of [1, 1, 1, 2, 1].entries()) heaps.offer(0, 2, each, member);
  // The 2 replaced the root, member 0.
  assert.deepEqual(heaps.sortedMembers(0), [3, 1]);
});
