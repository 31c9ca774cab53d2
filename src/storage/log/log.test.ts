import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../../base/index.ts';
import type { Clock, Random } from '../../ports/index.ts';
import { SimDisk } from '../../../sim/disk.ts';
import { frameHeaderBytes, frameTypes, segmentHeaderBytes } from './frame.ts';
import { GenerationReader, listSegments } from './log-reader.ts';
import { LogWriter } from './log-writer.ts';

const clock: Clock = {
  nowMs: () => 0,
  monotonicMs: () => 0,
  setTimer: (_delayMs, callback) => {
    queueMicrotask(callback);
    return { cancel: () => undefined };
  },
};

function seeded(seed: number): Random {
  const random = new SeededRandom(seed);
  return {
    float: () => random.float(),
    fill: (target) => {
      for (let i = 0; i < target.length; i++) target[i] = random.below(256);
    },
  };
}

interface Made {
  readonly disk: SimDisk;
  readonly writer: LogWriter;
  readonly fatal: unknown[];
  readonly failed: number[];
}

function makeLog(disk = new SimDisk(), segmentBytesMax = 1 << 20): Made {
  const fatal: unknown[] = [];
  const failed: number[] = [];
  disk.makeDirectory('log');
  disk.syncDirectory('.');
  const writer = new LogWriter({
    disk,
    clock,
    random: seeded(1),
    lane: 0,
    segmentBytesMax,
    lingerMs: 1,
    onFatal: (error) => fatal.push(error),
    onGenerationFailed: (generation) => failed.push(generation),
  });
  return { disk, writer, fatal, failed };
}

const payload = (text: string): Uint8Array => new TextEncoder().encode(text);

interface Read {
  readonly texts: string[];
  readonly damage: string[];
}

function readBack(disk: SimDisk, generation: number): Read {
  const reader = new GenerationReader(disk, 0, generation, listSegments(disk, 0));
  const texts: string[] = [];
  for (let frame = reader.next(); frame; frame = reader.next()) {
    if (frame.type !== frameTypes.end) texts.push(new TextDecoder().decode(frame.payload));
  }
  return { texts, damage: reader.damage.map(({ kind, file, offset }) => `${kind} ${file} ${offset}`) };
}

function flipByte(disk: SimDisk, path: string, offset: number): void {
  const file = disk.open(path, 'write');
  const byte = new Uint8Array(1);
  file.read(byte, offset);
  file.write(new Uint8Array([(byte[0] ?? 0) ^ 0x40]), offset);
  file.sync();
}

