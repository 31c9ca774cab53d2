// What is forgotten, and what is not: nothing that anybody might still need.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionsCount, type Sample } from '../../../sim/cluster/data.ts';
import { matchersOf } from '../../../sim/cluster/model-store.ts';
import { dayMs, hourMs, minuteMs, secondMs } from '../../base/index.ts';
import { windowMs, windowStartOf } from '../contracts.ts';
import { type TestOwner, TestOwners } from '../repair/test-owners.ts';
import { Dropper } from './dropper.ts';

/** Three owners, and one that owns nothing and forgets. */
async function stage(): Promise<{ owners: TestOwners; d: TestOwner; dropper: Dropper; left: string[] }> {
  const owners = await TestOwners.start(['a', 'b', 'c', 'd']);
  const d = owners.get('d');
  const left: string[] = [];
  const dropper = new Dropper(d.state, d.context.timing, async () => {
    left.push(d.state.self?.state ?? '');
  });
  return { owners, d, dropper, left };
}

const oneOfEach = (timestampMs: number): Sample[] =>
  Array.from({ length: partitionsCount }, (_, series) => ({ series, timestampMs, value: series }));

const pass = (owners: TestOwners, durationMs: number): Promise<boolean> =>
  owners.world.runSettledUntil(() => false, durationMs);

test('partitions that are neither owned nor marked are dropped, those that are marked stay', async () => {
  const { owners, d, dropper } = await stage();
  const samples = oneOfEach(owners.world.clock.nowMs());
  d.hold(samples);
  d.mark(samples.slice(0, 3));
  dropper.start();
  await pass(owners, 20 * secondMs);
  assert.deepEqual([...d.state.held], [0, 1, 2]);
  assert.deepEqual(new Set([...d.store.disk.samples.values()].map(({ series }) => series)), new Set([0, 1, 2]));
  assert.equal(dropper.partitionsDropped, partitionsCount - 3);
  assert.equal(dropper.underWayCount, 0);
  dropper.stop();
});

test('an owner drops nothing', async () => {
  const { owners } = await stage();
  const a = owners.get('a');
  a.hold(oneOfEach(owners.world.clock.nowMs()));
  const dropper = new Dropper(a.state, a.context.timing, async () => {});
  dropper.start();
  await pass(owners, 20 * secondMs);
  assert.equal(a.state.held.size, partitionsCount);
  assert.equal(a.store.disk.samples.size, partitionsCount);
  dropper.stop();
});

test('while a partition is dropped nothing of it counts; where that failed all of it is marked', async () => {
  const { owners, d, dropper } = await stage();
  d.hold(oneOfEach(owners.world.clock.nowMs()).slice(0, 1));
  d.store.dropPartition = async () => {
    await new Promise<void>((resolve) => owners.world.schedule(secondMs, resolve));
    throw new Error('the disk is full');
  };
  const { dropsCount } = d.state;
  dropper.start();
  assert.ok(await owners.world.runSettledUntil(() => d.state.isDropping(0), minuteMs));
  assert.ok(!d.state.isKept(0, d.state.dropsCount));
  assert.throws(() => d.state.refuseUnkept([0], d.state.dropsCount), /PEER_DROPPED/);
  assert.ok(await owners.world.runSettledUntil(() => !d.state.isDropping(0), minuteMs));
  assert.ok(d.state.held.has(0) && d.state.marks.isMarked(0));
  // What was appended before the drop began may be gone; what comes now is kept.
  assert.throws(() => d.state.refuseUnkept([0], dropsCount), /PEER_DROPPED/);
  d.state.refuseUnkept([0], d.state.dropsCount);
  assert.equal(dropper.partitionsDropped, 0);
  dropper.stop();
});

test('a leaving node has left when it holds nothing and marks nothing', async () => {
  const { owners, d, dropper, left } = await stage();
  const samples = oneOfEach(owners.world.clock.nowMs());
  d.write(samples);
  await owners.settled(d.state.change((record) => record.withOwn('d', { state: 'leaving' })));
  dropper.start();
  await pass(owners, 20 * secondMs);
  assert.equal(d.state.self?.state, 'leaving', 'what it has marked nobody else may have');
  for (const mark of d.state.marks.all()) d.state.marks.clear(mark.scope);
  await pass(owners, 20 * secondMs);
  assert.deepEqual(left, ['left']);
  assert.equal(d.store.disk.samples.size, 0);
  dropper.stop();
});

