// What keeps repair from harm: its pace, its patience, and that nothing is sent twice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimClock } from '../../../sim/clock.ts';
import { mib, minuteMs, secondMs, TimbalaError } from '../../base/index.ts';
import { Backoff } from './backoff.ts';
import { Leases } from './leases.ts';
import { Pacer } from './pacer.ts';

/** How long it takes to send so much, virtually. */
async function sendingMs(clock: SimClock, pacer: Pacer, bytesCount: number): Promise<number> {
  const startedMs = clock.monotonicMs();
  for (let sent = 0; sent <= bytesCount; sent += mib) await clock.runUntil(pacer.take(mib));
  return clock.monotonicMs() - startedMs;
}

test('copies are sent within a budget of bytes, half of it where somebody is busy, and more again by and by', async () => {
  const clock = new SimClock(0);
  const pacer = new Pacer(clock);
  const freelyMs = await sendingMs(clock, pacer, 256 * mib);
  assert.ok(freelyMs > 3 * secondMs && freelyMs < 5 * secondMs, `${freelyMs} ms`);
  const before = pacer.bytesPerSecond;
  await clock.advance(5 * secondMs);
  pacer.slowDown();
  // One busy node complains of every copy that it is sent.
  pacer.slowDown();
  assert.equal(pacer.bytesPerSecond, before / 2);
  for (let times = 0; times < 100; times++) {
    await clock.advance(2 * secondMs);
    pacer.slowDown();
  }
  assert.equal(pacer.bytesPerSecond, mib);
  await sendingMs(clock, pacer, 512 * mib);
  assert.equal(pacer.bytesPerSecond, before);
});

test('who is silent is asked less and less often, who only had to settle something soon again', async () => {
  const clock = new SimClock(0);
  const backoff = new Backoff(clock, 10 * secondMs, (name) => (name === 'dead' ? false : undefined));
  const restOf = async (name: string, code: string): Promise<number> => {
    backoff.failed(name, new TimbalaError(code, ''));
    const startedMs = clock.monotonicMs();
    while (backoff.isWaiting(name)) await clock.advance(100);
    return clock.monotonicMs() - startedMs;
  };
  assert.equal(await restOf('a', 'PEER_CHANGED'), 500);
  assert.equal(await restOf('a', 'PEER_TIMEOUT'), 10_000);
  assert.equal(await restOf('a', 'PEER_TIMEOUT'), 20_000);
  assert.equal(await restOf('a', 'PEER_BUSY'), 500);
  for (let times = 0; times < 5; times++) await restOf('a', 'PEER_TIMEOUT');
  assert.equal(await restOf('a', 'PEER_TIMEOUT'), 160_000);
  assert.equal(await restOf('dead', 'PEER_TIMEOUT'), 160_000);
  backoff.failed('a', new TimbalaError('PEER_TIMEOUT', ''));
  backoff.succeeded('a');
  assert.ok(!backoff.isWaiting('a'));
});

test('a partition is filled by one node at a time, until it has ended, sends nothing or owners change', async () => {
  const clock = new SimClock(0);
  const leases = new Leases(clock, minuteMs);
  const grant = (): void => {
    leases.heard('a');
    leases.grant(7, 'a', 'view');
  };
  grant();
  assert.equal(leases.holder(7, 'b', 'view'), 'a');
  assert.equal(leases.holder(7, 'a', 'view'), undefined);
  assert.equal(leases.holder(8, 'b', 'view'), undefined);
  leases.end(7, 'b');
  assert.equal(leases.holder(7, 'b', 'view'), 'a');
  leases.end(7, 'a');
  assert.equal(leases.holder(7, 'b', 'view'), undefined);
  grant();
  assert.equal(leases.holder(7, 'b', 'another view'), undefined);
  grant();
  await clock.advance(minuteMs + 1);
  assert.equal(leases.holder(7, 'b', 'view'), undefined, 'it was silent');
  grant();
  for (let minutes = 0; minutes < 11; minutes++) {
    await clock.advance(minuteMs);
    leases.heard('a');
    assert.equal(leases.holder(7, 'b', 'view'), 'a');
  }
  await clock.advance(minuteMs);
  leases.heard('a');
  assert.equal(leases.holder(7, 'b', 'view'), undefined, 'busy with others for too long');
});
