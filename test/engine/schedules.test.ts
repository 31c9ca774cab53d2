// The engine against a plain map: whatever the schedule of writes, flushes, merges, restarts and time, queries answer as a
// set of samples would, where of two values at one timestamp the merge order decides.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { dayMs, hourMs, minuteMs, SeededRandom } from '../../src/base/index.ts';
import { compareValueBits, Matcher, SampleBuffer } from '../../src/model/index.ts';
import { SimClock } from '../../sim/clock.ts';
import { SimDisk } from '../../sim/disk.ts';
import { body, control, labelsOf, openWorld, readAll, type Sample, startMs, type World } from '../crash/world.ts';

const interestingBits: readonly bigint[] = [
  0n, // 0
  0x8000000000000000n, // -0
  0x3ff0000000000000n, // 1
  0xbff0000000000000n, // -1
  0x7ff0000000000000n, // +Inf
  0xfff0000000000000n, // -Inf
  0x7ff8000000000001n, // the NaN of arithmetic
  0x7ff0000000000002n, // the stale marker
  0x7ff0000000000003n, // another signalling NaN
  0xfff8dead0000beefn, // a negative NaN with a payload
  0x0000000000000001n, // the smallest subnormal
  0x40590a3d70a3d70an, // 100.16
];

type Step =
  | { readonly kind: 'write'; readonly seed: number; readonly count: number; readonly spreadMs: number }
  | { readonly kind: 'flush' | 'compact' | 'restart' | 'crash' | 'check' }
  | { readonly kind: 'advance'; readonly durationMs: number };

const spreadsMs = [minuteMs, 3 * hourMs, 2 * dayMs, 90 * dayMs];

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      seed: fc.nat(1e6),
      count: fc.integer({ min: 1, max: 60 }),
      spreadMs: fc.constantFrom(...spreadsMs),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('flush' as const, 'compact' as const, 'check' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('restart' as const, 'crash' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('advance' as const),
      durationMs: fc.constantFrom(hourMs, 7 * hourMs, 2 * dayMs),
    }),
  },
);

function randomSamples(seed: number, count: number, spreadMs: number, nowMs: number): Sample[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, () => {
    // A coarse grid in time makes timestamps meet.
    const gridMs = spreadMs / 64;
    const timestampMs = Math.floor((nowMs - random.below(64) * gridMs) / 1000) * 1000;
    const bits = interestingBits[random.below(interestingBits.length)] as bigint;
    return { series: random.below(6), timestampMs, bits };
  });
}

function halves(bits: bigint): [number, number] {
  return [Number(bits >> 32n), Number(bits & 0xffffffffn)];
}

function addToModel(model: Map<string, bigint>, samples: readonly Sample[]): void {
  for (const { series, timestampMs, bits } of samples) {
    const key = `${series} ${timestampMs}`;
    const present = model.get(key);
    if (present === undefined || compareValueBits(...halves(bits), ...halves(present)) > 0) model.set(key, bits);
  }
}

const sorted = (map: Map<string, bigint>): [string, string][] =>
  [...map].map(([key, bits]): [string, string] => [key, bits.toString(16)]).sort(([a], [b]) => (a < b ? -1 : 1));

async function run(steps: readonly Step[]): Promise<void> {
  const clock = new SimClock(startMs);
  let disk = new SimDisk();
  const options = { clock, limits: { segmentBytesMax: 4096 } };
  let world: World = await openWorld(disk, options);
  const model = new Map<string, bigint>();
  const check = async (what: string): Promise<void> => {
    assert.deepEqual(sorted(await readAll(world)), sorted(model), what);
  };
  for (const [index, one] of steps.entries()) {
    const { storage } = world;
    if (one.kind === 'write') {
      const samples = randomSamples(one.seed, one.count, one.spreadMs, clock.nowMs());
      addToModel(model, samples);
      const outcome = await clock.runUntil(storage.lane.write(body(samples)));
      assert.equal(outcome.samplesCount, samples.length);
      assert.deepEqual(outcome.rejections, []);
    } else if (one.kind === 'flush') await clock.runUntil(storage.lane.flushNow());
    else if (one.kind === 'compact') await clock.runUntil(storage.keeper.compactNow());
    else if (one.kind === 'advance') await clock.advance(one.durationMs);
    else if (one.kind === 'check') await check(`step ${index}`);
    else {
      if (one.kind === 'restart') await clock.runUntil(storage.close());
      else disk.crash();
      disk = disk.afterCrash(new SeededRandom(index));
      world = await openWorld(disk, options);
    }
  }
  await check('at the end');
  await checkRange(world, model);
  await clock.runUntil(world.storage.close());
}

/** A part of time, and some of the series. */
async function checkRange(world: World, model: Map<string, bigint>): Promise<void> {
  const fromMs = world.clock.nowMs() - 30 * dayMs;
  const toMs = world.clock.nowMs() - 30 * minuteMs;
  const session = world.storage.reader.openSession();
  const request = { matchers: [new Matcher('__name__', '=~', 'm[01]')], startMs: fromMs, endMs: toMs };
  const [selection] = await world.clock.runUntil(session.select([request], control));
  const found = new Map<string, bigint>();
  const buffer = new SampleBuffer();
  for (const series of selection?.series ?? []) {
    series.read(buffer);
    const bits = new BigUint64Array(buffer.values.buffer);
    for (let i = 0; i < buffer.count; i++) {
      found.set(`${series.labels.get('series')} ${buffer.timestampsMs[i]}`, bits[i] as bigint);
    }
  }
  session.close();
  const expected = [...model].filter(([key]) => {
    const [series, timestampMs] = key.split(' ').map(Number) as [number, number];
    return series % 3 < 2 && timestampMs >= fromMs && timestampMs <= toMs;
  });
  assert.deepEqual(sorted(found), sorted(new Map(expected)), 'a part of the time, some of the series');
}

suite('the engine is a set of samples', () => {
  test('under any schedule of writes, flushes, merges, restarts and time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), (steps) => run(steps)),
      { numRuns: 12 },
    );
  });

  test('series, names and values are the same from head and parts', async () => {
    const clock = new SimClock(startMs);
    const world = await openWorld(new SimDisk(), { clock });
    const look = async (): Promise<unknown> => {
      const session = world.storage.reader.openSession();
      const all = { selectors: [], startMs: startMs - 90 * dayMs, endMs: startMs };
      const some = { ...all, selectors: [[new Matcher('series', '=~', '[13]')], [new Matcher('__name__', '=', 'm2')]] };
      const answer = [];
      for (const request of [all, some]) {
        answer.push((await clock.runUntil(session.series(request, control))).map(String));
        answer.push(await clock.runUntil(session.labelNames(request, control)));
        answer.push(await clock.runUntil(session.labelValues('series', request, control)));
      }
      session.close();
      return answer;
    };
    await clock.runUntil(world.storage.lane.write(body(randomSamples(7, 60, 60 * dayMs, startMs))));
    const before = await look();
    assert.deepEqual((before as unknown[][])[2], ['0', '1', '2', '3', '4', '5']);
    assert.deepEqual((before as unknown[][])[5], ['1', '2', '3', '5']);
    await clock.runUntil(world.storage.lane.flushNow());
    assert.deepEqual(await look(), before);
    await clock.runUntil(world.storage.keeper.compactNow());
    assert.deepEqual(await look(), before);
    assert.equal(
      labelsOf(1).toString(),
      (before as string[][])[0]?.find((text) => text.includes('"1"')),
    );
  });
});
