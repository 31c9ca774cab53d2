// What replication costs between two nodes on the loopback: `node src/cluster/peers/peers.bench.ts [series] [scrapes]` (kernels
// built before). The parent decodes remote-write requests as a coordinator and sends them; the child takes them, in one run
// only receiving, in another appending with its log synced. CPU time of each process apart; and how long a question takes
// meanwhile on a connection of another class.
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { present } from '../../base/index.ts';
import { NodeDisk, NodeNetwork, SystemClock, SystemRandom } from '../../node/index.ts';
import { type InlineStorage, openStorage } from '../../storage/index.ts';
import { loadTestModule } from '../../wasm/test-modules.ts';
import { encodeWriteRequest, wrapSnappy } from '../../wire/index.ts';
import type { PeerFrame, SamplesPayload } from '../contracts.ts';
import { PeerConnections } from './index.ts';
import { identityOf, silentLog } from './test-peers.ts';

const isChild = process.argv[2] === 'child';
const seriesCount = Number((isChild ? undefined : process.argv[2]) ?? 20_000);
const scrapesCount = Number(process.argv[3] ?? 30);
const samplesPerRequest = 2_000;
const requestsAtATime = 16;
const probeIntervalMs = 5;
const noBytes = new Uint8Array(0);

const directory = mkdtempSync(join(tmpdir(), 'timbala-bench-'));
const clock = new SystemClock();
const random = new SystemRandom();
const storage = await openStorage({
  disk: new NodeDisk(directory),
  clock,
  random,
  log: silentLog,
  modules: { wire: loadTestModule('wire'), head: loadTestModule('head'), pages: loadTestModule('pages') },
  retention: { timeMs: 365 * 86_400_000 },
  replication: { onLogCut: async () => noBytes },
});

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

async function startPeers({ lane }: InlineStorage, node: string): Promise<PeerConnections> {
  const { replication } = lane;
  const store = {
    definitionsOf: async (dictionary: number, refs: Uint32Array) => replication.definitionsOf(dictionary, refs),
    register: async (definitions: Uint8Array) => replication.register(definitions),
  };
  const ports = { clock, network: new NodeNetwork(), random, log: silentLog };
  const bind = { host: '127.0.0.1', port: 0 };
  return PeerConnections.start(ports, { bind, store, identity: () => identityOf(node) });
}

async function runChild(): Promise<void> {
  const peers = await startPeers(storage, 'b');
  let appends = false;
  peers.onRequest = async (_from, { kind, samples }): Promise<PeerFrame> => {
    if (samples && appends) await storage.lane.replication.appendReceived(samples, 'written');
    return { kind, body: noBytes };
  };
  process.on('message', (question) => {
    if (question === 'append') appends = true;
    process.send?.(question === 'cpu' ? cpuSeconds() : peers.address.port);
  });
}

/** The requests of one scrape. */
function makeBodies(scrape: number): Uint8Array[] {
  const timestampMs = Date.now() - (scrapesCount - scrape) * 1_000;
  const bodies: Uint8Array[] = [];
  for (let first = 0; first < seriesCount; first += samplesPerRequest) {
    const series = Array.from({ length: Math.min(samplesPerRequest, seriesCount - first) }, (_, i) => ({
      labels: Object.entries({
        __name__: `http_requests_total_${i % 50}`,
        cluster: 'production-eu-west-1',
        handler: `/api/v1/resource/${i % 97}`,
        instance: `10.0.${i % 200}.${(i >> 3) % 250}:9100`,
        job: 'node-exporter',
        pod: `server-6d5f7c8b9-${i % 1_000}`,
        series: `${first + i}`,
      }).flat(),
      timestampsMs: [timestampMs],
      values: Float64Array.of((first + i) * 7 + scrape * ((i % 90) + 1)),
    }));
    bodies.push(wrapSnappy(encodeWriteRequest(series)));
  }
  return bodies;
}

/** All partitions in one group, which this node and the other own. */
storage.lane.replication.setGroups({
  groupOf: new Uint16Array(65_536),
  own: Uint8Array.of(1),
  others: [Uint8Array.of(1)],
});

