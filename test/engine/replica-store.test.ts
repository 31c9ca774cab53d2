// The real storage behind the cluster's contract: two stores replicate through it, marks outlive every crash that their
// samples outlive, and answers of several nodes are united.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hourMs, kib, mib, SeededRandom } from '../../src/base/index.ts';
import { allOf, type LocalStore, type SamplesPayload } from '../../src/cluster/contracts.ts';
import { Matcher, SampleBuffer } from '../../src/model/index.ts';
import {
  AnswerUnion,
  connectReplicaKeeper,
  connectReplicaLane,
  connectReplicaReader,
  createInlineChannel,
  encodeSelectors,
  encodeWanted,
  knownSeries,
  laneForReplica,
  openReplicaStorage,
  openStorage,
  PairReader,
  type ReplicaStorage,
  ReplicaStore,
  serveReplicaKeeper,
  serveReplicaLane,
  serveReplicaReader,
} from '../../src/storage/index.ts';
import type { Log } from '../../src/ports/index.ts';
import { SimClock } from '../../sim/clock.ts';
import { SimDisk } from '../../sim/disk.ts';
import { SimRandom } from '../../sim/random.ts';
import { body, modules, type Sample, startMs } from '../crash/world.ts';

const everyPartition = new Uint8Array(8192).fill(0xff);
const sample = (series: number, timestampMs: number, bits = 1): Sample => ({ series, timestampMs, bits: BigInt(bits) });
const quietLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => quietLog,
};

interface Node {
  readonly clock: SimClock;
  readonly disk: SimDisk;
  readonly replica: Pick<ReplicaStorage, 'storage'>;
  /** The compiler holds the real storage to the contract here. */
  readonly store: LocalStore;
  readonly fatal: unknown[];
}

function optionsOf(disk: SimDisk, clock: SimClock, seed: number, fatal: unknown[]) {
  const wire = { bodyBytesMax: 64 * kib, decompressedBytesMax: 64 * kib, cacheBytesMax: 64 * kib };
  return {
    disk,
    clock,
    random: new SimRandom(seed),
    log: quietLog,
    modules,
    retention: { timeMs: 365 * 24 * hourMs },
    limits: { headBytesMax: 16 * mib, wire },
    onFatal: (error: unknown) => fatal.push(error),
  };
}

async function openNode(disk: SimDisk, seed = 1): Promise<Node> {
  const clock = new SimClock(startMs);
  const fatal: unknown[] = [];
  const replica = await clock.runUntil(openReplicaStorage(optionsOf(disk, clock, seed, fatal)));
  return { clock, disk, replica, store: replica.store, fatal };
}

/** The same with lane, keeper and reader at the other ends of channels, as in workers. */
async function openAcross(disk: SimDisk, seed = 1): Promise<Node> {
  const clock = new SimClock(startMs);
  const fatal: unknown[] = [];
  const [[laneHere, laneThere], [keeperHere, keeperThere], [readerHere, readerThere]] = [
    createInlineChannel(),
    createInlineChannel(),
    createInlineChannel(),
  ];
  const served = Promise.withResolvers<() => Promise<Uint8Array>>();
  const replication = { onLogCut: async () => (await served.promise)() };
  const storage = await clock.runUntil(openStorage({ ...optionsOf(disk, clock, seed, fatal), replication }));
  served.resolve(serveReplicaLane(laneThere, laneForReplica(storage.lane)));
  serveReplicaKeeper(keeperThere, storage.keeper);
  serveReplicaReader(readerThere, new PairReader(storage.reader));
  const store: ReplicaStore = new ReplicaStore({
    id: `${seed}`,
    clock,
    lane: connectReplicaLane(laneHere, () => store.marksForLogCut()),
    keeper: connectReplicaKeeper(keeperHere),
    reader: connectReplicaReader(readerHere),
    isBusy: () => false,
  });
  return { clock, disk, replica: { storage }, store, fatal };
}

