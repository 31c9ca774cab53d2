// S1: bytes a sample takes on disk once the data is in its final form, on a recorded capture (real values compress as no
// generated ones do) or, where there is none, on a generated load with churn.
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdDecompressSync } from 'node:zlib';
import { hourMs, secondMs } from '../src/base/index.ts';
import { directoryBytes } from '../test/support/usage.ts';
import { type LoadBody, loadDefaults, prepareLoad } from './load/generator.ts';
import { send } from './load/sender.ts';
import { progress } from './report.ts';
import { type BenchOptions, loadEndMs, Measurements, scaled, withServer } from './run.ts';

const quietTimeoutMs = 120 * secondMs;
const settledMs = 15 * secondMs;
/** The capture's number of samples is not in the file; its README states it. */
const captureSamplesCount = 1_119_569;
const captureBodySamplesMax = 2000;

/**
 * A capture is a zstd file of bodies one after another, each behind its length (4 bytes, little-endian), in time order: one
 * shard, since a series may be in any body.
 */
function readCapture(file: string): LoadBody[] {
  const bytes = zstdDecompressSync(readFileSync(file));
  const bodies: LoadBody[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at);
    bodies.push({ shard: 0, samplesCount: captureBodySamplesMax, body: bytes.subarray(at + 4, at + 4 + length) });
    at += 4 + length;
  }
  return bodies;
}

function loadForStorage(options: BenchOptions): { name: string; bodies: readonly LoadBody[]; samplesCount: number } {
  if (existsSync(options.captureFile)) {
    return { name: 'capture at 15 s', bodies: readCapture(options.captureFile), samplesCount: captureSamplesCount };
  }
  console.error(
    `SKIPPED: no capture ${options.captureFile} (--capture=FILE): generated values instead, which say less`,
  );
  const durationMs = 6 * hourMs;
  const load = prepareLoad({
    ...loadDefaults,
    seed: options.seed,
    targetsCount: scaled(10, options.scale),
    intervalsMs: [15 * secondMs, 30 * secondMs, 60 * secondMs],
    lifetimeMs: 4 * hourMs,
    startMs: loadEndMs() - durationMs,
    durationMs,
  });
  return { name: 'generated, with churn', ...load };
}

/** Waits until the data has kept its size for a while: merges may run on, and their inputs are deleted later. */
async function settled(bytes: () => number): Promise<void> {
  const deadlineMs = performance.now() + quietTimeoutMs;
  let before = Number.NaN;
  for (let now = bytes(); now !== before && performance.now() < deadlineMs; now = bytes()) {
    before = now;
    await sleep(settledMs);
  }
}

export async function benchStorage(options: BenchOptions): Promise<Measurements> {
  const measurements = new Measurements();
  const load = loadForStorage(options);
  for (const peer of options.peers) {
    progress(`S1: ${peer.name}`);
    await withServer(options, peer, async (server, directory) => {
      await send(server.url, load.bodies);
      await server.quiet(quietTimeoutMs);
      await peer.compact(server.url);
      await settled(() => directoryBytes(directory, peer.disk.withIndex));
      // VictoriaMetrics writes parts of its index only as it stops.
      await server.stop();
      const perSample = (accept: (path: string) => boolean): number =>
        directoryBytes(directory, accept) / load.samplesCount;
      const unit = 'B/sample';
      measurements.add(`S1 ${load.name}: values and timestamps`, unit, peer.name, perSample(peer.disk.samples));
      measurements.add(`S1 ${load.name}: with index`, unit, peer.name, perSample(peer.disk.withIndex));
    });
  }
  return measurements;
}
