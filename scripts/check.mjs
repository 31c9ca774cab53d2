// Static checks that `npm test` begins with: types, lint, format, and what no linter knows (tidy.mjs).
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ensureRuntime, root } from './runtime.mjs';
import { tidy } from './tidy.mjs';

await ensureRuntime();
let failed = false;
const tool = (name, file, ...rest) => {
  const result = spawnSync(process.execPath, [join(root, 'node_modules', file), ...rest], {
    cwd: root,
    stdio: 'inherit',
  });
  if (result.status === 0) return;
  failed = true;
  console.error(`CHECK_FAILED: ${name} (exit status ${result.status})`);
};
tool('types', 'typescript/bin/tsc', '-p', 'tsconfig.json');
tool('lint', 'oxlint/bin/oxlint');
tool('format', 'oxfmt/bin/oxfmt', '--check', '.');
for (const problem of tidy()) {
  failed = true;
  console.error(problem);
}
if (failed) process.exit(1);
console.log('checks passed: types, lint, format, tidy');