test('what is past retention is dropped one window later, by a clock that others share only', async () => {
  const { owners, d, dropper } = await stage();
  const nowMs = owners.world.clock.nowMs();
  const windows = Array.from({ length: 8 }, (_, window) => windowStartOf(nowMs) - window * windowMs);
  d.write(windows.map((timestampMs, window) => ({ series: 0, timestampMs, value: window })));
  await owners.settled(d.state.change((record) => record.withRetention(3 * windowMs, 'd')));
  const held = (): number => d.store.disk.samples.size;
  for (const name of ['a', 'b', 'c']) d.state.noteClock(name, d.state.clock.nowMs() - hourMs);
  dropper.start();
  await pass(owners, 10 * secondMs);
  assert.equal(held(), 8, 'an hour off its peers it drops nothing');
  for (const name of ['a', 'b', 'c']) d.state.noteClock(name, d.state.clock.nowMs());
  await pass(owners, 10 * secondMs);
  // The open window, three of retention, and the one that is dropped later.
  assert.equal(held(), 5);
  dropper.stop();
});

test('a delete is forgotten a day after its range is past retention', async () => {
  const { owners, d, dropper } = await stage();
  const nowMs = d.state.clock.nowMs();
  const horizonMs = nowMs - 10 * dayMs;
  const ends = { old: horizonMs - 3 * dayMs, late: horizonMs - hourMs, young: nowMs - dayMs };
  await owners.settled(
    d.state.change((record) =>
      Object.entries(ends).reduce(
        (some, [id, toMs]) => some.withDelete({ id, matchers: matchersOf([1]), fromMs: 0, toMs }),
        record.withRetention(10 * dayMs, 'd'),
      ),
    ),
  );
  dropper.start();
  await pass(owners, 10 * secondMs);
  assert.deepEqual(new Set(d.state.record.deletes.map(({ id }) => id)), new Set(['late', 'young']));
  dropper.stop();
});

test('a delete that is saved while retention gets longer holds for what is there again', async () => {
  const { owners, d, dropper } = await stage();
  const [oldMs, toMs] = [5, 4].map((windows) => windowStartOf(owners.world.clock.nowMs()) - windows * windowMs);
  await owners.settled(d.state.change((record) => record.withRetention(windowMs, 'd')));
  dropper.start();
  await pass(owners, 10 * secondMs);
  await owners.settled(d.state.change((record) => record.withRetention(20 * windowMs, 'd')));
  d.write([{ series: 0, timestampMs: oldMs ?? 0, value: 1 }]);
  const saveState = d.store.saveState.bind(d.store);
  d.store.saveState = async (name, bytes) => {
    await new Promise<void>((resolve) => owners.world.schedule(10 * secondMs, resolve));
    return saveState(name, bytes);
  };
  void d.state.change((record) =>
    record.withDelete({ id: 'd', matchers: matchersOf([0]), fromMs: 0, toMs: toMs ?? 0 }),
  );
  await pass(owners, minuteMs);
  assert.equal(d.state.record.deletes.length, 1);
  const everything = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;
  const [digest] = await owners.settled(d.store.digestsOf(Uint32Array.of(0), ...everything));
  assert.equal(digest?.samplesCount, 0);
  dropper.stop();
});

test('a limit in bytes is a wish in the own entry', async () => {
  const { owners, d, dropper } = await stage();
  const floorMs = windowStartOf(owners.world.clock.nowMs()) - 4 * windowMs;
  d.store.disk.sizeFloorMs = floorMs + minuteMs;
  dropper.start();
  await pass(owners, 10 * secondMs);
  const version = d.state.self?.version;
  assert.equal(d.state.self?.floorMs, floorMs);
  await pass(owners, 10 * secondMs);
  assert.equal(d.state.self?.version, version, 'told once');
  dropper.stop();
});
