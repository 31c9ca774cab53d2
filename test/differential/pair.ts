// A real Prometheus and our node side by side, holding the same samples, for as long as a test runs.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Pool } from 'undici';
import { sendBody } from '../../bench/load/sender.ts';
import { removeDirectory, temporaryDirectory } from '../support/processes.ts';
import { PrometheusApi } from '../support/prometheus-api.ts';
import { type PrometheusBinary, startPrometheus, startTimbala } from '../support/servers.ts';
import { dataBodies, makeData } from './data.ts';

export interface Pair {
  readonly ours: PrometheusApi;
  readonly theirs: PrometheusApi;
}

export const skipReason = 'NO PROMETHEUS 3 FOUND: set TIMBALA_TEST_PROMETHEUS; nothing else replaces this test';

export async function startPair(t: TestContext, binary: PrometheusBinary, seed: number): Promise<Pair> {
  const directory = temporaryDirectory('differential');
  t.after(() => removeDirectory(directory));
  const peer = await startPrometheus({
    directory: `${directory}/prometheus`,
    binary: binary.path,
    // Our node knows these functions without a flag.
    extraArguments: ['--enable-feature=promql-experimental-functions'],
  });
  t.after(() => peer.kill());
  const node = await startTimbala({ directory: `${directory}/timbala` });
  t.after(() => node.kill());
  const bodies = [...dataBodies(makeData(seed))];
  const half = bodies.length >> 1;
  await sendAll(peer.url, bodies);
  // Half of the samples in parts, half in the head: series begin in one and go on in the other.
  await sendAll(node.url, bodies.slice(0, half));
  const flushed = await fetch(`${node.url}/internal/flush`, { method: 'POST' });
  assert(flushed.ok, await flushed.text());
  await sendAll(node.url, bodies.slice(half));
  return { ours: new PrometheusApi(node.url), theirs: new PrometheusApi(peer.url) };
}

async function sendAll(url: string, bodies: readonly Uint8Array[]): Promise<void> {
  const pool = new Pool(url);
  for (const body of bodies) await sendBody(pool, body);
  await pool.close();
}