/** What a connection does with a payload: definitions first, references mapped on arrival. */
async function deliver(
  from: Node,
  to: Node,
  payload: SamplesPayload,
  origin: 'written' | 'copied',
): Promise<Float64Array> {
  const { dictionary, seriesRefs, samplesCount, fingerprintSum, bytes } = payload;
  const definitions = await from.clock.runUntil(from.store.definitionsOf(dictionary, seriesRefs));
  const registered = await to.clock.runUntil(to.store.register(definitions));
  const ownRefs = new Uint32Array(new SharedArrayBuffer(4 * (Math.max(0, ...seriesRefs) + 1))).fill(0xffffffff);
  for (const [i, ref] of registered.senderRefs.entries()) ownRefs[ref] = registered.ownRefs[i] as number;
  const received = { dictionary: registered.dictionary, samplesCount, ownRefs, fingerprintSum, bytes };
  return to.clock.runUntil(to.store.append(received, origin));
}

async function writeTo(nodes: readonly Node[], samples: readonly Sample[]): Promise<Float64Array> {
  const [coordinator, ...others] = nodes as [Node, ...Node[]];
  const decoded = await coordinator.clock.runUntil(coordinator.store.decode(body(samples)));
  const all = new Set(decoded.partitions);
  const pairs = await coordinator.clock.runUntil(decoded.append(all));
  for (const other of others)
    await deliver(coordinator, other, await coordinator.clock.runUntil(decoded.payloadFor(all)), 'written');
  decoded.release();
  return pairs;
}

async function digestsOf(node: Node): Promise<string> {
  const found: string[] = [];
  for (const partition of await node.clock.runUntil(node.store.heldPartitions())) {
    const [digests = []] = await node.clock.runUntil(node.store.digests(allOf([partition])));
    for (const { windowStartMs, samplesCount, sum } of digests) {
      found.push([partition, windowStartMs, samplesCount, sum].join(' '));
    }
  }
  return found.join('\n');
}

/** What a node answers to one read. */
async function read(
  node: Node,
  partitions = everyPartition,
  fromMs = 0,
  toMs = startMs,
): Promise<readonly Uint8Array[]> {
  const matchers = [new Matcher('series', '!=', '')];
  const wanted = encodeWanted({ kind: 'samples', requests: [{ matchers, startMs: 0, endMs: startMs }] });
  const frames = node.store.read({ fromMs, toMs, wanted }, [{ fromMs, toMs, partitions }])[Symbol.asyncIterator]();
  const found: Uint8Array[] = [];
  for (;;) {
    const next = await node.clock.runUntil(frames.next());
    if (next.done) return found;
    found.push(next.value);
  }
}

function contents(answers: readonly (readonly Uint8Array[])[]): Map<string, bigint> {
  const found = new Map<string, bigint>();
  const buffer = new SampleBuffer();
  const union = new AnswerUnion(1);
  for (const [node, frames] of answers.entries()) for (const frame of frames) union.add(`${node}`, frame);
  for (const series of union.series(0, [])) {
    series.read(buffer);
    const bits = new BigUint64Array(buffer.values.buffer);
    for (let i = 0; i < buffer.count; i++) {
      found.set(`${series.labels.get('series')} ${buffer.timestampsMs[i]}`, bits[i] as bigint);
    }
  }
  return found;
}

