// Reads of many queries at once over real connections, in virtual time: they wait for each other, and all come to their end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteReader, ByteWriter, mib, secondMs } from '../../base/index.ts';
import { SimNetwork } from '../../../sim/network.ts';
import { SimWorld } from '../../../sim/world.ts';
import type { PeerFrame } from '../contracts.ts';
import type { Question } from '../exchange.ts';
import { pass, settled, simulatedNode } from '../peers/test-peers.ts';
import { type ReadPiece, readMoreQuestion, readQuestion } from './serve.ts';
import { detachedReadServer } from './test-read-server.ts';

/** A node at `s` that serves reads of so many frames, as the exchange would let it. */
async function server(world: SimWorld, network: SimNetwork, framesCount: number) {
  const node = await simulatedNode(world, network.at('s'), 's');
  async function* frames(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < framesCount; i++) yield new Uint8Array(1000);
  }
  const { answers, counters } = detachedReadServer(world.clock, frames);
  node.peers.onRequest = async (from, { kind, body }, work): Promise<PeerFrame> => {
    const reader = new ByteReader(body);
    const answer = answers.get(reader.string());
    assert(answer);
    const asked = answer.question.request.read(reader);
    const { body: reply } = await answer.handler({ from, body: asked, work });
    const writer = new ByteWriter();
    answer.question.reply.write(writer, reply);
    return { kind, body: writer.copy() };
  };
  return { node, counters };
}

test('those who wait for a place do not keep those from going on who have one', async () => {
  const world = new SimWorld(1);
  const network = new SimNetwork(world);
  const framesCount = 4;
  const { node, counters } = await server(world, network, framesCount);
  const names = ['a', 'b', 'c', 'd'];
  const askers = await Promise.all(names.map((name) => simulatedNode(world, network.at(name), name)));
  for (const { peers } of askers) peers.setAddresses(new Map([['s', 's:9095']]));
  node.peers.setAddresses(new Map(names.map((name) => [name, `${name}:9095`])));

  const read = async ({ peers }: (typeof askers)[number]): Promise<number> => {
    const put = async <Request>({ topic, request, reply }: Question<Request, ReadPiece>, asked: Request) => {
      const writer = new ByteWriter();
      writer.string(topic);
      request.write(writer, asked);
      const { body } = await peers.request('s', { kind: 'read', body: writer.copy() }, 20 * secondMs);
      return reply.read(new ByteReader(body));
    };
    const selection = { fromMs: 0, toMs: 1, wanted: new Uint8Array() };
    let piece = await put(readQuestion, { ...selection, segments: [], dropsCount: 0 });
    let count = 1;
    for (; !piece.isLast; count++) piece = await put(readMoreQuestion, { read: piece.read, number: count });
    return count;
  };
  // Of twenty queries at each node, two shares of each.
  const reads = askers.flatMap((asker) => Array.from({ length: 40 }, () => read(asker)));
  const beganMs = world.clock.monotonicMs();
  const counts = await settled(world, Promise.all(reads));
  assert.deepEqual(new Set(counts), new Set([framesCount]));
  assert.equal(counters.served, reads.length);
  assert.ok(world.clock.monotonicMs() - beganMs < 5 * secondMs);
});

test('questions that say what is known of many series wait for each other', async () => {
  const world = new SimWorld(2);
  const network = new SimNetwork(world);
  const a = await simulatedNode(world, network.at('a'), 'a');
  const s = await simulatedNode(world, network.at('s'), 's');
  a.peers.setAddresses(new Map([['s', 's:9095']]));
  s.peers.onRequest = async (_from, { kind }) => {
    await pass(world, 100);
    return { kind, body: new Uint8Array(8) };
  };
  // Twenty queries of 100,000 series each.
  const ask = (): Promise<unknown> =>
    a.peers.request('s', { kind: 'read', body: new Uint8Array(3 * mib) }, 20 * secondMs);
  await settled(world, ask());
  const answers = await settled(world, Promise.allSettled(Array.from({ length: 20 }, ask)));
  assert.deepEqual(
    answers.filter(({ status }) => status === 'rejected'),
    [],
  );
});
