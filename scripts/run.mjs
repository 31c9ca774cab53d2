// Runs one TypeScript entry of the repository under the pinned Node, with kernels built: `node scripts/run.mjs bench/main.ts ...`.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildKernels } from './build-kernels.mjs';
import { ensureRuntime } from './runtime.mjs';

await ensureRuntime();
buildKernels();
const entry = process.argv[2];
if (!entry) {
  console.error('usage: node scripts/run.mjs ENTRY.ts [arguments]');
  process.exit(2);
}
process.argv.splice(1, 2, resolve(entry));
await import(pathToFileURL(process.argv[1]).href);
