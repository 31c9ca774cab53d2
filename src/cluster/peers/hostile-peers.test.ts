// Peers that break the rules, and a network that loses, cuts and crashes: nothing wrong is kept, and all heals.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hasCode, mib, secondMs, SeededRandom } from '../../base/index.ts';
import { SimNetwork } from '../../../sim/network.ts';
import { SimWorld } from '../../../sim/world.ts';
import type { NetworkStream } from '../../ports/index.ts';
import {
  decodePeerFailure,
  encodePeerFailure,
  encodePeerFrame,
  encodePeerOpening,
  PeerFrameReader,
  peerFrameTypes,
  type PeerOpening,
} from '../../wire/index.ts';
import type { PeerFrame } from '../contracts.ts';
import { classLimits } from './classes.ts';
import {
  echoOf,
  hello,
  identityOf,
  pair,
  pass,
  settled,
  simulatedNode,
  type TestNode,
  text,
  textOf,
  write,
} from './test-peers.ts';

suite('hostile peers', () => {
  const openingOf = (fields: Partial<PeerOpening>): Uint8Array =>
    encodePeerFrame(
      { type: peerFrameTypes.opening, kind: 0, hasSamples: false, id: 0, creditBytes: 0, patienceMs: 0 },
      [
        encodePeerOpening({
          ...identityOf('evil'),
          versionMin: 1,
          versionMax: 1,
          to: 'b',
          connectionClass: 1,
          windowBytes: 1_000,
          ...fields,
        }),
      ],
    );
  const opening = openingOf({});
  const request = (body: Uint8Array, fields = {}): Uint8Array =>
    encodePeerFrame(
      {
        type: peerFrameTypes.request,
        kind: 1,
        hasSamples: false,
        id: 1,
        creditBytes: 0,
        patienceMs: secondMs,
        ...fields,
      },
      [body],
    );

  /** Sends the pieces to b; how the connection ended, or undefined where it has not. */
  async function send(...pieces: Uint8Array[]): Promise<{ b: TestNode; ended: boolean; closings: string[] }> {
    const { world, network, b } = await pair();
    const seen = { ended: false, closings: [] as string[] };
    const reader = new PeerFrameReader();
    const stream: NetworkStream = network.at('evil').connect(
      { host: 'b', port: 9_095 },
      {
        onBytes: (bytes) =>
          reader.push(bytes, ({ type }, body) => {
            if (type === peerFrameTypes.closing) seen.closings.push(decodePeerFailure(body).code);
          }),
        onEnd: () => {
          seen.ended = true;
        },
      },
    );
    for (const piece of pieces) stream.write(piece);
    await pass(world, 200);
    await settled(world, b.peers.request('a', hello(), secondMs));
    return { b, ...seen };
  }

  test('are cut off, and the node goes on', async () => {
    const http = text('GET / HTTP/1.1\r\nHost: b\r\n\r\n');
    const corrupt = request(text('x')).fill(0, 24);
    for (const pieces of [
      [http],
      [request(text('x'))],
      [opening, opening],
      [opening, corrupt],
      [opening, request(new Uint8Array(40).fill(255), { hasSamples: true })],
      [opening, request(text('x'), { kind: 77 })],
      [opening, request(text('x'), { type: peerFrameTypes.closing })],
    ]) {
      const { ended, b } = await send(...pieces);
      assert.ok(ended);
      assert.equal(b.requests.length, 0);
    }
  });

  test('are told why', async () => {
    const closingsOf = async (...pieces: Uint8Array[]) => (await send(...pieces)).closings;
    assert.deepEqual(await closingsOf(openingOf({ versionMin: 2, versionMax: 3 })), ['PEER_VERSION']);
    assert.deepEqual(await closingsOf(openingOf({ connectionClass: 9 })), ['PEER_VERSION']);
    assert.deepEqual(await closingsOf(openingOf({ to: 'c' })), ['PEER_WRONG_NODE']);
    assert.deepEqual(await closingsOf(opening, opening), ['PEER_FRAME_CORRUPT']);
  });

  test('that have said goodbye are not listened to any more', async () => {
    const goodbye = request(encodePeerFailure({ code: 'X', text: '' }), { type: peerFrameTypes.closing });
    const { b } = await send(Uint8Array.from([...opening, ...goodbye, ...request(text('x'))]));
    assert.equal(b.requests.length, 0);
  });

  test('can’t send more than they were granted', async () => {
    const { world, network, b } = await pair();
    b.peers.onRequest = () => new Promise<PeerFrame>(() => undefined);
    const seen = { ended: false };
    const handlers = {
      onBytes: () => undefined,
      onEnd: () => {
        seen.ended = true;
      },
    };
    const stream = network.at('evil').connect({ host: 'b', port: 9_095 }, handlers);
    stream.write(opening);
    // Half of the window, then a message that is longer than what is left of it.
    const half = classLimits.write.windowBytes / 2;
    for (const [id, bodyBytes] of [half, 60 * mib].entries()) stream.write(request(new Uint8Array(bodyBytes), { id }));
    await pass(world, 100);
    assert.equal(seen.ended, false);
    stream.write(request(text('x'), { id: 2 }));
    await pass(world, 100);
    assert.ok(seen.ended);
  });

  test('that open connections by the thousand and say nothing keep out nobody', async () => {
    const { world, network, ask } = await pair();
    const silent = { onBytes: () => undefined, onEnd: () => undefined };
    for (let i = 0; i < 3_000; i++) network.at('evil').connect({ host: 'b', port: 9_095 }, silent);
    await pass(world, 100);
    assert.equal(textOf((await ask(hello('let me in'))).body), 'let me in');
  });

  test('can’t ask twice under one id', async () => {
    const { ended, closings } = await send(opening, request(text('slow'), { id: 7 }), request(text('x'), { id: 7 }));
    assert.deepEqual([ended, closings], [true, ['PEER_FRAME_CORRUPT']]);
  });

  test('any damage after the opening gives answers or an end', async () => {
    const random = new SeededRandom(3);
    const { world, network, b } = await pair();
    for (let i = 0; i < 300; i++) {
      const bytes = Uint8Array.from([...opening, ...request(text('x'), { id: i })]);
      for (let flips = random.below(3); flips >= 0; flips--) bytes[random.below(bytes.length)] = random.below(256);
      const stream = network
        .at('evil')
        .connect({ host: 'b', port: 9_095 }, { onBytes: () => undefined, onEnd: () => undefined });
      for (let at = 0; at < bytes.length; at += 50) stream.write(bytes.subarray(at, at + 50));
      world.run(5);
    }
    await pass(world, 10 * secondMs);
    assert.equal(textOf((await settled(world, b.peers.request('a', hello(), secondMs))).body), 'hello');
  });
});

