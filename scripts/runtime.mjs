// The runtime is Node 24, pinned by the per-platform packages in node_modules. npm puts their `node` first on the PATH
// of its scripts; a script that is started by hand, under an older Node, starts itself again under the pinned one.
import { spawnSync } from 'node:child_process';
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

/** Starts the calling script again under the pinned Node where this one is too old; returns where it is new enough. */
export function ensureRuntime() {
  if (Number(process.versions.node.split('.')[0]) >= nodeMajorMin) return;
  const node = pinnedNode();
  if (!node) {
    console.error(
      `NODE_TOO_OLD: this is Node ${process.versions.node}; Timbala needs ${nodeMajorMin} or newer. ` +
        'Run `npm ci` (it brings one on Linux and Windows) or install Node 24.',
    );
    process.exit(1);
  }
  const result = spawnSync(node, process.argv.slice(1), { stdio: 'inherit' });
  process.exit(result.status ?? 1);
}