function payloadOf(body: Uint8Array, fromMs: number): SamplesPayload {
  const { replication } = storage.lane;
  const { writeId, payloads } = replication.decode(body);
  replication.release(writeId);
  decodeMs += performance.now() - fromMs;
  return present(payloads[0], 'a payload').samples;
}
let decodeMs = 0;

async function measure(what: string, appends: boolean): Promise<void> {
  const child = fork(import.meta.filename, ['child'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ask = (question: string): Promise<unknown> =>
    new Promise((resolve) => {
      child.once('message', resolve);
      child.send(question);
    });
  const port = Number(await ask(appends ? 'append' : 'port'));
  const peers = await startPeers(storage, 'a');
  peers.setAddresses(new Map([['b', `127.0.0.1:${port}`]]));
  const payloads: SamplesPayload[] = [];
  for (let scrape = 0; scrape < scrapesCount; scrape++) {
    for (const body of makeBodies(scrape)) payloads.push(payloadOf(body, performance.now()));
  }
  const send = (list: readonly SamplesPayload[]): Promise<unknown> => {
    const waiting = [...list];
    const worker = async (): Promise<void> => {
      for (let samples = waiting.shift(); samples; samples = waiting.shift()) {
        await peers.request('b', { kind: 'write', body: noBytes, samples }, 60_000);
      }
    };
    return Promise.all(Array.from({ length: requestsAtATime }, worker));
  };
  // The first scrape carries the definitions.
  const perScrape = payloads.length / scrapesCount;
  await send(payloads.slice(0, perScrape));
  const { bytesSent: bytesBefore, definitionsBytesSent } = peers.counters.write;
  // Receiving alone is too quick to be measured once.
  const repeats = appends ? 1 : 30;
  const rest = Array.from({ length: repeats }, () => payloads.slice(perScrape)).flat();
  const samplesCount = rest.reduce((sum, payload) => sum + payload.samplesCount, 0);
  const latenciesMs: number[] = [];
  const state = { isOver: false };
  const probes = (async () => {
    while (!state.isOver) {
      const startMs = performance.now();
      await peers.request('b', { kind: 'hello', body: noBytes }, 10_000);
      latenciesMs.push(performance.now() - startMs);
      await new Promise((resolve) => setTimeout(resolve, probeIntervalMs));
    }
  })();
  const senderBefore = cpuSeconds();
  const receiverBefore = Number(await ask('cpu'));
  const startMs = performance.now();
  await send(rest);
  const seconds = (performance.now() - startMs) / 1_000;
  const senderSeconds = cpuSeconds() - senderBefore;
  const receiverSeconds = Number(await ask('cpu')) - receiverBefore;
  state.isOver = true;
  await probes;
  peers.close();
  child.kill('SIGTERM');
  latenciesMs.sort((x, y) => x - y);
  const at = (share: number): string => (latenciesMs[Math.floor(latenciesMs.length * share)] ?? Number.NaN).toFixed(2);
  const millions = (value: number): string => (value / 1e6).toFixed(1);
  process.stdout.write(
    `| ${what} | ${((peers.counters.write.bytesSent - bytesBefore) / samplesCount).toFixed(2)} ` +
      `| ${(definitionsBytesSent / seriesCount).toFixed(0)} | ${millions(samplesCount / senderSeconds)} ` +
      `| ${millions(samplesCount / receiverSeconds)} | ${millions(samplesCount / seconds)} | ${at(0.5)} / ${at(0.99)} |\n`,
  );
}

if (isChild) {
  await runChild();
  process.on('SIGTERM', () => {
    rmSync(directory, { recursive: true });
    process.exit();
  });
} else {
  process.stdout.write(
    '| the other side | B/sample | B/new series | sender, M samples/CPU-s | receiver, M samples/CPU-s | M samples/s ' +
      '| question meanwhile, median / p99 ms |\n| --- | --- | --- | --- | --- | --- | --- |\n',
  );
  await measure('receives', false);
  await measure('appends and syncs', true);
  const perSample = decodeMs / (2 * scrapesCount * seriesCount);
  process.stdout.write(`\ndecoding and encoding at the coordinator: ${(perSample * 1e6).toFixed(0)} ns a sample\n`);
  rmSync(directory, { recursive: true });
  process.exit();
}