suite('a lossy world', () => {
  /** Three nodes that ask one another through loss, cuts and crashes; the trace of it all. */
  async function run(seed: number): Promise<string> {
    const world = new SimWorld(seed);
    const network = new SimNetwork(world);
    network.conditions.lossShare = 0.05;
    network.conditions.delayMsMax = 20;
    const names = ['a', 'b', 'c'];
    const random = new SeededRandom(seed);
    const done = new Map<string, number>();
    const nodes = new Map<string, TestNode>();
    const boot = async (name: string): Promise<void> => {
      const node = await simulatedNode(world, network.at(name), name);
      node.peers.setAddresses(
        new Map(names.filter((other) => other !== name).map((other) => [other, `${other}:9095`])),
      );
      node.peers.onRequest = async (_from, frame) => {
        const echo = echoOf(node.store, frame);
        const key = textOf(frame.body);
        done.set(key, (done.get(key) ?? 0) + 1);
        return echo;
      };
      nodes.set(name, node);
    };
    for (const name of names) await boot(name);
    const asked: Promise<void>[] = [];
    let answered = 0;
    for (let step = 0; step < 120; step++) {
      const [from = 'a', to = 'b'] = names.toSorted(() => random.float() - 0.5);
      const node = nodes.get(from);
      assert.ok(node);
      const key = `${step}`;
      const series = Array.from({ length: 1 + random.below(3) }, () => `s${random.below(6)}`);
      const frame = { ...write(node, ...series), body: text(key) };
      asked.push(
        (async () => {
          try {
            const { body } = await node.peers.request(to, frame, 2 * secondMs);
            answered++;
            assert.equal(textOf(body), `${key}: ${series.join(' ')}`);
          } catch (error) {
            const codes = ['PEER_UNREACHABLE', 'PEER_TIMEOUT', 'PEER_DICTIONARY'];
            assert.ok(
              codes.some((code) => hasCode(error, code)),
              String(error),
            );
          }
        })(),
      );
      if (random.below(12) === 0) network.cut(from, to);
      if (random.below(8) === 0) network.heal();
      if (random.below(10) === 0) nodes.get(to)?.store.renumber();
      if (random.below(25) === 0) {
        network.crash(to);
        // The process that lost power does nothing any more, but its requests are still waited for above.
        nodes.get(to)?.peers.close();
        network.restart(to);
        await boot(to);
      }
      await pass(world, random.below(100));
    }
    network.heal();
    await settled(world, Promise.all(asked));
    assert.ok(
      [...done.values()].every((times) => times === 1),
      'a request was done twice',
    );
    assert.ok(answered > 60, `${answered} answers`);
    await pass(world, 10 * secondMs);
    // Healed: everyone reaches everyone.
    for (const from of names) {
      for (const to of names) {
        const node = nodes.get(from);
        if (from !== to && node) await settled(world, node.peers.request(to, write(node, 'x'), 10 * secondMs));
      }
    }
    for (const { peers } of nodes.values()) peers.close();
    return world.traceHash;
  }

  test('settles every request, does none twice, mixes up no series, and heals', async () => {
    for (let seed = 1; seed <= 12; seed++) await run(seed);
  });

  test('is the same for the same seed', async () => {
    assert.equal(await run(5), await run(5));
  });
});
