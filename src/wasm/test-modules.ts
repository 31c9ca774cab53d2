// Compiled kernels for tests and benchmarks; production modules come from room node. Test-only: it reads files.
import { readFileSync } from 'node:fs';

const modules = new Map<string, WebAssembly.Module>();

/** The kernel `name`, compiled once per process. `npm test` builds kernels first. */
export function loadTestModule(name: 'wire' | 'head' | 'pages'): WebAssembly.Module {
  let module = modules.get(name);
  if (!module) {
    module = new WebAssembly.Module(readFileSync(new URL(`../../build/kernels/${name}.wasm`, import.meta.url)));
    modules.set(name, module);
  }
  return module;
}
