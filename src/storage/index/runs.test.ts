import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allRuns, countOf, expand, intersect, noRuns, type Runs, subtract, unite } from './runs.ts';

const limit = 200;
const positions = fc.uniqueArray(fc.nat(limit - 1), { maxLength: limit }).map((list) => list.sort((a, b) => a - b));

function runsOf(list: readonly number[]): Runs {
  const runs: number[] = [];
  for (const position of list) {
    if (runs.at(-1) === position) runs[runs.length - 1] = position + 1;
    else runs.push(position, position + 1);
  }
  return Uint32Array.from(runs);
}

test('runs behave as sets of positions do', () => {
  fc.assert(
    fc.property(positions, positions, positions, (a, b, c) => {
      const [setB, runsA, runsB, runsC] = [new Set(b), runsOf(a), runsOf(b), runsOf(c)];
      assert.deepEqual([...expand(runsA)], a);
      assert.equal(countOf(runsA), a.length);
      assert.deepEqual(intersect(runsA, runsB), runsOf(a.filter((position) => setB.has(position))));
      assert.deepEqual(subtract(runsA, runsB), runsOf(a.filter((position) => !setB.has(position))));
      const union = [...new Set([...a, ...b, ...c])].sort((x, y) => x - y);
      assert.deepEqual(unite([runsA, runsB, runsC], limit), runsOf(union));
    }),
  );
});

test('the borders of runs: none, all, word borders', () => {
  assert.deepEqual(allRuns(0), noRuns);
  assert.deepEqual(subtract(allRuns(64), allRuns(64)), noRuns);
  assert.deepEqual(
    unite([Uint32Array.of(0, 32), Uint32Array.of(32, 64), Uint32Array.of(95, 97)], 97),
    Uint32Array.of(0, 64, 95, 97),
  );
  assert.deepEqual(unite([], 10), noRuns);
});
