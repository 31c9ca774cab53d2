import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cases } from './cases.ts';
import { mutants } from './mutants.ts';
import { addUp, catchMutant, runScenario, type Totals } from './run.ts';

const seedsCount = 200;
const catchingSeedsMax = 80;

test('every promise holds over a few hundred clusters under faults', async (t) => {
  const totals: Totals = {};
  for (let seed = 10_001; seed <= 10_000 + seedsCount; seed++) {
    const outcome = await runScenario(seed, { durationMs: 12_000 });
    addUp(totals, outcome);
    assert.deepEqual(outcome.violations, [], `npm run sim -- ${seed} 12`);
  }
  t.diagnostic(`${seedsCount} seeds: ${JSON.stringify(totals)}`);
  // A simulation in which nothing goes on proves nothing.
  assert.ok((totals.samplesChecked ?? 0) > 300 * seedsCount);
  for (const event of ['crash', 'join', 'wipe', 'remove', 'decommission', 'cut', 'delete', 'retention', 'power loss']) {
    assert.ok((totals[event] ?? 0) > 0, `${event} happened`);
  }
});

test('the same seed gives the same trace', async () => {
  const brief = { durationMs: 10_000 };
  const hashes = new Set<string>();
  for (const seed of [3, 4]) {
    const [first, second] = [await runScenario(seed, brief), await runScenario(seed, brief)];
    assert.deepEqual(second, first);
    hashes.add(first.traceHash);
  }
  assert.equal(hashes.size, 2);
});

test('written courses of events end well', async () => {
  for (const [name, run] of Object.entries(cases)) {
    for (const seed of [1, 2, 3]) assert.deepEqual(await run(seed), [], `${name}, seed ${seed}`);
  }
});

for (const [name, mutant] of Object.entries(mutants)) {
  test(`catches ${name}`, async (t) => {
    const caught = await catchMutant(mutant, catchingSeedsMax);
    assert.ok(caught, `not caught within ${catchingSeedsMax} seeds`);
    t.diagnostic(caught);
  });
}
