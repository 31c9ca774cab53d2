// Prometheus's own PromQL test scripts, run on our engine over samples in memory. Cases that can't hold yet are listed by name in
// known-gaps.ts; one that holds nevertheless is an error, so that the list shrinks.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PromqlEngine } from '../../src/promql/index.ts';
import { MemoryQueryable } from '../../src/promql/memory-queryable.ts';
import { knownGaps } from './known-gaps.ts';
import { runScript, type ScriptStorage } from './runner.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = join(root, '..', 'shared', 'promqltest');

function memoryStorage(): ScriptStorage {
  const queryable = new MemoryQueryable();
  return {
    queryable,
    load: async (series) => {
      for (const { labels, timestampsMs, values } of series) queryable.append(labels, timestampsMs, values);
    },
    clear: async () => queryable.clear(),
  };
}

// The scripts are written for Prometheus's test engine, which removes metric names at the end of a query.
const engine = new PromqlEngine({ delayedNameRemoval: true });

if (!existsSync(folder)) {
  test('promqltest scripts', { skip: `NOT RUN: ${folder} is missing` }, () => {});
} else {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.test'))) {
    test(`promqltest ${file}`, async (context) => {
      const outcomes = await runScript(readFileSync(join(folder, file), 'utf8'), engine, memoryStorage());
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
    });
  }
}
