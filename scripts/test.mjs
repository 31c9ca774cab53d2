// `npm test`: kernels, static checks, then every test; the exit status is non-zero when any of them failed.
// Arguments choose test files and skip the static checks: `npm test -- src/model`.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { buildKernels } from './build-kernels.mjs';
import { ensureRuntime, root } from './runtime.mjs';

await ensureRuntime();
buildKernels();
const chosen = process.argv.slice(2);
if (chosen.length === 0) {
  const checks = spawnSync(process.execPath, ['scripts/check.mjs'], { cwd: root, stdio: 'inherit' });
  if (checks.status !== 0) process.exit(checks.status ?? 1);
}
const folders = chosen.length > 0 ? chosen : ['src', 'sim', 'test', 'bench', 'demo', 'scripts'];
const files = folders.flatMap((folder) =>
  /\.m?ts$/.test(folder) ? [folder] : globSync(`${folder}/**/*.test.{ts,mjs}`, { cwd: root }),
);
// Without files Node would look for tests by itself, and run everything.
if (files.length === 0) {
  process.stderr.write(`no tests in ${folders.join(' ')}\n`);
  process.exit(1);
}
const tests = spawnSync(process.execPath, ['--test', '--test-concurrency=2', ...files.sort()], {
  cwd: root,
  stdio: 'inherit',
});
process.exit(tests.status ?? 1);
