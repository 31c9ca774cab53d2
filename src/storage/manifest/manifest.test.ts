import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { SeededRandom } from '../../base/index.ts';
import type { Random } from '../../ports/index.ts';
import { SimDisk } from '../../../sim/disk.ts';
import { encodeState, type ManifestEdit, ManifestState, type PartEntry } from './manifest-edit.ts';
import { Manifest } from './manifest-file.ts';

function seeded(seed: number): Random {
  const random = new SeededRandom(seed);
  return {
    float: () => random.float(),
    fill: (target) => {
      for (let i = 0; i < target.length; i++) target[i] = random.below(256);
    },
  };
}

const part = (id: number): PartEntry => ({
  id,
  level: 1,
  startMs: -id,
  endMs: 86_400_000 * id,
  minTimeMs: 5,
  maxTimeMs: 7 * id,
  seriesCount: id,
  samplesCount: 1e12,
  sizeBytes: 300,
  tombstoneSeq: 2,
});

const edits: ManifestEdit[] = [
  { add: [part(1), part(2)], flushed: { lane: 0, generation: 4 } },
  { addTombstones: [{ seq: 1, startMs: -5, endMs: 9, fingerprints: new Uint8Array(32).fill(3) }] },
  { add: [part(3)], remove: [1, 2] },
  { sizeHorizonMs: -77, removeTombstones: [1] },
  { addDrops: [{ seq: 2, partitions: Uint16Array.of(0, 7, 65_535) }] },
  {
    addTombstones: [
      {
        seq: 3,
        startMs: 1,
        endMs: 2,
        fingerprints: new Uint8Array(0),
        rule: { id: 'd-1', selectors: Uint8Array.of(1, 2) },
      },
    ],
  },
  { addDrops: [{ seq: 4, partitions: Uint16Array.of(9) }], removeDrops: [2] },
  { flushed: { lane: 0, generation: 5 } },
];

const stateAfter = (count: number): string => {
  const state = new ManifestState();
  for (const edit of edits.slice(0, count)) state.apply(edit);
  return Buffer.from(encodeState(state)).toString('hex');
};

const open = (disk: SimDisk, fatal: unknown[] = []): Manifest =>
  Manifest.open({ disk, random: seeded(9), onFatal: (error) => fatal.push(error) });
const stateOf = (manifest: Manifest): string => Buffer.from(encodeState(manifest.state)).toString('hex');

suite('MANIFEST', () => {
  test('every committed edit is there after a restart; ids are never given again', () => {
    const disk = new SimDisk();
    const manifest = open(disk);
    for (const edit of edits) manifest.commit(edit);
    assert.equal(stateOf(manifest), stateAfter(edits.length));
    const again = open(disk.afterCrash(new SeededRandom(1)));
    assert.equal(stateOf(again), stateAfter(edits.length));
    assert.equal(again.state.nextPartId, 4);
    assert.equal(again.state.tombstoneSeq, 4);
    assert.deepEqual([...again.state.drops.values()], [{ seq: 4, partitions: Uint16Array.of(9) }]);
    assert.equal(again.state.tombstones.get(3)?.rule?.id, 'd-1');
  });

  test('after a crash at any operation it holds what was committed, and at most the edit in flight', () => {
    for (let crashAt = 1; crashAt < 26; crashAt++) {
      const disk = new SimDisk();
      disk.fault = { atOperation: crashAt, kind: 'crash' };
      let committed = 0;
      try {
        const manifest = open(disk);
        for (const edit of edits) {
          manifest.commit(edit);
          committed++;
        }
      } catch {
        assert.ok(disk.crashed);
      }
      for (let seed = 0; seed < 20; seed++) {
        const found = stateOf(open(disk.afterCrash(new SeededRandom(seed * 100 + crashAt))));
        assert.ok(
          found === stateAfter(committed) || found === stateAfter(committed + 1),
          `crash at ${crashAt}, seed ${seed}`,
        );
      }
    }
  });

  test('after any one operation fails, an edit is whole or absent, and later edits work or the process ends', () => {
    for (let failAt = 1; failAt < 16; failAt++) {
      const disk = new SimDisk();
      disk.fault = { atOperation: failAt, kind: 'full' };
      const fatal: unknown[] = [];
      let manifest: Manifest;
      try {
        manifest = open(disk, fatal);
      } catch {
        continue;
      }
      const applied: ManifestEdit[] = [];
      for (const edit of edits) {
        try {
          manifest.commit(edit);
          applied.push(edit);
        } catch (error) {
          // The caller tries a failed edit again unless the process has to end.
          if (fatal.length > 0) break;
          assert.match(String(error), /DISK_FULL/);
          manifest.commit(edit);
          applied.push(edit);
        }
      }
      const found = stateOf(open(disk.afterCrash(fatal.length > 0 ? undefined : new SeededRandom(failAt))));
      assert.ok(
        [stateAfter(applied.length), stateAfter(applied.length + fatal.length)].includes(found),
        `fail at ${failAt}`,
      );
    }
  });

  test('a damaged committed edit is refused, never skipped', () => {
    const disk = new SimDisk();
    const manifest = open(disk);
    for (const edit of edits) manifest.commit(edit);
    const size = disk.open('MANIFEST', 'read').sizeBytes();
    for (let offset = 0; offset < size - 12; offset++) {
      const damaged = disk.afterCrash(undefined);
      const file = damaged.open('MANIFEST', 'write');
      const byte = new Uint8Array(1);
      file.read(byte, offset);
      file.write(new Uint8Array([(byte[0] ?? 0) ^ 1]), offset);
      assert.throws(() => open(damaged), /^TimbalaError: MANIFEST_(?:CORRUPT|VERSION)/, `offset ${offset}`);
    }
  });

  test('grows and is rewritten, and still holds everything', () => {
    const disk = new SimDisk();
    const manifest = open(disk);
    for (let id = 1; id <= 9000; id++) manifest.commit({ add: [part(id)], ...(id > 10 ? { remove: [id - 10] } : {}) });
    assert.ok(disk.open('MANIFEST', 'read').sizeBytes() < 300_000);
    assert.equal(open(disk.afterCrash(new SeededRandom(3))).state.parts.size, 10);
  });

  test('parts without a MANIFEST are never taken for rubbish', () => {
    const disk = new SimDisk();
    disk.makeDirectory('parts');
    disk.makeDirectory('parts/12');
    assert.throws(() => open(disk), { code: 'MANIFEST_MISSING' });
  });
});
