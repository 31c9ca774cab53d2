// Prometheus's own PromQL test scripts, run on our engine over samples in memory. Cases that can't hold yet are listed by name in
// known-gaps.ts; one that holds nevertheless is an error, so that the list shrinks.
import { test } from 'node:test';
import { MemoryQueryable } from '../../src/promql/memory-queryable.ts';
import type { ScriptStorage } from './runner.ts';
import { checkScript, scriptFiles, skipReason } from './scripts.ts';

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

if (scriptFiles.length === 0) test('promqltest scripts', { skip: skipReason }, () => {});
for (const file of scriptFiles) test(`promqltest ${file}`, (context) => checkScript(file, memoryStorage(), context));
