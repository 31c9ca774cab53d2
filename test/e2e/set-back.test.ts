// A data directory that is set back to an earlier state in place (a snapshot of the file system): nothing in it tells, its peers
// do. Real processes.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LocalCluster, type LocalNode } from '../support/local-cluster.ts';

/** Each node writes its own metrics within this time after its start, and greets every other. */
const settleMs = 5000;
const healMs = 60_000;

async function until(timeoutMs: number, condition: () => boolean | Promise<boolean>): Promise<boolean> {
  const deadlineMs = performance.now() + timeoutMs;
  while (performance.now() < deadlineMs) {
    if (await condition()) return true;
    await sleep(100);
  }
  return false;
}

/** The directory itself stays: replaced by a copy it would be known as one. */
function setBack(data: string, snapshot: string): void {
  for (const name of readdirSync(data)) rmSync(join(data, name), { recursive: true });
  cpSync(snapshot, data, { recursive: true });
}

test('a directory that was set back becomes a new store, and is made up for', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'timbala-set-back-'));
  const cluster = await LocalCluster.start({ directory, nodesCount: 3 });
  try {
    const [a, b] = cluster.nodes as [LocalNode, LocalNode];
    const data = join(b.directory, 'data');
    const snapshot = join(directory, 'snapshot');
    const { store } = (await b.status()) ?? {};
    await b.stop();
    cpSync(data, snapshot, { recursive: true });
    await b.spawn();
    await b.ready();
    await sleep(settleMs);
    await b.stop();
    setBack(data, snapshot);
    await b.spawn();
    assert.ok(await until(healMs, () => !b.isRunning), 'it ends when its peers tell that they have seen more');
    await b.spawn();
    await b.ready();
    assert.notEqual((await b.status())?.store, store);
    const isHealed = async (): Promise<boolean> => {
      const loss = (await a.status())?.losses.find((each) => each.store === store);
      return loss?.isHealed ?? false;
    };
    assert.ok(await until(healMs, isHealed), JSON.stringify((await a.status())?.losses));
  } finally {
    await cluster.kill();
    rmSync(directory, { recursive: true });
  }
});
