// Machines for a cluster of real processes: a network namespace each, on one bridge, so that a node can be cut off from the
// others while the test still reaches it, and small file systems that can be filled up.
//
// All of it lives in namespaces of the test itself (`insideOwnNamespaces`): interfaces, mounts and processes are gone with it,
// however it ends, and no privileges are needed where users may have namespaces. Where they may not, nodes get loopback
// addresses of their own; nothing can be cut or filled then, which callers see from `canCut` and `canFill`.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, openSync, rmSync, statfsSync, writeSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../support/servers.ts';

const insideVariable = 'TIMBALA_TEST_INSIDE_NAMESPACES';
const hostAddress = '10.77.0.1';

function run(command: string, commandArguments: readonly string[], input = ''): string {
  const { status, stdout, stderr, error } = spawnSync(command, commandArguments, { encoding: 'utf8', input });
  if (status === 0) return stdout;
  throw new Error(`${command} ${commandArguments.join(' ')}: ${error?.message ?? stderr.trim()}`);
}

const ip = (line: string): string => run('ip', line.split(' '));

/** The flags under which `unshare` may make namespaces here; undefined where it may not. */
function unshareFlags(): readonly string[] | undefined {
  const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const candidates = [flags, ['--user', '--map-root-user', ...flags]];
  return candidates.find(
    (each) => spawnSync('unshare', [...each, 'ip', 'link', 'add', 'probe', 'type', 'bridge']).status === 0,
  );
}

/** Whether this process was started by `runInside`. */
export const isStarted = process.env[insideVariable] !== undefined;

/**
 * Runs this repository's entry `file` in namespaces of its own (or plainly, where they are not permitted) and resolves with its
 * exit status. Its output goes where ours goes, or to `onOutput`.
 */
export function runInside(
  file: string,
  fileArguments: readonly string[],
  onOutput?: (text: string) => void,
): Promise<number> {
  const flags = process.env['TIMBALA_TEST_NAMESPACES'] === '0' ? undefined : unshareFlags();
  const node = [process.execPath, file, ...fileArguments];
  const [command = '', ...rest] = flags ? ['unshare', ...flags, ...node] : node;
  const child = spawn(command, rest, {
    stdio: ['ignore', onOutput ? 'pipe' : 'inherit', onOutput ? 'pipe' : 'inherit'],
    env: { ...process.env, [insideVariable]: flags ? '1' : '0' },
  });
  child.stdout?.on('data', (chunk: Buffer) => onOutput?.(chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => onOutput?.(chunk.toString()));
  const kill = (): void => void child.kill('SIGKILL');
  const end = (): never => process.exit(1);
  process.once('exit', kill).once('SIGTERM', end).once('SIGINT', end);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => {
      process.off('exit', kill).off('SIGTERM', end).off('SIGINT', end);
      resolve(status ?? 1);
    });
  });
}

/** Which packets of a machine are dropped: all to and from other machines, or one way only. */
export type Cut = 'both' | 'in' | 'out';

export interface Machine {
  readonly address: string;
  /** Where its node keeps data and log. */
  readonly directory: string;
  /** What to put before a command for it to run on the machine. */
  readonly prefix: readonly string[];
  /** The others and the machine no longer hear each other; the test still reaches it. */
  cut(how: Cut): void;
  mend(): void;
  /** Uses up all that its file system has left. */
  fillDisk(): void;
  freeDisk(): void;
}

export interface MachineRoom {
  readonly canCut: boolean;
  readonly canFill: boolean;
  /** What is missing here, in words; empty where all works. */
  readonly missing: string;
  /** `diskBytes`: a file system of its own, of this size. */
  machine(index: number, diskBytes?: number): Machine;
  /** Takes off file systems, so that `root` can be removed. */
  close(): void;
}

/** Machines with directories below `root`. */
export function openMachineRoom(root: string): MachineRoom {
  return process.env[insideVariable] === '1' ? new NamespaceRoom(root) : new LoopbackRoom(root);
}

