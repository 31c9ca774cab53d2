// The engine at its edges: full queues, full memory, full disks, samples out of bounds, pins, deletes, retention, damage.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { dayMs, hourMs, mib, minuteMs } from '../../src/base/index.ts';
import { Matcher, SampleBuffer } from '../../src/model/index.ts';
import { SimClock } from '../../sim/clock.ts';
import { SimDisk } from '../../sim/disk.ts';
import { body, control, labelsOf, openWorld, readAll, type Sample, startMs, type World } from '../crash/world.ts';

const sample = (series: number, timestampMs: number, bits: number): Sample => ({
  series,
  timestampMs,
  bits: BigInt(bits),
});
/** A value that does not compress. */
const noise = (series: number, timestampMs: number, number: number): Sample => ({
  series,
  timestampMs,
  bits: BigInt.asUintN(64, BigInt(number + 1) * 0x9e3779b97f4a7c15n),
});
const write = (world: World, samples: readonly Sample[]) =>
  world.clock.runUntil(world.storage.lane.write(body(samples)));
const flush = (world: World) => world.clock.runUntil(world.storage.lane.flushNow());

/** Every look at the clock takes a while, so that work in slices gives way after a few steps. */
class BusyClock extends SimClock {
  #looks = 0;

  override monotonicMs(): number {
    this.#looks++;
    return super.monotonicMs() + this.#looks * 4;
  }
}

