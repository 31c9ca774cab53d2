// Size and speed of parts (S1 of docs/benchmarks.md) on a real capture: ../shared/data/capture-15s.rw.zst beside the
// repository, or the path given. `node src/storage/part/part.bench.ts [capture]`. Written to 2 h parts, merged into one day.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import snappy from 'snappyjs';
import { ByteReader, dayMs, hourMs } from '../../base/index.ts';
import { encodeLabels, Labels, SampleBuffer } from '../../model/index.ts';
import { NodeDisk } from '../../node/index.ts';
import { PagesKernel } from '../../wasm/index.ts';
import { loadTestModule } from '../../wasm/test-modules.ts';
import { mergeParts, openPart, PartCaches, PartWriter, type PartOptions, type PartSeries } from './index.ts';

interface CapturedSeries {
  readonly labels: Labels;
  readonly times: number[];
  /** The values' bits. */
  readonly bits: bigint[];
}

/** A remote write 1.0 request's timeseries; throws on what is not one. */
function decodeRequest(body: Uint8Array, add: (labels: Labels, timeMs: number, bits: bigint) => void): void {
  for (const series of messages(body, 1)) {
    const labels = Labels.of(messages(series, 1).map((label) => [text(label, 1), text(label, 2)] as const));
    for (const sample of messages(series, 2)) {
      let bits = 0n;
      let timeMs = 0;
      const reader = new ByteReader(sample);
      while (reader.remaining > 0) {
        const tag = reader.uvarint();
        if (tag === 9) bits = new DataView(Uint8Array.from(reader.bytes(8)).buffer).getBigUint64(0, true);
        else timeMs = reader.uvarint();
      }
      add(labels, timeMs, bits);
    }
  }
}

function messages(bytes: Uint8Array, field: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  const reader = new ByteReader(bytes);
  while (reader.remaining > 0) {
    const tag = reader.uvarint();
    if ((tag & 7) !== 2) throw new Error(`wire type ${tag & 7}`);
    const contents = reader.bytes(reader.uvarint());
    if (tag >>> 3 === field) found.push(contents);
  }
  return found;
}

function text(message: Uint8Array, field: number): string {
  return Buffer.from(messages(message, field)[0] ?? []).toString('utf8');
}

function readCapture(path: string): CapturedSeries[] {
  const raw = zstdDecompressSync(readFileSync(path));
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const byKey = new Map<string, CapturedSeries>();
  for (let at = 0; at < raw.length;) {
    const length = view.getUint32(at, true);
    const body = snappy.uncompress(raw.subarray(at + 4, at + 4 + length));
    decodeRequest(body, (labels, timeMs, bits) => {
      const key = labels.key();
      let series = byKey.get(key);
      if (!series) byKey.set(key, (series = { labels, times: [], bits: [] }));
      if (timeMs === series.times.at(-1)) return;
      series.times.push(timeMs);
      series.bits.push(bits);
    });
    at += 4 + length;
  }
  return [...byKey.values()].sort((a, b) => Labels.compare(a.labels, b.labels));
}

const kernel = new PagesKernel(loadTestModule('pages'));

function sampleBuffer(series: CapturedSeries, startMs: number, endMs: number): SampleBuffer {
  const samples = new SampleBuffer(Math.max(1, series.times.length));
  const words = new BigUint64Array(samples.values.buffer);
  for (const [i, timeMs] of series.times.entries()) {
    if (timeMs < startMs || timeMs >= endMs) continue;
    samples.timestampsMs[samples.count] = timeMs;
    words[samples.count++] = series.bits[i] as bigint;
  }
  return samples;
}

function* windowSeries(all: readonly CapturedSeries[], startMs: number, endMs: number): Generator<PartSeries> {
  for (const series of all) {
    const labelBytes = encodeLabels(series.labels);
    const samples = sampleBuffer(series, startMs, endMs);
    if (samples.count > 0) yield { labelBytes, fingerprint: kernel.fingerprint(labelBytes).slice(), samples };
  }
}

function timed<Result>(what: string, samplesCount: number, run: () => Result): Result {
  const startMs = performance.now();
  const result = run();
  const tookMs = performance.now() - startMs;
  console.log(
    `${what.padEnd(34)} ${tookMs.toFixed(0).padStart(6)} ms ${(samplesCount / tookMs / 1000).toFixed(1)} M samples/s`,
  );
  return result;
}

