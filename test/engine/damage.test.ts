// Damaged parts: queries that need them fail and say where, everything else goes on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dayMs, hourMs, minuteMs, SeededRandom } from '../../src/base/index.ts';
import { Matcher, SampleBuffer } from '../../src/model/index.ts';
import { SimClock } from '../../sim/clock.ts';
import { identifyStore, PairReader } from '../../src/storage/index.ts';
import { SimDisk } from '../../sim/disk.ts';
import { SimRandom } from '../../sim/random.ts';
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

const replication = { onLogCut: async (): Promise<Uint8Array> => new Uint8Array() };

/** A directory with parts of two windows. */
async function withParts(clock: SimClock): Promise<SimDisk> {
  const world = await openWorld(new SimDisk(), { clock, replication });
  for (const timeMs of [startMs - 90 * dayMs, startMs - 3 * dayMs]) {
    await clock.runUntil(world.storage.lane.write(body([0, 1, 2].map((series) => sample(series, timeMs)))));
    await clock.runUntil(world.storage.lane.flushNow());
  }
  identifyStore(world.storage.lane.state, new SimRandom(1), world.disk.identity(), []);
  await clock.runUntil(world.storage.close());
  return world.disk.afterCrash(undefined);
}

function damage(disk: SimDisk, file: string): void {
  const opened = disk.open(file, 'write');
  // More than there is between two blocks.
  const bytes = new Uint8Array(16);
  const middle = Math.floor(opened.sizeBytes() / 3);
  opened.read(bytes, middle);
  opened.write(
    bytes.map((byte) => byte ^ 16),
    middle,
  );
  opened.sync();
  opened.close();
}

const storeOf = (world: World): string =>
  identifyStore(world.storage.lane.state, new SimRandom(2), world.disk.identity(), []).id;

test('every part is read through now and then; damage that nobody asked for is found and counted', async () => {
  const clock = new SimClock(startMs);
  const disk = await withParts(clock);
  const sound = await openWorld(disk, { clock });
  await clock.advance(10 * minuteMs);
  const { partsCheckedTotal, partsDamagedTotal } = sound.storage.keeper.status();
  assert.deepEqual([partsCheckedTotal, partsDamagedTotal], [2, 0]);
  await clock.runUntil(sound.storage.close());
  for (const file of ['pages', 'index', 'meta.json']) {
    const rotten = disk.afterCrash(undefined);
    damage(rotten, `parts/${rotten.list('parts').at(-1)?.name}/${file}`);
    const world = await openWorld(rotten, { clock });
    await clock.advance(10 * minuteMs);
    assert.equal(world.storage.keeper.status().partsDamagedTotal, 1, file);
    assert.deepEqual(world.fatal, [], 'a node by itself keeps what can still be read');
    await clock.runUntil(world.storage.close());
  }
});

test('in a cluster a damaged part makes the directory another store without it, whatever operation a crash comes at', async () => {
  const clock = new SimClock(startMs);
  const source = await withParts(clock);
  damage(source, 'parts/1/pages');
  const id = storeOf(await openWorld(source.afterCrash(undefined), { clock, replication }));
  const soundMs = startMs - 3 * dayMs;
  let operations = 1;
  for (let atOperation = 0; atOperation <= operations; atOperation++) {
    const disk = source.afterCrash(undefined);
    const world = await openWorld(disk, { clock, replication });
    world.storage.keeper.attach({ sizeFloor: () => undefined, mayAbandon: () => true });
    const before = disk.operationsCount;
    if (atOperation > 0) disk.fault = { atOperation: before + atOperation, kind: 'crash' };
    await assert.rejects(read(world, startMs - 91 * dayMs, startMs - 89 * dayMs));
    await clock.advance(1000);
    if (atOperation === 0) {
      operations = disk.operationsCount - before;
      assert.match(String(world.fatal), /STORE_DAMAGED.*parts\/1\/pages/);
    }
    const after = disk.afterCrash(new SeededRandom(atOperation + 1));
    // A process that finds the part still there finds the damage again.
    const again = await openWorld(after, { clock, replication });
    const isThere = again.storage.keeper.status().partsCount === 2;
    if (!isThere) {
      assert.notEqual(
        storeOf(again),
        id,
        `operation ${atOperation}: acknowledged samples are gone from the same store`,
      );
      assert.ok(after.exists('parts/1.damaged'), 'it is kept for whoever wants to look');
    }
    assert.equal(await read(again, soundMs - hourMs, soundMs + hourMs), 3);
    assert.ok(atOperation > 0 || !isThere);
  }
  assert.ok(operations > 5);
});

test('a damaged part is kept as long as no other member has what it holds', async () => {
  const clock = new SimClock(startMs);
  const disk = await withParts(clock);
  damage(disk, 'parts/1/meta.json');
  const world = await openWorld(disk, { clock, replication });
  const pairs = new PairReader(world.storage.reader);
  assert.equal((await clock.runUntil(pairs.heldPartitions())).length, 65_536, 'whatever may be in it is held');
  await clock.advance(minuteMs);
  assert.equal(world.storage.keeper.status().partsDamagedTotal, 1);
  let isAlone = true;
  world.storage.keeper.attach({ sizeFloor: () => undefined, mayAbandon: () => !isAlone });
  await clock.advance(hourMs);
  assert.deepEqual(world.fatal, []);
  isAlone = false;
  await clock.advance(minuteMs);
  assert.match(String(world.fatal), /STORE_DAMAGED/);
});
