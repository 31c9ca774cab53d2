// Writes at a fixed rate, whatever the servers do: requests are due at equal distances and their latency counts from then
// (a server that stalls is charged for all that had to wait), each sent to the nodes of a cluster in turn.
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { secondMs } from '../../src/base/index.ts';
import type { LoadBody } from './generator.ts';
import { quantile, sendBody } from './sender.ts';

const connectionsPerNode = 8;

export interface SteadyFigures {
  readonly writesCount: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

export class SteadyLoad {
  samplesCount = 0;
  /** Requests that were answered by 503 and sent again. */
  retriesCount = 0;
  readonly #pools: readonly Pool[];
  readonly #bodies: Iterator<LoadBody>;
  readonly #requestsPerSecond: number;
  #latenciesMs: number[] = [];
  #isStopped = false;

  constructor(urls: readonly string[], bodies: Iterator<LoadBody>, requestsPerSecond: number) {
    this.#pools = urls.map((url) => new Pool(url, { connections: connectionsPerNode, headersTimeout: 0 }));
    this.#bodies = bodies;
    this.#requestsPerSecond = requestsPerSecond;
  }

  /** Until `stop`, or until the bodies come to their end; resolves when all is acknowledged. */
  async run(): Promise<void> {
    const inFlight = new Set<Promise<void>>();
    const startedMs = performance.now();
    try {
      for (let index = 0; !this.#isStopped; index++) {
        const { value, done } = this.#bodies.next();
        const pool = this.#pools[index % this.#pools.length];
        if (done || !pool) break;
        const dueMs = startedMs + (index * secondMs) / this.#requestsPerSecond;
        await sleep(Math.max(0, dueMs - performance.now()));
        const sending = this.#send(pool, value, dueMs).finally(() => inFlight.delete(sending));
        inFlight.add(sending);
      }
      await Promise.all(inFlight);
    } finally {
      await Promise.all(this.#pools.map((pool) => pool.destroy()));
    }
  }

  async #send(pool: Pool, { body, samplesCount }: LoadBody, dueMs: number): Promise<void> {
    this.retriesCount += await sendBody(pool, body);
    this.#latenciesMs.push(performance.now() - dueMs);
    this.samplesCount += samplesCount;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Of the writes acknowledged since the last look. */
  look(): SteadyFigures {
    const sorted = this.#latenciesMs.sort((a, b) => a - b);
    this.#latenciesMs = [];
    return {
      writesCount: sorted.length,
      medianMs: quantile(sorted, 0.5),
      p99Ms: quantile(sorted, 0.99),
      slowestMs: sorted.at(-1) ?? 0,
    };
  }
}
