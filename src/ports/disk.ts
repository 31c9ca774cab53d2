// The disk as storage sees it. One contract suite runs on every implementation (node:fs and the simulated disk).
// Paths are POSIX-style and relative to the data directory ("log/3-0-7", "parts/12/pages"). Errors are TimbalaErrors:
// DISK_NOT_FOUND, DISK_EXISTS, DISK_FULL, DISK_IO (with `cause`). Nothing is durable before a sync: file contents by
// `sync`, a created, renamed or removed name by `syncDirectory` of its parent.

export interface DiskFile {
  readonly path: string;
  sizeBytes(): number;
  /** Fills `target` from `offset`; returns the bytes read, fewer only at the end of the file. */
  read(target: Uint8Array, offset: number): number;
  /** Writes all of `source` at `offset`, or throws. */
  write(source: Uint8Array, offset: number): void;
  /** fdatasync. A failure is final: the caller must end the process or give the file up, never try again. */
  sync(): void;
  truncate(sizeBytes: number): void;
  close(): void;
  /** As `write`, for one buffer after another, on the thread pool. Buffers must not be WASM memory or change meanwhile. */
  writeAsync(sources: readonly Uint8Array[], offset: number): Promise<void>;
  /** As `sync`, on the thread pool. */
  syncAsync(): Promise<void>;
}

export interface DiskEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}

export interface Disk {
  /** `create`: a new file for reading and writing (DISK_EXISTS if it is there); `write`: an existing one for both. */
  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile;
  exists(path: string): boolean;
  /** Names in a directory, sorted. */
  list(path: string): DiskEntry[];
  /** Creates one directory; none above it. No error if it is there already. */
  makeDirectory(path: string): void;
  syncDirectory(path: string): void;
  /** Atomic; replaces an existing file. */
  rename(from: string, to: string): void;
  removeFile(path: string): void;
  /** Removes a directory and all below it. */
  removeTree(path: string): void;
  /** Takes the exclusive lock of the data directory; throws DIRECTORY_LOCKED naming the holder. Released by process end. */
  lock(path: string): DiskLock;
  /** Bytes an ordinary user may still write. */
  freeBytes(): number;
  /** Tells this data directory from any copy of it; the same as long as it stays where it is. */
  identity(): string;
}

export interface DiskLock {
  release(): void;
}
