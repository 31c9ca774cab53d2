// Damaged parts: queries that need them fail and say where, everything else goes on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dayMs, hourMs, minuteMs } from '../../src/base/index.ts';
import { Matcher, SampleBuffer } from '../../src/model/index.ts';
import { SimClock } from '../../sim/clock.ts';
import { SimDisk } from '../../sim/disk.ts';
import { body, control, openWorld, type Sample, startMs, type World } from '../crash/world.ts';

const sample = (series: number, timestampMs: number): Sample => ({ series, timestampMs, bits: BigInt(timestampMs) });

async function read(world: World, fromMs: number, toMs: number): Promise<number> {
  const session = world.storage.reader.openSession();
  try {
    const request = { matchers: [new Matcher('series', '!=', '')], startMs: fromMs, endMs: toMs };
    const [selection] = await world.clock.runUntil(session.select([request], control));
    const buffer = new SampleBuffer();
    let count = 0;
    for (const series of selection?.series ?? []) {
      series.read(buffer);
      count += buffer.count;
    }
    return count;
  } finally {
    session.close();
  }
}

test('a damaged part fails the queries of its time, not the node, and other parts are still merged', async () => {
  const clock = new SimClock(startMs);
  const world = await openWorld(new SimDisk(), { clock });
  const damagedMs = startMs - 90 * dayMs;
  const soundMs = startMs - 3 * dayMs;
  for (let i = 0; i < 4; i++) {
    const samples = [0, 1, 2].flatMap((series) => [sample(series, damagedMs + i), sample(series, soundMs + i)]);
    await clock.runUntil(world.storage.lane.write(body(samples)));
    await clock.runUntil(world.storage.lane.flushNow());
  }
  await clock.runUntil(world.storage.close());
  const disk = world.disk.afterCrash(undefined);
  const [first] = disk.list('parts').map(({ name }) => name);
  for (const { name } of disk.list(`parts/${first}`)) {
    const file = disk.open(`parts/${first}/${name}`, 'write');
    const middle = Math.floor(file.sizeBytes() / 3);
    file.write(Uint8Array.of(0xde, 0xad, 0xbe, 0xef), middle);
    file.sync();
  }
  const after = await openWorld(disk, { clock });
  await assert.rejects(read(after, damagedMs - hourMs, damagedMs + hourMs), /PART_CORRUPT.*parts\/1/);
  assert.equal(await read(after, soundMs - hourMs, soundMs + hourMs), 12);
  const before = after.storage.keeper.status().partsCount;
  await clock.advance(20 * minuteMs);
  assert.ok(after.storage.keeper.status().partsCount < before, 'the sound window was merged');
  assert.equal(await read(after, soundMs - hourMs, soundMs + hourMs), 12);
  await assert.rejects(read(after, damagedMs - hourMs, damagedMs + hourMs), /PART_CORRUPT/);
});
