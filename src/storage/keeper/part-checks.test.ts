// When parts are read through: each about once a month, at once where somebody stumbled over one, slowly otherwise.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dayMs, hourMs, minuteMs } from '../../base/index.ts';
import type { Log } from '../../ports/index.ts';
import { loadTestModule } from '../../wasm/test-modules.ts';
import { SimClock } from '../../../sim/clock.ts';
import { SimDisk } from '../../../sim/disk.ts';
import { SimRandom } from '../../../sim/random.ts';
import type { PartEntry } from '../manifest/manifest-edit.ts';
import { Labels } from '../../model/index.ts';
import { bitsOf, sourceOf, writeTestPart } from '../part/test-support.ts';
import { PartChecks } from './part-checks.ts';

const log: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => log,
};

interface World {
  readonly clock: SimClock;
  readonly disk: SimDisk;
  readonly parts: Map<number, PartEntry>;
  readonly checks: PartChecks;
  readonly damaged: number[];
}

const series = Array.from({ length: 20 }, (_, i) => ({
  labels: Labels.of({ series: String(i) }),
  samples: Array.from({ length: 50 }, (_unused, k) => [k * minuteMs, bitsOf(i * k)] as const),
}));

function open(partsCount: number, sizeBytes: number): World {
  const clock = new SimClock(0);
  const disk = new SimDisk();
  disk.makeDirectory('parts');
  const parts = new Map<number, PartEntry>();
  const zero = { level: 0, startMs: 0, endMs: 1, minTimeMs: 0, maxTimeMs: 0 };
  for (let id = 1; id <= partsCount; id++) {
    writeTestPart(disk, `parts/${id}`, { startMs: 0, endMs: 2 * hourMs }, sourceOf(series));
    parts.set(id, { ...zero, id, seriesCount: 20, samplesCount: 1, sizeBytes, tombstoneSeq: 0 });
  }
  const damaged: number[] = [];
  const onDamaged = ({ id }: PartEntry): void => void damaged.push(id);
  const pages = loadTestModule('pages');
  const checks = new PartChecks({ disk, clock, random: new SimRandom(1), log, pages, parts: () => parts, onDamaged });
  return { clock, disk, parts, checks, damaged };
}

test('each part is read once a month, spread over it where there is much', async () => {
  // As if they had 100 GB each: a month takes them all.
  const { clock, checks, damaged } = open(3, 1e11);
  await clock.advance(dayMs);
  assert.equal(checks.totals.parts, 1);
  await clock.advance(15 * dayMs);
  assert.equal(checks.totals.parts, 2);
  await clock.advance(14.5 * dayMs);
  assert.equal(checks.totals.parts, 4, 'the first one again');
  assert.deepEqual(damaged, []);
  checks.close();
});

test('what was written since the start is read a month later', async () => {
  const { clock, disk, parts, checks } = open(1, 1000);
  await clock.advance(hourMs);
  assert.equal(checks.totals.parts, 1);
  writeTestPart(disk, 'parts/2', { startMs: 0, endMs: 2 * hourMs }, sourceOf(series));
  parts.set(2, { ...(parts.get(1) as PartEntry), id: 2 });
  await clock.advance(29 * dayMs);
  assert.equal(checks.totals.parts, 1);
  await clock.advance(2 * dayMs);
  assert.equal(checks.totals.parts, 3);
  checks.close();
});

test('a suspect is read at once; what is whole is no damage, what has gone is not looked for', async () => {
  const { clock, disk, parts, checks, damaged } = open(3, 1e11);
  await clock.advance(hourMs);
  checks.suspect(3);
  await clock.advance(1000);
  assert.equal(checks.totals.parts, 2);
  const file = disk.open('parts/2/pages', 'write');
  file.write(Uint8Array.of(1, 2, 3, 4), 20);
  parts.delete(3);
  for (const id of [2, 3, 4]) checks.suspect(id);
  await clock.advance(1000);
  assert.deepEqual(damaged, [2]);
  checks.suspect(2);
  await clock.advance(1000);
  assert.deepEqual(damaged, [2], 'told once');
  assert.equal(checks.totals.damaged, 1);
  checks.close();
});
