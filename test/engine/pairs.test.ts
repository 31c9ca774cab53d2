// What replicas compare and send each other, against a Map: digests of the merged set are the same whatever has been flushed,
// merged, sent twice or replaced, and what is scanned at one node makes the other one equal.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hourMs, SeededRandom } from '../../src/base/index.ts';
import { compareValueBits, encodeLabels } from '../../src/model/index.ts';
import { type Extent, PairReader, type SamplesForPeer } from '../../src/storage/index.ts';
import { PagesKernel } from '../../src/wasm/index.ts';
import { SimDisk } from '../../sim/disk.ts';
import { body, labelsOf, modules, openWorld, readAll, type Sample, startMs, type World } from '../crash/world.ts';

const windowMs = 2 * hourMs;
const mask64 = (1n << 64n) - 1n;
const everyFingerprint = { first: 0, last: 0xffff_ffff };

/** All times of some partitions. */
function extentOf(partitions: Iterable<number>, range = everyFingerprint): Extent {
  const always = { startMs: Number.NEGATIVE_INFINITY, endMs: Number.POSITIVE_INFINITY };
  return { partitions: Uint32Array.from(partitions), ...always, range };
}
const seriesCount = 12;
const kernel = new PagesKernel(modules.pages);
const fingerprints = Array.from({ length: seriesCount }, (_, i) =>
  kernel.fingerprint(encodeLabels(labelsOf(i))).slice(),
);
const viewOf = (series: number): DataView => new DataView((fingerprints[series] as Uint8Array).slice().buffer);
const partitionOf = (series: number): number => viewOf(series).getUint16(0, true);
const bitsOf = (series: number): number => viewOf(series).getUint32(2, false);

function mix(input: bigint): bigint {
  let mixed = input & mask64;
  mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n) & mask64;
  mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & mask64;
  return mixed ^ (mixed >> 31n);
}

const rotate = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (64n - by))) & mask64;

/** docs/formats/digests.md. */
function hashOf({ series, timestampMs, bits }: Sample): bigint {
  const view = viewOf(series);
  const a = mix(view.getBigUint64(0, true) + BigInt(timestampMs));
  const b = mix(view.getBigUint64(8, true) + bits);
  return (mix(b + rotate(a, 21n)) << 64n) | mix(a ^ rotate(b, 32n));
}

class Model {
  readonly samples = new Map<string, Sample>();

  add(sample: Sample): void {
    const key = `${sample.series} ${sample.timestampMs}`;
    const before = this.samples.get(key);
    const halves = (bits: bigint): [number, number] => [Number(bits >> 32n), Number(bits & 0xffffffffn)];
    if (!before || compareValueBits(...halves(sample.bits), ...halves(before.bits)) > 0) this.samples.set(key, sample);
  }

  digests(
    partition: number,
    first = 0,
    last = 0xffff_ffff,
  ): { windowStartMs: number; samplesCount: number; sum: bigint }[] {
    const found = new Map<number, { samplesCount: number; sum: bigint }>();
    for (const sample of this.samples.values()) {
      const bits = bitsOf(sample.series);
      if (partitionOf(sample.series) !== partition || bits < first || bits > last) continue;
      const windowStartMs = Math.floor(sample.timestampMs / windowMs) * windowMs;
      const digest = found.get(windowStartMs) ?? { samplesCount: 0, sum: 0n };
      found.set(windowStartMs, digest);
      digest.samplesCount++;
      digest.sum = (digest.sum + hashOf(sample)) & ((1n << 128n) - 1n);
    }
    return [...found.entries()]
      .map(([windowStartMs, digest]) => ({ windowStartMs, ...digest }))
      .sort((a, b) => a.windowStartMs - b.windowStartMs);
  }