suite('log', () => {
  test('gives back what was appended, over segments and generations', async () => {
    const { disk, writer } = makeLog(undefined, 200);
    writer.beginGeneration(7);
    const first = Array.from({ length: 20 }, (_, i) => `frame ${i}`);
    for (const text of first) {
      writer.append(frameTypes.samples, payload(text));
      await writer.commit();
    }
    await writer.endGeneration();
    writer.beginGeneration(8);
    writer.append(frameTypes.samples, payload('next'));
    await writer.commit();
    assert.ok(listSegments(disk, 0).length > 4);
    assert.deepEqual(readBack(disk, 7), { texts: first, damage: [] });
    assert.deepEqual(readBack(disk, 8), { texts: ['next'], damage: [] });
  });

  test('requests that come while a group is in flight share the next sync', async () => {
    const { disk, writer } = makeLog();
    writer.beginGeneration(1);
    disk.trace = [];
    const done: Promise<void>[] = [];
    for (let i = 0; i < 10; i++) {
      writer.append(frameTypes.samples, payload(`${i}`));
      done.push(writer.commit());
      if (i % 5 === 0) await Promise.resolve();
    }
    await Promise.all(done);
    const syncs = disk.trace.filter((line) => line.startsWith('sync'));
    assert.ok(syncs.length <= 3, disk.trace.join('\n'));
    assert.equal(writer.pendingBytes, 0);
    assert.equal(readBack(disk, 1).texts.length, 10);
  });

  test('an acknowledged frame survives every crash, and nothing torn is given back', async () => {
    for (let crashAt = 1; crashAt < 60; crashAt++) {
      const disk = new SimDisk();
      const acknowledged: string[] = [];
      const appended: string[] = [];
      try {
        const { writer } = makeLog(disk, 300);
        disk.fault = { atOperation: crashAt, kind: 'crash' };
        writer.beginGeneration(1);
        for (let i = 0; i < 12; i++) {
          const texts = [`${i}a`, `${i}b`.repeat(40)];
          for (const text of texts) writer.append(frameTypes.samples, payload(text));
          appended.push(...texts);
          await writer.commit();
          acknowledged.push(...texts);
        }
      } catch (error) {
        assert.ok(disk.crashed, String(error));
      }
      for (let seed = 0; seed < 20; seed++) {
        const after = disk.afterCrash(new SeededRandom(seed * 1000 + crashAt));
        if (!after.exists('log')) continue;
        const { texts, damage } = readBack(after, 1);
        assert.deepEqual(texts.slice(0, acknowledged.length), acknowledged, `crash at ${crashAt}, seed ${seed}`);
        assert.deepEqual(texts, appended.slice(0, texts.length));
        assert.ok(
          damage.every((line) => line.startsWith('torn-tail')),
          damage.join(),
        );
        assert.deepEqual(readBack(after, 1), { texts, damage }, 'reading changes nothing');
      }
    }
  });

  test('damage below what a later frame knows as durable is corruption, and the rest is kept', async () => {
    const { disk, writer } = makeLog();
    writer.beginGeneration(1);
    for (const text of ['one', 'two', 'three', 'four']) {
      writer.append(frameTypes.samples, payload(text));
      await writer.commit();
    }
    const second = segmentHeaderBytes + frameHeaderBytes + 3;
    flipByte(disk, 'log/1-0-0', second + frameHeaderBytes + 1);
    assert.deepEqual(readBack(disk, 1), { texts: ['one', 'three', 'four'], damage: [`corrupt log/1-0-0 ${second}`] });
  });

  test('damage at the very end is a torn tail, unless the next generation knows better', async () => {
    const { disk, writer } = makeLog();
    writer.beginGeneration(1);
    for (const text of ['one', 'two']) {
      writer.append(frameTypes.samples, payload(text));
      await writer.commit();
    }
    const second = segmentHeaderBytes + frameHeaderBytes + 3;
    const before = disk.afterCrash(undefined);
    flipByte(before, 'log/1-0-0', second + frameHeaderBytes);
    assert.deepEqual(readBack(before, 1), { texts: ['one'], damage: [`torn-tail log/1-0-0 ${second}`] });
    writer.beginGeneration(2);
    const later = disk.afterCrash(undefined);
    flipByte(later, 'log/1-0-0', second + frameHeaderBytes);
    assert.deepEqual(readBack(later, 1), { texts: ['one'], damage: [`corrupt log/1-0-0 ${second}`] });
  });

  test('a later run of the process is no evidence about the torn tail of an earlier one', async () => {
    const { disk, writer } = makeLog();
    writer.beginGeneration(1);
    writer.append(frameTypes.samples, payload('one'));
    await writer.commit();
    flipByte(disk, 'log/1-0-0', segmentHeaderBytes + 2);
    const { writer: nextRun } = makeLog(disk);
    nextRun.beginGeneration(2);
    for (const text of ['two', 'three']) {
      nextRun.append(frameTypes.samples, payload(text));
      await nextRun.commit();
    }
    assert.deepEqual(readBack(disk, 1).damage, [`torn-tail log/1-0-0 ${segmentHeaderBytes}`]);
    assert.deepEqual(readBack(disk, 2).texts, ['two', 'three']);
  });

  test('a missing segment in the middle is corruption', async () => {
    const { disk, writer } = makeLog(undefined, 100);
    writer.beginGeneration(1);
    for (const text of ['one', 'two', 'three', 'four', 'five', 'six']) {
      writer.append(frameTypes.samples, payload(text));
      await writer.commit();
    }
    disk.removeFile('log/1-0-1');
    const { texts, damage } = readBack(disk, 1);
    assert.equal(damage.length, 1);
    assert.match(damage[0] ?? '', /^corrupt log\/1-0-2 48$/);
    assert.equal(texts[0], 'one');
    assert.equal(texts.at(-1), 'six');
  });

  test('a failed write ends the generation and fails what is queued in it, acknowledged frames stay', async () => {
    const { disk, writer, failed, fatal } = makeLog();
    writer.beginGeneration(1);
    writer.append(frameTypes.samples, payload('kept'));
    await writer.commit();
    disk.fault = { atOperation: disk.operationsCount + 1, kind: 'full' };
    writer.append(frameTypes.samples, payload('lost'));
    const first = writer.commit();
    await assert.rejects(first, { code: 'DISK_FULL' });
    assert.deepEqual([failed, fatal], [[1], []]);
    assert.throws(() => writer.append(frameTypes.samples, payload('x')), { code: 'LOG_FAILED' });
    writer.beginGeneration(2);
    writer.append(frameTypes.samples, payload('again'));
    await writer.commit();
    assert.deepEqual(readBack(disk, 1).texts, ['kept']);
    assert.deepEqual(readBack(disk, 2).texts, ['again']);
    assert.equal(writer.pendingBytes, 0);
  });

  test('a failed sync is fatal: no later frame is acknowledged', async () => {
    const { disk, writer, fatal } = makeLog();
    writer.beginGeneration(1);
    disk.fault = { atOperation: disk.operationsCount + 2, kind: 'io' };
    writer.append(frameTypes.samples, payload('a'));
    await assert.rejects(writer.commit(), { code: 'LOG_SYNC_FAILED' });
    assert.equal(fatal.length, 1);
    assert.throws(() => writer.append(frameTypes.samples, payload('b')), { code: 'LOG_SYNC_FAILED' });
  });

  test('any flipped byte or truncation is noticed: frames come back whole or not at all', async () => {
    const { disk, writer } = makeLog(undefined, 400);
    writer.beginGeneration(3);
    const texts = Array.from({ length: 10 }, (_, i) => `${i}`.repeat(30));
    for (const text of texts) {
      writer.append(frameTypes.samples, payload(text));
      await writer.commit();
    }
    const segments = listSegments(disk, 0);
    fc.assert(
      fc.property(fc.nat(segments.length - 1), fc.nat(460), fc.boolean(), (index, offset, truncate) => {
        const damaged = disk.afterCrash(undefined);
        const path = segments[index]?.path ?? '';
        const file = damaged.open(path, 'write');
        if (offset >= file.sizeBytes()) return;
        if (truncate) file.truncate(offset);
        else flipByte(damaged, path, offset);
        const read = readBack(damaged, 3);
        assert.ok(read.texts.every((text) => texts.includes(text)));
        assert.deepEqual(read.texts, [...new Set(read.texts)].sort(), 'in order, none twice');
        const atFrameEnd = truncate && read.damage.length === 0 && index === segments.length - 1;
        if (!atFrameEnd) assert.ok(read.damage.length > 0 && read.texts.length < texts.length);
      }),
    );
  });
});
