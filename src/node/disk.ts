// The disk of the operating system: ports/disk.ts over node:fs, rooted in the data directory. Synchronous calls block only
// the worker that makes them; the two asynchronous ones run on libuv's thread pool, which belongs to the log.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { hasCode, TimbalaError } from '../base/index.ts';
import type { Disk, DiskEntry, DiskFile, DiskLock } from '../ports/index.ts';

const codeByErrno: Readonly<Record<string, string>> = {
  ENOENT: 'DISK_NOT_FOUND',
  EEXIST: 'DISK_EXISTS',
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
};

function diskError(action: string, path: string, cause: unknown): TimbalaError {
  if (cause instanceof TimbalaError) return cause;
  const errno = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : '';
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TimbalaError(codeByErrno[errno] ?? 'DISK_IO', `${action} ${path}: ${reason}`, { cause });
}

function attempt<Result>(action: string, path: string, call: () => Result): Result {
  try {
    return call();
  } catch (cause) {
    throw diskError(action, path, cause);
  }
}

class NodeFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;
  #failed: TimbalaError | undefined;
  #closed = false;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  sizeBytes(): number {
    return attempt('stat', this.path, () => fs.fstatSync(this.#descriptor).size);
  }

  read(target: Uint8Array, offset: number): number {
    let done = 0;
    while (done < target.length) {
      const count = attempt('read', this.path, () =>
        fs.readSync(this.#descriptor, target, done, target.length - done, offset + done),
      );
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  write(source: Uint8Array, offset: number): void {
    this.#refuseAfterFailure();
    let done = 0;
    while (done < source.length) {
      done += attempt('write', this.path, () =>
        fs.writeSync(this.#descriptor, source, done, source.length - done, offset + done),
      );
    }
  }

  sync(): void {
    this.#refuseAfterFailure();
    try {
      fs.fdatasyncSync(this.#descriptor);
    } catch (cause) {
      throw this.#fail(cause);
    }
  }

  truncate(sizeBytes: number): void {
    this.#refuseAfterFailure();
    attempt('truncate', this.path, () => fs.ftruncateSync(this.#descriptor, sizeBytes));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    attempt('close', this.path, () => fs.closeSync(this.#descriptor));
  }

  async writeAsync(sources: readonly Uint8Array[], offset: number): Promise<void> {
    this.#refuseAfterFailure();
    let rest = sources.filter((source) => source.length > 0);
    let position = offset;
    while (rest.length > 0) {
      const count = await this.#writeVector(rest, position);
      position += count;
      rest = dropWritten(rest, count);
    }
  }

  #writeVector(sources: readonly Uint8Array[], offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.writev(this.#descriptor, sources, offset, (error, count) => {
        if (error) reject(diskError('write', this.path, error));
        else resolve(count);
      });
    });
  }

  syncAsync(): Promise<void> {
    this.#refuseAfterFailure();
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#descriptor, (error) => {
        if (error) reject(this.#fail(error));
        else resolve();
      });
    });
  }

  // After a failed sync the kernel may have dropped the dirty pages, and a second sync would claim success.
  #fail(cause: unknown): TimbalaError {
    this.#failed = diskError('sync', this.path, cause);
    return this.#failed;
  }

  #refuseAfterFailure(): void {
    if (this.#failed) throw this.#failed;
  }
}

/** What of `sources` is still to be written after a (short) write of `count` bytes. */
function dropWritten(sources: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let written = count;
  for (const source of sources) {
    if (written >= source.length) written -= source.length;
    else {
      rest.push(source.subarray(written));
      written = 0;
    }
  }
  return rest;
}

const openFlags = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
};

export class NodeDisk implements Disk {
  readonly #root: string;

  /** `root`: the data directory; made, with its parents, if it is missing. */
  constructor(root: string) {
    this.#root = root;
    attempt('make directory', root, () => fs.mkdirSync(root, { recursive: true }));
  }

  #resolve(path: string): string {
    return join(this.#root, path);
  }

  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile {
    return new NodeFile(
      path,
      attempt('open', path, () => fs.openSync(this.#resolve(path), openFlags[mode], 0o640)),
    );
  }

  exists(path: string): boolean {
    return fs.existsSync(this.#resolve(path));
  }

  list(path: string): DiskEntry[] {
    const entries = attempt('list', path, () => fs.readdirSync(this.#resolve(path), { withFileTypes: true }));
    return entries
      .map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  makeDirectory(path: string): void {
    try {
      attempt('make directory', path, () => fs.mkdirSync(this.#resolve(path), 0o750));
    } catch (error) {
      if (!hasCode(error, 'DISK_EXISTS')) throw error;
    }
  }

  syncDirectory(path: string): void {
    // Windows cannot open a directory for syncing; its file systems journal names themselves.
    if (process.platform === 'win32') return;
    attempt('sync directory', path, () => {
      const descriptor = fs.openSync(this.#resolve(path), 'r');
      try {
        fs.fsyncSync(descriptor);
      } finally {
        fs.closeSync(descriptor);
      }
    });
  }

  rename(from: string, to: string): void {
    attempt('rename', from, () => fs.renameSync(this.#resolve(from), this.#resolve(to)));
  }

  removeFile(path: string): void {
    attempt('remove', path, () => fs.unlinkSync(this.#resolve(path)));
  }

  removeTree(path: string): void {
    attempt('remove', path, () => fs.rmSync(this.#resolve(path), { recursive: true }));
  }

  freeBytes(): number {
    const stats = attempt('stat', '.', () => fs.statfsSync(this.#root));
    return stats.bavail * stats.bsize;
  }

  identity(): string {
    const { ino, birthtimeNs } = attempt('stat', '.', () => fs.statSync(this.#root, { bigint: true }));
    return `${ino} ${birthtimeNs}`;
  }

  lock(path: string): DiskLock {
    const resolved = this.#resolve(path);
    const descriptor = attempt('open', path, () =>
      fs.openSync(resolved, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o640),
    );
    const holder = fs.readFileSync(descriptor, 'utf8').trim();
    if (!takeLock(descriptor, holder)) {
      fs.closeSync(descriptor);
      const who = holder === '' ? 'another process' : `process ${holder}`;
      throw new TimbalaError(
        'DIRECTORY_LOCKED',
        `${resolved} is held by ${who}; stop it or use another data directory`,
      );
    }
    attempt('write', path, () => {
      fs.ftruncateSync(descriptor, 0);
      fs.writeSync(descriptor, `${process.pid}\n`, 0);
    });
    return { release: () => fs.closeSync(descriptor) };
  }
}

/**
 * An flock on the descriptor. Node has no call for it, but flock(1) locks the open file it inherits, and the lock stays
 * with this process's descriptor after the command has ended; the kernel releases it when this process ends, however.
 */
function takeLock(descriptor: number, holder: string): boolean {
  const result = spawnSync('flock', ['--exclusive', '--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', descriptor],
  });
  if (result.error === undefined) return result.status === 0;
  // No flock(1) here (macOS, Windows): the holder's process must have gone.
  const holderId = Number(holder);
  return !(holderId > 0 && holderId !== process.pid && isAlive(holderId));
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}
