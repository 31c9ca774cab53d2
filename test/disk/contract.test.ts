// One suite for every disk: what storage relies on holds on the operating system's and on the simulated one.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { SeededRandom } from '../../src/base/index.ts';
import { NodeDisk } from '../../src/node/disk.ts';
import type { Disk } from '../../src/ports/index.ts';
import { SimDisk } from '../../sim/disk.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function contents(disk: Disk, path: string): string {
  const file = disk.open(path, 'read');
  const target = new Uint8Array(file.sizeBytes());
  assert.equal(file.read(target, 0), target.length);
  file.close();
  return new TextDecoder().decode(target);
}

function contract(name: string, makeDisk: () => Disk): void {
  suite(name, () => {
    test('writes anywhere in a file and reads back, short only at the end', () => {
      const disk = makeDisk();
      const file = disk.open('a', 'create');
      file.write(bytes('hello'), 0);
      file.write(bytes('world'), 7);
      file.sync();
      assert.equal(file.sizeBytes(), 12);
      assert.equal(contents(disk, 'a'), 'hello\0\0world');
      const target = new Uint8Array(10);
      assert.equal(file.read(target, 9), 3);
      assert.equal(file.read(target, 99), 0);
      file.truncate(3);
      assert.equal(contents(disk, 'a'), 'hel');
      file.truncate(5);
      assert.equal(contents(disk, 'a'), 'hel\0\0');
      file.close();
    });

    test('writes several buffers in order on the thread pool', async () => {
      const disk = makeDisk();
      const file = disk.open('a', 'create');
      await file.writeAsync([bytes('ab'), bytes(''), bytes('cde')], 1);
      await file.syncAsync();
      assert.equal(contents(disk, 'a'), '\0abcde');
      file.close();
    });

    test('opens only what is there, creates only what is not', () => {
      const disk = makeDisk();
      assert.throws(() => disk.open('a', 'read'), { code: 'DISK_NOT_FOUND' });
      assert.throws(() => disk.open('a', 'write'), { code: 'DISK_NOT_FOUND' });
      disk.open('a', 'create').close();
      assert.throws(() => disk.open('a', 'create'), { code: 'DISK_EXISTS' });
      assert.throws(() => disk.open('none/a', 'create'), { code: 'DISK_NOT_FOUND' });
      assert.equal(disk.exists('a'), true);
      assert.equal(disk.exists('b'), false);
    });

    test('lists names sorted, directories marked; making a directory twice is no error', () => {
      const disk = makeDisk();
      disk.makeDirectory('d');
      disk.makeDirectory('d');
      disk.makeDirectory('d/sub');
      disk.open('d/b', 'create').close();
      disk.open('d/a', 'create').close();
      disk.syncDirectory('d');
      assert.deepEqual(disk.list('d'), [
        { name: 'a', isDirectory: false },
        { name: 'b', isDirectory: false },
        { name: 'sub', isDirectory: true },
      ]);
      assert.throws(() => disk.list('none'), { code: 'DISK_NOT_FOUND' });
    });

    test('renames over an existing file, and renames directories', () => {
      const disk = makeDisk();
      const old = disk.open('a', 'create');
      old.write(bytes('old'), 0);
      old.close();
      const fresh = disk.open('a.tmp', 'create');
      fresh.write(bytes('fresh'), 0);
      fresh.close();
      disk.rename('a.tmp', 'a');
      assert.equal(contents(disk, 'a'), 'fresh');
      assert.equal(disk.exists('a.tmp'), false);
      disk.makeDirectory('p.tmp');
      disk.open('p.tmp/x', 'create').close();
      disk.rename('p.tmp', 'p');
      assert.equal(disk.exists('p/x'), true);
      assert.throws(() => disk.rename('none', 'x'), { code: 'DISK_NOT_FOUND' });
    });

    test('a removed file can still be read by who has it open', () => {
      const disk = makeDisk();
      const file = disk.open('a', 'create');
      file.write(bytes('x'), 0);
      disk.removeFile('a');
      assert.equal(file.read(new Uint8Array(1), 0), 1);
      assert.equal(disk.exists('a'), false);
      assert.throws(() => disk.removeFile('a'), { code: 'DISK_NOT_FOUND' });
      file.close();
    });

    test('removes a directory with all below it', () => {
      const disk = makeDisk();
      disk.makeDirectory('d');
      disk.makeDirectory('d/e');
      disk.open('d/e/f', 'create').close();
      disk.removeTree('d');
      assert.equal(disk.exists('d'), false);
    });

    test('holds the lock of the directory until it is released', () => {
      const disk = makeDisk();
      const lock = disk.lock('lock');
      assert.throws(() => disk.lock('lock'), { code: 'DIRECTORY_LOCKED' });
      lock.release();
      disk.lock('lock').release();
      assert.ok(disk.freeBytes() > 0);
    });
  });
}

