// The brief course of `main.ts`: four real nodes under load are killed, stuck, cut off, wiped. The long one is a command.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from '../support/servers.ts';
import { runInside } from './machines.ts';

test('four nodes keep every promise while each of the usual faults happens to one', async (t) => {
  let output = '';
  const seed = process.env['TIMBALA_TEST_SEED'] ?? String(Date.now() % 1_000_000);
  const status = await runInside(join(repositoryRoot, 'test', 'cluster', 'main.ts'), ['brief', seed], (text) => {
    output += text;
  });
  assert.equal(status, 0, output);
  for (const line of output.split('\n')) if (/NOT PROVED|^\||acknowledged/.test(line)) t.diagnostic(line);
});