suite('lane', () => {
  test('refuses writes while too much waits for the disk, and takes them again afterwards', async () => {
    const world = await openWorld(new SimDisk(), { limits: { pendingBytesMax: 500 } });
    const bodies = Array.from({ length: 40 }, (_, i) => body([sample(i, startMs, i)]));
    const results = await world.clock.runUntil(Promise.allSettled(bodies.map((one) => world.storage.lane.write(one))));
    const refused = results.filter(({ status }) => status === 'rejected');
    assert.ok(refused.length > 0 && refused.length < 40, `${refused.length} refused`);
    for (const result of refused) assert.match(String((result as PromiseRejectedResult).reason), /LANE_BUSY/);
    assert.equal((await readAll(world)).size, 40 - refused.length);
    await write(world, [sample(1, startMs + 1, 1)]);
    assert.equal(world.storage.lane.status().busyTotal, refused.length);
  });

  test('stores what is within bounds and names what is not', async () => {
    const world = await openWorld(new SimDisk(), { retentionMs: 10 * dayMs });
    const samples = [sample(1, startMs - 11 * dayMs, 1), sample(2, startMs + hourMs, 2), sample(3, startMs, 3)];
    const { samplesCount, rejections } = await write(world, samples);
    assert.equal(samplesCount, 1);
    assert.deepEqual(rejections.map(({ reason }) => reason).toSorted(), ['OUT_OF_BOUNDS_FUTURE', 'OUT_OF_BOUNDS_OLD']);
    assert.match(rejections.map(({ text }) => text).join(), /series="1".*series="2"/s);
    assert.deepEqual([...(await readAll(world)).keys()], [`3 ${startMs}`]);
    await assert.rejects(
      write(world, []).then(() => world.storage.lane.write(Uint8Array.of(9, 1, 2))),
      { code: 'WIRE_CORRUPT' },
    );
  });

  test('a duplicate is counted, stored once, and still waits for its own sync', async () => {
    const world = await openWorld(new SimDisk());
    const one = body([sample(1, startMs, 5)]);
    const [first, second] = await world.clock.runUntil(
      Promise.all([world.storage.lane.write(one), world.storage.lane.write(one)]),
    );
    assert.deepEqual([first?.duplicatesCount, second?.duplicatesCount], [0, 1]);
    const crashed = await openWorld(world.disk.afterCrash(undefined));
    assert.equal((await readAll(crashed)).size, 1);
  });

  test('a generation with enough samples is flushed by itself, and its log goes', async () => {
    const world = await openWorld(new SimDisk(), { limits: { generationSamplesMax: 10 } });
    for (let i = 0; i < 25; i++) await write(world, [sample(i % 4, startMs - 60_000 + i * 1000, i)]);
    await world.clock.advance(minuteMs);
    assert.equal(world.storage.keeper.status().partSamplesCount, 20);
    assert.deepEqual(
      world.disk.list('log').map(({ name }) => name),
      ['3-0-0'],
    );
    assert.equal((await readAll(world)).size, 25);
  });

  test('an old generation is flushed, an empty one is not', async () => {
    const world = await openWorld(new SimDisk());
    await world.clock.advance(5 * hourMs);
    assert.equal(world.storage.keeper.status().flushesTotal, 0);
    await write(world, [sample(1, startMs, 1)]);
    await world.clock.advance(3 * hourMs);
    assert.equal(world.storage.keeper.status().flushesTotal, 1);
  });

  test('full memory: refuses, flushes, goes on; nothing acknowledged is lost', async () => {
    const world = await openWorld(new SimDisk(), { limits: { headBytesMax: 4 * mib } });
    const acknowledged = new Set<string>();
    let busy = 0;
    for (let round = 0; round < 500; round++) {
      const samples = Array.from({ length: 500 }, (_, i) =>
        noise(i, startMs - 600_000 + round * 1000, round * 500 + i),
      );
      try {
        await write(world, samples);
        for (const { series, timestampMs } of samples) acknowledged.add(`${series} ${timestampMs}`);
      } catch (error) {
        assert.match(String(error), /LANE_BUSY/);
        busy++;
        await world.clock.advance(1000);
      }
    }
    assert.ok(acknowledged.size > 10_000, `${acknowledged.size} acknowledged, ${busy} times busy`);
    assert.ok(world.storage.keeper.status().flushesTotal > 0, 'memory was given back by flushing');
    const found = await readAll(world);
    for (const key of acknowledged) assert.ok(found.has(key), key);
  });

  test('a full disk refuses writes; when there is room again they are taken, under another generation', async () => {
    const world = await openWorld(new SimDisk());
    await write(world, [sample(1, startMs, 1)]);
    world.disk.capacityBytes = 0;
    for (let i = 0; i < 3; i++) {
      await assert.rejects(write(world, [sample(2, startMs + i, i)]), /DISK_FULL|LOG_FAILED/);
    }
    world.disk.capacityBytes = Number.POSITIVE_INFINITY;
    await world.clock.advance(minuteMs);
    await write(world, [sample(3, startMs, 3)]);
    const found = await readAll(world);
    assert.ok(found.has(`1 ${startMs}`) && found.has(`3 ${startMs}`));
    const after = await openWorld(world.disk.afterCrash(undefined));
    const recovered = await readAll(after);
    assert.ok(recovered.has(`1 ${startMs}`) && recovered.has(`3 ${startMs}`));
    assert.deepEqual(world.fatal, []);
  });

  test('queries wait for the replay, writes do not; the report says what was recovered', async () => {
    const first = await openWorld(new SimDisk());
    for (let i = 0; i < 20; i++) await write(first, [sample(i, startMs - i, i)]);
    const clock = new BusyClock(startMs);
    const second = await openWorld(first.disk.afterCrash(undefined), { clock });
    const session = second.storage.reader.openSession();
    const early = session.labelNames({ selectors: [], startMs: 0, endMs: 4e12 }, control);
    const stored = second.storage.lane.write(body([sample(50, startMs, 50)]));
    await assert.rejects(early, { code: 'STORAGE_REPLAYING' });
    session.close();
    assert.equal((await second.clock.runUntil(stored)).samplesCount, 1);
    const report = await second.clock.runUntil(second.storage.lane.replayed);
    assert.deepEqual([report.samplesCount, report.seriesCount, report.segmentsCount], [20, 20, 1]);
    assert.equal((await readAll(second)).size, 21);
  });

  test('a log of many generations and small segments is replayed into few, also where memory is short', async () => {
    const disk = new SimDisk();
    const expected = new Map<string, bigint>();
    for (let run = 0; run < 6; run++) {
      // No flush: each run leaves its generation.
      const world = await openWorld(disk, {
        limits: { segmentBytesMax: 2000, headBytesMax: 4 * mib },
      });
      await world.clock.runUntil(world.storage.lane.replayed);
      for (let i = 0; i < 10; i++) {
        const timeMs = startMs - 900_000 + run * 20_000 + i * 1000;
        const samples = Array.from({ length: 400 }, (_, s) => noise(s, timeMs, (run * 10 + i) * 400 + s));
        await write(world, samples).catch((error: unknown) => {
          assert.match(String(error), /LANE_BUSY/);
          samples.length = 0;
        });
        for (const { series, timestampMs, bits } of samples) expected.set(`${series} ${timestampMs}`, bits);
      }
      await world.clock.runUntil(world.storage.close());
    }
    const world = await openWorld(disk, { limits: { headBytesMax: 4 * mib } });
    assert.deepEqual(await readAll(world), expected);
  });

  test('damaged acknowledged frames are reported with their place, the rest is kept', async () => {
    const world = await openWorld(new SimDisk());
    for (let i = 0; i < 5; i++) await write(world, [sample(1, startMs + i, i)]);
    const damaged = world.disk.afterCrash(undefined);
    const file = damaged.open('log/1-0-0', 'write');
    const size = file.sizeBytes();
    file.write(Uint8Array.of(0xff, 0xff), size - 200);
    file.sync();
    const after = await openWorld(damaged);
    const report = await after.clock.runUntil(after.storage.lane.replayed);
    assert.equal(report.damage[0]?.kind, 'corrupt');
    assert.equal(report.damage[0]?.file, 'log/1-0-0');
    assert.equal(report.samplesCount, 4);
    assert.equal((await readAll(after)).size, 4);
  });

  test('a head of mostly dead series is replaced, and the series that live on go on', async () => {
    const world = await openWorld(new SimDisk(), { limits: { headBytesMax: 16 * mib } });
    const all: Sample[] = [];
    for (let round = 0; round < 8; round++) {
      const samples = Array.from({ length: 300 }, (_, i) =>
        sample(round * 300 + i, startMs - 80_000 + round * 10_000, i),
      );
      samples.push(sample(1_000_000, startMs - 80_000 + round * 10_000, round));
      await write(world, samples);
      all.push(...samples);
      await flush(world);
    }
    assert.ok(
      world.storage.lane.status().seriesCount < 1500,
      `${world.storage.lane.status().seriesCount} series in the head`,
    );
    const found = await readAll(world);
    assert.equal(found.size, all.length);
    for (const { series, timestampMs, bits } of all) assert.equal(found.get(`${series} ${timestampMs}`), bits);
  });
});

