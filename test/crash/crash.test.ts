// Crash consistency of the whole engine: the same small history (write, freeze, flush, merge, delete, restart) is run with a
// crash at every disk operation, and with a failure of every disk operation. Whatever survives on the disk, the next start
// finds every acknowledged sample, no sample that was never sent, parts whole or absent, and nothing that nobody names.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hourMs, minuteMs, SeededRandom } from '../../src/base/index.ts';
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
    // At the moment of the answer: a crash that comes right behind it may not take it back.
    const acknowledge = (): void => {
      for (const sample of samples) witness.acknowledged.set(key(sample), sample.bits);
    };
    if (await attempt(world, () => world.storage.lane.write(body(samples)).then(acknowledge))) return;
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
  const acknowledge = (): void => {
    witness.deleteAcknowledged.push(...deleted);
  };
  await attempt(world, () => world.storage.keeper.deleteSeries(request).then(acknowledge));
  await attempt(world, () => world.storage.keeper.compactNow());
  await write(world, witness, scrape(5, startMs + minuteMs));
}

function isInDeletedRange(name: string): boolean {
  const [series, timestampMs] = name.split(' ').map(Number);
  return series === deletedSeries && (timestampMs ?? 0) < startMs;
}

/** Opens what a crash has left, and holds it against the witness. */
async function checkRecovery(
  disk: SimDisk,
  witness: Witness,
  what: string,
): Promise<{ world: World; found: Map<string, bigint> }> {
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
  return { world, found };
}

/** Also: flush, merge and another restart change no answer, and nothing is left that nobody names. */
async function checkRecoveryAndLife(disk: SimDisk, witness: Witness, what: string): Promise<void> {
  const { world, found } = await checkRecovery(disk, witness, what);
  const { clock } = world;
  await clock.runUntil(world.storage.lane.flushNow());
  await clock.runUntil(world.storage.keeper.compactNow());
  assert.deepEqual(await readAll(world), found, `${what}: flush and merge change no answer`);
  await clock.runUntil(world.storage.close());
  const again = await openWorld(disk, { clock, limits, seed: 100 });
  assert.deepEqual(await readAll(again), found, `${what}: a restart changes no answer`);
  const { partsCount } = again.storage.keeper.status();
  assert.equal(disk.list('parts').length, partsCount, `${what}: no orphan in parts/`);
  assert.ok(!disk.exists('MANIFEST.tmp'), what);
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
    await checkRecoveryAndLife(disk.afterCrash(undefined), witness, 'no fault');
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
      const what = `crash at ${at}`;
      await checkRecovery(disk.afterCrash(new SeededRandom(at * 10)), witness, `${what}, first fate`);
      // What lives on from there is dearer to check: the fates take turns.
      const fate = at % 3 === 0 ? undefined : new SeededRandom(at * 10 + 1);
      if (at % 2 === 0) await checkRecoveryAndLife(disk.afterCrash(fate), witness, `${what}, second fate`);
    }
  });

  test('a crash during the recovery from a crash', async () => {
    const operationsCount = await countOperations();
    const random = new SeededRandom(5);
    for (let round = 0; round < 30; round++) {
      const disk = new SimDisk();
      const witness = new Witness();
      disk.fault = { atOperation: 1 + random.below(operationsCount), kind: 'crash' };
      await runHistory(disk, witness).catch(() => undefined);
      disk.crash();
      const second = disk.afterCrash(random);
      second.fault = { atOperation: 1 + random.below(12), kind: 'crash' };
      await checkRecovery(second, witness, `round ${round}`).catch((error: unknown) => {
        if (!second.crashed) throw error;
      });
      second.crash();
      await checkRecovery(second.afterCrash(random), witness, `round ${round}, second start`);
    }
  });

  test('a failure of every disk operation, one at a time', async () => {
    const operationsCount = await countOperations();
    for (let at = 1; at <= operationsCount; at++) {
      const kind = at % 2 === 0 ? 'full' : 'io';
      const disk = new SimDisk();
      const witness = new Witness();
      disk.fault = { atOperation: at, kind };
      await runHistory(disk, witness).catch((error: unknown) => {
        const isExpected = error instanceof Crashed || /DISK_FULL|DISK_IO|SYNC_FAILED/.test(String(error));
        assert.ok(isExpected, `${kind} at ${at}: ${String(error)}`);
      });
      disk.crash();
      await checkRecovery(disk.afterCrash(new SeededRandom(at)), witness, `${kind} at ${at}, then a crash`);
      if (at % 3 === 0) await checkRecoveryAndLife(disk.afterCrash(undefined), witness, `${kind} at ${at}`);
    }
  });
});
