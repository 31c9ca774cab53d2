// Many seeds, and planted bugs: what the command line and the tests have in common.
import type { Mutant } from './mutants.ts';
import { type Outcome, runScenario } from './scenario.ts';

export { type Outcome, runScenario } from './scenario.ts';

export type Totals = Record<string, number>;

/** Adds an outcome's counts to the totals. */
export function addUp(
  totals: Totals,
  { seed: _seed, violations: _violations, traceHash: _hash, counts, ...numbers }: Outcome,
): void {
  for (const [name, count] of Object.entries({ ...numbers, ...counts })) totals[name] = (totals[name] ?? 0) + count;
}

/** What shows the bug: a line of text; undefined where nothing did, in the mutant's own course of events or in any seed. */
export async function catchMutant(mutant: Mutant, seedsMax: number): Promise<string | undefined> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    const violations = mutant.case
      ? await mutant.case(seed, mutant)
      : (await runScenario(seed, { plant: mutant })).violations;
    const [first] = violations;
    if (first) return `seed ${seed}: ${first.promise}: ${first.what}`;
  }
  return undefined;
}
