// Writes a part as its series come, in bounded memory: samples go to disk tile by tile, what stays is the index (some ten
// bytes a series). docs/formats/part.md.
import { TimbalaError } from '../../base/index.ts';
import type { Disk } from '../../ports/index.ts';
import type { PagesKernel } from '../../wasm/index.ts';
import type { PartOptions, PartSeries, PartSummary, SeriesSource } from './types.ts';

const pending = (): never => {
  throw new TimbalaError('NOT_IMPLEMENTED', 'parts');
};

/**
 * Creates `directory` (whose name should end in .tmp) and fills it: `add` the series in label order, then `finish`, which
 * syncs the files and the directory. Renaming it and syncing its parent are the caller's. Throws DISK_FULL, DISK_IO;
 * after an error only `abort` may follow. The same series always give the same bytes.
 */
export class PartWriter {
  constructor(_disk: Disk, _directory: string, _options: PartOptions, _kernel: PagesKernel) {
    pending();
  }

  /** Series without samples are ignored. */
  add(_series: PartSeries): void {
    pending();
  }

  /** Asserts that there was at least one sample (see `samplesCount`): an empty part is a part not to be written. */
  finish(): PartSummary {
    return pending();
  }

  /** Samples added so far. */
  get samplesCount(): number {
    return pending();
  }

  /** Closes the files and removes the directory. */
  abort(): void {
    pending();
  }
}

/** Writes all of `source`; undefined, and nothing on disk, where it holds no sample. */
export function writePart(
  disk: Disk,
  directory: string,
  options: PartOptions,
  source: SeriesSource,
  kernel: PagesKernel,
): PartSummary | undefined {
  const writer = new PartWriter(disk, directory, options, kernel);
  try {
    for (let series = source.next(); series; series = source.next()) writer.add(series);
    if (writer.samplesCount > 0) return writer.finish();
    writer.abort();
    return undefined;
  } catch (error) {
    writer.abort();
    throw error;
  }
}
