import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadBody } from './generator.ts';
import { send } from './sender.ts';

type Answer = (body: string, response: ServerResponse) => void | Promise<void>;

/** A server that answers each write as told. */
async function startServer(t: TestContext, answer: Answer): Promise<string> {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => void answer(Buffer.concat(chunks).toString(), response));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => server.close());
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
}

const bodies = (count: number, shards: number): LoadBody[] =>
  Array.from({ length: count }, (_, i) => ({
    shard: i % shards,
    samplesCount: 1,
    body: new TextEncoder().encode(`${i % shards} ${i}`),
  }));

function accept(response: ServerResponse): void {
  response.statusCode = 204;
  response.end();
}

describe('send', () => {
  test('sends every body once, in order within a shard', async (t) => {
    const received: number[][] = [[], [], []];
    const url = await startServer(t, (body, response) => {
      const [shard = 0, position = 0] = body.split(' ').map(Number);
      received[shard]?.push(position);
      accept(response);
    });
    const report = await send(url, bodies(60, 3));
    assert.equal(report.samplesCount, 60);
    assert.equal(report.retriesCount, 0);
    for (const [shard, positions] of received.entries()) {
      assert.deepEqual(
        positions,
        Array.from({ length: 20 }, (_, i) => shard + 3 * i),
      );
    }
  });

  test('deals shards to the nodes of a cluster in turn', async (t) => {
    const received: Set<string>[] = [new Set(), new Set()];
    const urls = await Promise.all(
      received.map((shards) =>
        startServer(t, (body, response) => {
          shards.add(body.split(' ')[0] ?? '');
          accept(response);
        }),
      ),
    );
    await send(urls, bodies(20, 4));
    assert.deepEqual(
      received.map((shards) => [...shards]),
      [
        ['0', '2'],
        ['1', '3'],
      ],
    );
  });

  test('sends a body again that was answered by 503, before the next of its shard', async (t) => {
    const received: string[] = [];
    const url = await startServer(t, (body, response) => {
      received.push(body);
      if (received.length !== 2) return accept(response);
      response.statusCode = 503;
      response.setHeader('retry-after', '0');
      response.end('busy');
    });
    const report = await send(url, bodies(3, 1));
    assert.equal(report.retriesCount, 1);
    assert.deepEqual(received, ['0 0', '0 1', '0 1', '0 2']);
  });

  test('fails with the server’s words when a body is refused', async (t) => {
    const url = await startServer(t, (_body, response) => {
      response.statusCode = 400;
      response.end('out of bounds');
    });
    await assert.rejects(send(url, bodies(100, 2)), /400: out of bounds/);
  });

  test('does not let a fast shard run far ahead of a slow one', async (t) => {
    const newest = [0, 0];
    let aheadMost = 0;
    const url = await startServer(t, async (body, response) => {
      const [shard = 0, position = 0] = body.split(' ').map(Number);
      if (shard === 0) await sleep(2);
      newest[shard] = position;
      aheadMost = Math.max(aheadMost, (newest[1] ?? 0) - (newest[0] ?? 0));
      accept(response);
    });
    await send(url, bodies(300, 2));
    assert(aheadMost > 0 && aheadMost <= 34, `ahead by ${aheadMost}`);
  });
});
