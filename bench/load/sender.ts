// Sends remote write bodies over keep-alive connections, one connection a shard, in order within a shard, and honours what
// a server asks for: 503 and 429 are retried after Retry-After, anything else that is not a success is an error. Shards are
// dealt to the nodes of a cluster in turn.
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type Dispatcher } from 'undici';
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
export async function sendBody(to: Dispatcher, body: Uint8Array): Promise<number> {
  for (let retries = 0; ; retries++) {
    const response = await to.request({ path: '/api/v1/write', method: 'POST', headers: writeHeaders, body });
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

/** The sorted values' quantile; 0 where there are none. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.floor(q * (sorted.length - 1))] ?? 0;
}

/** Sends all bodies to the server at `url`, or to those of a cluster; resolves when the last one is acknowledged. */
export async function send(url: string | readonly string[], bodies: readonly LoadBody[]): Promise<SendReport> {
  const urls = typeof url === 'string' ? [url] : url;
  const shards = Map.groupBy(bodies.entries(), ([, { shard }]) => shard);
  const clientOf = (shard: number): Client =>
    new Client(urls[shard % urls.length] ?? '', { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  const clients = new Map(Array.from(shards.keys(), (shard) => [shard, clientOf(shard)]));
  const pace = new Pace(shards.keys());
  const latenciesMs: number[] = [];
  let samplesCount = 0;
  let retriesCount = 0;
  const startedMs = performance.now();
  const sendShard = async (shard: number, client: Client): Promise<void> => {
    try {
      for (const [position, body] of shards.get(shard) ?? []) {
        await pace.reach(shard, position);
        const sentMs = performance.now();
        retriesCount += await sendBody(client, body.body);
        latenciesMs.push(performance.now() - sentMs);
        samplesCount += body.samplesCount;
      }
    } finally {
      pace.leave(shard);
    }
  };
  try {
    await Promise.all(Array.from(clients, ([shard, client]) => sendShard(shard, client)));
  } finally {
    await Promise.all(Array.from(clients.values(), (client) => client.destroy()));
  }
  const elapsedMs = performance.now() - startedMs;
  latenciesMs.sort((a, b) => a - b);
  return {
    samplesCount,
    elapsedMs,
    retriesCount,
    latencyMedianMs: quantile(latenciesMs, 0.5),
    latencyP99Ms: quantile(latenciesMs, 0.99),
  };
}
