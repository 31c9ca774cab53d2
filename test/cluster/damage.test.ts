// A rotten part in one of three real nodes: no answer is wrong for it, the node takes itself for another store, and once it is
// started again the others fill in what it lost.
import assert from 'node:assert/strict';
import { mkdtempSync, openSync, closeSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hourMs } from '../../src/base/index.ts';
import { encodeWriteRequest, wrapSnappy } from '../../src/wire/index.ts';
import { LocalCluster, type LocalNode } from '../support/local-cluster.ts';
import { PrometheusApi } from '../support/prometheus-api.ts';

const seriesCount = 400;
const samplesOfSeries = 30;
const endMs = Date.now() - 26 * hourMs;

async function write(node: LocalNode): Promise<void> {
  const times = Float64Array.from({ length: samplesOfSeries }, (_, i) => endMs - (samplesOfSeries - i) * 60_000);
  const series = Array.from({ length: seriesCount }, (_, i) => ({
    labels: ['__name__', 'rot', 'series', `${i}`],
    timestampsMs: times,
    values: Float64Array.from(times, (_time, k) => Math.sin(i * 97 + k)),
  }));
  const response = await fetch(`${node.url}/api/v1/write`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
    body: wrapSnappy(encodeWriteRequest(series)),
  });
  assert.equal(response.status, 204, await response.text());
}

/** The number of samples that a node finds, and what it warns of. */
async function count(node: LocalNode): Promise<{ samples: number; warnings: readonly string[] }> {
  const api = new PrometheusApi(node.url);
  const query = 'sum(count_over_time(rot[1h]))';
  const answer = await api.call<{ result: { value: [number, string] }[] }>('query', { query, time: `${endMs / 1000}` });
  assert.equal(answer.status, 'success', answer.error);
  return { samples: Number(answer.data?.result[0]?.value[1] ?? 0), warnings: answer.warnings ?? [] };
}

function rot(node: LocalNode): void {
  const parts = join(node.directory, 'data', 'parts');
  const [name] = readdirSync(parts);
  assert.ok(name);
  const path = join(parts, name, 'pages');
  const file = openSync(path, 'r+');
  writeSync(file, new Uint8Array(32).fill(0xa5), 0, 32, Math.floor(statSync(path).size / 2));
  closeSync(file);
}

async function until(what: string, timeoutMs: number, condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    assert.ok(performance.now() < deadlineMs, what);
    await sleep(100);
  }
}

test('a rotten part is read elsewhere, set aside, and filled in by the others', { timeout: 180_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'timbala-rot-'));
  const cluster = await LocalCluster.start({ directory, nodesCount: 3 });
  try {
    const [first, rotten] = cluster.nodes as [LocalNode, LocalNode];
    await write(first);
    const all = seriesCount * samplesOfSeries;
    const isMended = (): Promise<boolean> =>
      cluster.until(60_000, (statuses) =>
        statuses.every(({ marks, losses }) => marks.dueCount === 0 && losses.every(({ isHealed }) => isHealed)),
      );
    assert.ok(await isMended(), 'three nodes hold the same');
    for (const node of cluster.nodes) await fetch(`${node.url}/internal/flush`, { method: 'POST' });
    const storeBefore = (await rotten.status())?.store;
    rot(rotten);
    await until('the node ends its process', 60_000, async () => {
      if (!rotten.isRunning) return true;
      // Asked for its own part, it finds the damage; its answer is the others'.
      const { samples } = await count(rotten).catch(() => ({ samples: all }));
      assert.equal(samples, all);
      return false;
    });
    assert.match(rotten.process.logTail(100_000), /STORE_DAMAGED/);
    assert.ok(readdirSync(join(rotten.directory, 'data', 'parts')).some((name) => name.endsWith('.damaged')));
    assert.deepEqual(await count(first), { samples: all, warnings: [] });

    await rotten.spawn();
    await rotten.ready();
    await until('the others fill it in', 90_000, isMended);
    assert.notEqual((await rotten.status())?.store, storeBefore);
    // Alone it has everything again.
    await first.stop();
    assert.deepEqual(await count(rotten), { samples: all, warnings: [] });
  } finally {
    await cluster.kill();
    rmSync(directory, { recursive: true, force: true });
  }
});