  total(partition: number, fromMs: number, toMs: number): object {
    const total = { samplesCount: 0, sum: 0n };
    for (const { windowStartMs, samplesCount, sum } of this.digests(partition)) {
      if (windowStartMs < fromMs || windowStartMs >= toMs) continue;
      total.samplesCount += samplesCount;
      total.sum = (total.sum + sum) & ((1n << 128n) - 1n);
    }
    return total;
  }
}

function randomSamples(random: SeededRandom): Sample[] {
  const baseMs = startMs - random.below(60) * hourMs;
  return Array.from({ length: 1 + random.below(30) }, () => ({
    series: random.below(seriesCount),
    timestampMs: baseMs + random.below(40) * 10 * 60_000 - 6 * hourMs,
    bits: BigInt(random.below(3)),
  })).filter(({ timestampMs }) => timestampMs <= startMs);
}

async function checkDigests(world: World, model: Model): Promise<void> {
  const pairs = new PairReader(world.storage.reader);
  for (let series = 0; series < seriesCount; series++) {
    const partition = partitionOf(series);
    const [whole = []] = await world.clock.runUntil(pairs.digests(extentOf([partition])));
    assert.deepEqual(whole, model.digests(partition));
    const bits = bitsOf(series);
    for (const range of [
      { first: bits, last: bits },
      { first: bits + 1, last: 0xffff_ffff },
    ]) {
      const some = await world.clock.runUntil(pairs.digests(extentOf([partition], range)));
      assert.deepEqual(some[0], model.digests(partition, range.first, range.last));
    }
    for (const { windowStartMs, ...digest } of whole.slice(0, 2)) {
      const window = { ...extentOf([partition]), startMs: windowStartMs, endMs: windowStartMs + windowMs };
      assert.deepEqual(await world.clock.runUntil(pairs.digests(window)), [[{ windowStartMs, ...digest }]]);
    }
  }
  const all = new Set(Array.from({ length: seriesCount }, (_, series) => partitionOf(series)));
  const partitions = Uint32Array.from([...all, 77]).sort();
  const together = await world.clock.runUntil(pairs.digests(extentOf(partitions)));
  assert.deepEqual(
    together,
    Array.from(partitions, (partition) => model.digests(partition)),
  );
  await checkTotals(world, model, pairs);
  const held = await world.clock.runUntil(pairs.heldPartitions());
  const expected = new Set([...model.samples.values()].map(({ series }) => partitionOf(series)));
  assert.deepEqual(new Set(held), expected);
}

/** Of all partitions and some empty ones, over ranges that cut parts in different places. */
async function checkTotals(world: World, model: Model, pairs: PairReader): Promise<void> {
  const all = Array.from({ length: seriesCount }, (_, series) => partitionOf(series));
  const partitions = Uint32Array.from(new Set([...all, 0, 77, 65_535])).sort();
  const nowWindowMs = Math.floor(startMs / windowMs) * windowMs;
  const ranges = [
    { startMs: Number.NEGATIVE_INFINITY, endMs: Number.POSITIVE_INFINITY },
    { startMs: nowWindowMs - 14 * windowMs, endMs: Number.POSITIVE_INFINITY },
    { startMs: nowWindowMs - 30 * windowMs, endMs: nowWindowMs - 3 * windowMs },
    { startMs: nowWindowMs, endMs: nowWindowMs + windowMs },
  ];
  for (const range of ranges) {
    const totals = await world.clock.runUntil(pairs.digestsOf(partitions, range.startMs, range.endMs));
    const expected = Array.from(partitions, (partition) => model.total(partition, range.startMs, range.endMs));
    assert.deepEqual(totals, expected, JSON.stringify(range));
  }
}

function scanAll(world: World, partition: number): Promise<SamplesForPeer[]> {
  return drawAll(world, new PairReader(world.storage.reader).scan(extentOf([partition])));
}

async function drawAll(world: World, scan: AsyncIterator<SamplesForPeer>): Promise<SamplesForPeer[]> {
  const payloads: SamplesForPeer[] = [];
  for (;;) {
    const next = await world.clock.runUntil(scan.next());
    if (next.done) return payloads;
    payloads.push(next.value);
  }
}

