// The load generator: targets scraped at their intervals, as a stream of remote write bodies. Deterministic from its seed.
//
// Targets are dealt to shards, as Prometheus's sender deals series: bodies of one shard must arrive in order, bodies of
// different shards may overtake each other. A target's scrapes have an offset of their own within the interval, now and
// then a few milliseconds late; a target that restarts (churn) ends its series by stale markers and begins new ones.
import { SeededRandom } from '../../src/base/index.ts';
import { staleMarkerHigh, staleMarkerLow } from '../../src/model/index.ts';
import { seriesPerTarget, Target } from './target.ts';
import { WriteRequestBuilder } from './write-request.ts';

export interface LoadOptions {
  readonly seed: number;
  readonly targetsCount: number;
  readonly startMs: number;
  readonly durationMs: number;
  /** Dealt to the targets in turn; each a multiple of the first. */
  readonly intervalsMs: readonly number[];
  /** How long a target lives before it restarts under a new name; 0: it never does. */
  readonly lifetimeMs: number;
  readonly shardsCount: number;
  readonly samplesPerBody: number;
}

export interface LoadBody {
  readonly shard: number;
  readonly samplesCount: number;
  /** A snappy-compressed remote write 1.0 request. */
  readonly body: Uint8Array;
}

export const loadDefaults = {
  seed: 1,
  intervalsMs: [15_000],
  lifetimeMs: 0,
  shardsCount: 4,
  samplesPerBody: 2000,
} as const;

const lateScrapeOneIn = 64;
const lateMsMax = 12;

const staleMarkerHalves = Uint32Array.of(staleMarkerLow, staleMarkerHigh);

class ScheduledTarget {
  readonly shard: number;
  readonly intervalMs: number;
  readonly #options: LoadOptions;
  readonly #index: number;
  readonly #random: SeededRandom;
  readonly #offsetMs: number;
  readonly #ageAtStartMs: number;
  #generation = 0;
  #target: Target;

  constructor(options: LoadOptions, index: number) {
    this.#options = options;
    this.#index = index;
    this.shard = index % options.shardsCount;
    this.intervalMs = options.intervalsMs[index % options.intervalsMs.length] ?? 15_000;
    this.#random = new SeededRandom(Math.imul(options.seed + 1, 0x85ebca6b) ^ index);
    this.#offsetMs = this.#random.below(options.intervalsMs[0] ?? 15_000);
    this.#ageAtStartMs = this.#random.below(Math.max(1, options.lifetimeMs));
    this.#target = this.#begin();
  }

  #begin(): Target {
    return new Target({ seed: this.#options.seed, index: this.#index, generation: this.#generation });
  }

  /** Adds the scrape that is due in the tick that begins at `tickMs` (counted from the load's start). */
  scrape(tickMs: number, add: (target: Target, timestampMs: number, valueHalves: Uint32Array) => void): void {
    const lateMs = this.#random.below(lateScrapeOneIn) === 0 ? 1 + this.#random.below(lateMsMax) : 0;
    const timestampMs = this.#options.startMs + tickMs + this.#offsetMs + lateMs;
    const { lifetimeMs } = this.#options;
    const generation = lifetimeMs > 0 ? Math.floor((tickMs + this.#ageAtStartMs) / lifetimeMs) : 0;
    if (generation !== this.#generation) {
      add(this.#target, timestampMs, staleMarkerHalves);
      this.#generation = generation;
      this.#target = this.#begin();
    }
    add(this.#target, timestampMs, this.#target.valueHalves);
    this.#target.advance();
  }
}

/** All bodies, in time order within each shard. A body is the caller's to keep. */
export function* generateLoad(options: LoadOptions): Generator<LoadBody> {
  const targets = Array.from({ length: options.targetsCount }, (_, index) => new ScheduledTarget(options, index));
  const builders = Array.from({ length: options.shardsCount }, () => new WriteRequestBuilder());
  const tickLengthMs = options.intervalsMs[0] ?? 15_000;
  const full: LoadBody[] = [];
  const take = (shard: number, builder: WriteRequestBuilder): void => {
    full.push({ shard, samplesCount: builder.samplesCount, body: builder.finish() });
  };
  for (let tickMs = 0; tickMs < options.durationMs; tickMs += tickLengthMs) {
    for (const scheduled of targets) {
      if (tickMs % scheduled.intervalMs !== 0) continue;
      const builder = builders[scheduled.shard];
      if (!builder) continue;
      scheduled.scrape(tickMs, (target, timestampMs, valueHalves) => {
        const { labelFields, offsets } = target;
        for (let i = 0; i < seriesPerTarget; i++) {
          const valueIndex = valueHalves === staleMarkerHalves ? 0 : i;
          builder.add(labelFields, offsets[i] ?? 0, offsets[i + 1] ?? 0, timestampMs, valueHalves, valueIndex);
          if (builder.samplesCount === options.samplesPerBody) take(scheduled.shard, builder);
        }
      });
      yield* full.splice(0);
    }
  }
  for (const [shard, builder] of builders.entries()) if (builder.samplesCount > 0) take(shard, builder);
  yield* full;
}

/** The load with all its bodies in memory, so that sending costs no generation. */
export function prepareLoad(options: LoadOptions): {
  readonly bodies: readonly LoadBody[];
  readonly samplesCount: number;
} {
  const bodies = [...generateLoad(options)];
  return { bodies, samplesCount: bodies.reduce((sum, { samplesCount }) => sum + samplesCount, 0) };
}
