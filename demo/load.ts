// The demo's load: a few writers, each with series of its own, send a day of samples in remote write requests to the nodes in
// turn, as through a load balancer: what one node does not acknowledge is sent to the next until one does. Values follow
// from series and position, so that every sample can be checked without a copy of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { hourMs, minuteMs, secondMs } from '../src/base/index.ts';
import { encodeLabelFields, WriteRequestBuilder } from '../bench/load/write-request.ts';

export const metric = 'demo_value';
export const intervalMs = 15 * secondMs;
const writersCount = 4;
const seriesPerWriter = 25;
const samplesPerSeries = 10;
const requestsPerSecond = 10;
const windowMs = 2 * hourMs;
/** Nodes compare a window with each other once it has ended, so that a cluster is seen to mend only with older samples. */
const windowsSinceMax = 14;
const requestTimeoutMs = 15 * secondMs;
const pauseAfterFailuresMs = 50;

export const seriesCount = writersCount * seriesPerWriter;

/** Full mantissas: a bit that is altered shows. */
export function valueOf(series: number, position: number): number {
  return (1 + series) * Math.sqrt(1 + position);
}

export function firstSampleMs(nowMs: number): number {
  return Math.floor((nowMs - 10 * minuteMs) / windowMs - windowsSinceMax) * windowMs;
}

export interface LoadTarget {
  readonly label: string;
  readonly url: string;
}

/** Of one interval between two looks. */
export interface LoadFigures {
  readonly writesCount: number;
  readonly samplesCount: number;
  readonly slowestMs: number;
}

export class Load {
  readonly startMs: number;
  writesCount = 0;
  /** Writes that a node refused or did not answer, and that went to another. */
  resentCount = 0;
  /** Why a write was refused though a node took it in hand; the demo fails with it. */
  readonly refusals: string[] = [];
  readonly #targets: readonly LoadTarget[];
  readonly #writers: readonly Writer[];
  #slowestMs = 0;
  #seen = { writesCount: 0, samplesCount: 0 };
  #isStopped = false;

  constructor(targets: readonly LoadTarget[], nowMs: number) {
    this.startMs = firstSampleMs(nowMs);
    this.#targets = targets;
    this.#writers = Array.from({ length: writersCount }, (_, index) => new Writer(index, this.startMs));
  }

  /** Samples of the series at positions below it are acknowledged. */
  acknowledged(series: number): number {
    return this.#writers[Math.floor(series / seriesPerWriter)]?.acknowledged ?? 0;
  }

  /** At positions from here on nothing was sent. */
  sent(series: number): number {
    return this.#writers[Math.floor(series / seriesPerWriter)]?.sent ?? 0;
  }

  get acknowledgedCount(): number {
    return this.#writers.reduce((sum, { acknowledged }) => sum + acknowledged * seriesPerWriter, 0);
  }

  /** After the newest sample that was sent. */
  get endMs(): number {
    return this.startMs + intervalMs * Math.max(...this.#writers.map(({ sent }) => sent));
  }

  /** What was acknowledged since the last look. */
  look(): LoadFigures {
    const samplesCount = this.acknowledgedCount;
    const figures = {
      writesCount: this.writesCount - this.#seen.writesCount,
      samplesCount: samplesCount - this.#seen.samplesCount,
      slowestMs: this.#slowestMs,
    };
    this.#seen = { writesCount: this.writesCount, samplesCount };
    this.#slowestMs = 0;
    return figures;
  }

  /** Writes until `stop`; resolves when nothing is in flight any more. */
  async run(): Promise<void> {
    await Promise.all(this.#writers.map((writer) => this.#run(writer)));
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #run(writer: Writer): Promise<void> {
    const pauseMs = secondMs / requestsPerSecond;
    let dueMs = performance.now();
    while (!this.#isStopped) {
      await this.#acknowledge(writer, writer.next());
      dueMs += pauseMs;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      // What it was late by is not caught up.
      else dueMs -= waitMs;
    }
  }

  /** Sends one request to node after node until one acknowledges it. Ends with the load: then it counts as sent only. */
  async #acknowledge(writer: Writer, body: Uint8Array): Promise<void> {
    const startedMs = performance.now();
    for (let attempt = 0; ; attempt++) {
      const target = this.#targets[(writer.requestsCount + attempt) % this.#targets.length];
      const answer = target ? await post(target.url, body) : 'there are no nodes';
      if (answer === undefined) break;
      if (this.#isStopped && attempt > 10 * this.#targets.length) {
        this.refusals.push(answer);
        return;
      }
      this.resentCount++;
      // Every node was asked: they are busy, or coming up.
      if ((attempt + 1) % this.#targets.length === 0) await sleep(pauseAfterFailuresMs);
    }
    this.#slowestMs = Math.max(this.#slowestMs, performance.now() - startedMs);
    this.writesCount++;
    writer.acknowledged = writer.sent;
  }
}

/** Undefined where the node acknowledged the write, otherwise why it did not. */
async function post(url: string, body: Uint8Array): Promise<string | undefined> {
  try {
    const response = await fetch(`${url}/api/v1/write`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
      body: Buffer.from(body),
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    const text = await response.text();
    return response.ok ? undefined : `${response.status}: ${text}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** One writer's series, and how far they have come. All its series stand at the same position. */
class Writer {
  acknowledged = 0;
  sent = 0;
  requestsCount: number;
  readonly #startMs: number;
  readonly #firstSeries: number;
  readonly #labels: readonly Uint8Array[];
  readonly #builder = new WriteRequestBuilder();

  constructor(index: number, startMs: number) {
    // Each begins at another node.
    this.requestsCount = index;
    this.#startMs = startMs;
    this.#firstSeries = index * seriesPerWriter;
    this.#labels = Array.from({ length: seriesPerWriter }, (_, series) =>
      encodeLabelFields([
        ['__name__', metric],
        ['job', 'demo'],
        ['series', String(this.#firstSeries + series)],
      ]),
    );
  }

  /** The next request's body. */
  next(): Uint8Array {
    const value = new Float64Array(1);
    const halves = new Uint32Array(value.buffer);
    for (const [series, labels] of this.#labels.entries()) {
      for (let i = 0; i < samplesPerSeries; i++) {
        const position = this.sent + i;
        value[0] = valueOf(this.#firstSeries + series, position);
        this.#builder.add(labels, 0, labels.length, this.#startMs + position * intervalMs, halves, 0);
      }
    }
    this.sent += samplesPerSeries;
    this.requestsCount++;
    return this.#builder.finish();
  }
}
