import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { SeededRandom } from '../../base/index.ts';
import type { DamageReport } from '../contracts.ts';
import { SimDisk } from '../../../sim/disk.ts';
import { SimRandom } from '../../../sim/random.ts';
import { StateFiles } from './state-files.ts';
import { identifyStore } from './store-identity.ts';

const text = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes);
const open = (disk: SimDisk, fatal: unknown[] = []): StateFiles => new StateFiles(disk, (error) => fatal.push(error));

suite('state files', () => {
  test('a state is the old one or the new one, whichever operation a crash comes at', () => {
    const whole = new SimDisk();
    for (const state of ['first', 'second', 'third']) open(whole).save('marks', Buffer.from(state));
    for (let atOperation = 1; atOperation <= whole.operationsCount; atOperation++) {
      const disk = new SimDisk();
      disk.fault = { atOperation, kind: 'crash' };
      const saved: (string | undefined)[] = [undefined];
      let next: string | undefined;
      try {
        for (const state of ['first', 'second', 'third']) {
          next = state;
          open(disk).save('marks', Buffer.from(state));
          saved.push(state);
        }
      } catch {
        assert.ok(disk.crashed);
      }
      disk.crash();
      const found = text(open(disk.afterCrash(new SeededRandom(atOperation))).load('marks'));
      assert.ok(found === saved.at(-1) || found === next, `operation ${atOperation}: ${found}`);
    }
  });

  test('after a failed write the old state is still there, and the next save works', () => {
    const disk = new SimDisk();
    open(disk).save('record', Buffer.from('old'));
    for (const kind of ['io', 'full'] as const) {
      disk.fault = { atOperation: disk.operationsCount + 2, kind };
      assert.throws(() => open(disk).save('record', Buffer.from('new')));
      assert.equal(text(open(disk).load('record')), 'old');
    }
    open(disk).save('record', Buffer.from('newer'));
    assert.equal(text(open(disk.afterCrash(new SeededRandom(1))).load('record')), 'newer');
  });

  test('damage and other versions are refused', () => {
    const disk = new SimDisk();
    open(disk).save('record', Buffer.from('content'));
    assert.equal(open(disk).load('marks'), undefined);
    const flip = (offset: number): void => {
      const file = disk.open('cluster/record', 'write');
      const byte = new Uint8Array(1);
      file.read(byte, offset);
      file.write(Uint8Array.of((byte[0] as number) ^ 1), offset);
    };
    for (const offset of [0, 8, 12, 20]) {
      flip(offset);
      assert.throws(() => open(disk).load('record'), { code: 'STATE_CORRUPT' });
      flip(offset);
    }
    flip(7);
    assert.throws(() => open(disk).load('record'), { code: 'STATE_VERSION' });
  });
});

suite('store identity', () => {
  const loss = (offset: number): DamageReport => ({ file: 'log/1-0-0', offset, kind: 'corrupt', text: '' });

  test('a directory stays the same store until it is copied, or lost synced records', () => {
    const disk = new SimDisk();
    const identify = (place: string, damage: readonly DamageReport[]) =>
      identifyStore(open(disk), new SimRandom(disk.operationsCount), place, damage);
    const first = identify('a', []);
    assert.equal(first.reason, 'new');
    assert.match(first.id, /^[0-9a-f]{32}$/);
    assert.deepEqual(identify('a', [{ ...loss(3), kind: 'torn-tail' }]), { id: first.id, reason: undefined });
    const copied = identify('b', []);
    assert.equal(copied.reason, 'copied');
    const damaged = identify('b', [loss(5)]);
    assert.equal(damaged.reason, 'lost-records');
    assert.deepEqual(identify('b', [loss(5)]), { id: damaged.id, reason: undefined });
    assert.equal(identify('b', [loss(5), loss(9)]).reason, 'lost-records');
    assert.equal(new Set([first.id, copied.id, damaged.id]).size, 3);
  });
});
