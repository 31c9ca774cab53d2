// The bytes of the log and of MANIFEST, as docs/formats/log.md and manifest.md describe them, against files that are never
// regenerated without a new version number. TIMBALA_WRITE_GOLDEN=1 writes them.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { SimClock } from '../../../sim/clock.ts';
import { SimDisk } from '../../../sim/disk.ts';
import { SimRandom } from '../../../sim/random.ts';
import { Manifest } from '../manifest/manifest-file.ts';
import { frameTypes } from './frame.ts';
import { GenerationReader, listSegments } from './log-reader.ts';
import { LogWriter } from './log-writer.ts';
import { readSeriesRecord, SeriesRecordWriter } from './series-record.ts';

const root = join(import.meta.dirname, '../../../test/golden');

function contents(disk: SimDisk, path: string): Uint8Array {
  const file = disk.open(path, 'read');
  const bytes = new Uint8Array(file.sizeBytes());
  file.read(bytes, 0);
  return bytes;
}

function compareGolden(name: string, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const path = join(root, name);
  if (process.env['TIMBALA_WRITE_GOLDEN'] && !existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
  const golden = new Uint8Array(readFileSync(path));
  assert.equal(
    Buffer.from(bytes).toString('hex'),
    Buffer.from(golden).toString('hex'),
    `${name} has changed: a new version?`,
  );
  return golden;
}

/** A disk with one file, as another program would find it. */
function diskWith(directory: string, name: string, bytes: Uint8Array): SimDisk {
  const disk = new SimDisk();
  if (directory !== '') disk.makeDirectory(directory);
  disk.open(directory === '' ? name : `${directory}/${name}`, 'create').write(bytes, 0);
  return disk;
}

test('log: the golden segment is what the writer writes, and is read back', async () => {
  const disk = new SimDisk();
  disk.makeDirectory('log');
  const clock = new SimClock(0);
  const writer = new LogWriter({
    disk,
    clock,
    random: new SimRandom(1),
    lane: 0,
    segmentBytesMax: 1 << 20,
    lingerMs: 1,
    onFatal: (error: unknown) => assert.fail(String(error)),
    onGenerationFailed: (generation) => assert.fail(String(generation)),
  });
  writer.beginGeneration(1);
  const series = new SeriesRecordWriter();
  series.add(7, new Uint8Array(16).fill(0xab), Uint8Array.from(Buffer.from('\x08__name__\x02up', 'latin1')));
  series.add(8, new Uint8Array(16).fill(0xcd), Uint8Array.from(Buffer.from('\x08__name__\x01x', 'latin1')));
  writer.append(frameTypes.series, series.payload());
  writer.append(frameTypes.samples, Uint8Array.of(1, 2, 3));
  await clock.runUntil(writer.commit());
  await clock.runUntil(writer.endGeneration());
  const golden = compareGolden('log/1-0-0', contents(disk, 'log/1-0-0'));
  const other = diskWith('log', '1-0-0', golden);
  const reader = new GenerationReader(other, 0, 1, listSegments(other, 0));
  const first = reader.next();
  const refs: number[] = [];
  readSeriesRecord(first?.payload ?? new Uint8Array(), (ref) => refs.push(ref));
  assert.deepEqual(refs, [7, 8]);
  assert.deepEqual([...(reader.next()?.payload ?? [])], [1, 2, 3]);
  assert.equal(reader.next()?.type, frameTypes.end);
  assert.equal(reader.next(), undefined);
  assert.deepEqual(reader.damage, []);
});

test('MANIFEST: the golden file is what commits write, and is read back', () => {
  const disk = new SimDisk();
  const options = { random: new SimRandom(2), onFatal: (error: unknown) => assert.fail(String(error)) };
  const manifest = Manifest.open({ ...options, disk });
  const part = {
    id: 1,
    level: 2,
    startMs: -691_200_000,
    endMs: 0,
    minTimeMs: -5,
    maxTimeMs: -1,
    seriesCount: 3,
    samplesCount: 300,
    sizeBytes: 70_000,
    tombstoneSeq: 0,
  };
  manifest.commit({ add: [part, { ...part, id: 2 }], flushed: { lane: 0, generation: 9 } });
  manifest.commit({ addTombstones: [{ seq: 1, startMs: 10, endMs: 20, fingerprints: new Uint8Array(16).fill(0xef) }] });
  manifest.commit({ remove: [1], sizeHorizonMs: -3 });
  const golden = compareGolden('manifest/MANIFEST', contents(disk, 'MANIFEST'));
  const { state, damage } = Manifest.open({ ...options, disk: diskWith('', 'MANIFEST', golden) });
  assert.deepEqual([...state.parts.values()], [{ ...part, id: 2 }]);
  assert.deepEqual([state.flushedGenerations.get(0), state.sizeHorizonMs, state.tombstones.get(1)?.endMs], [9, -3, 20]);
  assert.deepEqual(damage, []);
});
