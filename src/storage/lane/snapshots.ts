// How readers in other threads see a lane's generations: a snapshot pins them, frozen ones are then read in place, and the
// active one from copies. A reader that dies is forgotten with all its pins.
import { present, RpcPeer, TimbalaError, Transferred } from '../../base/index.ts';
import type { Channel } from '../../ports/index.ts';
import type { Generation, Generations } from '../head/generations.ts';
import type { CopyRequest, HeadSnapshot, LaneForReader, Served } from '../protocol.ts';
import type { LaneReplication } from './replication.ts';

export interface SnapshotSource {
  readonly generations: Generations;
  /** Throws STORAGE_REPLAYING while the head does not hold everything yet. */
  readonly assertComplete: () => void;
  readonly catalogVersionMin: () => number;
  /** Resolves when all samples that are in the head by now are on disk. */
  readonly sync: () => Promise<void>;
  readonly replication: LaneReplication;
}

/** Serves one reader. */
export class ReaderConnection {
  readonly #source: SnapshotSource;
  readonly #pinned = new Map<number, readonly Generation[]>();
  #nextSnapshotId = 1;

  constructor(source: SnapshotSource, channel: Channel) {
    this.#source = source;
    const handlers: Served<LaneForReader> = {
      snapshot: ({ knownHeadIds }) => this.#open(knownHeadIds),
      copy: (request) => {
        const frame = this.#copy(request);
        return new Transferred(frame, [frame.buffer]);
      },
      release: ({ snapshotId }) => this.#release(snapshotId),
      sync: () => source.sync(),
      encode: (series) => {
        const samples = source.replication.encodeScanned(series);
        return new Transferred(samples, [samples.bytes.buffer]);
      },
    };
    void new RpcPeer(channel, handlers);
  }

  #open(knownHeadIds: readonly number[]): HeadSnapshot {
    const { generations } = this.#source;
    this.#source.assertComplete();
    // What is flushed is in the catalog version that the snapshot asks for.
    const pinned = generations.live.filter(({ flushed }) => !flushed);
    for (const generation of pinned) generation.pins++;
    const snapshotId = this.#nextSnapshotId++;
    this.#pinned.set(snapshotId, pinned);
    return {
      snapshotId,
      generations: pinned.map((generation) => generations.view(generation)),
      heads: generations.heads
        .filter(({ headId }) => !knownHeadIds.includes(headId))
        .map((live) => generations.handle(live)),
      liveHeadIds: generations.heads.map(({ headId }) => headId),
      catalogVersionMin: this.#source.catalogVersionMin(),
    };
  }

  #copy({ snapshotId, generation, refs, startMs, endMs }: CopyRequest): Uint8Array<ArrayBuffer> {
    const pinned = this.#pinned.get(snapshotId);
    if (!pinned) throw new TimbalaError('SNAPSHOT_RELEASED', `snapshot ${snapshotId} is not open`);
    const { live, slot } = present(
      pinned.find(({ number }) => number === generation),
      'pinned generation',
    );
    return live.head.copySeries(slot, refs, startMs, endMs);
  }

  #release(snapshotId: number): void {
    for (const generation of this.#pinned.get(snapshotId) ?? []) generation.pins--;
    this.#pinned.delete(snapshotId);
    this.#source.generations.dropObsolete();
  }

  /** The reader has died. */
  close(): void {
    for (const snapshotId of this.#pinned.keys()) this.#release(snapshotId);
  }
}
