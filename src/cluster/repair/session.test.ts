// What a comparison of two stores sends, and what it proves: nothing too much, and nothing that is not so.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { partitionOf, partitionsCount, rangeBitsOf, type Sample, seriesCount } from '../../../sim/cluster/data.ts';
import { hasCode, present } from '../../base/index.ts';
import { allFingerprints, allOf, windowMs } from '../contracts.ts';
import type { Question } from '../exchange.ts';
import { checkQuestion, compareQuestion, copyQuestion } from './questions.ts';
import { wholeSamplesMax } from './session.ts';
import { type TestOwner, TestOwners } from './test-owners.ts';

const all = allOf(Array.from({ length: partitionsCount }, (_, partition) => partition));

/** A sample of its own for each place: series, window, position in it. */
const sampleAt = (series: number, window: number, position = 0): Sample => ({
  series,
  timestampMs: window * windowMs + position,
  value: (window * 100_000 + position) * seriesCount + series,
});

async function pair(): Promise<{ owners: TestOwners; a: TestOwner; b: TestOwner }> {
  const owners = await TestOwners.start(['a', 'b', 'c']);
  return { owners, a: owners.get('a'), b: owners.get('b') };
}

/** Extents that are scanned from now on. */
function watchScans(owner: TestOwner): number[][] {
  const { store } = owner;
  const scanned: number[][] = [];
  const scan = store.scan.bind(store);
  store.scan = (extent) => {
    scanned.push([...extent.partitions]);
    return scan(extent);
  };
  return scanned;
}

/** How many digests are worked out at once. */
function watchReadings(owner: TestOwner): { atOnce: number } {
  const { store } = owner;
  const seen = { atOnce: 0 };
  let count = 0;
  const digests = store.digests.bind(store);
  store.digests = async (extent) => {
    seen.atOnce = Math.max(seen.atOnce, ++count);
    return digests(extent).finally(() => count--);
  };
  return seen;
}

test('only the pairs that differ are sent, whichever they are, in one comparison', async () => {
  const sample = fc.record({
    series: fc.integer({ min: 0, max: seriesCount - 1 }),
    window: fc.integer({ min: 0, max: 30 }),
    isOfA: fc.boolean(),
    isOfB: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(sample, { maxLength: 60 }), async (drawn) => {
      const { owners, a, b } = await pair();
      const places = [...new Map(drawn.map((each) => [`${each.series}@${each.window}`, each])).values()];
      const held = (isHeld: (place: (typeof places)[number]) => boolean): Sample[] =>
        places.filter(isHeld).map(({ series, window }) => sampleAt(series, window));
      a.hold(held(({ isOfA }) => isOfA));
      b.hold(held(({ isOfB }) => isOfB));
      const sent = await owners.settled(a.session('b').pushDiffering(all, 'repair'));
      assert.deepEqual(sent, [...all.partitions]);
      assert.equal(a.askedCount('compare'), 1);
      const bothWays = new Set([...a.store.disk.samples.keys(), ...held(({ isOfB }) => isOfB).map(keyOf)]);
      assert.deepEqual(new Set(b.store.disk.samples.keys()), bothWays);
      // Of a pair in which the two differ, all that a has; of no other pair anything.
      const pairOf = ({ series, window }: { series: number; window: number }): string =>
        `${partitionOf(series)} ${window}`;
      const differing = new Set(places.filter(({ isOfA, isOfB }) => isOfA !== isOfB).map(pairOf));
      const due = places.filter((place) => place.isOfA && differing.has(pairOf(place)));
      assert.equal(a.context.counters.repairSamplesSent, due.length);
    }),
    { numRuns: 40 },
  );
});

const keyOf = ({ series, timestampMs }: Sample): string => `${series}@${timestampMs}`;

test('what only the owner holds is not looked for', async () => {
  const { owners, a, b } = await pair();
  for (let window = 0; window < 500; window++) b.hold([sampleAt(window % seriesCount, window)]);
  a.hold([sampleAt(0, 1000)]);
  const scanned = watchScans(a);
  assert.equal((await owners.settled(a.session('b').pushDiffering(all, 'repair'))).length, partitionsCount);
  assert.deepEqual(scanned, [[0]]);
});

test('of a large pair only those ranges of fingerprints that differ are sent', async () => {
  const { owners, a, b } = await pair();
  const partition = 5;
  const ofPartition = Array.from({ length: seriesCount }, (_, series) => series).filter(
    (series) => partitionOf(series) === partition,
  );
  const perSeries = Math.ceil((wholeSamplesMax + 1) / ofPartition.length);
  const window = 7;
  const samples = ofPartition.flatMap((series) =>
    Array.from({ length: perSeries }, (_, position) => sampleAt(series, window, position)),
  );
  const lacking = present(samples[perSeries + 3], 'a sample of the second series');
  const small = sampleAt(0, window);
  a.hold([...samples, small]);
  b.hold(samples.filter((sample) => sample !== lacking));
  const readings = watchReadings(a);
  const sent = await owners.settled(a.session('b').pushDiffering(all, 'repair'));
  assert.equal(sent.length, partitionsCount);
  assert.equal(b.holds(partition), a.holds(partition));
  assert.equal(b.holds(0), a.holds(0));
  const rangeOf = (series: number): number => Math.floor(rangeBitsOf(series) / 2 ** 28);
  const inRange = samples.filter(({ series }) => rangeOf(series) === rangeOf(lacking.series));
  assert.ok(inRange.length < samples.length, 'the series lie in several ranges');
  assert.equal(a.context.counters.repairSamplesSent, inRange.length + 1);
  assert.equal(readings.atOnce, 1, 'what is large is not read many times at once');
});

