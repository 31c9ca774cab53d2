// How the loop that clears marks gets on while owners are silent, slow or busy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf, partitionsCount, type Sample, seriesCount } from '../../../sim/cluster/data.ts';
import { mib, minuteMs, secondMs, TimbalaError } from '../../base/index.ts';
import { allOf, type NodeName, windowMs, windowStartOf } from '../contracts.ts';
import { type TestOwner, TestOwners } from './test-owners.ts';

const copyDeadlineMs = 30 * secondMs;
const timing = {
  copyDeadlineMs,
  repairBackoffMs: 10 * secondMs,
  repairPatienceMs: 2 * secondMs,
  hintPauseMs: secondMs,
};
const windowsCount = 6;

/** A sample of each series in windows that have ended. */
function samplesOf(owners: TestOwners): Sample[] {
  const endMs = windowStartOf(owners.world.clock.nowMs()) - windowMs;
  return Array.from({ length: windowsCount * seriesCount }, (_, index) => ({
    series: index % seriesCount,
    timestampMs: endMs - (Math.floor(index / seriesCount) + 1) * windowMs,
    value: index,
  }));
}

/** Three owners; the first has samples that it has marked, the others none. */
async function stage(): Promise<{ owners: TestOwners; a: TestOwner; samples: Sample[] }> {
  const owners = await TestOwners.start(['a', 'b', 'c'], timing);
  const a = owners.get('a');
  const samples = samplesOf(owners);
  a.write(samples);
  a.repairer.start();
  return { owners, a, samples };
}

/** Until the questions of a topic are let go, they are not answered; each fails after its deadline. */
function silence(owners: TestOwners, asker: TestOwner, silent: NodeName, onTopic: (topic: string) => boolean): void {
  asker.onRequest = (topic, to, pass) => {
    if (to !== silent || !onTopic(topic)) return pass();
    return new Promise((_, reject) => {
      owners.world.schedule(copyDeadlineMs, () => reject(new TimbalaError('PEER_TIMEOUT', `${to} is silent`)));
    });
  };
}

const listing = (owner: TestOwner, name: NodeName): number =>
  [...owner.state.marks.all()].filter(({ confirmed }) => confirmed.some((token) => token.startsWith(`${name}/`)))
    .length;

test('an owner that is silent holds up no other', async () => {
  const { owners, a } = await stage();
  silence(owners, a, 'c', () => true);
  const marksCount = windowsCount * partitionsCount;
  assert.equal(a.state.marks.count, marksCount);
  const isDone = await owners.world.runSettledUntil(() => listing(a, 'b') === marksCount, 10 * secondMs);
  assert.ok(isDone, `b has all of ${listing(a, 'b')} of ${marksCount} marks in 10 s`);
  assert.ok(a.asked.filter((each) => each.endsWith(' c')).length <= 1, 'c is asked one thing at a time');
  a.repairer.stop();
});

test('one that hangs while it is sent something neither', async () => {
  const { owners, a } = await stage();
  silence(owners, a, 'b', (topic) => topic === 'copy');
  const isDone = await owners.world.runSettledUntil(() => listing(a, 'c') === a.state.marks.count, 10 * secondMs);
  assert.ok(isDone, `c has all of ${listing(a, 'c')} marks in 10 s`);
  a.repairer.stop();
});

test('what a slow owner answers when the batch has gone on counts', async () => {
  const { owners, a } = await stage();
  const { world } = owners;
  a.onRequest = async (topic, to, pass) => {
    if (to === 'c' && topic === 'check') await new Promise<void>((resolve) => world.schedule(20 * secondMs, resolve));
    return pass();
  };
  const isDone = await world.runSettledUntil(() => a.state.marks.count === 0, 200 * secondMs);
  assert.ok(isDone, `${a.state.marks.count} marks are left`);
  // No window is asked about twice.
  assert.equal(a.asked.filter((each) => each === 'check c').length, windowsCount);
  for (let partition = 0; partition < partitionsCount; partition++) {
    assert.equal(owners.get('c').holds(partition), a.holds(partition));
  }
  a.repairer.stop();
});

test('an audit that is not answered holds up no repair', async () => {
  const owners = await TestOwners.start(['a', 'b', 'c'], timing);
  const a = owners.get('a');
  const samples = samplesOf(owners);
  for (const name of ['a', 'b', 'c']) owners.get(name).hold(samples);
  silence(owners, a, 'b', () => true);
  a.repairer.start();
  await owners.world.runSettledUntil(() => a.asked.length > 0, minuteMs);
  assert.deepEqual(a.asked, ['check b']);
  a.mark(samples);
  const isDone = await owners.world.runSettledUntil(() => listing(a, 'c') === a.state.marks.count, 10 * secondMs);
  assert.ok(isDone, `c has all of ${listing(a, 'c')} marks in 10 s`);
  a.repairer.stop();
});

