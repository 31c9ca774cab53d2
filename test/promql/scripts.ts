// Where Prometheus's test scripts lie, and the check that both kinds of storage are put to.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PromqlEngine } from '../../src/promql/index.ts';
import { knownGaps } from './known-gaps.ts';
import { runScript, type ScriptStorage } from './runner.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = join(root, '..', 'shared', 'promqltest');

/** Empty where the scripts are missing. */
export const scriptFiles = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.test')) : [];
export const skipReason = `NOT RUN: ${folder} is missing`;

// The scripts are written for Prometheus's test engine, which removes metric names at the end of a query.
const engine = new PromqlEngine({ delayedNameRemoval: true });

/** Runs a script; a case that fails must be a known gap, and a known gap must fail. */
export async function checkScript(file: string, storage: ScriptStorage, context: TestContext): Promise<void> {
  const outcomes = await runScript(readFileSync(join(folder, file), 'utf8'), engine, storage);
  const gaps = new Set(Object.values(knownGaps[file] ?? {}).flat());
  const failures = outcomes.filter(({ line, problem }) => problem !== undefined && !gaps.has(line));
  const healed = outcomes.filter(({ line, problem }) => problem === undefined && gaps.has(line));
  context.diagnostic(`${outcomes.length} cases, ${outcomes.length - gaps.size} hold, ${gaps.size} known gaps`);
  assert.deepEqual(
    failures.map(({ line, text, problem }) => `${file}:${line} ${text}: ${problem}`),
    [],
  );
  assert.deepEqual(
    healed.map(({ line, text }) => `${file}:${line} ${text} holds now: take it off the list of known gaps`),
    [],
  );
}
