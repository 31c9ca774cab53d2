// What the parts of one thread share: decoded blocks, bounded by their bytes, and open files, bounded by their number.
// A block's key is a number made of the file's serial and the block's offset, so that a look-up makes no string.
import { LRUCache } from 'lru-cache';
import { assert, mib } from '../../base/index.ts';
import type { Disk, DiskFile } from '../../ports/index.ts';

export interface PartCachesOptions {
  /** Decoded blocks and frames kept; 256 MiB unless told. */
  readonly bytesMax?: number;
  /** Files open at once; 256 unless told. */
  readonly openFilesMax?: number;
  /** Told the path of a file in which something damaged was read. */
  readonly onCorrupt?: (path: string) => void;
}

/** What can be cached: an estimate of its memory. */
export interface Cached {
  readonly sizeBytes: number;
}

/** A file that is opened when it is read, and may be closed by others' opening. */
export interface LazyFile {
  readonly disk: Disk;
  readonly path: string;
}

export class PartCaches {
  readonly #blocks: LRUCache<number, Cached>;
  readonly #openFilesMax: number;
  readonly onCorrupt: (path: string) => void;
  /** In order of use, the least recent first. */
  readonly #open = new Map<LazyFile, DiskFile>();
  #nextSerial = 1;

  constructor(options: PartCachesOptions = {}) {
    const bytesMax = options.bytesMax ?? 256 * mib;
    this.#blocks = new LRUCache({ maxSize: bytesMax, sizeCalculation: (block) => Math.max(1, block.sizeBytes) });
    this.#openFilesMax = options.openFilesMax ?? 256;
    this.onCorrupt = options.onCorrupt ?? (() => undefined);
  }

  /** A number that makes keys of up to 2³² blocks: serial · 2³² + n. */
  takeSerial(): number {
    // Keys are exact numbers: 2²¹ serials of 2³² blocks.
    assert(this.#nextSerial < 2 ** 21, 'a cache has served two million files; it is time for a new one');
    return this.#nextSerial++;
  }

  get(key: number): Cached | undefined {
    return this.#blocks.get(key);
  }

  set(key: number, block: Cached): void {
    this.#blocks.set(key, block);
  }

  /** Decoded bytes held now. */
  get sizeBytes(): number {
    return this.#blocks.calculatedSize;
  }

  get openFilesCount(): number {
    return this.#open.size;
  }

  /** Drops the blocks whose keys were made of one of these serials. */
  forget(serials: ReadonlySet<number>): void {
    for (const key of this.#blocks.keys()) {
      if (serials.has(Math.floor(key / 2 ** 32))) this.#blocks.delete(key);
    }
  }

  /** The open file; the least recently used ones are closed beyond the limit. */
  open(file: LazyFile): DiskFile {
    let handle = this.#open.get(file);
    if (handle) {
      this.#open.delete(file);
    } else {
      handle = file.disk.open(file.path, 'read');
      for (const [oldest, oldestHandle] of this.#open) {
        if (this.#open.size < this.#openFilesMax) break;
        this.#open.delete(oldest);
        oldestHandle.close();
      }
    }
    this.#open.set(file, handle);
    return handle;
  }

  close(file: LazyFile): void {
    this.#open.get(file)?.close();
    this.#open.delete(file);
  }
}