/** Appends payloads as another node's connection would. */
async function deliver(from: World, to: World, payloads: readonly SamplesForPeer[]): Promise<void> {
  const [source, target] = [from.storage.lane.replication, to.storage.lane.replication];
  for (const { dictionary, seriesRefs, samplesCount, fingerprintSum, bytes } of payloads) {
    const registered = target.register(source.definitionsOf(dictionary, seriesRefs));
    const ownRefs = new Uint32Array(Math.max(...seriesRefs) + 1).fill(0xffffffff);
    for (const [i, ref] of registered.senderRefs.entries()) ownRefs[ref] = registered.ownRefs[i] as number;
    const samples = { dictionary: registered.dictionary, samplesCount, ownRefs, fingerprintSum, bytes };
    await to.clock.runUntil(target.appendReceived(samples, 'copied'));
  }
}

suite('pairs', () => {
  test('digests are those of the merged set, whatever was flushed, merged, repeated or replaced', async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const random = new SeededRandom(seed);
      let world = await openWorld(new SimDisk(), { seed });
      const model = new Model();
      let last: Sample[] = [];
      for (let step = 0; step < 14; step++) {
        const samples = random.float() < 0.2 ? last : randomSamples(random);
        last = samples;
        await world.clock.runUntil(world.storage.lane.write(body(samples)));
        for (const sample of samples) model.add(sample);
        if (random.float() < 0.4) await world.clock.runUntil(world.storage.lane.flushNow());
        if (random.float() < 0.2) await world.clock.runUntil(world.storage.keeper.compactNow());
        if (random.float() < 0.1) {
          world = await openWorld(world.disk.afterCrash(undefined), { seed: seed + step });
          await world.clock.runUntil(world.storage.lane.replayed);
        }
        if (step % 5 === 4) await checkDigests(world, model);
      }
      await checkDigests(world, model);
    }
  });

  test('what is scanned at one node makes another one equal', async () => {
    const random = new SeededRandom(7);
    const [full, empty] = [await openWorld(new SimDisk()), await openWorld(new SimDisk(), { seed: 2 })];
    const model = new Model();
    for (let step = 0; step < 20; step++) {
      const samples = randomSamples(random);
      await full.clock.runUntil(full.storage.lane.write(body(samples)));
      for (const sample of samples) model.add(sample);
      if (step === 12) await full.clock.runUntil(full.storage.lane.flushNow());
    }
    for (let series = 0; series < seriesCount / 2; series++) {
      await deliver(full, empty, await scanAll(full, partitionOf(series)));
    }
    const rest = Array.from({ length: seriesCount / 2 }, (_, i) => partitionOf(seriesCount / 2 + i));
    const partitions = Uint32Array.from(new Set(rest)).sort();
    const middleMs = Math.floor(startMs / windowMs - 9) * windowMs;
    for (const half of [{ endMs: middleMs }, { startMs: middleMs }]) {
      const scan = new PairReader(full.storage.reader).scan({ ...extentOf(partitions), ...half });
      await deliver(full, empty, await drawAll(full, scan));
    }
    await checkDigests(empty, model);
    assert.deepEqual(await readAll(empty), await readAll(full));
  });

  test('a digest waits until what it counts is on disk', async () => {
    const world = await openWorld(new SimDisk());
    const pairs = new PairReader(world.storage.reader);
    const written = world.storage.lane.write(body([{ series: 1, timestampMs: startMs, bits: 5n }]));
    const order: string[] = [];
    const digested = pairs.digests(extentOf([partitionOf(1)]));
    await world.clock.runUntil(
      Promise.all([
        written.then(() => order.push('written')),
        digested.then((found) => order.push(`${found.flat().length}`)),
      ]),
    );
    assert.deepEqual(order, ['written', '1']);
  });
});