const roots: string[] = [];
after(() => {
  for (const root of roots) rmSync(root, { recursive: true });
});
contract('disk of the operating system', () => {
  const root = mkdtempSync(join(tmpdir(), 'timbala-disk-'));
  roots.push(root);
  return new NodeDisk(root);
});
contract('simulated disk', () => new SimDisk());

suite('simulated crashes', () => {
  const outcomes = (make: (disk: SimDisk) => void, look: (disk: SimDisk) => string): Set<string> => {
    const disk = new SimDisk();
    make(disk);
    disk.crash();
    const seen = new Set<string>();
    for (let seed = 0; seed < 64; seed++) seen.add(look(disk.afterCrash(new SeededRandom(seed))));
    return seen;
  };

  test('synced bytes under a synced name always survive', () => {
    const seen = outcomes(
      (disk) => {
        const file = disk.open('a', 'create');
        file.write(bytes('kept'), 0);
        file.sync();
        disk.syncDirectory('.');
        file.write(bytes('lost?'), 4);
      },
      (disk) => contents(disk, 'a').slice(0, 4),
    );
    assert.deepEqual(seen, new Set(['kept']));
  });

  test('unsynced names, bytes and renames each survive or not', () => {
    const names = outcomes(
      (disk) => disk.open('a', 'create').sync(),
      (disk) => String(disk.exists('a')),
    );
    assert.deepEqual(names, new Set(['true', 'false']));
    const written = outcomes(
      (disk) => {
        const file = disk.open('a', 'create');
        disk.syncDirectory('.');
        file.write(new Uint8Array(2 * 512).fill(1), 0);
      },
      (disk) =>
        [...contents(disk, 'a')]
          .map((byte) => byte.charCodeAt(0))
          .join('')
          .replace(/(0+|1+)/g, (run) => `${run[0]}×${run.length} `),
    );
    for (const outcome of ['', '1×1024 ', '0×512 1×512 ', '0×1024 ']) assert.ok(written.has(outcome), outcome);
    const renamed = outcomes(
      (disk) => {
        disk.open('a', 'create');
        disk.syncDirectory('.');
        disk.rename('a', 'b');
      },
      (disk) =>
        disk
          .list('.')
          .map(({ name }) => name)
          .join(),
    );
    assert.deepEqual(renamed, new Set(['a', 'b']));
  });

  test('a planned fault hits its operation: an error once, or the end of this life', () => {
    const disk = new SimDisk();
    disk.fault = { atOperation: 2, kind: 'full' };
    const file = disk.open('a', 'create');
    assert.throws(() => file.write(bytes('abcd'), 0), { code: 'DISK_FULL' });
    assert.equal(contents(disk, 'a'), 'ab');
    file.write(bytes('abcd'), 0);
    disk.fault = { atOperation: 4, kind: 'io' };
    assert.throws(() => file.sync(), { code: 'DISK_IO' });
    assert.throws(() => file.sync(), { code: 'DISK_IO' }, 'a failed sync is final');
    disk.fault = { atOperation: 5, kind: 'crash' };
    assert.throws(() => disk.syncDirectory('.'), { code: 'SIM_CRASHED' });
    assert.throws(() => disk.list('.'), { code: 'SIM_CRASHED' });
  });
});