test('an owner that was another store half-way is not listed', async () => {
  const { owners, a } = await stage();
  const b = owners.get('b');
  const storeId = b.store.disk.storeId;
  a.onRequest = (topic, to, pass) => {
    if (topic === 'copy' && to === 'b') b.store.disk.storeId = 'another';
    return pass();
  };
  await owners.world.runSettledUntil(() => listing(a, 'c') === a.state.marks.count, 10 * secondMs);
  assert.equal(listing(a, 'b'), 0);
  a.onRequest = (_topic, _to, pass) => pass();
  b.store.disk.storeId = storeId;
  assert.ok(await owners.world.runSettledUntil(() => a.state.marks.count === 0, 60 * secondMs));
  a.repairer.stop();
});

test('partitions that hold much are sent a few at a time: what was sent is listed, whatever happens to the next', async () => {
  const owners = await TestOwners.start(['a', 'b', 'c'], timing);
  const a = owners.get('a');
  a.hold(samplesOf(owners));
  const { store, state } = a;
  const digestsOf = store.digestsOf.bind(store);
  store.digestsOf = async (...asked) =>
    (await digestsOf(...asked)).map((digest) => ({ ...digest, samplesCount: 3 * mib }));
  const scanned: number[][] = [];
  const scan = store.scan.bind(store);
  store.scan = (extent) => {
    scanned.push([...extent.partitions]);
    return scan(extent);
  };
  for (const partition of allOf(state.held).partitions) state.marks.markPartition(partition);
  a.repairer.start();
  assert.ok(await owners.world.runSettledUntil(() => scanned.length >= 8, 10 * secondMs));
  assert.deepEqual(new Set(scanned.map(String)), new Set(['0,1', '2,3', '4,5', '6,7']));
  a.repairer.stop();
});

test('a loss is made up for in an open window, even where an owner has more and will not send it before the end', async () => {
  const owners = await TestOwners.start(['a', 'b', 'c', 'd'], timing);
  const [a, b] = [owners.get('a'), owners.get('b')];
  const lost = owners.get('d').store.id;
  const openMs = windowStartOf(owners.world.clock.nowMs());
  const older = { series: 0, timestampMs: openMs, value: 1 };
  a.write([older]);
  // b has made up for the loss when it takes what a misses.
  for (const { state } of [b, a]) {
    await owners.settled(state.change((record) => record.withRemoved('d')));
    await owners.settled(state.settle());
  }
  b.write([older, { ...older, timestampMs: openMs + 1, value: 2 }]);
  for (const { repairer } of [a, b]) repairer.start();
  const isHealed = await owners.world.runSettledUntil(() => a.state.self?.cleared.includes(lost) ?? false, minuteMs);
  assert.ok(isHealed, 'a has cleared the loss within a minute');
  for (const { repairer } of [a, b]) repairer.stop();
});

test('where an owner needs longer than a question may take it is asked about less at a time', async () => {
  const owners = await TestOwners.start(['a', 'b', 'c'], timing);
  const a = owners.get('a');
  a.hold(samplesOf(owners));
  const { store } = owners.get('c');
  const digestsOf = store.digestsOf.bind(store);
  store.digestsOf = async (partitions, startMs, endMs) => {
    await new Promise<void>((resolve) => owners.world.schedule(partitions.length * 7 * secondMs, resolve));
    return digestsOf(partitions, startMs, endMs);
  };
  for (const partition of allOf(a.state.held).partitions) a.state.marks.markPartition(partition);
  a.repairer.start();
  const isDone = await owners.world.runSettledUntil(() => a.state.marks.count === 0, 10 * minuteMs);
  assert.ok(isDone, `${a.state.marks.count} marks are left`);
  a.repairer.stop();
});

test('an owner that did not answer in time, and is not asked again, does not keep batches small', async () => {
  const { owners, a, samples } = await stage();
  silence(owners, a, 'c', () => true);
  assert.ok(await owners.world.runSettledUntil(() => listing(a, 'b') === a.state.marks.count, 10 * secondMs));
  await owners.settled(a.state.change((record) => record.withRemoved('c')));
  // The question to c ends without an answer, and c has had its rest.
  await owners.world.runSettledUntil(() => false, minuteMs);
  const askedCount = a.asked.length;
  for (let times = 0; times < 20; times++) {
    a.mark(samples);
    assert.ok(await owners.world.runSettledUntil(() => a.state.marks.count === 0, minuteMs));
  }
  a.asked.splice(0, askedCount);
  a.mark(samples);
  const before = a.asked.length;
  assert.ok(await owners.world.runSettledUntil(() => a.state.marks.count === 0, minuteMs));
  assert.deepEqual(
    a.asked.slice(before),
    Array.from({ length: windowsCount }, () => 'check b'),
  );
  a.repairer.stop();
});

