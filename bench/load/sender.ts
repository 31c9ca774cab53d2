// Sends remote write bodies over keep-alive connections, one connection a shard, in order within a shard, and honours what
// a server asks for: 503 and 429 are retried after Retry-After, anything else that is not a success is an error.
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import type { LoadBody } from './generator.ts';

const retryAfterDefaultMs = 100;
const retriesMax = 600;

const writeHeaders = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
};

export interface SendReport {
  readonly samplesCount: number;
  readonly elapsedMs: number;
  /** Requests that were answered by 503 or 429 and sent again. */
  readonly retriesCount: number;
  /** Of acknowledged requests, retries included. */
  readonly latencyMedianMs: number;
  readonly latencyP99Ms: number;
}

export interface SendOptions {
  readonly path?: string;
  /** Called after each acknowledgement. */
  readonly acknowledged?: (body: LoadBody) => void;
}

/** Sends one body until it is acknowledged; returns how often it had to be sent again. */
export async function sendBody(pool: Pool, body: Uint8Array, path = '/api/v1/write'): Promise<number> {
  for (let retries = 0; ; retries++) {
    const response = await pool.request({ path, method: 'POST', headers: writeHeaders, body });
    const text = await response.body.text();
    if (response.statusCode >= 200 && response.statusCode < 300) return retries;
    const busy = response.statusCode === 503 || response.statusCode === 429;
    if (!busy || retries === retriesMax) throw new Error(`write was answered by ${response.statusCode}: ${text}`);
    const retryAfterSeconds = Number(response.headers['retry-after'] ?? Number.NaN);
    await sleep(retryAfterSeconds >= 0 ? retryAfterSeconds * 1000 : retryAfterDefaultMs);
  }
}

/** Sends all bodies to the server at `url`; resolves when the last one is acknowledged. */
export async function send(url: string, bodies: readonly LoadBody[], options: SendOptions = {}): Promise<SendReport> {
  const shards = Map.groupBy(bodies, ({ shard }) => shard);
  const pool = new Pool(url, { connections: shards.size, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  const latenciesMs: number[] = [];
  let samplesCount = 0;
  let retriesCount = 0;
  const startedMs = performance.now();
  const sendShard = async (shard: readonly LoadBody[]): Promise<void> => {
    for (const body of shard) {
      const sentMs = performance.now();
      retriesCount += await sendBody(pool, body.body, options.path);
      latenciesMs.push(performance.now() - sentMs);
      samplesCount += body.samplesCount;
      options.acknowledged?.(body);
    }
  };
  try {
    await Promise.all([...shards.values()].map(sendShard));
  } finally {
    await pool.destroy();
  }
  const elapsedMs = performance.now() - startedMs;
  latenciesMs.sort((a, b) => a - b);
  const quantile = (q: number): number => latenciesMs[Math.floor(q * (latenciesMs.length - 1))] ?? 0;
  return { samplesCount, elapsedMs, retriesCount, latencyMedianMs: quantile(0.5), latencyP99Ms: quantile(0.99) };
}
