// A simulated disk in memory that forgets what was not synced, as a real one may. Between syncs, every write to a file and
// every change of a directory is pending; a crash keeps or loses each of them independently (a write may also survive in
// part, sector by sector). Any operation can be made to fail, or to be the last before a crash.
// Not simulated: damage to synced data (tests flip bits themselves through `open`), reordering within one sector.
import { assert, type SeededRandom, TimbalaError } from '../src/base/index.ts';
import type { Disk, DiskEntry, DiskFile, DiskLock } from '../src/ports/index.ts';

const sectorBytes = 512;

interface PendingWrite {
  readonly offset: number;
  /** Undefined: a truncation to `offset`. */
  readonly bytes: Uint8Array | undefined;
}

/** Bytes with a size of their own, growing by doubling. */
class Content {
  #bytes = new Uint8Array(0);
  size = 0;

  apply({ offset, bytes }: PendingWrite): void {
    if (bytes === undefined) {
      if (offset < this.size) this.#bytes.fill(0, offset, this.size);
      this.#grow(offset);
      this.size = offset;
      return;
    }
    const end = offset + bytes.length;
    this.#grow(end);
    this.#bytes.set(bytes, offset);
    this.size = Math.max(this.size, end);
  }

  #grow(sizeBytes: number): void {
    if (sizeBytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(sizeBytes, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }

  view(): Uint8Array {
    return this.#bytes.subarray(0, this.size);
  }
}

class FileNode {
  readonly current = new Content();
  readonly durable = new Content();
  pending: PendingWrite[] = [];
  syncFailed = false;

  change(write: PendingWrite): void {
    this.current.apply(write);
    this.pending.push(write);
  }

  sync(): void {
    for (const write of this.pending) this.durable.apply(write);
    this.pending = [];
  }
}

type Node = FileNode | DirectoryNode;

/** One change of a directory: names that came and went, together or not at all. */
interface NameChange {
  readonly remove?: string;
  readonly add?: readonly [string, Node];
}

class DirectoryNode {
  readonly current = new Map<string, Node>();
  readonly durable = new Map<string, Node>();
  pending: NameChange[] = [];

  change(change: NameChange): void {
    applyNames(this.current, change);
    this.pending.push(change);
  }

  sync(): void {
    for (const change of this.pending) applyNames(this.durable, change);
    this.pending = [];
  }
}

function applyNames(names: Map<string, Node>, { remove, add }: NameChange): void {
  if (remove !== undefined) names.delete(remove);
  if (add !== undefined) names.set(...add);
}

/** What is to happen at the n-th operation that changes something (counted from 1). */
export interface PlannedFault {
  readonly atOperation: number;
  /** `crash`: the operation and all later ones fail; `io`, `full`: only this one fails, a write after its first half. */
  readonly kind: 'crash' | 'io' | 'full';
}

export class SimDisk implements Disk {
  /** Changing operations so far. */
  operationsCount = 0;
  /** One line per changing operation, when asked for. */
  trace: string[] | undefined;
  fault: PlannedFault | undefined;
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Another one for a copy. */
  identityText = 'original';
  #root = new DirectoryNode();
  #crashed = false;
  #locked = new Set<string>();

  get crashed(): boolean {
    return this.#crashed;
  }

  /** Ends this disk's life: every further operation fails. The next life begins with `afterCrash`. */
  crash(): void {
    this.#crashed = true;
  }

  /** A disk as the next start may find it. `random` decides what unsynced changes survive; undefined: all of them do. */
  afterCrash(random: SeededRandom | undefined): SimDisk {
    const next = new SimDisk();
    next.capacityBytes = this.capacityBytes;
    next.identityText = this.identityText;
    next.#root = surviveDirectory(this.#root, random, new Map());
    return next;
  }

  #operation(kind: string, path: string): void {
    this.#refuseAfterCrash();
    this.operationsCount++;
    this.trace?.push(`${kind} ${path}`);
    const { fault } = this;
    if (fault?.atOperation !== this.operationsCount) return;
    if (fault.kind === 'crash') {
      this.#crashed = true;
      throw new TimbalaError('SIM_CRASHED', `at operation ${this.operationsCount}, ${kind} ${path}`);
    }
    throw new TimbalaError(fault.kind === 'full' ? 'DISK_FULL' : 'DISK_IO', `planned failure of ${kind} ${path}`);
  }

