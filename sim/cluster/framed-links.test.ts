// Whole clusters as in cluster.test.ts, but with peer connections and their frames between the nodes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FramedNetwork } from './framed-links.ts';
import { addUp, runScenario, type Totals } from './run.ts';

const seedsCount = 16;
const run = (seed: number) =>
  runScenario(seed, { durationMs: 20_000, plant: { network: (world) => new FramedNetwork(world) } });

test('every promise holds over peer connections too', async (t) => {
  const totals: Totals = {};
  for (let seed = 1; seed <= seedsCount; seed++) {
    const outcome = await run(seed);
    addUp(totals, outcome);
    assert.deepEqual(outcome.violations, [], `seed ${seed} over frames`);
  }
  t.diagnostic(`${seedsCount} seeds: ${JSON.stringify(totals)}`);
  assert.ok((totals.samplesChecked ?? 0) > 1_000 * seedsCount);
  assert.ok((totals.framesCount ?? 0) > 1_000 * seedsCount);
});

test('the same seed gives the same trace, to the byte on the streams', async () => {
  assert.deepEqual(await run(2), await run(2));
});
