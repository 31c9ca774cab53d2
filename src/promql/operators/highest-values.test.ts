import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HighestValues } from './highest-values.ts';

const series = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 400 }),
  // Falling: what was needed leaves faster than it comes.
  fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 400 })
    .map((falls) => falls.map((fall, i) => fall - 3 * i)),
  // Few distinct values, some of them infinite: more are equal to the threshold than can be held.
  fc.array(fc.constantFrom(1, 2, Infinity, -Infinity), { minLength: 1, maxLength: 400 }),
);

const moves = fc.array(fc.record({ leave: fc.nat(40), come: fc.nat(40), share: fc.integer({ min: 1, max: 100 }) }), {
  maxLength: 40,
});

test('the highest values of every window are in front, in order', () => {
  const highest = new HighestValues();
  fc.assert(
    fc.property(series, moves, (numbers, steps) => {
      const values = Float64Array.from(numbers);
      highest.clear();
      let [first, end] = [0, 0];
      for (const { leave, come, share } of steps) {
        end = Math.min(values.length, end + come);
        first = Math.min(Math.max(0, end - 1), first + leave);
        if (first === end) continue;
        const neededCount = Math.ceil(((end - first) * share) / 100);
        if (!highest.moveTo(values, first, end, neededCount)) continue;
        const expected = values.slice(first, end).sort().reverse().slice(0, neededCount);
        assert.deepEqual(highest.descending.slice(0, neededCount), expected);
      }
    }),
    { numRuns: 300 },
  );
});

test('a few values of a long window can be held, also among many that are equal', () => {
  const highest = new HighestValues();
  const values = Float64Array.from({ length: 2000 }, (_, i) => (i * 7919) % 1009);
  for (let end = 300; end <= 2000; end += 20) assert.equal(highest.moveTo(values, end - 300, end, 16), true);
  highest.clear();
  assert.equal(highest.moveTo(new Float64Array(300), 0, 300, 16), false);
  highest.clear();
  assert.equal(highest.moveTo(values, 0, 300, 16), true);
});
