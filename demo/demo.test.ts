// The demo itself, shortened: real processes, one of them killed and brought back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { secondMs } from '../src/base/index.ts';
import { removeDirectory, temporaryDirectory } from '../test/support/processes.ts';
import { runDemo } from './demo.ts';

test('the demo loses nothing, answers rightly throughout, and mends', async (t) => {
  const directory = temporaryDirectory('demo');
  t.after(() => removeDirectory(directory));
  const times = { wholeMs: 2 * secondMs, deadMs: 3 * secondMs, backMs: secondMs, mendTimeoutMs: 60 * secondMs };
  const lines: string[] = [];
  const outcome = await runDemo(times, directory, (line) => lines.push(line));
  assert.deepEqual(outcome.problems, [], lines.join('\n'));
  assert.equal(outcome.lostCount, 0);
  assert(outcome.acknowledgedCount > 0);
  assert(outcome.queriesRight > 10);
});
