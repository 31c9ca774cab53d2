// A storage engine on a simulated disk, driven by hand, beside a plain model of what it must hold: per series and timestamp
// the values that were written, as bits. Shared by the crash tests and the schedule tests.
import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { kib, mib, SeededRandom } from '../../src/base/index.ts';
import { Labels, Matcher, SampleBuffer } from '../../src/model/index.ts';
import type { Channel, Log } from '../../src/ports/index.ts';
import {
  type InlineStorage,
  type LaneLimits,
  openStorage,
  type ReadSession,
  type ReplicationOptions,
} from '../../src/storage/index.ts';
import { createInlineChannel } from '../../src/storage/inline-channel.ts';
import { loadTestModule } from '../../src/wasm/test-modules.ts';
import { encodeWriteRequest, wrapSnappy } from '../../src/wire/index.ts';
import { SimClock } from '../../sim/clock.ts';
import type { SimDisk } from '../../sim/disk.ts';
import { SimRandom } from '../../sim/random.ts';

export interface Sample {
  readonly series: number;
  readonly timestampMs: number;
  /** Bits of the value. */
  readonly bits: bigint;
}

export const modules = {
  wire: loadTestModule('wire'),
  head: loadTestModule('head'),
  pages: loadTestModule('pages'),
};

/** Memory is cleared for every start: small kernels make many starts quick. */
const smallWire = { bodyBytesMax: 256 * kib, decompressedBytesMax: 256 * kib, cacheBytesMax: 256 * kib };

export const startMs = Date.UTC(2026, 5, 3, 10, 0);
export const labelsOf = (series: number): Labels => Labels.of({ __name__: `m${series % 3}`, series: `${series}` });

const quietLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => quietLog,
};

export const control = { check: () => undefined, addBytes: () => undefined };

/** A remote-write body. */
export function body(samples: readonly Sample[]): Uint8Array {
  const bySeries = new Map<number, Sample[]>();
  for (const sample of samples) bySeries.set(sample.series, [...(bySeries.get(sample.series) ?? []), sample]);
  return wrapSnappy(
    encodeWriteRequest(
      [...bySeries].map(([series, own]) => ({
        labels: labelsOf(series).pairs,
        timestampsMs: Float64Array.from(own, ({ timestampMs }) => timestampMs),
        values: new Float64Array(BigUint64Array.from(own, ({ bits }) => bits).buffer),
      })),
    ),
  );
}

export interface World {
  readonly disk: SimDisk;
  readonly clock: SimClock;
  readonly storage: InlineStorage;
  readonly fatal: unknown[];
}

export interface WorldOptions {
  readonly clock?: SimClock;
  readonly seed?: number;
  readonly limits?: Partial<LaneLimits>;
  readonly retentionMs?: number;
  readonly retentionBytes?: number;
  /** Messages between the actors take up to so many microtasks, at random, in order within a channel. */
  readonly delaysMax?: number;
  readonly replication?: ReplicationOptions;
}

function delayedChannels(seed: number, delaysMax: number): () => [Channel, Channel] {
  const random = new SeededRandom(seed);
  const delayed = (end: Channel): Channel => {
    let last: Promise<void> = Promise.resolve();
    const deliver = async (before: Promise<void>, hops: number, message: unknown): Promise<void> => {
      await before;
      for (let i = 0; i < hops; i++) await Promise.resolve();
      end.post(message);
    };
    return {
      post(message) {
        last = deliver(last, random.below(delaysMax + 1), message);
      },
      onMessage: (handler) => end.onMessage(handler),
      close: () => end.close(),
    };
  };
  return () => {
    const [first, second] = createInlineChannel();
    return [delayed(first), delayed(second)];
  };
}

export async function openWorld(disk: SimDisk, options: WorldOptions = {}): Promise<World> {
  const clock = options.clock ?? new SimClock(startMs);
  const fatal: unknown[] = [];
  const storage = await clock.runUntil(
    openStorage({
      disk,
      clock,
      random: new SimRandom(options.seed ?? 1),
      log: quietLog,
      modules,
      retention: { timeMs: options.retentionMs ?? 365 * 86_400_000, sizeBytes: options.retentionBytes },
      limits: { headBytesMax: 64 * mib, wire: smallWire, ...options.limits },
      onFatal: (error) => fatal.push(error),
      ...(options.replication ? { replication: options.replication } : {}),
      createChannel: options.delaysMax ? delayedChannels(options.seed ?? 1, options.delaysMax) : createInlineChannel,
    }),
  );
  return { disk, clock, storage, fatal };
}

/** Everything the storage answers for, as `series timestamp` → bits. */
export async function readAll({ storage, clock }: World, fromMs = 0, toMs = 4e12): Promise<Map<string, bigint>> {
  if (storage.lane.status().replaying) await clock.runUntil(storage.lane.replayed);
  const session: ReadSession = storage.reader.openSession();
  try {
    const matchers = [new Matcher('series', '!=', '')];
    const [selection] = await clock.runUntil(session.select([{ matchers, startMs: fromMs, endMs: toMs }], control));
    assert.ok(selection);
    const found = new Map<string, bigint>();
    const buffer = new SampleBuffer();
    let previous: Labels | undefined;
    for (const series of selection.series) {
      const { labels } = series;
      if (previous) assert.ok(Labels.compare(previous, labels) < 0, 'series are in label order, none twice');
      previous = labels;
      series.read(buffer);
      const bits = new BigUint64Array(buffer.values.buffer);
      for (let i = 0; i < buffer.count; i++) {
        const timestampMs = buffer.timestampsMs[i] as number;
        if (i > 0) assert.ok((buffer.timestampsMs[i - 1] as number) < timestampMs, 'samples are in time order');
        found.set(`${labels.get('series')} ${timestampMs}`, bits[i] as bigint);
      }
    }
    return found;
  } finally {
    session.close();
    await setImmediate();
  }
}
