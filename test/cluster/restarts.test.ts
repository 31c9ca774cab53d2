// One node of a cluster over real storage on a simulated disk, restarted again and again: what it marked stays marked, whether
// file or log holds it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hourMs, mib, secondMs } from '../../src/base/index.ts';
import { ClusterNode, partitionsCount, type PeerLinks, type Place, Placement } from '../../src/cluster/index.ts';
import type { Log } from '../../src/ports/index.ts';
import { openReplicaStorage } from '../../src/storage/index.ts';
import { SimClock } from '../../sim/clock.ts';
import { SimDisk } from '../../sim/disk.ts';
import { SimRandom } from '../../sim/random.ts';
import { body, modules, startMs } from '../crash/world.ts';

const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => log };
const wire = { bodyBytesMax: mib, decompressedBytesMax: mib, cacheBytesMax: mib };
const place: Place = (members, previous) =>
  previous instanceof Placement ? previous.change(members) : Placement.build(members);
const links: PeerLinks = {
  request: () => Promise.reject(new Error('there is nobody')),
  onRequest: undefined,
  setAddresses: () => {},
};

async function start(disk: SimDisk) {
  const clock = new SimClock(startMs);
  const random = new SimRandom(disk.operationsCount);
  const retention = { timeMs: 365 * 24 * hourMs };
  const limits = { headBytesMax: 16 * mib, wire };
  const ports = { disk, clock, random, log };
  const { store } = await clock.runUntil(openReplicaStorage({ ...ports, modules, retention, limits }));
  // As the server does: what the node holds is known only then. The lane asks for marks by now, to cut the log.
  await clock.runUntil(store.ready());
  await clock.advance(secondMs);
  const identity = { name: 'a', address: 'a:1', zone: '', weight: 1_000, peers: [] };
  const node = await clock.runUntil(
    ClusterNode.start({ ...identity, partitionsCount, place }, { store, links, clock, random, log }),
  );
  return { clock, disk, store, node };
}

test('marks of a log that is cut after a restart outlive the next restart', async () => {
  const first = await start(new SimDisk());
  const samples = Array.from({ length: 5 }, (_, series) => ({ series, timestampMs: startMs - 1, bits: 1n }));
  await first.clock.advance(secondMs);
  // As a change of the record does: else all that is held would be marked at the next start.
  const { marks, view } = first.node.state;
  await first.clock.runUntil(first.store.saveState('marks', marks.encode(view.hash)));
  const decoded = await first.clock.runUntil(first.store.decode(body(samples)));
  await first.clock.runUntil(first.node.write(decoded));
  assert.equal(marks.count, 5);
  let { disk } = first;
  for (let life = 0; life < 3; life++) {
    const { clock, node, disk: next } = await start(disk.afterCrash(undefined));
    // The log of the life before is written to parts, and goes.
    await clock.advance(10 * secondMs);
    assert.equal(next.list('log').length, 1);
    assert.equal(node.state.marks.count, 5, `life ${life}`);
    node.stop();
    disk = next;
  }
});