function main(): void {
  const path = process.argv[2] ?? join(import.meta.dirname, '../../../../shared/data/capture-15s.rw.zst');
  if (!existsSync(path)) {
    console.log(`no capture at ${path}: nothing measured`);
    return;
  }
  const all = readCapture(path);
  const samplesCount = all.reduce((sum, { times }) => sum + times.length, 0);
  console.log(`${all.length} series, ${samplesCount} samples`);
  const root = mkdtempSync(join(tmpdir(), 'timbala-part-'));
  try {
    measure(new NodeDisk(root), all, samplesCount);
  } finally {
    rmSync(root, { recursive: true });
  }
}

function measure(disk: NodeDisk, all: readonly CapturedSeries[], samplesCount: number): void {
  const options = { level: 0, tombstoneSeq: 0, contentHashKey: new Uint8Array(16) };
  const minMs = Math.min(...all.map(({ times }) => times[0] as number));
  const maxMs = Math.max(...all.map(({ times }) => times.at(-1) as number));
  const directories: string[] = [];
  for (let startMs = Math.floor(minMs / (2 * hourMs)) * 2 * hourMs; startMs <= maxMs; startMs += 2 * hourMs) {
    const series = [...windowSeries(all, startMs, startMs + 2 * hourMs)];
    if (series.length === 0) continue;
    const directory = `flush-${startMs}`;
    const count = series.reduce((sum, { samples }) => sum + samples.count, 0);
    timed(`write ${directory}`, count, () =>
      write(disk, directory, { ...options, startMs, endMs: startMs + 2 * hourMs }, series),
    );
    directories.push(directory);
  }
  const startMs = Math.floor(minMs / dayMs) * dayMs;
  const inputs = directories.map((directory) => openPart(disk, directory, kernel, new PartCaches()));
  timed('merge into one day', samplesCount, () => {
    const writer = new PartWriter(
      disk,
      'day',
      { ...options, level: 1, startMs, endMs: startMs + dayMs, compressionLevel: Number(process.env['LEVEL'] ?? 3) },
      kernel,
    );
    const source = mergeParts(inputs);
    for (let series = source.next(); series; series = source.next()) writer.add(series);
    const { meta, sizeBytes } = writer.finish();
    const perSample = (bytes: number): string => (bytes / samplesCount).toFixed(4);
    const { pages, references, differences } = writer.pageStatistics;
    console.log(`pages ${pages}, references ${references}, differences ${differences}`);
    console.log(
      `values and timestamps  ${perSample(meta.pagesBytes)} B/sample (timestamps ${perSample(meta.timestampsBytes)})`,
    );
    console.log(`with index             ${perSample(sizeBytes)} B/sample`);
    console.log(`index                  ${(meta.indexBytes / meta.seriesCount).toFixed(1)} B/series`);
  });
  readAll(disk, all, samplesCount);
}

function write(disk: NodeDisk, directory: string, options: PartOptions, series: readonly PartSeries[]): void {
  const writer = new PartWriter(disk, directory, options, kernel);
  for (const one of series) writer.add(one);
  writer.finish();
}

function readAll(disk: NodeDisk, all: readonly CapturedSeries[], samplesCount: number): void {
  const part = openPart(disk, 'day', kernel, new PartCaches());
  const samples = new SampleBuffer(1024);
  for (const run of ['read all, cold', 'read all, frames cached']) {
    timed(run, samplesCount, () => {
      for (let position = 0; position < part.meta.seriesCount; position++) {
        samples.clear();
        part.read(position, -Infinity, Infinity, samples);
      }
    });
  }
  for (const [position, series] of all.entries()) {
    samples.clear();
    part.read(position, -Infinity, Infinity, samples);
    const expected = sampleBuffer(series, -Infinity, Infinity);
    const same =
      samples.count === expected.count &&
      Buffer.compare(
        new Uint8Array(samples.values.buffer, 0, samples.count * 8),
        new Uint8Array(expected.values.buffer, 0, samples.count * 8),
      ) === 0;
    if (!same) throw new Error(`${series.labels.toString()} differs`);
  }
  timed('verify', samplesCount, () => part.verify());
}

main();
