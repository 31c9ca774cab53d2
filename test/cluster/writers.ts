// The load: writers that send step after step of their own series, try again like Prometheus until a step is acknowledged, and
// know exactly what was acknowledged when. Values follow from writer, series and step, so that nothing has to be kept.
//
// Values are integers of at most 2^40: sums of them are exact in any order, and a changed bit shows. A step goes as one body, with
// one sample of each series of a group; groups take turns, as targets do that are scraped one after the other. The steps before
// `acknowledgedCount` are acknowledged, those from `sentCount` on were never sent.
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { encodeLabelFields, WriteRequestBuilder } from '../../bench/load/write-request.ts';
import type { Fleet, FleetNode } from './fleet.ts';
import type { Journal } from './journal.ts';

const retryPauseMs = 100;
// As Prometheus's remote_timeout.
const requestTimeoutMs = 30_000;

export const metricName = 'cluster_test_sample';

function mixed(a: number, b: number): number {
  let hash = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

export interface WriterOptions {
  readonly name: string;
  /** Always the same node, as a Prometheus does; undefined: any that serves, another after an error, as behind a balancer. */
  readonly home?: FleetNode;
  /** Of one group. Series are numbered through all groups: series i is of group i modulo `groupsCount`. */
  readonly seriesPerStep: number;
  readonly groupsCount: number;
  readonly startMs: number;
  readonly stepMs: number;
  readonly pauseMs: number;
}

export class Writer {
  readonly options: WriterOptions;
  acknowledgedCount = 0;
  sentCount = 0;
  readonly #fleet: Fleet;
  readonly #journal: Journal;
  readonly #agent = new Agent({ headersTimeout: requestTimeoutMs, bodyTimeout: requestTimeoutMs });
  readonly #builder = new WriteRequestBuilder();
  readonly #labels: readonly Uint8Array[];
  readonly #seed: number;
  #turn = 0;
  #isStopped = false;

  constructor(options: WriterOptions, fleet: Fleet, journal: Journal) {
    this.options = options;
    this.#fleet = fleet;
    this.#journal = journal;
    this.#seed = mixed(options.groupsCount, Buffer.from(options.name).reduce((sum, byte) => sum * 31 + byte, 7) >>> 0);
    this.#labels = Array.from({ length: options.seriesPerStep * options.groupsCount }, (_, series) =>
      encodeLabelFields([
        ['__name__', metricName],
        ['series', String(series)],
        ['writer', options.name],
      ]),
    );
  }

  timestampMs(step: number): number {
    return this.options.startMs + step * this.options.stepMs;
  }

  valueOf(series: number, step: number): number {
    return mixed(this.#seed + series, step) * 256 + (mixed(step, series) & 255);
  }

  /** The series that have a sample at this step. */
  seriesOf(step: number): number[] {
    const { seriesPerStep, groupsCount } = this.options;
    return Array.from({ length: seriesPerStep }, (_, index) => index * groupsCount + (step % groupsCount));
  }

  #body(step: number): Uint8Array {
    const value = new Float64Array(1);
    const halves = new Uint32Array(value.buffer);
    for (const series of this.seriesOf(step)) {
      const labels = this.#labels[series];
      if (!labels) continue;
      value[0] = this.valueOf(series, step);
      this.#builder.add(labels, 0, labels.length, this.timestampMs(step), halves, 0);
    }
    return this.#builder.finish();
  }

  /** Undefined where nobody that could be asked serves. */
  #target(): FleetNode | undefined {
    const { home } = this.options;
    if (home) return home.isMember && home.answers ? home : undefined;
    const able = this.#fleet.nodes.filter(({ condition, isMember }) => isMember && condition !== 'out');
    return able[this.#turn++ % able.length];
  }

  /** Undefined where it was acknowledged, else why not. */
  async #send(node: FleetNode, body: Uint8Array): Promise<string | undefined> {
    try {
      const { statusCode, body: answer } = await request(`${node.url}/api/v1/write`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
        body,
        dispatcher: this.#agent,
      });
      const text = await answer.text();
      return statusCode >= 200 && statusCode < 300 ? undefined : `${statusCode}: ${text.trim()}`;
    } catch (error) {
      return String(error);
    }
  }

  async #write(step: number): Promise<void> {
    const body = this.#body(step);
    while (!this.#isStopped) {
      const node = this.#target();
      if (node) {
        const { epoch } = node;
        const isPromised = this.#fleet.promisesWrites(node);
        const startedMs = performance.now();
        this.sentCount = step + 1;
        const failure = await this.#send(node, body);
        const tookMs = performance.now() - startedMs;
        if (failure === undefined) {
          this.acknowledgedCount = step + 1;
          this.#journal.acknowledged(this.options.seriesPerStep, tookMs);
          return;
        }
        const hasLeft = node.isLeaving && failure.includes('is left; send it to another node');
        if (!isPromised || hasLeft || node.epoch !== epoch || this.#journal.stalls.since(startedMs))
          this.#journal.excused();
        else this.#journal.violated(`write at ${node.name} failed after ${Math.round(tookMs)} ms: ${failure}`);
      }
      await sleep(retryPauseMs);
    }
  }

  async run(): Promise<void> {
    const { pauseMs } = this.options;
    for (let step = 0; !this.#isStopped; step++) {
      await this.#write(step);
      await sleep(pauseMs);
    }
    await this.#agent.close();
  }

  /** After the step that is under way, tried once more at most. */
  stop(): void {
    this.#isStopped = true;
  }
}