test('what a query found short is compared before the rest', async () => {
  const owners = await TestOwners.start(['a', 'b', 'c'], timing);
  const a = owners.get('a');
  const samples = samplesOf(owners);
  a.write(samples);
  const scopes = [5, 2].map((partition) => ({ partition, windowStartMs: samples.at(-1)?.timestampMs }));
  // Of an open window nothing is to be hurried, and of what is not marked nothing to be done.
  const openMs = windowStartOf(owners.world.clock.nowMs());
  for (const windowStartMs of [openMs, 0]) a.repairer.hurry({ partition: 1, windowStartMs });
  for (const scope of [...scopes, ...scopes]) a.repairer.hurry(scope);
  assert.equal(a.repairer.dueCount(), windowsCount * partitionsCount);
  a.repairer.start();
  assert.ok(await owners.world.runSettledUntil(() => a.context.counters.marksCleared > 0, minuteMs));
  for (const scope of scopes) assert.equal(a.state.marks.get(scope), undefined);
  assert.equal(a.state.marks.count, windowsCount * partitionsCount - 2);
  assert.ok(await owners.world.runSettledUntil(() => a.state.marks.count === 0, minuteMs));
  assert.equal(a.repairer.dueCount(), 0);
  a.repairer.stop();
});

test('a window that is written after its end is compared when nothing comes any more, or once in so long', async () => {
  const pauses = { lateWritePauseMs: 5 * secondMs, lateWritePauseMsMax: minuteMs };
  const owners = await TestOwners.start(['a', 'b', 'c'], { ...timing, ...pauses });
  const a = owners.get('a');
  const backfill = samplesOf(owners).slice(0, seriesCount);
  a.hold(backfill);
  a.repairer.start();
  /** Writes once a second, and gives how often b was asked in each of these seconds. */
  const writeFor = async (seconds: number): Promise<number[]> => {
    const asked: number[] = [];
    for (let second = 0; second < seconds; second++) {
      const before = a.askedCount('check');
      a.mark(backfill);
      await owners.world.runSettledUntil(() => false, secondMs);
      asked.push(a.askedCount('check') - before);
    }
    return asked;
  };
  assert.deepEqual(await writeFor(55), Array(55).fill(0));
  assert.equal(a.repairer.dueCount(), partitionsCount, 'they are due all the same');
  const duringNextMinute = await writeFor(60);
  assert.equal(duringNextMinute.filter((count) => count > 0).length, 1, 'once a minute, whatever comes');
  await owners.world.runSettledUntil(() => false, 4 * secondMs);
  assert.equal(a.state.marks.count, partitionsCount);
  assert.ok(await owners.world.runSettledUntil(() => a.state.marks.count === 0, 2 * secondMs));
  a.repairer.stop();
});

test('who does not own a partition gives it away at once, though others of its window are written', async () => {
  const owners = await TestOwners.start(['a', 'b', 'c'], { ...timing, lateWritePauseMs: 5 * secondMs });
  const a = owners.get('a');
  const { isOwner } = a.state;
  a.state.isOwner = (partition) => partition !== 3 && isOwner.call(a.state, partition);
  const backfill = samplesOf(owners).slice(0, seriesCount);
  a.write(backfill);
  a.repairer.start();
  for (let second = 0; second < 3; second++) {
    a.mark(backfill.filter(({ series }) => partitionOf(series) !== 3));
    await owners.world.runSettledUntil(() => false, secondMs);
  }
  const marked = [...a.state.marks.all()].map(({ scope }) => scope.partition);
  assert.deepEqual([marked.length, marked.includes(3)], [partitionsCount - 1, false]);
  assert.equal(owners.get('b').holds(3), a.holds(3));
  a.repairer.stop();
});

