// What replication does with lanes: requests are decoded once and cut by partition, payloads are appended by other nodes as a
// log's replay does, nothing damaged or misunderstood gets in, and pairs come back from the log.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hourMs, mib, SeededRandom } from '../../src/base/index.ts';
import type { RegisteredSeries, SamplesForPeer, SamplesFromPeer } from '../../src/storage/index.ts';
import { SimDisk } from '../../sim/disk.ts';
import { body, openWorld, readAll, type Sample, startMs, type World } from '../crash/world.ts';

const windowMs = 2 * hourMs;
const sample = (series: number, timestampMs: number, bits = 1): Sample => ({ series, timestampMs, bits: BigInt(bits) });
/** What the connection between two nodes keeps: the receiver's references. */
class Dictionary {
  #ownRefs = new Uint32Array(0);
  #dictionary = 0;

  learn({ dictionary, senderRefs, ownRefs }: RegisteredSeries): void {
    this.#dictionary = dictionary;
    const grown = new Uint32Array(Math.max(this.#ownRefs.length, ...senderRefs.map((ref) => ref + 1))).fill(0xffffffff);
    grown.set(this.#ownRefs);
    for (const [i, ref] of senderRefs.entries()) grown[ref] = ownRefs[i] as number;
    this.#ownRefs = grown;
  }

  arrived({ samplesCount, fingerprintSum, bytes }: SamplesForPeer): SamplesFromPeer {
    return { dictionary: this.#dictionary, samplesCount, ownRefs: this.#ownRefs, fingerprintSum, bytes };
  }
}

const replicationOf = (world: World) => world.storage.lane.replication;

/** Sends a payload with all its definitions. */
function deliver(from: World, to: World, payload: SamplesForPeer, dictionary = new Dictionary()): SamplesFromPeer {
  const definitions = replicationOf(from).definitionsOf(payload.dictionary, payload.seriesRefs);
  dictionary.learn(replicationOf(to).register(definitions));
  return dictionary.arrived(payload);
}

suite('replication', () => {
  test('a request is cut by partition: every sample goes where its partition goes, and nowhere else', async () => {
    const [coordinator, peer] = [await openWorld(new SimDisk()), await openWorld(new SimDisk(), { seed: 2 })];
    const samples = Array.from({ length: 60 }, (_, i) => sample(i % 25, startMs - (i % 7) * hourMs, i));
    const decoded = replicationOf(coordinator).decode(body(samples));
    assert.equal(decoded.samplesCount, 60);
    assert.equal(new Set(decoded.groups).size, decoded.groups.length);
    assert.equal((await readAll(coordinator)).size, 0, 'nothing is appended by decoding');

    const mine = decoded.groups.slice(0, 10);
    const others = decoded.groups.slice(10);
    const payload = replicationOf(coordinator).payloadOf(decoded.writeId, others);
    const { pairs: ownPairs } = await coordinator.clock.runUntil(
      replicationOf(coordinator).appendKept(decoded.writeId, mine),
    );
    const arrived = deliver(coordinator, peer, payload);
    const { pairs: peerPairs } = await peer.clock.runUntil(replicationOf(peer).appendReceived(arrived, 'written'));
    replicationOf(coordinator).release(decoded.writeId);
    assert.equal(replicationOf(coordinator).keptCount, 0);

    const [own, theirs] = [await readAll(coordinator), await readAll(peer)];
    assert.equal(own.size + theirs.size, 60);
    for (const { series, timestampMs, bits } of samples) {
      assert.equal(own.get(`${series} ${timestampMs}`) ?? theirs.get(`${series} ${timestampMs}`), bits);
    }
    const partitionsOf = (pairs: Float64Array): Set<number> => new Set([...pairs].map((pair) => pair % 65_536));
    assert.deepEqual(partitionsOf(ownPairs), new Set<number>(decoded.groups.slice(0, 10)));
    assert.deepEqual(partitionsOf(peerPairs), new Set<number>(decoded.groups.slice(10)));
    const windows = new Set([...ownPairs, ...peerPairs].map((pair) => Math.floor(pair / 65_536)));
    assert.deepEqual(windows, new Set(samples.map(({ timestampMs }) => Math.floor(timestampMs / windowMs))));
  });

  test('a request is cut by groups of partitions: destinations that get the same share a payload', async () => {
    const [world, peer] = [await openWorld(new SimDisk()), await openWorld(new SimDisk(), { seed: 2 })];
    const groupOf = Uint16Array.from({ length: 65_536 }, (_, partition) => partition % 3);
    const groups = (...some: number[]): Uint8Array => {
      const bitmap = new Uint8Array(8192);
      for (const group of some) bitmap[0] = (bitmap[0] ?? 0) | (1 << group);
      return bitmap;
    };
    const others = [groups(0, 1), groups(1, 2), groups(0, 1), groups()];
    replicationOf(world).setGroups({ groupOf, own: groups(0, 1), others });
    const samples = Array.from({ length: 90 }, (_, i) => sample(i % 45, startMs - (i % 2) * hourMs, i));
    const decoded = replicationOf(world).decode(body(samples));
    assert.deepEqual([...decoded.groups].sort(), [0, 1, 2]);
    assert.deepEqual(
      decoded.payloads.map((payload) => [...payload.groups].sort()),
      [
        [0, 1],
        [1, 2],
      ],
    );

    // The record that a payload made is what the log gets.
    const { pairs: ownPairs } = await world.clock.runUntil(
      replicationOf(world).appendKept(decoded.writeId, Uint16Array.of(1, 0)),
    );
    assert.ok([...ownPairs].every((pair) => (pair % 65_536) % 3 < 2));
    const own = await readAll(world);
    const restarted = await openWorld(world.disk.afterCrash(undefined));
    assert.deepEqual(await readAll(restarted), own);

    const [, second] = decoded.payloads;
    assert.ok(second);
    const arrived = deliver(world, peer, second.samples);
    await peer.clock.runUntil(replicationOf(peer).appendReceived(arrived, 'written'));
    const standIn = replicationOf(world).payloadOf(decoded.writeId, Uint16Array.of(2));
    const { pairs: again } = await peer.clock.runUntil(
      replicationOf(peer).appendReceived(deliver(world, peer, standIn), 'written'),
    );
    assert.ok([...again].every((pair) => (pair % 65_536) % 3 === 2));
    const theirs = await readAll(peer);
    const shared = [...own.keys()].filter((key) => theirs.has(key));
    assert.equal(own.size + theirs.size - shared.length, 90);
    assert.ok(shared.length > 0 && shared.length < own.size);
  });

  test('references that were never defined, or are mixed up, are PEER_DICTIONARY; damage is PEER_PAYLOAD', async () => {
    const [from, to] = [await openWorld(new SimDisk()), await openWorld(new SimDisk(), { seed: 2 })];
    const decoded = replicationOf(from).decode(body(Array.from({ length: 10 }, (_, i) => sample(i, startMs, i))));
    const payload = replicationOf(from).payloadOf(decoded.writeId, decoded.groups);
    const arrived = deliver(from, to, payload);
    const append = (changes: Partial<SamplesFromPeer>): Promise<unknown> =>
      to.clock.runUntil(replicationOf(to).appendReceived({ ...arrived, ...changes }, 'written'));
    await assert.rejects(append({ ownRefs: arrived.ownRefs.slice(0, 5) }), { code: 'PEER_DICTIONARY' });
    await assert.rejects(append({ ownRefs: arrived.ownRefs.map((_, i) => i + 1000) }), { code: 'PEER_DICTIONARY' });
    await assert.rejects(append({ ownRefs: arrived.ownRefs.map(() => 0) }), { code: 'PEER_DICTIONARY' });
    await assert.rejects(append({ dictionary: arrived.dictionary + 1 }), { code: 'PEER_DICTIONARY' });
    await assert.rejects(append({ samplesCount: 9 }), { code: 'PEER_PAYLOAD' });
    await assert.rejects(append({ bytes: payload.bytes.subarray(1) }), { code: 'PEER_PAYLOAD' });
    const definitions = replicationOf(from).definitionsOf(payload.dictionary, payload.seriesRefs);
    assert.throws(() => replicationOf(to).register(definitions.subarray(0, 30)), { code: 'PEER_PAYLOAD' });
    assert.throws(() => replicationOf(from).definitionsOf(payload.dictionary + 1, payload.seriesRefs), {
      code: 'PEER_DICTIONARY',
    });
    assert.equal((await readAll(to)).size, 0);
    await append({});
    assert.equal((await readAll(to)).size, 10);
  });

  test('a payload that was made before the head was replaced can be defined as long as that head has samples', async () => {
    const world = await openWorld(new SimDisk(), { limits: { headBytesMax: 16 * mib } });
    const { lane } = world.storage;
    const prepare = (first: number, timestampMs: number) => {
      const samples = Array.from({ length: 300 }, (_, i) => sample(first + i, timestampMs));
      const { writeId, groups } = lane.replication.decode(body(samples));
      const payload = lane.replication.payloadOf(writeId, groups);
      return { writeId, groups, payload };
    };
    for (let round = 0; round < 8; round++) {
      const { writeId, groups, payload } = prepare(round * 300, startMs - 80_000 + round * 10_000);
      await world.clock.runUntil(lane.replication.appendKept(writeId, groups));
      const define = (): Uint8Array => lane.replication.definitionsOf(payload.dictionary, payload.seriesRefs);
      const definitions = define();
      const flushed = lane.flushNow();
      await Promise.resolve(); // frozen, not yet in parts
      const isReplaced = prepare(1e6 + round, startMs).payload.dictionary !== payload.dictionary;
      assert.deepEqual(define(), definitions);
      await world.clock.runUntil(flushed);
      if (!isReplaced) continue;
      assert.throws(define, { code: 'PEER_DICTIONARY' });
      return;
    }
    assert.fail('no head was replaced');
  });

  test('any flipped bit of a payload is an error or other samples, never a crash', async () => {
    const [from, to] = [await openWorld(new SimDisk()), await openWorld(new SimDisk(), { seed: 2 })];
    const decoded = replicationOf(from).decode(body(Array.from({ length: 6 }, (_, i) => sample(i, startMs + i, i))));
    const payload = replicationOf(from).payloadOf(decoded.writeId, decoded.groups);
    const arrived = deliver(from, to, payload);
    const random = new SeededRandom(5);
    for (let i = 0; i < 300; i++) {
      const bytes = payload.bytes.slice();
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
      const appended = to.clock.runUntil(replicationOf(to).appendReceived({ ...arrived, bytes }, 'written'));
      await appended.catch((error: unknown) => assert.match(String(error), /PEER_(PAYLOAD|DICTIONARY)/));
    }
    assert.deepEqual(to.fatal, []);
  });

  test('a duplicate waits for its sync, and its pairs are named again', async () => {
    const [from, to] = [await openWorld(new SimDisk()), await openWorld(new SimDisk(), { seed: 2 })];
    const decoded = replicationOf(from).decode(body([sample(1, startMs)]));
    const payload = replicationOf(from).payloadOf(decoded.writeId, decoded.groups);
    const arrived = deliver(from, to, payload);
    const [first, second] = await to.clock.runUntil(
      Promise.all([
        replicationOf(to).appendReceived(arrived, 'copied'),
        replicationOf(to).appendReceived(arrived, 'written'),
      ]),
    );
    assert.equal(first.pairs.length, 1);
    assert.deepEqual(second.pairs, first.pairs);
    const restarted = await openWorld(to.disk.afterCrash(undefined));
    assert.equal((await readAll(restarted)).size, 1);
  });

  test('after a crash the log names the pairs that clients wrote, not those that were copied', async () => {
    const replication = { onLogCut: async (): Promise<Uint8Array> => new Uint8Array() };
    const [from, to] = [await openWorld(new SimDisk()), await openWorld(new SimDisk(), { seed: 2 })];
    const [written, copied] = [sample(1, startMs), sample(2, startMs - windowMs)].map((one) => {
      const decoded = replicationOf(from).decode(body([one]));
      return deliver(from, to, replicationOf(from).payloadOf(decoded.writeId, decoded.groups));
    });
    assert.ok(written && copied);
    const { pairs, position } = await to.clock.runUntil(replicationOf(to).appendReceived(written, 'written'));
    await to.clock.runUntil(replicationOf(to).appendReceived(copied, 'copied'));
    const restarted = await openWorld(to.disk.afterCrash(undefined), { replication });
    const replayed = await restarted.clock.runUntil(restarted.storage.lane.replayedPairs());
    assert.deepEqual(replayed.pairs, pairs);
    assert.ok(replayed.position > position, 'the copies came later');
    assert.equal((await readAll(restarted)).size, 2);
  });

  test('positions rise over restarts and cuts of the log; a directory that was rolled back starts behind what it told', async () => {
    let world = await openWorld(new SimDisk());
    const append = async (timestampMs: number): Promise<number> => {
      const decoded = replicationOf(world).decode(body([sample(1, timestampMs)]));
      const appended = replicationOf(world).appendKept(decoded.writeId, decoded.groups);
      return (await world.clock.runUntil(appended)).position;
    };
    const restart = async (disk: SimDisk): Promise<number> => {
      world = await openWorld(disk);
      return (await world.clock.runUntil(world.storage.lane.replayedPairs())).position;
    };
    let told = 0;
    const rises = (position: number, mayStay = false): void => {
      assert.ok(mayStay ? position >= told : position > told, `${position} after ${told}`);
      told = position;
    };
    rises(await append(startMs - 9));
    const old = world.disk.afterCrash(undefined);
    rises(await append(startMs - 8));
    rises(await append(startMs - 7));
    rises(await restart(world.disk.afterCrash(undefined)), true);
    rises(await append(startMs - 6));
    await world.clock.runUntil(world.storage.lane.flushNow());
    rises(await restart(world.disk.afterCrash(undefined)));
    rises(await append(startMs - 5));
    const recovered = await restart(old);
    assert.ok(recovered < told);
    await append(startMs - 4);
    assert.equal((await world.clock.runUntil(world.storage.lane.replayedPairs())).position, recovered);
  });

  test('marks are saved before the log that implies them is cut, and after every append that it holds', async () => {
    const marks = new Set<number>();
    const replication = { onLogCut: async (): Promise<Uint8Array> => new Uint8Array(Float64Array.from(marks).buffer) };
    const world = await openWorld(new SimDisk(), { replication });
    const write = async (samples: readonly Sample[]): Promise<void> => {
      const decoded = replicationOf(world).decode(body(samples));
      const { pairs } = await replicationOf(world).appendKept(decoded.writeId, decoded.groups);
      for (const pair of pairs) {
        marks.add(pair);
      }
    };
    const writes = [write([sample(1, startMs)]), write([sample(2, startMs)])];
    await world.clock.runUntil(Promise.all([world.storage.lane.flushNow(), ...writes]));
    assert.deepEqual(world.storage.lane.state.load('marks'), new Uint8Array(Float64Array.from(marks).buffer));
    assert.equal(marks.size, 2);
    assert.equal((await readAll(world)).size, 2);
  });
});
