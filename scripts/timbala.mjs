#!/usr/bin/env node
// Starts a node (or another command of the `timbala` program) from a checkout.
import module from 'node:module';
import { join } from 'node:path';
import { buildKernels } from './build-kernels.mjs';
import { ensureRuntime, root } from './runtime.mjs';

ensureRuntime();
buildKernels();
module.enableCompileCache?.(join(root, 'build', 'compile-cache'));
await import('../src/cli/main.ts');