suite('replica store', () => {
  for (const [name, open] of Object.entries({ 'in one thread': openNode, 'across channels': openAcross })) {
    test(`a write on two stores gives equal digests, also after one has flushed (${name})`, async () => {
      const [a, b] = [await open(new SimDisk()), await open(new SimDisk(), 2)];
      a.store.onLogCut = () => new Uint8Array();
      const samples = Array.from({ length: 50 }, (_, i) => sample(i % 20, startMs - (i % 9) * hourMs, i));
      const pairs = await writeTo([a, b], samples);
      assert.equal(new Set(pairs).size, pairs.length, 'each pair once');
      await a.clock.runUntil(a.replica.storage.lane.flushNow());
      const digests = await digestsOf(a);
      assert.ok(digests.length > 0);
      assert.equal(await digestsOf(b), digests);
      assert.notEqual(a.store.id, b.store.id);
    });

    test(`scanning copies a partition, dropping takes it away, deletes hold for what is copied later (${name})`, async () => {
      const [a, b] = [await open(new SimDisk()), await open(new SimDisk(), 2)];
      for (const { store } of [a, b]) store.onLogCut = () => new Uint8Array();
      await writeTo([a], [sample(1, startMs - 3000), sample(1, startMs - 1000), sample(2, startMs)]);
      const matchers = encodeSelectors([[new Matcher('series', '=', '1')]]);
      const rule = { id: 'd', matchers, fromMs: startMs - 4000, toMs: startMs - 2000 };
      await b.clock.runUntil(b.store.applyDeletes([rule]));
      for (const partition of await a.clock.runUntil(a.store.heldPartitions())) {
        const scan = a.store.scan(allOf([partition]))[Symbol.asyncIterator]();
        for (let next = await a.clock.runUntil(scan.next()); !next.done; next = await a.clock.runUntil(scan.next())) {
          await deliver(a, b, next.value, 'copied');
        }
      }
      assert.deepEqual([...contents([await read(b)]).keys()], [`1 ${startMs - 1000}`, `2 ${startMs}`]);
      await a.clock.runUntil(a.store.applyDeletes([rule]));
      assert.equal(await digestsOf(a), await digestsOf(b));
      const held = await a.clock.runUntil(a.store.heldPartitions());
      await a.clock.runUntil(Promise.all(Array.from(held, (partition) => a.store.dropPartition(partition))));
      assert.equal(contents([await read(a)]).size, 0);
      assert.equal((await a.clock.runUntil(a.store.heldPartitions())).length, 0);
    });
  }

  test('answers are united sample by sample, within partitions and ranges', async () => {
    const [a, b] = [await openNode(new SimDisk()), await openNode(new SimDisk(), 2)];
    await writeTo([a], [sample(1, startMs - 3000, 4), sample(1, startMs - 2000, 9), sample(2, startMs, 1)]);
    await writeTo([b], [sample(1, startMs - 3000, 6), sample(1, startMs - 1000, 2)]);
    const expected = new Map([
      [`1 ${startMs - 3000}`, 6n],
      [`1 ${startMs - 2000}`, 9n],
      [`1 ${startMs - 1000}`, 2n],
      [`2 ${startMs}`, 1n],
    ]);
    const answers = [await read(a), await read(b)];
    assert.deepEqual(contents(answers), expected);
    assert.deepEqual(contents(answers.toReversed()), expected);
    const some = contents([await read(a, everyPartition, startMs - 2500, startMs - 500)]);
    assert.deepEqual([...some.keys()], [`1 ${startMs - 2000}`]);
    assert.equal(contents([await read(a, new Uint8Array(8192))]).size, 0);
  });

  test('who says what it has is sent what differs from it, within the segments asked for', async () => {
    const [a, b] = [await openNode(new SimDisk()), await openNode(new SimDisk(), 2)];
    a.store.onLogCut = () => new Uint8Array();
    const both = [sample(1, startMs - 3000), sample(2, startMs - 3000), sample(2, startMs - 2000), sample(3, startMs)];
    await writeTo([a, b], both);
    await writeTo([a], [sample(2, startMs - 1000), sample(4, startMs - 9000), sample(5, startMs - 1000)]);
    await writeTo([b], [sample(1, startMs - 1000), sample(6, startMs)]);
    await a.clock.runUntil(a.replica.storage.lane.flushNow());
    const matchers = [new Matcher('series', '!=', '')];
    const sentBy = async (fromMs: number): Promise<string[]> => {
      const segments = [{ fromMs, toMs: startMs, partitions: everyPartition }];
      const requests = [{ matchers, startMs: 0, endMs: startMs }];
      const { reader } = b.replica.storage;
      const session = reader.openSession();
      const control = { check: () => undefined, addBytes: () => undefined };
      const [own] = await b.clock.runUntil(session.select(requests, control));
      const known = knownSeries(reader, [own?.series ?? []], segments, () => undefined);
      const wanted = encodeWanted({ kind: 'samples', requests, known });
      const union = new AnswerUnion(1);
      const frames = a.store.read({ fromMs, toMs: startMs, wanted }, segments)[Symbol.asyncIterator]();
      for (;;) {
        const next = await a.clock.runUntil(frames.next());
        if (next.done) break;
        union.add('a', next.value);
      }
      const sent = union.series(0, []).map(({ labels }) => labels.get('series') ?? '');
      // United with the own ones nothing is missing.
      const united = new Map<string, number>();
      const buffer = new SampleBuffer();
      for (const series of union.series(0, own?.series ?? [])) {
        series.read(buffer);
        united.set(series.labels.get('series') ?? '', buffer.count);
      }
      session.close();
      if (fromMs === 0) assert.deepEqual(Object.fromEntries(united), { 1: 2, 2: 3, 3: 1, 4: 1, 5: 1, 6: 1 });
      return sent.sort();
    };
    assert.deepEqual(await sentBy(0), ['1', '2', '4', '5']);
    assert.deepEqual(await sentBy(startMs - 1500), ['2', '5']);
    assert.deepEqual(await sentBy(startMs), []);
  });

  test('whatever operation a crash comes at, every acknowledged sample is marked: by the file, or by the log', async () => {
    const life = async (disk: SimDisk): Promise<Set<number>> => {
      const acknowledged = new Set<number>();
      const marks = new Set<number>();
      let node: Node | undefined;
      try {
        node = await openNode(disk);
        node.store.onLogCut = () => new Uint8Array(Float64Array.from(marks).buffer);
        for (let step = 0; step < 3; step++) {
          const { lane } = node.replica.storage;
          const decoded = await node.store.decode(body([sample(step, startMs - step * hourMs)]));
          const appended = decoded.append(new Set(decoded.partitions));
          const flushed = step === 2 ? Promise.resolve() : lane.flushNow();
          flushed.catch(() => undefined);
          for (const pair of await within(node, appended)) {
            marks.add(pair);
            acknowledged.add(pair);
          }
          await within(node, flushed);
        }
        await within(node, node.replica.storage.close());
      } catch {
        assert.ok(disk.crashed);
      }
      return acknowledged;
    };
    const whole = new SimDisk();
    assert.equal((await life(whole)).size, 3);
    for (let atOperation = 1; atOperation <= whole.operationsCount; atOperation++) {
      const disk = new SimDisk();
      disk.fault = { atOperation, kind: 'crash' };
      const acknowledged = await life(disk);
      disk.crash();
      const node = await openNode(disk.afterCrash(new SeededRandom(atOperation)));
      const saved = await node.store.loadState('marks');
      const marked = new Set(saved ? new Float64Array(saved.slice().buffer) : []);
      for (const pair of await node.clock.runUntil(node.store.ready())) marked.add(pair);
      for (const pair of acknowledged)
        assert.ok(marked.has(pair), `operation ${atOperation}: pair ${pair} has no mark`);
    }
  });

  test('a copy of a directory, and a log that lost synced records, are other stores', async () => {
    const disk = new SimDisk();
    const first = await openNode(disk);
    await writeTo([first], [sample(1, startMs)]);
    await writeTo([first], [sample(2, startMs)]);
    const again = await openNode(disk.afterCrash(undefined), 3);
    assert.equal(again.store.id, first.store.id);
    const copy = disk.afterCrash(undefined);
    copy.identityText = 'elsewhere';
    const copied = await openNode(copy, 4);
    assert.notEqual(copied.store.id, first.store.id);

    const damaged = disk.afterCrash(undefined);
    const file = damaged.open('log/1-0-0', 'write');
    file.write(Uint8Array.of(1, 2, 3), 90);
    file.sync();
    const lossy = await openNode(damaged, 5);
    await lossy.clock.runUntil(lossy.replica.storage.lane.replayed);
    await lossy.clock.advance(1);
    assert.match(String(lossy.fatal), /STORE_LOST_RECORDS/);
    const fresh = await openNode(damaged.afterCrash(undefined), 6);
    await fresh.clock.runUntil(fresh.replica.storage.lane.replayed);
    await fresh.clock.advance(1);
    assert.notEqual(fresh.store.id, first.store.id);
    assert.deepEqual(fresh.fatal, [], 'known losses are not counted again');
  });
});

/** As the clock's runUntil, but a machine that is down does nothing more. */
async function within<Result>(node: Node, work: Promise<Result>): Promise<Result> {
  const state = { isSettled: false };
  const settle = (): void => {
    state.isSettled = true;
  };
  work.then(settle, settle);
  for (let step = 0; step < 100_000 && !node.disk.crashed; step++) {
    await node.clock.advance(1);
    if (state.isSettled) return work;
  }
  throw new Error('the machine is down');
}
