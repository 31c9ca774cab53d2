// What the tests of parts share: plain series, parts made of them on a simulated disk, and reading them back. Values are
// bits throughout, so that every comparison is exact.
import { SimDisk } from '../../../sim/disk.ts';
import { encodeLabels, Labels, SampleBuffer } from '../../model/index.ts';
import { PagesKernel } from '../../wasm/index.ts';
import { loadTestModule } from '../../wasm/test-modules.ts';
import {
  openPart,
  type Part,
  PartCaches,
  type PartOptions,
  type PartSummary,
  type SeriesSource,
  writePart,
} from './index.ts';

export const kernel = new PagesKernel(loadTestModule('pages'));

export interface PlainSeries {
  readonly labels: Labels;
  /** Ascending timestamps and the bits of their values. */
  readonly samples: readonly (readonly [timeMs: number, bits: bigint])[];
}

const converter = new DataView(new ArrayBuffer(8));

export function bitsOf(value: number): bigint {
  converter.setFloat64(0, value);
  return converter.getBigUint64(0);
}

export const staleMarker = 0x7ff0000000000002n;

export function fillBuffer(series: PlainSeries): SampleBuffer {
  const buffer = new SampleBuffer(Math.max(1, series.samples.length));
  const words = new BigUint64Array(buffer.values.buffer);
  for (const [timeMs, bits] of series.samples) {
    buffer.timestampsMs[buffer.count] = timeMs;
    words[buffer.count++] = bits;
  }
  return buffer;
}

export function plainSamples(buffer: SampleBuffer): [number, bigint][] {
  const words = new BigUint64Array(buffer.values.buffer);
  return Array.from({ length: buffer.count }, (_, i) => [buffer.timestampsMs[i] as number, words[i] as bigint]);
}

/** Sorts the series; one label set must not come twice. */
export function sourceOf(series: readonly PlainSeries[]): SeriesSource {
  const sorted = [...series].sort((a, b) => Labels.compare(a.labels, b.labels));
  let at = 0;
  return {
    next() {
      const one = sorted[at++];
      if (!one) return undefined;
      const labelBytes = encodeLabels(one.labels);
      return { labelBytes, fingerprint: kernel.fingerprint(labelBytes).slice(), samples: fillBuffer(one) };
    },
  };
}

export const testOptions = { level: 0, tombstoneSeq: 0, contentHashKey: new Uint8Array(16).fill(9) };

export function writeTestPart(
  disk: SimDisk,
  directory: string,
  window: { readonly startMs: number; readonly endMs: number },
  source: SeriesSource,
  options: Partial<PartOptions> = {},
): PartSummary | undefined {
  return writePart(disk, directory, { ...testOptions, ...options, ...window }, source, kernel);
}

/** A part of these series on a disk of its own, open. */
export function partOf(
  series: readonly PlainSeries[],
  window: { readonly startMs: number; readonly endMs: number },
  caches = new PartCaches(),
): Part {
  const disk = new SimDisk();
  writeTestPart(disk, 'part', window, sourceOf(series));
  return openPart(disk, 'part', kernel, caches);
}

export function readPlain(part: Part, position: number, startMs = -Infinity, endMs = Infinity): [number, bigint][] {
  const buffer = new SampleBuffer(4);
  part.read(position, startMs, endMs, buffer);
  return plainSamples(buffer);
}

/** All series of a part. */
export function plainPart(part: Part): PlainSeries[] {
  return Array.from({ length: part.meta.seriesCount }, (_, position) => ({
    labels: part.labels(position),
    samples: readPlain(part, position),
  }));
}