test('a question holds a bounded number of digests; answers to its pieces are put together', async () => {
  const { owners, a, b } = await pair();
  const windows = Array.from({ length: 9_000 }, (_, window) => window);
  const samples = [0, 1, 2].flatMap((series) => windows.map((window) => sampleAt(series, window)));
  a.hold(samples);
  // Of each of the three it lacks another window.
  b.hold(samples.filter(({ series, timestampMs }) => timestampMs !== (10 + series) * windowMs));
  const sent = await owners.settled(a.session('b').pushDiffering(all, 'repair'));
  assert.equal(sent.length, partitionsCount);
  assert.equal(a.askedCount('compare'), 3);
  assert.equal(a.context.counters.repairSamplesSent, 3);
  for (const partition of all.partitions) assert.equal(b.holds(partition), a.holds(partition));
});

test('what another node fills by now, or what is being dropped there, is neither sent nor listed', async () => {
  const { owners, a, b } = await pair();
  const samples = Array.from({ length: partitionsCount }, (_, series) => sampleAt(series, 3));
  a.hold(samples);
  const session = a.session('b');
  const digests = await owners.settled(a.store.digestsOf(all.partitions, -Infinity, Infinity));
  const range = { windowStartMs: undefined, fromMs: undefined, toMs: undefined, isAudit: false };
  const findings = await owners.settled(session.check(range, [...all.partitions], digests));
  assert.deepEqual(
    findings,
    samples.map(() => 'empty'),
  );
  a.onRequest = (topic, _to, pass) => {
    if (topic === 'compare') {
      // The lease has ended with a's silence, and c has come.
      b.leases.end(2, 'a');
      b.leases.grant(2, 'c', b.state.view.hash);
      b.state.beginDrop(4);
    }
    return pass();
  };
  const sent = await owners.settled(session.pushDiffering(all, 'repair'));
  assert.deepEqual(
    sent,
    [...all.partitions].filter((partition) => partition !== 2 && partition !== 4),
  );
  await owners.settled(session.endOpen());
  const holderOf = (partition: number): string | undefined => b.leases.holder(partition, 'z', b.state.view.hash);
  assert.equal(holderOf(2), 'c', 'only the holder gives a lease back');
  for (const partition of [0, 1, 3, 4, 5, 6, 7]) assert.equal(holderOf(partition), undefined);
  assert.deepEqual([b.holds(2), b.holds(4)], ['0 0', '0 0']);
});

test('an owner that answers as another store, or under another record, half-way proves nothing', async () => {
  for (const spoil of [
    ({ b }: { b: TestOwner }) => {
      b.store.disk.storeId = 'another';
    },
    ({ a }: { a: TestOwner }) => void a.state.change((record) => record.withRemoved('c')),
  ]) {
    const { owners, a, b } = await pair();
    a.hold(Array.from({ length: 200 }, (_, window) => sampleAt(window % seriesCount, window)));
    b.hold([sampleAt(0, 0)]);
    let copiesCount = 0;
    a.onRequest = (topic, _to, pass) => {
      if (topic === 'copy' && ++copiesCount === 3) spoil({ a, b });
      return pass();
    };
    await assert.rejects(owners.settled(a.session('b').pushDiffering(all, 'repair')), (error) =>
      hasCode(error, 'PEER_CHANGED'),
    );
  }
});

test('a failed copy ends the sending, and no other copy of it is left under way', async () => {
  const { owners, a, b } = await pair();
  a.hold(Array.from({ length: 500 }, (_, position) => sampleAt(0, 1, position)));
  b.hold([sampleAt(0, 0)]);
  let underWay = 0;
  let copiesCount = 0;
  a.onRequest = async (_topic, _to, pass) => {
    underWay++;
    try {
      if (++copiesCount === 6) b.store.disk.isFull = true;
      return await pass();
    } finally {
      underWay--;
    }
  };
  await assert.rejects(owners.settled(a.session('b').push(all, 'repair')), (error) => hasCode(error, 'STORE_FULL'));
  assert.equal(underWay, 0);
  assert.ok(copiesCount <= 10, `${copiesCount} copies of 25 were begun`);
});

test('questions about what is no partition, or in disorder, are refused: answers go by position', async () => {
  const { owners, a, b } = await pair();
  b.hold([sampleAt(0, 0), sampleAt(1, 0)]);
  const ask = <Request, Reply>(question: Question<Request, Reply>, request: Request): Promise<unknown> =>
    owners.settled(a.context.exchange.ask('b', question, request, 1000));
  const digest = { samplesCount: 1, sum: 1n };
  const range = { windowStartMs: undefined, fromMs: undefined, toMs: undefined };
  for (const partitions of [[2 ** 40], [65_536], [1, 0], [1, 1]]) {
    const digests = partitions.map((partition) => ({ partition, ...digest }));
    const asked = partitions.map((partition) => ({ partition, range: allFingerprints, digests: [] }));
    for (const isAudit of [true, false]) {
      await assert.rejects(ask(checkQuestion, { ...range, isAudit, digests }), /DECODE_|PEER_FAILED/, `${partitions}`);
    }
    const body = { fromMs: undefined, toMs: undefined, asked };
    await assert.rejects(ask(compareQuestion, body), /DECODE_|PEER_FAILED/, `${partitions}`);
  }
  assert.equal(b.state.marks.count, 0);
  const ended = { reason: 'repair', ended: [2 ** 40] } as const;
  await assert.rejects(ask(copyQuestion, ended), /DECODE_/);
});
