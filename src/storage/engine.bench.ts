// Ingest, replay, flush, merge and read of the whole engine in one thread, on a real disk under /tmp. Prints figures of CPU
// time, since other work on the machine distorts wall time. `node src/storage/engine.bench.ts [series] [scrapes]`.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeDisk, SystemClock, SystemRandom } from '../node/index.ts';
import { Matcher, SampleBuffer } from '../model/index.ts';
import type { Log } from '../ports/index.ts';
import { loadTestModule } from '../wasm/test-modules.ts';
import { encodeWriteRequest, wrapSnappy } from '../wire/index.ts';
import { openStorage } from './index.ts';

const seriesCount = Number(process.argv[2] ?? 20_000);
const scrapesCount = Number(process.argv[3] ?? 20);
const seriesPerBody = 2000;
const intervalMs = 15_000;

const quietLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: (event, fields) => process.stdout.write(`${event} ${JSON.stringify(fields)}\n`),
  error: (event, fields) => process.stdout.write(`${event} ${JSON.stringify(fields)}\n`),
  child: () => quietLog,
};

const directory = mkdtempSync(join(tmpdir(), 'timbala-bench-'));
const clock = new SystemClock();
// The clock's timers do not keep a process alive.
const keepAlive = setInterval(() => undefined, 1000);
const open = () =>
  openStorage({
    disk: new NodeDisk(directory),
    clock,
    random: new SystemRandom(),
    log: quietLog,
    modules: { wire: loadTestModule('wire'), head: loadTestModule('head'), pages: loadTestModule('pages') },
    retention: { timeMs: 365 * 86_400_000 },
  });

let cpuStart = process.cpuUsage();
let wallStart = performance.now();
function lap(what: string, samplesCount: number): void {
  const { user, system } = process.cpuUsage(cpuStart);
  const cpuS = (user + system) / 1e6;
  const rate = samplesCount > 0 ? `${(samplesCount / cpuS / 1e6).toFixed(2)} M samples/CPU-s` : '';
  const wallS = (performance.now() - wallStart) / 1000;
  const rssMb = Math.round(process.memoryUsage.rss() / 1e6);
  process.stdout.write(
    `${what.padEnd(28)} ${cpuS.toFixed(2)} s CPU, ${wallS.toFixed(2)} s wall, ${rate}, RSS ${rssMb} MB\n`,
  );
  cpuStart = process.cpuUsage();
  wallStart = performance.now();
}

function makeBodies(scrape: number, timeMs: number): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  for (let first = 0; first < seriesCount; first += seriesPerBody) {
    const series = [];
    for (let i = first; i < Math.min(first + seriesPerBody, seriesCount); i++) {
      const labels = [
        '__name__',
        `http_requests_total_${i % 50}`,
        'cluster',
        'production-eu-west-1',
        'handler',
        `/api/v1/resource/${i % 97}`,
        'instance',
        `10.0.${i % 200}.${(i >> 3) % 250}:9100`,
        'job',
        'node-exporter',
        'method',
        'GET',
        'pod',
        `server-6d5f7c8b9-${i % 1000}`,
        'series',
        `${i}`,
        'status',
        '200',
        'zone',
        'eu-west-1a',
      ];
      series.push({
        labels,
        timestampsMs: Float64Array.of(timeMs + (i % 1000)),
        values: Float64Array.of(scrape * (i % 7) + i),
      });
    }
    bodies.push(wrapSnappy(encodeWriteRequest(series)));
  }
  return bodies;
}

const samplesCount = seriesCount * scrapesCount;
const endMs = Date.now();
let storage = await open();
lap('open', 0);
const scrapes = Array.from({ length: scrapesCount }, (_, scrape) =>
  makeBodies(scrape, endMs - (scrapesCount - scrape) * intervalMs),
);
lap('making bodies', 0);
for (const [scrape, bodies] of scrapes.entries()) {
  await Promise.all(bodies.map((body) => storage.lane.write(body)));
  if (scrape === 0) lap('write, new series', seriesCount);
}
lap('write, known series', samplesCount - seriesCount);
const { logBytes, commitsTotal, headBytes } = storage.lane.status();
process.stdout.write(
  `log ${(logBytes / samplesCount).toFixed(2)} B/sample, ${commitsTotal} commits, head ${Math.round(headBytes / 1e6)} MB\n`,
);

async function readAll(what: string): Promise<void> {
  const control = { check: () => undefined, addBytes: () => undefined };
  for (const round of ['first', 'second']) {
    const session = storage.reader.openSession();
    const request = { matchers: [new Matcher('job', '=', 'node-exporter')], startMs: 0, endMs };
    const [selection] = await session.select([request], control);
    lap(`${what}: select, ${round}`, 0);
    const buffer = new SampleBuffer();
    let count = 0;
    const keys = new Set<object | undefined>();
    for (const series of selection?.series ?? []) {
      series.read(buffer);
      count += buffer.count;
      keys.add(buffer.timestampsKey);
    }
    session.close();
    lap(`${what}: read, ${round}`, count);
    process.stdout.write(`  ${count} samples, ${keys.size} distinct timestamp columns\n`);
  }
}

await readAll('head');
await storage.close();
lap('close', 0);
storage = await open();
const report = await storage.lane.replayed;
lap('replay', report.samplesCount);
await storage.lane.flushNow();
lap('flush', samplesCount);
process.stdout.write(`parts ${(storage.keeper.status().partsBytes / samplesCount).toFixed(3)} B/sample with index\n`);
await readAll('parts');
await storage.keeper.compactNow();
lap('compact', samplesCount);
await storage.close();
clearInterval(keepAlive);
rmSync(directory, { recursive: true });
