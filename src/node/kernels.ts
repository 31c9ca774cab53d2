// Loads the compiled kernels: once per process, on main; the Modules are posted to the workers, which only instantiate.
import { readFile } from 'node:fs/promises';
import { TimbalaError } from '../base/index.ts';

/** Compiles build/kernels/<name>.wasm for each name. Throws KERNEL_MISSING. */
export async function loadKernels<Name extends string>(
  directory: URL,
  names: readonly Name[],
): Promise<Record<Name, WebAssembly.Module>> {
  const compile = async (name: Name): Promise<[Name, WebAssembly.Module]> => {
    const file = new URL(`${name}.wasm`, directory);
    try {
      return [name, await WebAssembly.compile(await readFile(file))];
    } catch (cause) {
      throw new TimbalaError('KERNEL_MISSING', `${file.pathname} can't be loaded; build it with npm run prepare`, {
        cause,
      });
    }
  };
  return Object.fromEntries(await Promise.all(names.map(compile))) as Record<Name, WebAssembly.Module>;
}
