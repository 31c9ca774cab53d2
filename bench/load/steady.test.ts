import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadBody } from './generator.ts';
import { SteadyLoad } from './steady.ts';

/** Answers each write after `delayMs()`; gives its URL and counts what it took. */
async function startServer(t: TestContext, delayMs: () => number): Promise<{ url: string; takenCount: number }> {
  const taken = { url: '', takenCount: 0 };
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      taken.takenCount++;
      setTimeout(() => response.writeHead(204).end(), delayMs());
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => server.close());
  const address = server.address();
  taken.url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  return taken;
}

const bodies = (count: number): Iterator<LoadBody> =>
  Array.from({ length: count }, () => ({ shard: 0, samplesCount: 5, body: new Uint8Array(1) })).values();

describe('steady load', () => {
  test('sends what is due at its rate, to the nodes in turn', async (t) => {
    const servers = await Promise.all([startServer(t, () => 0), startServer(t, () => 0)]);
    const load = new SteadyLoad(
      servers.map(({ url }) => url),
      bodies(20),
      100,
    );
    const startedMs = performance.now();
    await load.run();
    assert(performance.now() - startedMs >= 180);
    assert.deepEqual(
      servers.map(({ takenCount }) => takenCount),
      [10, 10],
    );
    assert.equal(load.samplesCount, 100);
    assert.equal(load.look().writesCount, 20);
    assert.equal(load.look().writesCount, 0);
  });

  test('charges a stall to all that was due meanwhile', async (t) => {
    let stalledUntilMs = 0;
    const server = await startServer(t, () => Math.max(0, stalledUntilMs - performance.now()));
    const load = new SteadyLoad([server.url], bodies(40), 100);
    const running = load.run();
    await sleep(100);
    stalledUntilMs = performance.now() + 300;
    await running;
    const { medianMs, slowestMs } = load.look();
    assert(slowestMs >= 250, `slowest: ${slowestMs} ms`);
    assert(medianMs >= 30, `median: ${medianMs} ms`);
  });
});
