// Sends remote write bodies over keep-alive connections, one connection a shard, in order within a shard, and honours what
// a server asks for: 503 and 429 are retried after Retry-After, anything else that is not a success is an error.
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import type { LoadBody } from './generator.ts';

const retryAfterDefaultMs = 100;
const retriesMax = 600;
/**
 * How many bodies a connection may be ahead of the slowest, each. Load is sent faster than time passes, and Prometheus refuses
 * samples that are an hour older than its newest.
 */
const bodiesAheadMax = 16;

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

/** Sends one body until it is acknowledged; returns how often it had to be sent again. */
export async function sendBody(pool: Pool, body: Uint8Array): Promise<number> {
  for (let retries = 0; ; retries++) {
    const response = await pool.request({ path: '/api/v1/write', method: 'POST', headers: writeHeaders, body });
    const text = await response.body.text();
    if (response.statusCode >= 200 && response.statusCode < 300) return retries;
    const busy = response.statusCode === 503 || response.statusCode === 429;
    if (!busy || retries === retriesMax) throw new Error(`write was answered by ${response.statusCode}: ${text}`);
    const retryAfterSeconds = Number(response.headers['retry-after'] ?? Number.NaN);
    await sleep(retryAfterSeconds >= 0 ? retryAfterSeconds * 1000 : retryAfterDefaultMs);
  }
}

/** Keeps connections together: positions are indexes into the list of all bodies, which is in time order. */
class Pace {
  readonly #positions: Map<number, number>;
  readonly #aheadMax: number;
  #waiting: (() => void)[] = [];

  constructor(shards: Iterable<number>) {
    this.#positions = new Map(Array.from(shards, (shard) => [shard, 0]));
    this.#aheadMax = bodiesAheadMax * this.#positions.size;
  }

  /** Resolves once `shard` may send the body at `position`. */
  async reach(shard: number, position: number): Promise<void> {
    this.#move(() => this.#positions.set(shard, position));
    while (position - Math.min(...this.#positions.values()) > this.#aheadMax) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  /** `shard` has nothing more to send (or has failed): nobody waits for it. */
  leave(shard: number): void {
    this.#move(() => this.#positions.delete(shard));
  }

  #move(change: () => void): void {
    change();
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

/** Sends all bodies to the server at `url`; resolves when the last one is acknowledged. */
export async function send(url: string, bodies: readonly LoadBody[]): Promise<SendReport> {
  const shards = Map.groupBy(bodies.entries(), ([, { shard }]) => shard);
  const pool = new Pool(url, { connections: shards.size, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  const pace = new Pace(shards.keys());
  const latenciesMs: number[] = [];
  let samplesCount = 0;
  let retriesCount = 0;
  const startedMs = performance.now();
  const sendShard = async (shard: number, shardBodies: readonly [number, LoadBody][]): Promise<void> => {
    try {
      for (const [position, body] of shardBodies) {
        await pace.reach(shard, position);
        const sentMs = performance.now();
        retriesCount += await sendBody(pool, body.body);
        latenciesMs.push(performance.now() - sentMs);
        samplesCount += body.samplesCount;
      }
    } finally {
      pace.leave(shard);
    }
  };
  try {
    await Promise.all(Array.from(shards, ([shard, shardBodies]) => sendShard(shard, shardBodies)));
  } finally {
    await pool.destroy();
  }
  const elapsedMs = performance.now() - startedMs;
  latenciesMs.sort((a, b) => a - b);
  const quantile = (q: number): number => latenciesMs[Math.floor(q * (latenciesMs.length - 1))] ?? 0;
  return { samplesCount, elapsedMs, retriesCount, latencyMedianMs: quantile(0.5), latencyP99Ms: quantile(0.99) };
}