test('a new owner that has what was written since it came is sent the rest whole, others what differs', async () => {
  const owners = await TestOwners.start(['a', 'b', 'c'], timing);
  const [a, b, c] = [owners.get('a'), owners.get('b'), owners.get('c')];
  const open = { series: 0, timestampMs: windowStartOf(owners.world.clock.nowMs()), value: 1_000 };
  const older = samplesOf(owners).filter(({ series }) => series < 2);
  for (const owner of [a, b, c]) owner.hold([open, { ...open, series: 1, value: 1_001 }]);
  a.hold(older);
  c.hold(older);
  // Of the second partition b lacks one window only.
  const ofSecond = older.filter(({ series }) => series === 1);
  b.hold(ofSecond.slice(1));
  for (const partition of [0, 1]) a.state.marks.markPartition(partition);
  a.repairer.start();
  assert.ok(await owners.world.runSettledUntil(() => a.state.marks.count === 0, minuteMs));
  for (const partition of [0, 1]) assert.equal(b.holds(partition), a.holds(partition));
  assert.equal(a.askedCount('compare'), 1);
  assert.equal(a.context.counters.handoverSamplesSent, windowsCount + 1 + 1);
  a.repairer.stop();
});

test('what an audit finds is marked by both, and each sends what the other lacks', async () => {
  const owners = await TestOwners.start(['a', 'b', 'c'], timing);
  const samples = samplesOf(owners);
  const [a, b] = [owners.get('a'), owners.get('b')];
  for (const owner of owners.owners.values()) owner.hold(samples.slice(2));
  a.hold(samples.slice(0, 1));
  b.hold(samples.slice(1, 2));
  a.repairer.start();
  assert.ok(await owners.world.runSettledUntil(() => a.context.counters.auditsDiffering > 0, minuteMs));
  for (const { state } of [a, b]) assert.ok(state.marks.isMarked(0));
  assert.equal(a.context.counters.auditsDiffering, 1, 'the audit goes on with the next partition later');
  b.repairer.start();
  assert.ok(await owners.world.runSettledUntil(() => a.state.marks.count + b.state.marks.count === 0, minuteMs));
  assert.equal(owners.get('c').holds(0), a.holds(0));
  assert.equal(b.holds(0), a.holds(0));
  for (const { repairer } of [a, b]) repairer.stop();
});

test('marks of what is past retention are cleared without a question', async () => {
  const owners = await TestOwners.start(['a', 'b', 'c'], timing);
  const a = owners.get('a');
  await owners.settled(a.state.change((record) => record.withRetention(windowMs, 'a')));
  a.mark(samplesOf(owners));
  a.repairer.start();
  assert.ok(await owners.world.runSettledUntil(() => a.state.marks.count === 0, minuteMs));
  assert.equal(a.askedCount('check'), 0);
  a.repairer.stop();
});

test('hints of an open window are not sent over and over while more of them come', async () => {
  const owners = await TestOwners.start(['a', 'b', 'c', 'd'], timing);
  const d = owners.get('d');
  const openMs = windowStartOf(owners.world.clock.nowMs());
  d.repairer.start();
  const hintsCount = 300;
  for (let value = 0; value < hintsCount; value++) {
    d.write([{ series: 0, timestampMs: openMs + value, value }]);
    await owners.world.runSettledUntil(() => false, 200);
  }
  assert.ok(await owners.world.runSettledUntil(() => d.state.marks.count === 0, 1.5 * minuteMs));
  const { hintSamplesSent } = d.context.counters;
  assert.ok(hintSamplesSent <= 3 * 3 * hintsCount, `${hintSamplesSent} samples sent for ${3 * hintsCount}`);
  // Those of another time are sent at once again.
  await owners.world.runSettledUntil(() => false, 3 * minuteMs);
  d.write([{ series: 0, timestampMs: openMs + hintsCount, value: hintsCount }]);
  assert.ok(await owners.world.runSettledUntil(() => d.state.marks.count === 0, secondMs));
  d.repairer.stop();
});

test('a hint that could not be sent is tried again as soon as it can be', async () => {
  const owners = await TestOwners.start(['a', 'b', 'c', 'd'], timing);
  const d = owners.get('d');
  const openMs = windowStartOf(owners.world.clock.nowMs());
  const { leases, state } = owners.get('b');
  // Another node fills the partition, and goes on for a while.
  leases.grant(0, 'a', state.view.hash);
  for (let sent = 1; sent <= 4; sent++) owners.world.schedule(sent * 2 * secondMs, () => leases.heard('a'));
  d.write([{ series: 0, timestampMs: openMs, value: 1 }]);
  d.repairer.start();
  await owners.world.runSettledUntil(() => false, 10 * secondMs);
  assert.equal(d.state.marks.count, 1);
  leases.end(0, 'a');
  assert.ok(await owners.world.runSettledUntil(() => d.state.marks.count === 0, secondMs));
  d.repairer.stop();
});
