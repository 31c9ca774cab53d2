// Compiles the AssemblyScript kernels to build/kernels/<name>.wasm, and only those whose sources are newer than their
// output. Runs from npm's `prepare` and from the launchers (`prepare` is skipped under --ignore-scripts).
// A kernel is a folder kernels/<name>/ with an index.ts; what kernels share lies in kernels/common/.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const outputDirectory = join(root, 'build', 'kernels');

function newestChangeMs(directory) {
  let newestMs = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    newestMs = Math.max(newestMs, statSync(join(entry.parentPath, entry.name)).mtimeMs);
  }
  return newestMs;
}

function compile(name, outputFile, extraFlags) {
  const source = join(root, 'kernels', name, 'index.ts');
  const asc = join(root, 'node_modules', 'assemblyscript', 'bin', 'asc.js');
  const flags = [
    source,
    '--outFile',
    outputFile,
    '--runtime',
    'stub',
    '--optimizeLevel',
    '3',
    '--noAssert',
    '--converge',
    '--enable',
    'simd',
    '--enable',
    'bulk-memory',
    '--enable',
    'sign-extension',
    '--enable',
    'nontrapping-f2i',
    '--importMemory',
    // No static abort strings: a kernel's memory holds nothing but what it laid out itself.
    '--use',
    'abort=',
    ...extraFlags,
  ];
  const result = spawnSync(process.execPath, [asc, ...flags], { stdio: 'inherit' });
  if (result.status !== 0) throw new Error(`KERNEL_BUILD_FAILED: kernels/${name}: asc exited with ${result.status}`);
}

// The head lives in shared memory: query workers and the compactor read frozen arenas without copying.
const kernelFlags = {
  head: ['--enable', 'threads', '--sharedMemory', '--initialMemory', '64', '--maximumMemory', '65536'],
  wire: ['--initialMemory', '64'],
  pages: ['--initialMemory', '64'],
};

export function buildKernels() {
  mkdirSync(outputDirectory, { recursive: true });
  const commonDirectory = join(root, 'kernels', 'common');
  const commonMs = existsSync(commonDirectory) ? newestChangeMs(commonDirectory) : 0;
  const scriptMs = statSync(fileURLToPath(import.meta.url)).mtimeMs;
  for (const [name, extraFlags] of Object.entries(kernelFlags)) {
    const sourceDirectory = join(root, 'kernels', name);
    if (!existsSync(join(sourceDirectory, 'index.ts'))) continue;
    const outputFile = join(outputDirectory, `${name}.wasm`);
    const sourcesMs = Math.max(newestChangeMs(sourceDirectory), commonMs, scriptMs);
    if (existsSync(outputFile) && statSync(outputFile).mtimeMs >= sourcesMs) continue;
    compile(name, outputFile, extraFlags);
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) buildKernels();
