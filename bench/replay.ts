// R1: how fast a server is back after SIGKILL: replayed samples per second until it is ready, less what it takes to be ready
// on an empty directory, and how soon it takes a write. A server that keeps nothing in a log has nothing to measure.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { secondMs } from '../src/base/index.ts';
import { removeDirectory, ServerProcess } from '../test/support/processes.ts';
import { type LoadBody, loadDefaults, prepareLoad } from './load/generator.ts';
import { send, sendBody } from './load/sender.ts';
import { seriesPerTarget } from './load/target.ts';
import type { Peer } from './peers.ts';
import { progress } from './report.ts';
import { type BenchOptions, loadEndMs, Measurements, scaled } from './run.ts';

const scrapesCount = 60;
const scrapeIntervalMs = 15 * secondMs;
const writePollMs = 10;

/** When the first write was acknowledged, after the process was started. */
async function firstWriteMs(server: ServerProcess, body: LoadBody): Promise<number> {
  const pool = new Pool(server.url, { connections: 1 });
  try {
    for (;;) {
      try {
        await sendBody(pool, body.body);
        return performance.now() - server.startedAtMs;
      } catch (error) {
        if (server.exited) throw error;
        await sleep(writePollMs);
      }
    }
  } finally {
    await pool.destroy();
  }
}

async function measure(options: BenchOptions, peer: Peer, bodies: readonly LoadBody[], into: Measurements) {
  const directory = join(options.workDirectory, peer.name);
  removeDirectory(directory);
  mkdirSync(directory, { recursive: true });
  const launch = await peer.launch({ directory });
  const first = await ServerProcess.start(launch);
  let current = first;
  try {
    const { samplesCount } = await send(first.url, bodies);
    await first.kill();
    current = await ServerProcess.spawn(launch);
    const lastBody = bodies.at(-1);
    const [acceptedMs] = await Promise.all([
      lastBody ? firstWriteMs(current, lastBody) : 0,
      current.ready(launch.readyPath, 300 * secondMs),
    ]);
    const replayMs = Math.max(1, current.readyAfterMs - first.readyAfterMs);
    into.add('R1 replayed samples per second', 'M/s', peer.name, samplesCount / replayMs / 1000);
    into.add('R1 ready after', 'ms', peer.name, current.readyAfterMs);
    into.add('R1 first write acknowledged after', 'ms', peer.name, acceptedMs);
    into.add('R1 CPU time of the restart', 's', peer.name, current.cpuSeconds());
  } finally {
    await current.kill();
    removeDirectory(directory);
  }
}

export async function benchReplay(options: BenchOptions): Promise<Measurements> {
  const measurements = new Measurements();
  progress('R1: preparing');
  const durationMs = scrapesCount * scrapeIntervalMs;
  const { bodies } = prepareLoad({
    ...loadDefaults,
    seed: options.seed,
    shardsCount: options.connections,
    targetsCount: scaled(100_000 / seriesPerTarget, options.scale),
    startMs: loadEndMs() - durationMs,
    durationMs,
  });
  const peers = options.peers.filter(({ keepsLog }) => keepsLog);
  for (let round = 0; round < options.rounds; round++) {
    for (const peer of peers) {
      progress(`R1: round ${round + 1} of ${options.rounds}, ${peer.name}`);
      await measure(options, peer, bodies, measurements);
    }
  }
  return measurements;
}
