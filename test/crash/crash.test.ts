// Crash consistency of the whole engine: the same small history (write, freeze, flush, merge, delete, restart) is run with a
// crash at every disk operation, and with a failure of every disk operation. Whatever survives on the disk, the next start
// finds every acknowledged sample, no sample that was never sent, parts whole or absent, and nothing that nobody names.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hasCode, hourMs, minuteMs, SeededRandom } from '../../src/base/index.ts';
import { SimClock } from '../../sim/clock.ts';
import { SimDisk } from '../../sim/disk.ts';
import { body, labelsOf, openWorld, readAll, type Sample, startMs, type World } from './world.ts';

/** What the outside knows: samples that were sent, and which of them were acknowledged; deletes likewise. */
class Witness {
  readonly sent = new Map<string, bigint>();
  readonly acknowledged = new Map<string, bigint>();
  readonly deleteSent: string[] = [];
  readonly deleteAcknowledged: string[] = [];
}

const key = ({ series, timestampMs }: Sample): string => `${series} ${timestampMs}`;
const limits = { segmentBytesMax: 600, lingerMs: 1 };
/** The history's deletion: everything of one series up to a time. */
const deletedSeries = 2;

class Crashed extends Error {}

/** Ends the history when the machine is down or the process had to end. */
function stopIfDead(world: World): void {
  if (world.disk.crashed || world.fatal.length > 0) throw new Crashed('the process has ended');
}

async function attempt(world: World, step: () => Promise<unknown>): Promise<boolean> {
  try {
    // A step whose actor died never settles: virtual time moves on for a while, then it counts as failed.
    const state = { done: false, failed: false };
    const stepDone = step().then(
      () => (state.done = true),
      () => (state.failed = true),
    );
    void stepDone;
    for (let i = 0; i < 200 && !state.done && !state.failed; i++) {
      await world.clock.advance(100);
      stopIfDead(world);
    }
    return state.done;
  } finally {
    stopIfDead(world);
  }
}

async function write(world: World, witness: Witness, samples: readonly Sample[]): Promise<void> {
  for (const sample of samples) witness.sent.set(key(sample), sample.bits);
  // A sender repeats what was not acknowledged.
  for (let tries = 0; tries < 5; tries++) {
    if (!(await attempt(world, () => world.storage.lane.write(body(samples))))) continue;
    for (const sample of samples) witness.acknowledged.set(key(sample), sample.bits);
    return;
  }
}

function scrape(round: number, timeMs: number): Sample[] {
  return [1, 2, 3].map((series) => ({ series, timestampMs: timeMs + series, bits: BigInt(round * 10 + series) }));
}

async function runHistory(disk: SimDisk, witness: Witness): Promise<void> {
  const clock = new SimClock(startMs);
  let world = await openWorld(disk, { clock, limits, seed: disk.operationsCount + 1 });
  stopIfDead(world);
  const reopen = async (): Promise<void> => {
    await attempt(world, () => world.storage.close());
    world = await openWorld(disk, { clock, limits, seed: disk.operationsCount + 1 });
    stopIfDead(world);
  };
  await write(world, witness, scrape(1, startMs - 3 * hourMs));
  await write(world, witness, scrape(2, startMs - minuteMs));
  await attempt(world, () => world.storage.lane.flushNow());
  await write(world, witness, scrape(3, startMs));
  await write(world, witness, [{ series: 4, timestampMs: startMs - 30 * 24 * hourMs, bits: 77n }]);
  await reopen();
  await write(world, witness, scrape(4, startMs - 3 * hourMs + minuteMs));
  await attempt(world, () => world.storage.lane.flushNow());
  const deleted = [...witness.sent.keys()].filter((name) => name.startsWith(`${deletedSeries} `));
  witness.deleteSent.push(...deleted);
  const request = { series: [labelsOf(deletedSeries)], startMs: 0, endMs: startMs - 1 };
  if (await attempt(world, () => world.storage.keeper.deleteSeries(request)))
    witness.deleteAcknowledged.push(...deleted);
  await attempt(world, () => world.storage.keeper.compactNow());
  await write(world, witness, scrape(5, startMs + minuteMs));
}

function isInDeletedRange(name: string): boolean {
  const [series, timestampMs] = name.split(' ').map(Number);
  return series === deletedSeries && (timestampMs ?? 0) < startMs;
}

