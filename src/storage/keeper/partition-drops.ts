// What drops of partitions hide in parts: which series a merge leaves out, and when a part is worth a merge for their sake.
import { mib } from '../../base/index.ts';
import type { Disk } from '../../ports/index.ts';
import type { PagesKernel } from '../../wasm/index.ts';
import type { ManifestEdit, ManifestState, PartEntry, PartitionDrop } from '../manifest/manifest-edit.ts';
import { openPart, PartCaches, partitionOf } from '../part/index.ts';
import { DropIndex } from '../tombstones.ts';
import { partPath } from './catalog.ts';

/** A part is rewritten for drops alone where they hide so much of it. */
const droppedShareMin = 0.1;
/** Parts whose digests are read between two calls of `tidy`: a large one takes tens of milliseconds. */
const readsMax = 4;

export class PartitionDrops {
  readonly #disk: Disk;
  readonly #kernel: PagesKernel;
  readonly #state: ManifestState;
  /** Samples of a part that drops hide, as of the drop with this number. */
  readonly #hiddenCounts = new Map<number, { readonly seq: number; readonly samplesCount: number }>();
  #readsCount = 0;

  constructor(disk: Disk, kernel: PagesKernel, state: ManifestState) {
    this.#disk = disk;
    this.#kernel = kernel;
    this.#state = state;
  }

  /** Rewriting for a few series is not worth it; they stay hidden until the part is merged for another reason. */
  isMostlyDropped(entry: PartEntry, eager: boolean): boolean {
    const { drops, tombstoneSeq } = this.#state;
    const pending = new DropIndex(drops.values(), entry.tombstoneSeq);
    if (pending.isEmpty) return false;
    let known = this.#hiddenCounts.get(entry.id);
    if (known?.seq !== tombstoneSeq && (eager || this.#readsCount < readsMax)) {
      this.#readsCount++;
      const part = openPart(this.#disk, partPath(entry.id), this.#kernel, new PartCaches({ bytesMax: mib }));
      try {
        const dropped = part.digests().filter(({ partition }) => pending.has(partition));
        known = { seq: tombstoneSeq, samplesCount: dropped.reduce((sum, { count }) => sum + count, 0) };
        this.#hiddenCounts.set(entry.id, known);
      } finally {
        part.close();
      }
    }
    if (!known) return false;
    return known.samplesCount > (eager ? 0 : droppedShareMin * entry.samplesCount);
  }

  /** Whether a part that applied tombstones up to a number no longer shows a series. */
  lookup(): (fingerprint: Uint8Array, tombstoneSeq: number) => boolean {
    const indexes = new Map<number, DropIndex>();
    return (fingerprint, tombstoneSeq) => {
      let index = indexes.get(tombstoneSeq);
      if (!index) {
        index = new DropIndex(this.#state.drops.values(), tombstoneSeq);
        indexes.set(tombstoneSeq, index);
      }
      return index.has(partitionOf(fingerprint));
    };
  }

  /**
   * Forgets the drops that no part is older than, and unites those between which no part was written: to every part they are
   * one. Undefined where there is nothing to do.
   */
  tidy(): ManifestEdit | undefined {
    this.#readsCount = 0;
    const { parts, drops } = this.#state;
    const partSeqs = [...new Set([...parts.values()].map(({ tombstoneSeq }) => tombstoneSeq))];
    const oldest = Math.min(Number.POSITIVE_INFINITY, ...partSeqs);
    const removeDrops: number[] = [];
    const addDrops: PartitionDrop[] = [];
    let run: PartitionDrop[] = [];
    const unite = (): void => {
      const last = run.at(-1);
      if (last && run.length > 1) {
        const partitions = new Set(run.flatMap((drop) => [...drop.partitions]));
        addDrops.push({ seq: last.seq, partitions: Uint16Array.from(partitions).sort() });
        removeDrops.push(...run.slice(0, -1).map(({ seq }) => seq));
      }
      run = [];
    };
    for (const drop of [...drops.values()].sort((a, b) => a.seq - b.seq)) {
      if (drop.seq <= oldest) {
        removeDrops.push(drop.seq);
        continue;
      }
      const previous = run.at(-1);
      if (previous && partSeqs.some((seq) => previous.seq <= seq && seq < drop.seq)) unite();
      run.push(drop);
    }
    unite();
    if (removeDrops.length === drops.size) this.#hiddenCounts.clear();
    return removeDrops.length > 0 ? { addDrops, removeDrops } : undefined;
  }
}
