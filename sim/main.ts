// Simulated clusters from the command line:
//   npm run sim -- SEED [SECONDS]    one seed, replayed: its outcome, the same every time
//   npm run sim -- seeds FIRST COUNT many seeds: what was checked, and every violated promise
//   npm run sim -- mutants           the planted bugs, and the seed or course of events that shows each
//   npm run sim -- membership [SIZE…] gossip: how fast a death is found and what it costs, by the size of the cluster
import { mutants } from './cluster/mutants.ts';
import { addUp, catchMutant, runScenario, type Totals } from './cluster/run.ts';
import { printMeasurements } from './membership.ts';

const print = (line: string): boolean => process.stdout.write(`${line}\n`);

async function runSeeds(first: number, count: number): Promise<boolean> {
  const totals: Totals = {};
  let violatedCount = 0;
  for (let seed = first; seed < first + count; seed++) {
    const outcome = await runScenario(seed);
    addUp(totals, outcome);
    if (outcome.violations.length === 0) continue;
    violatedCount++;
    for (const { promise, atMs, what } of outcome.violations.slice(0, 3)) {
      print(`seed ${seed}: ${promise} at ${Math.round(atMs)} ms: ${what}`);
    }
  }
  print(`${count} seeds, ${violatedCount} with a violated promise`);
  for (const [name, total] of Object.entries(totals)) print(`${name.padEnd(16)} ${total}`);
  return violatedCount === 0;
}

async function runMutants(): Promise<boolean> {
  let isEachCaught = true;
  for (const [name, mutant] of Object.entries(mutants)) {
    const caught = await catchMutant(mutant, 80);
    isEachCaught &&= caught !== undefined;
    print(`${name.padEnd(36)} ${caught ?? 'NOT CAUGHT'}`);
  }
  return isEachCaught;
}

async function main([what = 'seeds', ...rest]: readonly string[]): Promise<boolean> {
  const numbers = rest.map(Number);
  if (what === 'mutants') return runMutants();
  if (what === 'membership') {
    await printMeasurements(numbers);
    return true;
  }
  if (what === 'seeds') return runSeeds(numbers[0] ?? 1, numbers[1] ?? 100);
  const outcome = await runScenario(Number(what), { durationMs: (numbers[0] ?? 40) * 1000 });
  print(JSON.stringify(outcome, undefined, 2));
  return outcome.violations.length === 0;
}

process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