suite('snapshots', () => {
  test('a session reads what it selected while generations are flushed and parts merged under it', async () => {
    const world = await openWorld(new SimDisk());
    for (let i = 0; i < 3; i++) {
      await write(world, [sample(1, startMs + i, i), sample(2, startMs + i, i)]);
      if (i < 2) await flush(world);
    }
    const session = world.storage.reader.openSession();
    const request = { matchers: [new Matcher('series', '=', '1')], startMs: 0, endMs: 4e12 };
    const [selection] = await world.clock.runUntil(session.select([request], control));
    await flush(world);
    await world.clock.runUntil(world.storage.keeper.compactNow());
    for (let i = 3; i < 6; i++) {
      await write(world, [sample(3, startMs + i, i)]);
      await flush(world);
    }
    await world.clock.runUntil(world.storage.keeper.compactNow());
    assert.ok(
      world.disk.list('parts').length > world.storage.keeper.status().partsCount,
      'inputs stay while they are used',
    );
    const buffer = new SampleBuffer();
    selection?.series[0]?.read(buffer);
    assert.deepEqual([...buffer.timestampsMs.subarray(0, buffer.count)], [startMs, startMs + 1, startMs + 2]);
    session.close();
    await world.clock.advance(100);
    assert.equal(world.disk.list('parts').length, world.storage.keeper.status().partsCount, 'and go afterwards');
  });

  test('a query that begins at any moment of a flush or a merge sees every sample once', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const world = await openWorld(new SimDisk(), { seed, delaysMax: 80 });
      for (let written = 1; written <= 20; written++) {
        await write(world, [sample(1, startMs + written, written)]);
        const job = written % 4 === 3 ? world.storage.keeper.compactNow() : world.storage.lane.flushNow();
        const hops = (written * 37 + seed * 11) % 250;
        for (let i = 0; i < hops; i++) await Promise.resolve();
        assert.equal((await readAll(world)).size, written, `seed ${seed}, begun ${hops} microtasks after the job`);
        await world.clock.runUntil(job);
      }
    }
  });

  test('a reader that died holds nothing back', async () => {
    const world = await openWorld(new SimDisk());
    await write(world, [sample(1, startMs, 1)]);
    const { createInlineChannel } = await import('../../src/storage/inline-channel.ts');
    const [channel, ours] = createInlineChannel();
    const [keeperEnd, ours2] = createInlineChannel();
    const detachLane = world.storage.lane.serve(channel);
    const detachKeeper = world.storage.keeper.serve(keeperEnd);
    ours.post({ kind: 'call', id: 1, method: 'snapshot', argument: { knownHeadIds: [] } });
    ours2.post({ kind: 'call', id: 1, method: 'hello', argument: {} });
    await world.clock.advance(1);
    await flush(world);
    assert.equal(world.storage.lane.status().generationsCount, 2, 'the flushed generation is pinned');
    detachLane();
    detachKeeper();
    assert.equal(world.storage.lane.status().generationsCount, 1);
  });
});