async function check(disk: SimDisk, witness: Witness, what: string): Promise<void> {
  const clock = new SimClock(startMs + 10 * minuteMs);
  const world = await openWorld(disk, { clock, limits, seed: 99 });
  const found = await readAll(world);
  const report = await clock.runUntil(world.storage.lane.replayed);
  assert.ok(!report.damage.some(({ kind }) => kind === 'corrupt'), `${what}: ${JSON.stringify(report.damage)}`);
  for (const [name, bits] of witness.acknowledged) {
    if (witness.deleteSent.includes(name) && isInDeletedRange(name)) continue;
    assert.equal(found.get(name), bits, `${what}: acknowledged ${name} is there`);
  }
  for (const [name, bits] of found) assert.equal(witness.sent.get(name), bits, `${what}: ${name} was sent`);
  for (const name of witness.deleteAcknowledged) {
    if (isInDeletedRange(name)) assert.ok(!found.has(name), `${what}: ${name} is deleted`);
  }
  // What was recovered stays the same through flush, merge and another restart, and nothing is left that nobody names.
  await clock.runUntil(world.storage.lane.flushNow());
  await clock.runUntil(world.storage.keeper.compactNow());
  assert.deepEqual(await readAll(world), found, `${what}: flush and merge change no answer`);
  await clock.runUntil(world.storage.close());
  const again = await openWorld(disk, { clock, limits, seed: 100 });
  assert.deepEqual(await readAll(again), found, `${what}: a restart changes no answer`);
  const { partsCount } = again.storage.keeper.status();
  assert.equal(disk.list('parts').length, partsCount, `${what}: no orphan in parts/`);
  assert.ok(!disk.exists('MANIFEST.tmp'), what);
  await clock.runUntil(again.storage.close());
}

async function countOperations(): Promise<number> {
  const disk = new SimDisk();
  await runHistory(disk, new Witness());
  return disk.operationsCount;
}

suite('crash consistency', () => {
  test('the history without faults', async () => {
    const disk = new SimDisk();
    const witness = new Witness();
    await runHistory(disk, witness);
    assert.equal(witness.acknowledged.size, witness.sent.size);
    assert.ok(witness.deleteAcknowledged.length > 0);
    await check(disk.afterCrash(undefined), witness, 'no fault');
  });

  test('a crash at every disk operation, each with several fates of what was not synced', async () => {
    const operationsCount = await countOperations();
    assert.ok(operationsCount > 60, `${operationsCount}`);
    for (let at = 1; at <= operationsCount; at++) {
      const disk = new SimDisk();
      const witness = new Witness();
      disk.fault = { atOperation: at, kind: 'crash' };
      await runHistory(disk, witness).catch((error: unknown) => assert.ok(disk.crashed, `at ${at}: ${String(error)}`));
      disk.crash();
      for (let fate = 0; fate < 3; fate++) {
        await check(disk.afterCrash(new SeededRandom(at * 10 + fate)), witness, `crash at ${at}, fate ${fate}`);
      }
      await check(disk.afterCrash(undefined), witness, `crash at ${at}, all survives`);
    }
  });

  test('a crash during the recovery from a crash', async () => {
    const operationsCount = await countOperations();
    const random = new SeededRandom(5);
    for (let round = 0; round < 60; round++) {
      const disk = new SimDisk();
      const witness = new Witness();
      disk.fault = { atOperation: 1 + random.below(operationsCount), kind: 'crash' };
      await runHistory(disk, witness).catch(() => undefined);
      disk.crash();
      const second = disk.afterCrash(random);
      second.fault = { atOperation: 1 + random.below(12), kind: 'crash' };
      await check(second, witness, `round ${round}`).catch((error: unknown) => {
        if (!second.crashed) throw error;
      });
      second.crash();
      await check(second.afterCrash(random), witness, `round ${round}, second start`);
    }
  });

  test('a failure of every disk operation, one at a time, disk full and input-output error', async () => {
    const operationsCount = await countOperations();
    for (const kind of ['full', 'io'] as const) {
      for (let at = 1; at <= operationsCount; at++) {
        const disk = new SimDisk();
        const witness = new Witness();
        disk.fault = { atOperation: at, kind };
        await runHistory(disk, witness).catch((error: unknown) => {
          const expected =
            error instanceof Crashed ||
            hasCode(error, 'DISK_FULL') ||
            hasCode(error, 'DISK_IO') ||
            String(error).includes('SYNC');
          assert.ok(expected, `${kind} at ${at}: ${String(error)}`);
        });
        disk.crash();
        await check(disk.afterCrash(undefined), witness, `${kind} at ${at}`);
        await check(disk.afterCrash(new SeededRandom(at)), witness, `${kind} at ${at}, then a crash`);
      }
    }
  });
});
