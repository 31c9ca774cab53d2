// The versions of the part catalog and who still uses them. Every committed change makes a version and goes to all readers;
// a part that a version no longer names is deleted when every reader has left the versions that do.
import { RpcPeer } from '../../base/index.ts';
import type { Channel, Disk, Log } from '../../ports/index.ts';
import type { Catalog, KeeperForReader, ReaderForKeeper, Served } from '../protocol.ts';

interface Reader {
  readonly peer: RpcPeer<ReaderForKeeper>;
  oldestVersion: number;
}

interface Doomed {
  readonly id: number;
  /** The first version without it. */
  readonly version: number;
}

export function partPath(id: number): string {
  return `parts/${id}`;
}

export class CatalogVersions {
  readonly #disk: Disk;
  readonly #log: Log;
  readonly #readers = new Set<Reader>();
  #doomed: Doomed[] = [];
  #current: Catalog;
  /** Parts whose directories have been removed. */
  deletedTotal = 0;

  constructor(disk: Disk, log: Log, first: Omit<Catalog, 'version'>) {
    this.#disk = disk;
    this.#log = log;
    this.#current = { ...first, version: 1 };
  }

  get current(): Catalog {
    return this.#current;
  }

  publish(next: Omit<Catalog, 'version'>, removedIds: readonly number[]): void {
    const version = this.#current.version + 1;
    this.#current = { ...next, version };
    for (const id of removedIds) this.#doomed.push({ id, version });
    for (const { peer } of this.#readers) peer.notify('catalog', this.#current);
    this.#deleteUnused();
  }

  serve(channel: Channel, onSuspect: (partId: number) => void): () => void {
    const handlers: Served<KeeperForReader> = {
      hello: () => this.#current,
      inUse: ({ oldestVersion }) => {
        reader.oldestVersion = oldestVersion;
        this.#deleteUnused();
      },
      suspect: ({ partId }) => onSuspect(partId),
    };
    const peer = new RpcPeer<ReaderForKeeper>(channel, handlers);
    const reader: Reader = { peer, oldestVersion: this.#current.version };
    this.#readers.add(reader);
    return () => {
      this.#readers.delete(reader);
      this.#deleteUnused();
    };
  }

  /** Deletes the doomed parts that nobody can be reading. What a failure leaves behind is removed on the next start. */
  #deleteUnused(): void {
    let oldest = this.#current.version;
    for (const reader of this.#readers) oldest = Math.min(oldest, reader.oldestVersion);
    const unused = this.#doomed.filter(({ version }) => version <= oldest);
    this.#doomed = this.#doomed.filter(({ version }) => version > oldest);
    for (const { id } of unused) {
      try {
        this.#disk.removeTree(partPath(id));
        this.deletedTotal++;
      } catch (error) {
        this.#log.warn('part-not-removed', { part: id, reason: String(error) });
      }
    }
  }
}
