// What leaves a node: partitions that others own now, and what the cluster's deletes select. Both hold at once, after every
// crash, and whatever is merged; what arrives after a drop stays.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hourMs, minuteMs, SeededRandom } from '../../src/base/index.ts';
import { encodeLabels, Matcher } from '../../src/model/index.ts';
import { encodeSelectors, PairReader } from '../../src/storage/index.ts';
import { PagesKernel } from '../../src/wasm/index.ts';
import { SimDisk } from '../../sim/disk.ts';
import { body, labelsOf, modules, openWorld, readAll, type Sample, startMs, type World } from '../crash/world.ts';

const kernel = new PagesKernel(modules.pages);
const partitionOf = (series: number): number => {
  const fingerprint = kernel.fingerprint(encodeLabels(labelsOf(series))).slice();
  return new DataView(fingerprint.buffer).getUint16(0, true);
};
const sample = (series: number, timestampMs: number, bits = 1): Sample => ({ series, timestampMs, bits: BigInt(bits) });
const write = (world: World, samples: readonly Sample[]) =>
  world.clock.runUntil(world.storage.lane.write(body(samples)));
const flush = (world: World) => world.clock.runUntil(world.storage.lane.flushNow());
const compact = (world: World) => world.clock.runUntil(world.storage.keeper.compactNow());
const drop = (world: World, ...series: number[]) =>
  world.clock.runUntil(world.storage.lane.dropPartitions(Uint16Array.from(series, partitionOf)));
/** As the clock's runUntil, but a machine that is down does nothing more: a flush would be tried again for ever. */
async function until(world: World, work: Promise<unknown>): Promise<void> {
  const state = { isSettled: false };
  const settle = (): void => {
    state.isSettled = true;
  };
  work.then(settle, settle);
  for (let step = 0; step < 100_000 && !world.disk.crashed; step++) {
    await world.clock.advance(1);
    if (state.isSettled) return void (await work);
  }
  throw new Error('the machine is down');
}

const seriesOf = (found: ReadonlyMap<string, bigint>): string[] =>
  [...found.keys()].map((key) => key.split(' ')[0] ?? '');

suite('drops', () => {
  test('a dropped partition is hidden at once and reclaimed by merging; what comes later stays', async () => {
    let world = await openWorld(new SimDisk());
    await write(world, [sample(1, startMs - 1000), sample(2, startMs - 1000)]);
    await flush(world);
    await write(world, [sample(1, startMs - 900), sample(2, startMs - 900)]);
    await drop(world, 1);
    assert.deepEqual(seriesOf(await readAll(world)), ['2', '2']);
    await write(world, [sample(1, startMs - 800)]);
    const expected = [`1 ${startMs - 800}`, `2 ${startMs - 1000}`, `2 ${startMs - 900}`].toSorted();
    const check = async (): Promise<void> => assert.deepEqual([...(await readAll(world)).keys()].toSorted(), expected);
    await check();
    await flush(world);
    await check();
    world = await openWorld(world.disk.afterCrash(undefined));
    await check();
    assert.equal(world.storage.keeper.status().partSamplesCount, 5);
    await compact(world);
    await check();
    assert.equal(world.storage.keeper.status().partSamplesCount, 3, 'what was dropped is gone from the disk');
    assert.equal(world.storage.keeper.status().dropsCount, 0);
    await drop(world, 1, 2);
    assert.equal((await readAll(world)).size, 0);
    assert.deepEqual([...(await world.clock.runUntil(new PairReader(world.storage.reader).heldPartitions()))], []);
    await compact(world);
    assert.equal(world.storage.keeper.status().partsCount, 0);
  });

  test('merging a part from before a drop with one from after it keeps what came after', async () => {
    const world = await openWorld(new SimDisk());
    await write(world, [sample(1, startMs - 1000, 7)]);
    await drop(world, 1);
    await write(world, [sample(1, startMs - 1000, 5), sample(3, startMs)]);
    await flush(world);
    await compact(world);
    assert.deepEqual(
      await readAll(world),
      new Map([
        [`1 ${startMs - 1000}`, 5n],
        [`3 ${startMs}`, 1n],
      ]),
    );
  });

  test('a crash at any operation of a drop leaves all or nothing of it, and every later sample', async () => {
    const life = async (disk: SimDisk): Promise<{ isDropped: boolean; isLaterAcknowledged: boolean }> => {
      let isDropped = false;
      let isLaterAcknowledged = false;
      try {
        const world = await openWorld(disk);
        await until(world, world.storage.lane.write(body([sample(1, startMs - 1000), sample(2, startMs - 1000)])));
        const dropping = world.storage.lane.dropPartitions(Uint16Array.of(partitionOf(1)));
        dropping.catch(() => undefined); // looked at below
        await until(world, world.storage.lane.write(body([sample(1, startMs - 800)])));
        isLaterAcknowledged = true;
        await until(world, dropping);
        isDropped = true;
        await until(world, world.storage.lane.flushNow());
        await until(world, world.storage.keeper.compactNow());
        await world.clock.runUntil(world.storage.close());
      } catch {
        assert.ok(disk.crashed);
      }
      return { isDropped, isLaterAcknowledged };
    };
    const whole = new SimDisk();
    await life(whole);
    for (let atOperation = 1; atOperation <= whole.operationsCount; atOperation++) {
      const disk = new SimDisk();
      disk.fault = { atOperation, kind: 'crash' };
      const { isDropped, isLaterAcknowledged } = await life(disk);
      disk.crash();
      const world = await openWorld(disk.afterCrash(new SeededRandom(atOperation)));
      const found = await readAll(world);
      if (isDropped) assert.ok(!found.has(`1 ${startMs - 1000}`), `operation ${atOperation}: a drop was forgotten`);
      if (isLaterAcknowledged) assert.ok(found.has(`1 ${startMs - 800}`), `operation ${atOperation}: a sample is lost`);
      assert.ok(!isLaterAcknowledged || found.has(`2 ${startMs - 1000}`), `operation ${atOperation}: another is lost`);
    }
  });
});

