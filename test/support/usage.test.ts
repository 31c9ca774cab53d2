import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeDirectory, temporaryDirectory } from './processes.ts';
import { cpuSeconds, directoryBytes, memoryUsage } from './usage.ts';

const linux = process.platform === 'linux' ? false : 'reads /proc';

/** Burns CPU in a thread that ends, in a child process of the one that is measured. */
const burner = `
const { Worker } = require('node:worker_threads');
const { spawn } = require('node:child_process');
const spin = 'const end = Date.now() + 300; while (Date.now() < end);';
new Worker(spin, { eval: true }).on('exit', () => {
  spawn(process.execPath, ['-e', spin]).on('exit', () => { console.log('done'); setInterval(() => {}, 1000); });
});
`;

function startBurner(t: TestContext): Promise<number> {
  const child = spawn(process.execPath, ['-e', burner], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  return new Promise((resolve) => {
    child.stdout.once('data', () => resolve(child.pid ?? 0));
  });
}

test('CPU time counts threads and children that have ended', { skip: linux }, async (t) => {
  const pid = await startBurner(t);
  await sleep(50);
  const seconds = cpuSeconds(pid);
  // 0.3 s each by the clock; on a busy machine less of it is CPU time.
  assert(seconds > 0.15 && seconds < 5, `${seconds} s`);
  const { residentBytes, peakBytes } = memoryUsage(pid);
  assert(residentBytes > 10e6 && peakBytes >= residentBytes);
});

test('a process that is gone has used nothing', { skip: linux }, () => {
  assert.equal(cpuSeconds(2 ** 22 + 1), 0);
  assert.equal(memoryUsage(2 ** 22 + 1).residentBytes, 0);
});

test('the size of a directory is that of its files that are chosen by path', (t) => {
  const directory = temporaryDirectory('usage');
  t.after(() => removeDirectory(directory));
  mkdirSync(join(directory, 'parts', '1'), { recursive: true });
  writeFileSync(join(directory, 'parts', '1', 'pages'), Buffer.alloc(100));
  writeFileSync(join(directory, 'parts', '1', 'index'), Buffer.alloc(20));
  writeFileSync(join(directory, 'log'), Buffer.alloc(3));
  assert.equal(directoryBytes(directory), 123);
  assert.equal(
    directoryBytes(directory, (path) => /^parts\/.*\/pages$/.test(path)),
    100,
  );
});