class LoopbackRoom implements MachineRoom {
  readonly canCut = false;
  readonly canFill = false;
  readonly missing = 'namespaces are not permitted here: nobody is cut off, no disk is filled';
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  machine(index: number): Machine {
    const refuse = (): never => {
      throw new Error(this.missing);
    };
    const directory = join(this.#root, `node-${index}`);
    mkdirSync(directory, { recursive: true });
    const address = `127.77.0.${10 + index}`;
    return { address, directory, prefix: [], cut: refuse, mend: refuse, fillDisk: refuse, freeDisk: refuse };
  }

  close(): void {}
}

class NamespaceRoom implements MachineRoom {
  readonly canCut = findProgram('nft') !== undefined;
  readonly canFill = true;
  readonly missing = this.canCut ? '' : 'the program `nft` (package nftables) is missing: nobody is cut off';
  readonly #root: string;
  readonly #mounted: string[] = [];

  constructor(root: string) {
    this.#root = root;
    // `ip netns` keeps names in /run, which belongs to another user where root is only mapped.
    run('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
    ip('link set lo up');
    ip('link add bridge0 type bridge');
    ip(`addr add ${hostAddress}/24 dev bridge0`);
    ip('link set bridge0 up');
  }

  machine(index: number, diskBytes?: number): Machine {
    const name = `node${index}`;
    const address = `10.77.0.${10 + index}`;
    ip(`netns add ${name}`);
    ip(`link add veth${index} type veth peer name eth0 netns ${name}`);
    ip(`link set veth${index} master bridge0 up`);
    ip(`-n ${name} addr add ${address}/24 dev eth0`);
    ip(`-n ${name} link set eth0 up`);
    ip(`-n ${name} link set lo up`);
    const directory = join(this.#root, name);
    mkdirSync(directory, { recursive: true });
    if (diskBytes !== undefined) {
      run('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', directory]);
      this.#mounted.push(directory);
    }
    return new NamespaceMachine(name, address, directory);
  }

  close(): void {
    for (const directory of this.#mounted) run('umount', ['--lazy', directory]);
  }
}

class NamespaceMachine implements Machine {
  readonly address: string;
  readonly directory: string;
  readonly prefix: readonly string[];
  readonly #ballast: string;

  constructor(name: string, address: string, directory: string) {
    this.address = address;
    this.directory = directory;
    this.prefix = ['nsenter', `--net=/run/netns/${name}`, '--'];
    this.#ballast = join(directory, 'ballast');
  }

  #nft(rules: string): void {
    const [command = '', ...rest] = [...this.prefix, 'nft', '-f', '-'];
    run(command, rest, rules);
  }

  cut(how: Cut): void {
    const own = `{ ${hostAddress}, 127.0.0.0/8, ${this.address} }`;
    const chain = (hook: string, side: string): string =>
      `chain ${hook} {\n type filter hook ${hook} priority 0\n ip ${side} ${own} accept\n drop\n}`;
    const input = how === 'out' ? '' : chain('input', 'saddr');
    const output = how === 'in' ? '' : chain('output', 'daddr');
    this.#nft(`table ip cut {\n${input}\n${output}\n}\n`);
  }

  mend(): void {
    this.#nft('delete table ip cut\n');
  }

  fillDisk(): void {
    const { bavail, bsize } = statfsSync(this.directory);
    const zeros = new Uint8Array(1 << 20);
    const file = openSync(this.#ballast, 'w');
    try {
      for (let left = bavail * bsize; left > 0; left -= zeros.length) {
        writeSync(file, zeros, 0, Math.min(left, zeros.length));
      }
    } catch (error) {
      // The node wrote meanwhile: full is full.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    } finally {
      closeSync(file);
    }
  }

  freeDisk(): void {
    rmSync(this.#ballast);
  }
}
