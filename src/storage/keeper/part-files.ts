// The directories in parts/: written as parts/<id>.tmp, renamed when whole, named by MANIFEST before anything relies on them.
// A damaged part of a replica is set aside as parts/<id>.damaged, for whoever wants to look, and removed by nobody: its peers
// have what it held. Such a directory is as good as the edit that removes the part: a crash may come between the two.
import { TimbalaError } from '../../base/index.ts';
import type { Clock, Disk, Log, Random } from '../../ports/index.ts';
import type { PagesKernel } from '../../wasm/index.ts';
import type { PartEntry } from '../manifest/manifest-edit.ts';
import type { Manifest } from '../manifest/manifest-file.ts';
import { type PartOptions, type SeriesSource, writePart } from '../part/index.ts';
import type { Window } from '../windows.ts';
import { partPath } from './catalog.ts';

export interface PartFilesPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The process must end: what is committed is unknown. */
  readonly onFatal: (error: unknown) => void;
}

/** zstd's level by part level: flushed parts are short-lived and hold up the lane; large ones stay for years. */
const compressionLevels = [1, 6, 6, 6];
const asideSuffix = '.damaged';

export class PartFiles {
  readonly #ports: PartFilesPorts;
  readonly #manifest: Manifest;
  readonly #kernel: PagesKernel;
  readonly #installedMs = new Map<number, number>();
  #nextId: number;

  constructor(ports: PartFilesPorts, manifest: Manifest, kernel: PagesKernel) {
    this.#ports = ports;
    this.#manifest = manifest;
    this.#kernel = kernel;
    this.#nextId = manifest.state.nextPartId;
  }

  /** When this process installed a part, by monotonic time; undefined for parts of earlier runs. */
  installedMs(id: number): number | undefined {
    return this.#installedMs.get(id);
  }

  /** Writes a part under its temporary name; undefined where the source has no samples. */
  write(
    window: Window,
    source: SeriesSource,
    tombstoneSeq: number,
    extra: Pick<PartOptions, 'generation'> = {},
  ): PartEntry | undefined {
    const { disk, random } = this.#ports;
    const id = this.#nextId++;
    const contentHashKey = new Uint8Array(16);
    random.fill(contentHashKey);
    const { level, startMs, endMs } = window;
    const compressionLevel = compressionLevels[level] ?? 6;
    const options = { startMs, endMs, level, tombstoneSeq, contentHashKey, compressionLevel, ...extra };
    const summary = writePart(disk, `${partPath(id)}.tmp`, options, source, this.#kernel);
    if (!summary) return undefined;
    const { minTimeMs, maxTimeMs, seriesCount, samplesCount } = summary.meta;
    const { sizeBytes } = summary;
    return { id, level, startMs, endMs, minTimeMs, maxTimeMs, seriesCount, samplesCount, sizeBytes, tombstoneSeq };
  }

  /** Gives written parts their names, durably. */
  install(parts: readonly PartEntry[]): void {
    if (parts.length === 0) return;
    const { disk, clock, onFatal } = this.#ports;
    for (const { id } of parts) {
      disk.rename(`${partPath(id)}.tmp`, partPath(id));
      this.#installedMs.set(id, clock.monotonicMs());
    }
    try {
      disk.syncDirectory('parts');
    } catch (cause) {
      const text = 'parts/ could not be synced; the process must end';
      const fatal = new TimbalaError('PARTS_SYNC_FAILED', text, { cause });
      onFatal(fatal);
      throw fatal;
    }
  }

  /** Removes parts whose edit was not made; where that is not certain they stay, and the next start decides. */
  removeFailed(parts: readonly PartEntry[]): void {
    const { disk, log } = this.#ports;
    if (!this.#manifest.isCertain) return;
    for (const { id } of parts) {
      if (this.#manifest.state.parts.has(id)) continue;
      for (const path of [partPath(id), `${partPath(id)}.tmp`]) {
        try {
          if (disk.exists(path)) disk.removeTree(path);
        } catch (error) {
          log.warn('part-not-removed', { part: id, reason: String(error) });
        }
      }
    }
  }

  /** Takes a damaged part out of MANIFEST, durably. Throws the disk's errors. */
  setAside(id: number): void {
    const { disk } = this.#ports;
    disk.rename(partPath(id), `${partPath(id)}${asideSuffix}`);
    disk.syncDirectory('parts');
    this.#manifest.commit({ remove: [id] });
  }
}

/**
 * Brings parts/ and MANIFEST together after a crash: removes unfinished parts, and those whose edit was not committed, or whose
 * removal was. Throws PART_MISSING.
 */
export function recoverParts({ disk, log }: Pick<PartFilesPorts, 'disk' | 'log'>, manifest: Manifest): void {
  const named = new Set([...manifest.state.parts.keys()].map(String));
  for (const { name } of disk.list('parts')) {
    if (named.delete(name) || name.endsWith(asideSuffix)) continue;
    disk.removeTree(`parts/${name}`);
    log.info('unfinished-part-removed', { part: name });
  }
  for (const name of named) {
    if (!disk.exists(`parts/${name}${asideSuffix}`)) continue;
    manifest.commit({ remove: [Number(name)] });
    named.delete(name);
  }
  const [missing] = named;
  if (missing === undefined) return;
  throw new TimbalaError(
    'PART_MISSING',
    `MANIFEST names part ${missing}, but parts/${missing} is not there; restore it from a copy`,
  );
}
