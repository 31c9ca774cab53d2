// A node stores its own metrics, as if a Prometheus scraped it and wrote here: through the ordinary write path, with the
// labels job and instance, and `up`. So a fresh node has something to query, and its history is there when it is wanted.
import type { WriteQueue } from '../api/index.ts';
import { errorMessage } from '../base/index.ts';
import { Labels, metricNameLabel } from '../model/index.ts';
import type { Clock, Log, Timer } from '../ports/index.ts';
import { encodeWriteRequest, wrapSnappy } from '../wire/index.ts';
import { selfScrapeIntervalMs } from './limits.ts';
import { familySeries } from './metrics/exposition.ts';
import type { MetricFamily } from './metrics/registry.ts';

export class SelfScrape {
  readonly #queue: WriteQueue;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #target: Readonly<Record<string, string>>;
  readonly #collect: () => Promise<readonly MetricFamily[]>;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: {
    queue: WriteQueue;
    clock: Clock;
    log: Log;
    instance: string;
    collect: () => Promise<readonly MetricFamily[]>;
  }) {
    this.#queue = options.queue;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#target = { job: 'timbala', instance: options.instance };
    this.#collect = options.collect;
  }

  /** The first scrape is at once. */
  start(): void {
    void this.#scrape();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #scrape(): Promise<void> {
    const startedMs = this.#clock.nowMs();
    try {
      await this.#write(await this.#collect(), startedMs);
    } catch (error) {
      this.#log.warn('self-scrape-failed', { reason: errorMessage(error) });
    }
    if (this.#isStopped) return;
    // Aligned to the interval, so that timestamps stay evenly spaced however long a scrape takes.
    const elapsedMs = Math.max(0, this.#clock.nowMs() - startedMs);
    const delayMs = selfScrapeIntervalMs - (elapsedMs % selfScrapeIntervalMs);
    this.#timer = this.#clock.setTimer(delayMs, () => void this.#scrape());
  }

  async #write(families: readonly MetricFamily[], timestampMs: number): Promise<void> {
    const up = { labels: Labels.of({ [metricNameLabel]: 'up', ...this.#target }), value: 1 };
    const series = [...familySeries(families, this.#target), up].map(({ labels, value }) => ({
      labels: labels.pairs,
      timestampsMs: [timestampMs],
      values: Float64Array.of(value),
    }));
    const metadata = families.map(({ name, type, help }) => ({ metric: name, type, help, unit: '' }));
    const body = wrapSnappy(encodeWriteRequest(series, metadata));
    if (!this.#queue.reserve(body.length)) return;
    const buffer = this.#queue.takeBuffer(body.length);
    try {
      new Uint8Array(buffer).set(body);
      const result = await this.#queue.write({ buffer, lengthBytes: body.length });
      if ('errorCode' in result) this.#log.warn('self-scrape-failed', { reason: result.errorMessage });
    } finally {
      this.#queue.giveBuffer(buffer);
      this.#queue.release(body.length);
    }
  }
}