  #refuseAfterCrash(): void {
    if (this.#crashed) throw new TimbalaError('SIM_CRASHED', 'the simulated machine is down');
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const name of path.split('/')) {
      if (name === '' || name === '.') continue;
      node = node instanceof DirectoryNode ? node.current.get(name) : undefined;
    }
    return node;
  }

  #directory(path: string): DirectoryNode {
    const node = this.#find(path);
    if (!(node instanceof DirectoryNode)) throw new TimbalaError('DISK_NOT_FOUND', `no directory ${path}`);
    return node;
  }

  #place(path: string): { parent: DirectoryNode; name: string; node: Node | undefined } {
    const slash = path.lastIndexOf('/');
    const parent = this.#directory(path.slice(0, Math.max(slash, 0)));
    const name = path.slice(slash + 1);
    return { parent, name, node: parent.current.get(name) };
  }

  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile {
    this.#refuseAfterCrash();
    const { parent, name, node } = this.#place(path);
    if (mode === 'create') {
      if (node) throw new TimbalaError('DISK_EXISTS', `${path} is there already`);
      this.#operation('create', path);
      const created = new FileNode();
      parent.change({ add: [name, created] });
      return this.#handle(path, created, true);
    }
    if (!(node instanceof FileNode)) throw new TimbalaError('DISK_NOT_FOUND', `no file ${path}`);
    return this.#handle(path, node, mode === 'write');
  }

  exists(path: string): boolean {
    this.#refuseAfterCrash();
    return this.#find(path) !== undefined;
  }

  list(path: string): DiskEntry[] {
    this.#refuseAfterCrash();
    return [...this.#directory(path).current]
      .map(([name, node]) => ({ name, isDirectory: node instanceof DirectoryNode }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  makeDirectory(path: string): void {
    const { parent, name, node } = this.#place(path);
    if (node instanceof DirectoryNode) return;
    if (node) throw new TimbalaError('DISK_IO', `${path} is a file`);
    this.#operation('make-directory', path);
    parent.change({ add: [name, new DirectoryNode()] });
  }

  syncDirectory(path: string): void {
    const directory = this.#directory(path);
    this.#operation('sync-directory', path);
    directory.sync();
  }

  rename(from: string, to: string): void {
    const source = this.#place(from);
    const target = this.#place(to);
    if (!source.node) throw new TimbalaError('DISK_NOT_FOUND', `no ${from}`);
    if (target.node instanceof DirectoryNode) throw new TimbalaError('DISK_EXISTS', `${to} is a directory`);
    assert(source.parent === target.parent, 'the simulated disk renames within one directory only');
    this.#operation('rename', `${from} ${to}`);
    source.parent.change({ remove: source.name, add: [target.name, source.node] });
  }

  removeFile(path: string): void {
    const { parent, name, node } = this.#place(path);
    if (!(node instanceof FileNode)) throw new TimbalaError('DISK_NOT_FOUND', `no file ${path}`);
    this.#operation('remove', path);
    parent.change({ remove: name });
  }

  /** One operation per file and directory, so that a crash can leave half a tree. */
  removeTree(path: string): void {
    for (const { name, isDirectory } of this.list(path)) {
      if (isDirectory) this.removeTree(`${path}/${name}`);
      else this.removeFile(`${path}/${name}`);
    }
    const { parent, name } = this.#place(path);
    this.#operation('remove-directory', path);
    parent.change({ remove: name });
  }

  lock(path: string): DiskLock {
    this.#refuseAfterCrash();
    if (this.#locked.has(path)) throw new TimbalaError('DIRECTORY_LOCKED', `${path} is held by this simulation`);
    this.#locked.add(path);
    return { release: () => this.#locked.delete(path) };
  }

  freeBytes(): number {
    return this.capacityBytes - usedBytes(this.#root);
  }

  identity(): string {
    return this.identityText;
  }

  #handle(path: string, node: FileNode, writable: boolean): DiskFile {
    const change = (kind: string, write: PendingWrite): void => {
      assert(writable, `${path} was opened for reading`);
      if (node.syncFailed) throw new TimbalaError('DISK_IO', `${path}: an earlier sync failed`);
      if (write.bytes && write.bytes.length > this.freeBytes()) throw new TimbalaError('DISK_FULL', `write ${path}`);
      try {
        this.#operation(`${kind} ${write.offset}+${write.bytes?.length ?? 0}`, path);
      } catch (error) {
        // The operation that fails, or that the crash interrupts, may have done a part of its work.
        if (write.bytes) node.change({ offset: write.offset, bytes: write.bytes.slice(0, write.bytes.length >> 1) });
        throw error;
      }
      node.change(write);
    };
    const sync = (): void => {
      if (node.syncFailed) throw new TimbalaError('DISK_IO', `${path}: an earlier sync failed`);
      try {
        this.#operation('sync', path);
      } catch (error) {
        node.syncFailed = true;
        throw error;
      }
      node.sync();
    };
    return {
      path,
      sizeBytes: () => {
        this.#refuseAfterCrash();
        return node.current.size;
      },
      read: (target, offset) => {
        this.#refuseAfterCrash();
        const found = node.current.view().subarray(offset, offset + target.length);
        target.set(found);
        return found.length;
      },
      write: (source, offset) => change('write', { offset, bytes: source.slice() }),
      sync,
      truncate: (sizeBytes) => change('truncate', { offset: sizeBytes, bytes: undefined }),
      close: () => undefined,
      writeAsync: async (sources, offset) => {
        // The bytes are taken late, as a thread pool would: a caller that changes them meanwhile is caught by its tests.
        await Promise.resolve();
        let position = offset;
        for (const source of sources) {
          change('write', { offset: position, bytes: source.slice() });
          position += source.length;
        }
      },
      syncAsync: async () => {
        await Promise.resolve();
        sync();
      },
    };
  }
}

function usedBytes(directory: DirectoryNode): number {
  let sum = 0;
  for (const node of directory.current.values()) {
    sum += node instanceof DirectoryNode ? usedBytes(node) : node.current.size;
  }
  return sum;
}

/** `survivors`: what has been decided of nodes already, since a node can have two names. */
function surviveDirectory(
  directory: DirectoryNode,
  random: SeededRandom | undefined,
  survivors: Map<Node, Node>,
): DirectoryNode {
  const names = new Map(directory.durable);
  for (const change of directory.pending) {
    if (random === undefined || random.float() < 0.5) applyNames(names, change);
  }
  const next = new DirectoryNode();
  for (const [name, node] of names) {
    let survivor = survivors.get(node);
    if (survivor === undefined) {
      survivor = node instanceof DirectoryNode ? surviveDirectory(node, random, survivors) : surviveFile(node, random);
      survivors.set(node, survivor);
    }
    next.change({ add: [name, survivor] });
  }
  next.sync();
  return next;
}

function surviveFile(file: FileNode, random: SeededRandom | undefined): FileNode {
  const next = new FileNode();
  next.change({ offset: 0, bytes: file.durable.view().slice() });
  for (const write of file.pending) {
    if (random === undefined || random.float() < 0.4) next.change(write);
    else if (write.bytes && random.float() < 0.5) surviveSectors(next, write.offset, write.bytes, random);
  }
  next.sync();
  return next;
}

/** A torn write: each sector of it reaches the disk or not, but the file may have grown all the same. */
function surviveSectors(file: FileNode, offset: number, bytes: Uint8Array, random: SeededRandom): void {
  const end = offset + bytes.length;
  for (let start = offset; start < end;) {
    const next = Math.min(end, (Math.floor(start / sectorBytes) + 1) * sectorBytes);
    if (random.float() < 0.5) file.change({ offset: start, bytes: bytes.slice(start - offset, next - offset) });
    start = next;
  }
  if (random.float() < 0.5 && file.current.size < end) file.change({ offset: end, bytes: undefined });
}