suite('rules', () => {
  const rule = (id: string, series: string, fromMs: number, toMs: number) => ({
    id,
    selectors: encodeSelectors([[new Matcher('series', '=~', series)]]),
    startMs: fromMs,
    endMs: toMs,
  });

  test('a rule hides what it selects, also of series that come later, in memory and in parts, for ever', async () => {
    let world = await openWorld(new SimDisk());
    await write(world, [sample(1, startMs - 5000), sample(2, startMs - 5000)]);
    await flush(world);
    await write(world, [sample(1, startMs - 4000), sample(1, startMs - 1000)]);
    await world.clock.runUntil(world.storage.keeper.applyRules([rule('a', '1|12', startMs - 6000, startMs - 2000)]));
    const check = async (): Promise<void> => {
      const expected = [`1 ${startMs - 1000}`, `2 ${startMs - 5000}`];
      assert.deepEqual([...(await readAll(world)).keys()].toSorted(), expected);
    };
    await check();
    const { rejections } = await write(world, [sample(12, startMs - 3000)]);
    assert.deepEqual(
      rejections.map(({ reason }) => reason),
      ['DELETED'],
    );
    await flush(world);
    world = await openWorld(world.disk.afterCrash(undefined));
    await check();
    await world.clock.runUntil(world.storage.keeper.applyRules([rule('a', '1|12', startMs - 6000, startMs - 2000)]));
    assert.equal(world.storage.keeper.status().tombstonesCount, 1, 'a rule that is known is not made again');
    await compact(world);
    await check();
    assert.equal(world.storage.keeper.status().partSamplesCount, 2);
  });

  test('rules that can not be decoded are refused; the horizon goes where it is set, and what is left comes back', async () => {
    const world = await openWorld(new SimDisk());
    await write(world, [sample(1, startMs - 30 * hourMs), sample(1, startMs)]);
    const broken = { ...rule('a', '1', 0, startMs), selectors: Uint8Array.of(1) };
    await assert.rejects(world.clock.runUntil(world.storage.keeper.applyRules([broken])), {
      code: 'SELECTORS_INVALID',
    });
    await world.clock.runUntil(world.storage.keeper.dropBefore(startMs - hourMs, []));
    assert.deepEqual([...(await readAll(world)).keys()], [`1 ${startMs}`]);
    assert.equal(world.storage.keeper.status().horizonMs, startMs - hourMs);
    assert.equal((await write(world, [sample(2, startMs - 20 * hourMs)])).rejections.length, 1, 'it is too old');
    // The cluster's retention is set longer again.
    await world.clock.runUntil(world.storage.keeper.dropBefore(startMs - 40 * hourMs, []));
    await write(world, [sample(2, startMs - 20 * hourMs)]);
    assert.equal((await readAll(world)).size, 3);
    assert.equal((await readAll(await openWorld(world.disk.afterCrash(undefined)))).size, 3);
  });

  test('a delete that was forgotten with what it hides hides it again in the moment in which retention is set longer', async () => {
    const world = await openWorld(new SimDisk());
    const { keeper } = world.storage;
    const [oldMs, deleted] = [startMs - 30 * hourMs, rule('a', '1', startMs - 31 * hourMs, startMs - 29 * hourMs)];
    await write(world, [sample(1, oldMs), sample(2, oldMs), sample(1, startMs)]);
    await world.clock.runUntil(keeper.applyRules([deleted]));
    await world.clock.runUntil(keeper.dropBefore(startMs - hourMs, [deleted]));
    assert.equal(keeper.status().tombstonesCount, 0);
    await world.clock.runUntil(keeper.dropBefore(startMs - 40 * hourMs, [deleted]));
    assert.deepEqual([...(await readAll(world)).keys()].sort(), [`1 ${startMs}`, `2 ${oldMs}`]);
  });

  test('drops between which no part was written become one, and hide the same', async () => {
    let world = await openWorld(new SimDisk());
    const everything = [1, 2, 3, 4, 5].map((series) => sample(series, startMs - series));
    await write(world, everything);
    await flush(world);
    await drop(world, 1);
    await drop(world, 2);
    await write(world, [sample(1, startMs)]);
    await flush(world);
    await drop(world, 3);
    await drop(world, 4);
    assert.equal(world.storage.keeper.status().dropsCount, 4);
    const check = async (): Promise<void> => {
      const found = seriesOf(await readAll(world)).sort();
      const dropped = [1, 2, 3, 4].map(partitionOf);
      assert.equal(new Set(dropped).size, 4);
      assert.deepEqual(found, ['1', '5']);
    };
    await check();
    // The first run of the maintenance, before it merges.
    await world.clock.advance(15_000);
    assert.ok(world.storage.keeper.status().dropsCount <= 2);
    await check();
    world = await openWorld(world.disk.afterCrash(undefined));
    await check();
    await compact(world);
    await world.clock.advance(15_000);
    assert.equal(world.storage.keeper.status().dropsCount, 0);
    await check();
  });

  test('in a cluster a limit by size is a wish: the start of the oldest window that fits, which never goes back', async () => {
    const replication = { onLogCut: async (): Promise<Uint8Array> => new Uint8Array() };
    const options = { replication, retentionBytes: 1 };
    let world = await openWorld(new SimDisk(), options);
    const wishes: number[] = [];
    const attach = (): void =>
      world.storage.keeper.attach({ sizeFloor: (floorMs) => void wishes.push(floorMs), mayAbandon: () => false });
    attach();
    const oldMs = startMs - 40 * hourMs;
    for (const timeMs of [oldMs, startMs - 9 * hourMs]) {
      await write(world, [sample(1, timeMs)]);
      await flush(world);
    }
    await world.clock.advance(minuteMs);
    assert.equal((await readAll(world)).size, 2, 'nothing is dropped by this node alone');
    const last = wishes.at(-1) ?? 0;
    assert.deepEqual(wishes, [Number.NEGATIVE_INFINITY, last]);
    assert.ok(last > startMs - 9 * hourMs && last <= startMs - 7 * hourMs && last % (2 * hourMs) === 0);
    // The cluster agrees on less.
    await world.clock.runUntil(world.storage.keeper.dropBefore(oldMs + hourMs, []));
    assert.equal((await readAll(world)).size, 1);
    await world.clock.runUntil(world.storage.keeper.dropBefore(last, []));
    assert.equal((await readAll(world)).size, 0);
    world = await openWorld(world.disk.afterCrash(undefined), options);
    attach();
    await world.clock.advance(minuteMs);
    assert.equal(wishes.at(-1), last);
  });
});