suite('deletes and retention', () => {
  test('deleted samples vanish from head and parts, and writes into the range are refused', async () => {
    const world = await openWorld(new SimDisk());
    await write(world, [sample(1, startMs - 3000, 1), sample(2, startMs - 3000, 2)]);
    await flush(world);
    await write(world, [sample(1, startMs - 2000, 3), sample(2, startMs - 2000, 4)]);
    const request = { series: [labelsOf(1)], startMs: startMs - 5000, endMs: startMs - 1000 };
    await world.clock.runUntil(world.storage.keeper.deleteSeries(request));
    const left = [`2 ${startMs - 3000}`, `2 ${startMs - 2000}`];
    assert.deepEqual([...(await readAll(world)).keys()].toSorted(), left);
    const { samplesCount, rejections } = await write(world, [
      sample(1, startMs - 2500, 9),
      sample(1, startMs - 500, 5),
    ]);
    assert.equal(samplesCount, 1);
    assert.deepEqual(
      rejections.map(({ reason, samplesCount: count }) => [reason, count]),
      [['DELETED', 1]],
    );
    assert.match(rejections[0]?.text ?? '', /m1.*series="1".* is in a deleted range/);
    const expected = [`1 ${startMs - 500}`, ...left].toSorted();
    await flush(world);
    await world.clock.runUntil(world.storage.keeper.compactNow());
    assert.deepEqual([...(await readAll(world)).keys()].toSorted(), expected);
    const again = await openWorld(world.disk.afterCrash(undefined));
    assert.deepEqual([...(await readAll(again)).keys()].toSorted(), expected);
    await assert.rejects(
      world.clock.runUntil(world.storage.keeper.deleteSeries({ ...request, endMs: startMs + hourMs })),
      { code: 'DELETE_FUTURE' },
    );
  });

  test('samples past retention are not shown, and their parts go', async () => {
    const clock = new SimClock(startMs);
    const world = await openWorld(new SimDisk(), { clock, retentionMs: 2 * dayMs });
    await write(world, [sample(1, startMs - dayMs, 1), sample(1, startMs, 2)]);
    await flush(world);
    assert.equal(world.storage.keeper.status().partsCount, 2);
    await clock.advance(dayMs + hourMs);
    assert.deepEqual([...(await readAll(world)).keys()], [`1 ${startMs}`]);
    assert.equal(world.storage.keeper.status().partsCount, 1);
    assert.equal(world.disk.list('parts').length, 1);
  });
});
