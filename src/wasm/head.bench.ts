// Benchmark of the head kernel: node scripts/run.mjs src/wasm/head.bench.ts [series]. Registration of series with 12 labels,
// steady appending, log records, replay, reading and sorting; and the kernel memory that they take.
import { SeededRandom } from '../base/index.ts';
import { encodeLabels, Labels, SampleBuffer } from '../model/index.ts';
import { Head, HeadReader } from './index.ts';
import { loadTestModule } from './test-modules.ts';

const seriesCount = Number(process.argv[2] ?? 1_000_000);
const batchRows = 5000;
const module = loadTestModule('head');
const head = Head.create(module, { bytesMax: 3 * 1024 ** 3 });
const random = new SeededRandom(1);

function print(...parts: unknown[]): void {
  process.stdout.write(`${parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ')}\n`);
}

function report(what: string, count: number, startMs: number, unit = 'samples'): void {
  const seconds = (performance.now() - startMs) / 1000;
  const { bytes } = head.stats();
  const rate = (count / seconds / 1e6).toFixed(2);
  print(`${what.padEnd(34)} ${rate.padStart(8)} M ${unit}/s ${(bytes / 1e6).toFixed(0).padStart(6)} MB kernel memory`);
}

/** 12 labels, as a scrape of pods has them: few names and jobs, many pods and instances. */
function labelsOf(i: number): Labels {
  const pod = Math.floor(i / 500);
  return Labels.of({
    __name__: `http_requests_metric_${i % 50}_total`,
    cluster: `prod-eu-${pod % 3}`,
    container: `container-${pod % 20}`,
    endpoint: 'metrics',
    handler: `/api/v1/resource/${i % 10}`,
    instance: `10.${pod >> 8}.${pod & 255}.17:9100`,
    job: `job-${pod % 40}`,
    le: String((i % 500) / 50),
    namespace: `namespace-${pod % 60}`,
    node: `ip-10-0-${pod >> 5}-12.eu-central-1.compute.internal`,
    pod: `deployment-${pod % 100}-6f7d9c5b8-${pod.toString(36)}x`,
    service: `service-${pod % 80}`,
  });
}

// Registration, labels encoded beforehand in slices.
{
  let elapsedMs = 0;
  const slice = 20_000;
  for (let start = 0; start < seriesCount; start += slice) {
    const count = Math.min(slice, seriesCount - start);
    const labels = Array.from({ length: count }, (_, i) => encodeLabels(labelsOf(start + i)));
    const fingerprints = new Uint32Array(count * 4).map(() => random.uint32());
    const bytes = new Uint8Array(fingerprints.buffer);
    const startMs = performance.now();
    for (let i = 0; i < count; i++) head.register(labels[i] as Uint8Array, bytes.subarray(i * 16, i * 16 + 16));
    elapsedMs += performance.now() - startMs;
  }
  report('register, 12 labels', seriesCount, performance.now() - elapsedMs, 'series');
  print(head.stats());
}

// Steady appending: counters and gauges in scrape order.
const slot = head.openGeneration();
const counters = new Float64Array(seriesCount);
const records: Uint8Array[] = [];
const scrapes = 12;
for (let scrape = 0; scrape < scrapes; scrape++) {
  let appendMs = 0;
  let encodeMs = 0;
  let recordBytes = 0;
  for (let start = 0; start < seriesCount; start += batchRows) {
    const count = Math.min(batchRows, seriesCount - start);
    const batch = head.stage(count, count);
    const values = new Float64Array(batch.valueBits.buffer, batch.valueBits.byteOffset, count);
    const timestampMs = BigInt(1_700_000_000_000 + scrape * 15_000 + Math.floor(start / 500));
    for (let i = 0; i < count; i++) {
      batch.refs[i] = start + i;
      batch.samplesEnd[i] = i + 1;
      const gauge = (start + i) % 5 === 0;
      const counter = (counters[start + i] as number) + random.below(100);
      counters[start + i] = counter;
      values[i] = gauge ? Math.round(random.float() * 1e4) / 100 : counter;
    }
    batch.timestampsMs.fill(timestampMs);
    const encodeStart = performance.now();
    const record = head.encodeSamples();
    encodeMs += performance.now() - encodeStart;
    recordBytes += record.length;
    if (scrape < 6) records.push(record.slice());
    const appendStart = performance.now();
    head.append(slot);
    appendMs += performance.now() - appendStart;
  }
  if (scrape === 0 || scrape === 5 || scrape === scrapes - 1) {
    report(`append, scrape ${scrape + 1}`, seriesCount, performance.now() - appendMs);
    report(
      `encode record, ${(recordBytes / seriesCount).toFixed(2)} B/sample`,
      seriesCount,
      performance.now() - encodeMs,
    );
  }
}

// Replay: decode and append into a fresh generation.
{
  const replaySlot = head.openGeneration();
  const startMs = performance.now();
  let samples = 0;
  for (const record of records) {
    samples += head.decodeSamples(record).samplesCount;
    head.append(replaySlot);
  }
  report('replay (decode and append)', samples, startMs);
  head.dropGeneration(replaySlot);
  const decodeMs = performance.now();
  for (const record of records) head.decodeSamples(record);
  report('decode only', samples, decodeMs);
}

// Reading in label order, as a flush does.
{
  head.freezeGeneration(slot);
  const reader = HeadReader.attach(module, head.memory);
  let startMs = performance.now();
  const refs = reader.sortedRefs(slot);
  report('sort by labels', refs.length, startMs, 'series');
  startMs = performance.now();
  const again = reader.sortedRefs(slot);
  report('sort by labels, again', again.length, startMs, 'series');
  const buffer = new SampleBuffer();
  let samples = 0;
  startMs = performance.now();
  for (const ref of refs) {
    buffer.clear();
    samples += reader.readSeries(slot, ref, -Infinity, Infinity, buffer);
  }
  report('read all series', samples, startMs);
  startMs = performance.now();
  print(`dead series share ${head.deadSeriesShare()}, ${(performance.now() - startMs).toFixed(1)} ms`);
}
print(`resident ${(process.memoryUsage().rss / 1e6).toFixed(0)} MB`, head.generationStats(slot));
