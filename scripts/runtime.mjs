// The runtime is Node 24, pinned by the per-platform packages in node_modules. npm puts their `node` first on the PATH
// of its scripts; a script that is started by hand, under an older Node, starts itself again under the pinned one.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const nodeMajorMin = 24;

export function pinnedNode() {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const name = process.platform === 'win32' ? 'node.exe' : 'node';
  const file = join(root, 'node_modules', `node-${platform}-${process.arch}`, 'bin', name);
  return existsSync(file) ? file : undefined;
}

/**
 * Starts the calling script again under the pinned Node where this one is too old, and then never resolves: this process only
 * hands signals on and ends as the other one does. Resolves at once where this Node is new enough.
 */
export async function ensureRuntime() {
  if (Number(process.versions.node.split('.')[0]) >= nodeMajorMin) return;
  const node = pinnedNode();
  if (!node) {
    console.error(
      `NODE_TOO_OLD: this is Node ${process.versions.node}; Timbala needs ${nodeMajorMin} or newer. ` +
        'Run `npm ci` (it brings one on Linux and Windows) or install Node 24.',
    );
    process.exit(1);
  }
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (status, signal) => {
    if (signal === null) process.exit(status ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
  await new Promise(() => {});
}
