// How fast the wire kernel decodes: `node src/wasm/wire.bench.ts [series] [rounds]` (kernels built before).
// One-sample series with 12 labels, 2,000 a request, compressed as a real sender's; every round sends all series once.
/* oxlint-disable no-console */
import snappy from 'snappyjs';
import { SeededRandom } from '../base/index.ts';
import { encodeWriteRequest, type WriteSeries } from '../wire/index.ts';
import { loadTestModule } from './test-modules.ts';
import { WireKernel } from './wire.ts';

const seriesCount = Number(process.argv[2] ?? 100_000);
const roundsCount = Number(process.argv[3] ?? 20);
const seriesPerRequest = 2000;
const startMs = 1_700_000_000_000;
const bodiesVariants = 2;

function labelsOf(index: number): string[] {
  return Object.entries({
    __name__: 'http_request_duration_seconds_bucket',
    cluster: 'production-eu-west-1',
    container: 'api',
    handler: `/api/v1/resource/${index % 50}`,
    instance: `10.${index % 16}.${index % 200}.${index % 251}:9090`,
    job: 'kubernetes-pods',
    le: String((index % 12) / 8),
    method: ['GET', 'POST', 'PUT'][index % 3] ?? '',
    namespace: `team-${index % 20}`,
    node: `node-${index % 40}`,
    pod: `api-server-7f9c8d6b5-${(index % 997).toString(36).padStart(5, 'x')}`,
    shard: String(index),
  }).flat();
}

function buildBodies(random: SeededRandom, timestampMs: number): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  for (let first = 0; first < seriesCount; first += seriesPerRequest) {
    const series: WriteSeries[] = [];
    for (let i = first; i < Math.min(first + seriesPerRequest, seriesCount); i++) {
      const values = new Float64Array([i % 4 === 0 ? 0 : random.below(1_000_000)]);
      series.push({ labels: labelsOf(i), timestampsMs: [timestampMs], values });
    }
    bodies.push(snappy.compress(encodeWriteRequest(series)));
  }
  return bodies;
}

const random = new SeededRandom(1);
const rounds = Array.from({ length: bodiesVariants }, (_, i) => buildBodies(random, startMs + 15_000 * i));
const kernel = new WireKernel(loadTestModule('wire'), {
  fill(target) {
    for (let i = 0; i < target.length; i++) target[i] = random.below(256);
  },
});

let nextReference = 0;
function sendRound(bodies: readonly Uint8Array[]): number {
  const began = process.cpuUsage();
  for (const body of bodies) {
    kernel.bodyBuffer(body.length).set(body);
    const batch = kernel.decode(body.length, 0, Infinity);
    if (batch.rejections.length > 0) throw new Error(batch.rejections[0]?.text);
    for (let i = 0; i < batch.newSeriesCount; i++) batch.setReference(i, nextReference++);
  }
  // CPU time: others may share the machine.
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1e6;
}

const [firstRound = []] = rounds;
const bytes = firstRound.reduce((sum, body) => sum + body.length, 0);
console.log(`${seriesCount} series, ${(bytes / seriesCount).toFixed(1)} compressed bytes a sample`);
const coldSeconds = sendRound(firstRound);
console.log(`new series: ${(seriesCount / coldSeconds / 1e6).toFixed(2)} M per CPU-second`);
const warmSeconds: number[] = [];
for (let i = 0; i < roundsCount; i++) warmSeconds.push(sendRound(rounds[i % bodiesVariants] ?? []));
const median = warmSeconds.sort((a, b) => a - b)[Math.floor(roundsCount / 2)] ?? 0;
console.log(
  `known series: ${(seriesCount / median / 1e6).toFixed(2)} M samples per CPU-second (median of ${roundsCount} rounds)`,
);
console.log(
  `cache: ${kernel.cacheEntriesCount} entries, ${(kernel.cacheBytes / kernel.cacheEntriesCount).toFixed(1)} B each`,
);
