// Peer connections in virtual time: requests and answers, dictionaries, credit, deadlines, loss, openings.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hasCode, mib, present, secondMs, TimbalaError } from '../../base/index.ts';
import { SimNetwork } from '../../../sim/network.ts';
import { SimWorld } from '../../../sim/world.ts';
import type { Network } from '../../ports/index.ts';
import type { PeerFrame, ReceivedFrame } from '../contracts.ts';
import { classLimits, messageKinds } from './classes.ts';
import { parseAddress } from './link.ts';
import {
  echoOf,
  hello,
  identityOf,
  pair,
  pass,
  recordingLog,
  rejectsWith,
  settled,
  simulatedNode,
  text,
  textOf,
  write,
} from './test-peers.ts';

suite('requests', () => {
  test('are answered, each by its own answer, in any order', async () => {
    const { world, a, b, ask } = await pair();
    assert.equal(textOf((await ask(hello())).body), 'hello');
    const delays = new Map([
      ['slow', 50],
      ['fast', 1],
    ]);
    b.peers.onRequest = async (from, frame) => {
      assert.equal(from, 'a');
      await new Promise<void>((resolve) => world.schedule(delays.get(textOf(frame.body)) ?? 0, resolve));
      return frame as PeerFrame;
    };
    const order: string[] = [];
    const asked = ['slow', 'fast'].map(async (body) => {
      order.push(textOf((await a.peers.request('b', hello(body), secondMs)).body));
    });
    await settled(world, Promise.all(asked));
    assert.deepEqual(order, ['fast', 'slow']);
  });

  test('of every kind arrive as that kind, on one connection a class', async () => {
    const { a, b, ask } = await pair();
    for (const kind of messageKinds) {
      assert.equal((await ask({ kind, body: text(kind) })).kind, kind);
      assert.equal(b.requests.at(-1)?.kind, kind);
    }
    const opened = Object.entries(a.peers.counters).map(([name, { connectionsOpened }]) => [name, connectionsOpened]);
    assert.deepEqual(opened, [
      ['control', 1],
      ['write', 1],
      ['read', 1],
      ['background', 1],
    ]);
  });

  test('that fail bring code and text of the other side; what is no error of ours keeps its text', async () => {
    const { b, ask } = await pair();
    b.peers.onRequest = async () => {
      throw new TimbalaError('STORE_FULL', 'no room on disk');
    };
    await assert.rejects(ask(hello()), { code: 'STORE_FULL', message: 'STORE_FULL: no room on disk' });
    b.peers.onRequest = async () => {
      throw new RangeError('odd');
    };
    await assert.rejects(ask(hello()), { code: 'PEER_FAILED', message: 'PEER_FAILED: odd' });
    b.peers.onRequest = undefined;
    await assert.rejects(ask(hello()), rejectsWith('PEER_STARTING'));
  });

  test('time out when the answer is late, and the late answer is no other one’s', async () => {
    const { world, a, b, ask } = await pair();
    b.peers.onRequest = async (_from, frame) => {
      const delayMs = textOf(frame.body) === 'late' ? 300 : 0;
      await new Promise<void>((resolve) => world.schedule(delayMs, resolve));
      return frame as PeerFrame;
    };
    await assert.rejects(ask(hello('late'), 100), rejectsWith('PEER_TIMEOUT'));
    assert.equal(textOf((await ask(hello('next'))).body), 'next');
    await pass(world, 500);
    assert.equal(textOf((await ask(hello('last'))).body), 'last');
    await pass(world, 2 * secondMs);
    assert.equal(a.peers.counters.control.requestsTimedOut, 1);
  });

  test('whose time is over before their turn comes are not done', async () => {
    const { world, a, b, ask } = await pair();
    b.store.beforeRegister = () => new Promise((resolve) => world.schedule(300, resolve));
    await assert.rejects(ask(write(a, 'up'), 100), rejectsWith('PEER_TIMEOUT'));
    await pass(world, 500);
    assert.equal(b.requests.length, 0);
    // What it defined is known all the same.
    assert.equal(textOf((await ask(write(a, 'up'))).body), 'w: up');
    assert.equal(a.store.definitionsCount, 1);
  });

  test('to unknown nodes, and after the end, fail at once', async () => {
    const { world, a, b, ask } = await pair();
    await assert.rejects(a.peers.request('nobody', hello(), secondMs), rejectsWith('PEER_UNREACHABLE'));
    await ask(hello());
    a.peers.setAddresses(new Map());
    await assert.rejects(ask(hello()), rejectsWith('PEER_UNREACHABLE'));
    await pass(world, 50);
    assert.equal(b.peers.counters.control.connectionsEnded, 1);
    a.peers.close();
    await assert.rejects(ask(hello()), rejectsWith('PEER_UNREACHABLE'));
  });

  test('move to a new address', async () => {
    const { world, network, a, ask } = await pair();
    const elsewhere = await simulatedNode(world, network.at('b2'), 'b2', { identity: () => identityOf('b') });
    await ask(hello());
    a.peers.setAddresses(new Map([['b', 'b2:9095']]));
    await ask(hello('moved'));
    assert.deepEqual(
      elsewhere.requests.map(({ body }) => textOf(body)),
      ['moved'],
    );
  });
});

suite('series dictionaries', () => {
  test('carry the definition of a series once a connection', async () => {
    const { a, b, ask } = await pair();
    assert.equal(textOf((await ask(write(a, 'up', 'down'))).body), 'w: up down');
    assert.equal(textOf((await ask(write(a, 'down', 'left', 'left'))).body), 'w: down left left');
    assert.equal(a.store.definitionsCount, 3);
    const { samplesCount, bytes } = present(b.requests[1]?.samples, 'samples');
    assert.deepEqual([samplesCount, bytes.length], [3, 0], 'their memory is freed with the answer');
    // Another class is another connection.
    await ask({ ...write(a, 'up'), kind: 'copy' });
    assert.equal(a.store.definitionsCount, 4);
  });

  test('take effect in order, though definitions take time at both ends', async () => {
    const { world, a, b } = await pair();
    const gate = Promise.withResolvers<void>();
    const senderGate = Promise.withResolvers<void>();
    a.store.beforeDefinitions = () => senderGate.promise;
    b.store.beforeRegister = () => gate.promise;
    const answers = [
      a.peers.request('b', write(a, 'x', 'y'), secondMs),
      a.peers.request('b', write(a, 'y', 'x'), secondMs),
      a.peers.request('b', write(a, 'z'), secondMs),
    ];
    await pass(world, 50);
    senderGate.resolve();
    await pass(world, 50);
    assert.equal(b.requests.length, 0);
    gate.resolve();
    const frames = await settled(world, Promise.all(answers));
    assert.deepEqual(
      frames.map(({ body }) => textOf(body)),
      ['w: x y', 'w: y x', 'w: z'],
    );
    assert.equal(a.store.definitionsCount, 3);
  });

  test('begin anew when the sender numbers its series anew', async () => {
    const { a, ask } = await pair();
    await ask(write(a, 'up', 'down'));
    a.store.renumber();
    assert.equal(textOf((await ask(write(a, 'up', 'down'))).body), 'w: up down');
    assert.equal(a.store.definitionsCount, 4);
    assert.equal(a.peers.counters.write.connectionsOpened, 1);
  });

  test('begin anew when the receiver numbers its series anew, and no request fails for it', async () => {
    const { world, a, b, ask } = await pair();
    await ask(write(a, 'up', 'down'));
    const gate = Promise.withResolvers<void>();
    b.peers.onRequest = async (_from, frame) => {
      await gate.promise;
      return echoOf(b.store, frame);
    };
    const inHand = ['up', 'down', 'up'].map((name) => a.peers.request('b', write(a, name), secondMs));
    await pass(world, 50);
    b.store.renumber();
    gate.resolve();
    const answers = await settled(world, Promise.all(inHand));
    assert.deepEqual(
      answers.map(({ body }) => textOf(body)),
      ['w: up', 'w: down', 'w: up'],
    );
    const { connectionsOpened, dictionariesRestarted } = a.peers.counters.write;
    assert.deepEqual([connectionsOpened, dictionariesRestarted, a.store.definitionsCount], [1, 1, 4]);
    // It shows at a registration, too.
    b.store.renumber();
    assert.equal(textOf((await ask(write(a, 'up', 'new'))).body), 'w: up new');
  });

  test('begin anew under definitions that were just being made', async () => {
    const { world, a, b } = await pair();
    const [receiverGate, senderGate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await settled(world, a.peers.request('b', write(a, 'up'), secondMs));
    b.peers.onRequest = async (_from, frame) => {
      await receiverGate.promise;
      return echoOf(b.store, frame);
    };
    const first = a.peers.request('b', write(a, 'up'), secondMs);
    await pass(world, 20);
    a.store.beforeDefinitions = () => senderGate.promise;
    const second = a.peers.request('b', write(a, 'up', 'new'), secondMs);
    b.store.renumber();
    receiverGate.resolve();
    await pass(world, 50);
    senderGate.resolve();
    const answers = await settled(world, Promise.all([first, second]));
    assert.deepEqual(answers.map(({ body }) => textOf(body)).toSorted(), ['w: up', 'w: up new']);
  });

  test('that disagree are void before anything wrong is kept, and tried three times', async () => {
    const { a, b, ask } = await pair();
    const good = write(a, 'up');
    const samples = a.store.payload('up');
    await assert.rejects(
      ask({ ...good, samples: { ...samples, fingerprintSum: samples.fingerprintSum + 1n } }),
      rejectsWith('PEER_DICTIONARY'),
    );
    assert.deepEqual([b.requests.length, a.store.definitionsCount], [3, 3]);
    assert.equal(textOf((await ask(good)).body), 'w: up');
  });

  test('end where their sender numbers its series anew before it has sent them', async () => {
    const { a, ask } = await pair();
    const late = write(a, 'up');
    a.store.renumber();
    await assert.rejects(ask(late), rejectsWith('PEER_DICTIONARY'));
    assert.equal(textOf((await ask(write(a, 'up'))).body), 'w: up');
  });

  test('end with a registration that fails: what was lost can’t be referred to', async () => {
    const { world, a, b, ask } = await pair();
    b.store.beforeRegister = async () => {
      throw new TimbalaError('HEAD_MEMORY_FULL', 'full');
    };
    await assert.rejects(ask(write(a, 'up')), rejectsWith('PEER_UNREACHABLE'));
    b.store.beforeRegister = async () => undefined;
    await pass(world, 200);
    assert.equal(textOf((await ask(write(a, 'up'))).body), 'w: up');
  });

  test('serve answers too', async () => {
    const { a, b, ask } = await pair();
    b.peers.onRequest = async () => ({ kind: 'copy', body: text('p'), samples: b.store.payload('up', 'down') });
    const names = (frame: ReceivedFrame): string[] => (frame.samples ? a.store.namesIn(frame.samples) : []);
    assert.deepEqual(names(await ask({ kind: 'copy', body: text('?') })), ['up', 'down']);
    assert.deepEqual(names(await ask({ kind: 'copy', body: text('?') })), ['up', 'down']);
    assert.equal(b.store.definitionsCount, 2);
  });
});

suite('flow control', () => {
  test('holds back what the other side has no room for, while other classes go on', async () => {
    const { world, a, b, ask } = await pair();
    const gate = Promise.withResolvers<void>();
    b.peers.onRequest = async (_from, frame) => {
      b.requests.push(frame);
      if (frame.kind === 'write') await gate.promise;
      return { kind: frame.kind, body: text('done') };
    };
    const big = { kind: 'write', body: new Uint8Array(mib) } as const;
    const answers = Array.from({ length: 20 }, () => a.peers.request('b', big, 60 * secondMs));
    await pass(world, 400);
    // The window, and the message that used it up.
    assert.equal(b.requests.length, classLimits.write.windowBytes / mib);
    assert.equal(a.peers.states()[0]?.queuedBytes, 12 * mib);
    assert.equal((await ask(hello())).kind, 'hello');
    gate.resolve();
    await settled(world, Promise.all(answers));
    assert.ok(a.peers.counters.write.creditWaits > 0);
  });

  test('refuses what would make the queue too long, and drops what nobody waits for any more', async () => {
    const { world, a, b } = await pair();
    const gate = Promise.withResolvers<void>();
    b.peers.onRequest = async (_from, frame) => {
      b.requests.push(frame);
      await gate.promise;
      return { kind: frame.kind, body: text('done') };
    };
    const { windowBytes, queuedBytesMax } = classLimits.background;
    const big = { kind: 'copy', body: new Uint8Array(4 * mib) } as const;
    const count = (windowBytes + queuedBytesMax) / (4 * mib);
    const results = Array.from({ length: count + 1 }, () =>
      a.peers.request('b', big, secondMs).catch((error) => error),
    );
    // Nothing is sent before the opening, so that all of them queue up.
    const refused = (await settled(world, Promise.all(results))).filter((result) => hasCode(result, 'PEER_BUSY'));
    assert.equal(refused.length, windowBytes / (4 * mib) + 1);
    gate.resolve();
    await pass(world, secondMs);
    assert.equal(b.requests.length, windowBytes / (4 * mib));
    assert.equal(a.peers.states()[0]?.queuedBytes, 0);
  });

  test('lets a message pass that is longer than the window', async () => {
    const { ask } = await pair();
    const { body } = await ask({ kind: 'read', body: new Uint8Array(classLimits.read.windowBytes + 1) });
    assert.equal(body.length, classLimits.read.windowBytes + 1);
    // All credit has come back, both ways.
    assert.equal((await ask({ kind: 'read', body: new Uint8Array(mib) })).body.length, mib);
  });

  test('refuses a message that no frame can hold', async () => {
    const { ask } = await pair();
    await assert.rejects(ask({ kind: 'read', body: new Uint8Array(65 * mib) }), rejectsWith('PEER_FRAME_TOO_LARGE'));
    assert.equal((await ask({ kind: 'read', body: text('x') })).kind, 'read');
  });

  test('bounds the requests in work', async () => {
    const { world, a, b } = await pair();
    b.peers.onRequest = () => new Promise<PeerFrame>(() => undefined);
    const { requestsMax } = classLimits.background;
    const asked = Array.from({ length: requestsMax + 3 }, () =>
      a.peers.request('b', { kind: 'compare', body: text('?') }, secondMs).catch((error) => error),
    );
    const refused = (await settled(world, Promise.all(asked))).filter((error) => hasCode(error, 'PEER_BUSY'));
    assert.equal(refused.length, 3);
    // Those that timed out here are still in work there.
    const again = a.peers.request('b', { kind: 'compare', body: text('?') }, secondMs);
    await assert.rejects(settled(world, again), rejectsWith('PEER_BUSY'));
  });

  test('counts requests that fail as done', async () => {
    const { b, ask } = await pair();
    b.peers.onRequest = async () => {
      throw new TimbalaError('STORE_FULL', 'no room on disk');
    };
    for (let i = 0; i <= classLimits.background.requestsMax; i++) {
      await assert.rejects(ask({ kind: 'compare', body: text('?') }), rejectsWith('STORE_FULL'));
    }
  });

  test('lets answers go on that are more than the window together', async () => {
    const { world, a, b } = await pair();
    b.peers.onRequest = async () => ({ kind: 'read', body: new Uint8Array(2 * mib) });
    const asked = Array.from({ length: 20 }, () => a.peers.request('b', { kind: 'read', body: text('?') }, secondMs));
    const frames = await settled(world, Promise.all(asked));
    assert.ok(frames.every(({ body }) => body.length === 2 * mib));
    assert.ok(b.peers.counters.read.creditWaits > 0);
  });
});

suite('loss', () => {
  test('of a process fails what waits, and is mended by the next request after a back-off', async () => {
    const { world, network, a, b } = await pair();
    b.peers.onRequest = () => new Promise<PeerFrame>(() => undefined);
    const waiting = a.peers.request('b', hello(), 60 * secondMs);
    await pass(world, 100);
    b.peers.close();
    await assert.rejects(settled(world, waiting), rejectsWith('PEER_UNREACHABLE'));
    await pass(world, 100);
    // Refused by the machine, then by the back-off without asking.
    await assert.rejects(settled(world, a.peers.request('b', hello(), secondMs)), rejectsWith('PEER_UNREACHABLE'));
    await assert.rejects(a.peers.request('b', hello(), secondMs), /tried again in \d+ ms/);
    const again = await simulatedNode(world, network.at('b'), 'b');
    await pass(world, 500);
    await settled(world, a.peers.request('b', hello(), secondMs));
    assert.equal(again.requests.length, 1);
  });

  test('of power is noticed by silence, and no request is done twice', async () => {
    const { world, network, a, ask } = await pair();
    await ask(hello());
    network.crash('b');
    await assert.rejects(ask(hello(), secondMs), rejectsWith('PEER_TIMEOUT'));
    assert.equal(a.peers.states()[0]?.isOpen, true);
    await pass(world, 21 * secondMs);
    assert.equal(a.peers.states()[0]?.isOpen, false);
    network.restart('b');
    const again = await simulatedNode(world, network.at('b'), 'b');
    await settled(world, a.peers.request('b', hello('new'), secondMs));
    assert.deepEqual(
      again.requests.map(({ body }) => textOf(body)),
      ['new'],
    );
  });

  test('of a link for some seconds delays, and loses nothing', async () => {
    const { world, network, a, b, ask } = await pair();
    await ask(hello());
    network.cut('a', 'b');
    const waiting = a.peers.request('b', hello('through'), 20 * secondMs);
    await pass(world, 8 * secondMs);
    network.heal();
    assert.equal(textOf((await settled(world, waiting)).body), 'through');
    assert.equal(b.requests.length, 2);
    assert.equal(a.peers.counters.control.connectionsOpened, 1);
  });

  test('idle connections live', async () => {
    const { world, a, ask } = await pair();
    await ask(hello());
    await pass(world, 60 * secondMs);
    await ask(hello());
    assert.equal(a.peers.counters.control.connectionsOpened, 1);
  });

  test('is retried less and less often', async () => {
    const { world, a, b } = await pair();
    b.peers.close();
    const dials = async (durationMs: number): Promise<number> => {
      const { connectionsFailed } = a.peers.counters.control;
      for (let passed = 0; passed < durationMs; passed += 20) {
        await assert.rejects(settled(world, a.peers.request('b', hello(), 10)));
        await pass(world, 10);
      }
      return a.peers.counters.control.connectionsFailed - connectionsFailed;
    };
    assert.ok((await dials(secondMs)) >= 3);
    await pass(world, 20 * secondMs);
    await dials(5 * secondMs);
    assert.ok((await dials(10 * secondMs)) <= 4);
  });

  test('leaves one connection a class and peer: a newer one ends the one before', async () => {
    const { world, network, b } = await pair();
    for (let i = 0; i < 3; i++) {
      const again = await simulatedNode(world, network.at(`a${i}`), `a${i}`, { identity: () => identityOf('a') });
      again.peers.setAddresses(new Map([['b', 'b:9095']]));
      await settled(world, again.peers.request('b', hello(), secondMs));
    }
    const { connectionsOpened, connectionsEnded } = b.peers.counters.control;
    assert.deepEqual([connectionsOpened, connectionsEnded], [3, 2]);
  });

  test('a peer that comes back and dials us is dialed without waiting', async () => {
    const { world, network, a, b } = await pair();
    b.peers.close();
    for (let i = 0; i < 8; i++) {
      await assert.rejects(settled(world, a.peers.request('b', hello(), secondMs)));
      await pass(world, 20 * secondMs);
    }
    await assert.rejects(settled(world, a.peers.request('b', hello(), secondMs)));
    const again = await simulatedNode(world, network.at('b'), 'b');
    again.peers.setAddresses(new Map([['a', 'a:9095']]));
    await assert.rejects(a.peers.request('b', hello(), secondMs), /tried again/);
    await settled(world, again.peers.request('a', hello(), secondMs));
    await settled(world, a.peers.request('b', hello(), secondMs));
  });
});

suite('openings', () => {
  test('take whoever is there where only an address is known', async () => {
    const { world, a } = await pair();
    a.peers.setAddresses(new Map([['b:9095', 'b:9095']]));
    await settled(world, a.peers.request('b:9095', hello(), secondMs));
  });

  test('refuse another node than the one that is meant', async () => {
    const { world, network, a } = await pair();
    await simulatedNode(world, network.at('x'), 'x', { identity: () => identityOf('z') });
    a.peers.setAddresses(new Map([['b', 'x:9095']]));
    await assert.rejects(settled(world, a.peers.request('b', hello(), secondMs)), /PEER_WRONG_NODE: this is z, not b/);
  });

  test('refuse a node whose certificate is not for its name', async () => {
    const world = new SimWorld(1);
    const network = new SimNetwork(world);
    /** As if all who connect here showed a certificate for this host. */
    const certified = (inner: Network, certifiedHost: string): Network => ({
      ...inner,
      listen: (address, onStream) =>
        inner.listen(address, (stream, from) =>
          onStream(
            {
              write: (bytes) => stream.write(bytes),
              give: (bytes) => stream.give(bytes),
              close: () => stream.close(),
              abort: () => stream.abort(),
              unsentBytes: 0,
              unsentWrites: 0,
              certifies: (host) => host === certifiedHost,
            },
            from,
          ),
        ),
    });
    await simulatedNode(world, certified(network.at('b'), '10.0.0.7'), 'b');
    const ask = async (node: string): Promise<unknown> => {
      const asker = await simulatedNode(world, network.at('x'), 'x', { identity: () => identityOf(node) });
      asker.peers.setAddresses(new Map([['b', 'b:9095']]));
      const answer = asker.peers.request('b', hello(), secondMs).catch((error: Error) => error.message);
      const result = await settled(world, answer);
      asker.peers.close();
      await pass(world, 50);
      return result;
    };
    assert.match(String(await ask('10.0.0.8:7946')), /PEER_CERTIFICATE/);
    assert.match(String(await ask('evil')), /PEER_CERTIFICATE/);
    assert.ok(typeof (await ask('10.0.0.7:7946')) === 'object');
  });

  test('that nobody answers end after a time', async () => {
    const { world, network, a } = await pair();
    await network.at('mute').listen({ host: 'mute', port: 1 }, () => ({ onBytes: () => {}, onEnd: () => {} }));
    a.peers.setAddresses(new Map([['b', 'mute:1']]));
    await assert.rejects(settled(world, a.peers.request('b', hello(), 60 * secondMs)), /no opening within/);
  });

  test('and losses are logged when something changes, refusals of anyone once in a while', async () => {
    const world = new SimWorld(1);
    const network = new SimNetwork(world);
    const events: string[] = [];
    const a = await simulatedNode(world, network.at('a'), 'a', {}, recordingLog(events));
    a.peers.setAddresses(new Map([['b', 'b:9095']]));
    for (let i = 0; i < 5; i++) {
      await assert.rejects(settled(world, a.peers.request('b', hello(), secondMs)), rejectsWith('PEER_UNREACHABLE'));
      await pass(world, 8 * secondMs);
    }
    assert.deepEqual(events, ['peer-disconnected']);
    for (let i = 0; i < 5; i++) {
      network
        .at('evil')
        .connect({ host: 'a', port: 9_095 }, { onBytes: () => {}, onEnd: () => {} })
        .write(new Uint8Array(100));
      await pass(world, secondMs);
    }
    assert.deepEqual(events, ['peer-disconnected', 'peer-refused']);
  });

  test('and an end that one of the two wanted is no warning', async () => {
    const world = new SimWorld(1);
    const network = new SimNetwork(world);
    const warned: string[] = [];
    const informed: string[] = [];
    const log = { ...recordingLog(warned), info: (event: string) => void informed.push(event) };
    const a = await simulatedNode(world, network.at('a'), 'a', {}, log);
    const b = await simulatedNode(world, network.at('b'), 'b');
    a.peers.setAddresses(new Map([['b', 'b:9095']]));
    await settled(world, a.peers.request('b', hello(), secondMs));
    a.peers.setAddresses(new Map());
    a.peers.setAddresses(new Map([['b', 'b:9095']]));
    await settled(world, a.peers.request('b', hello(), secondMs));
    b.peers.close();
    await pass(world, secondMs);
    assert.deepEqual(
      informed.filter((event) => event === 'peer-disconnected'),
      ['peer-disconnected', 'peer-disconnected'],
    );
    assert.deepEqual(warned, []);
  });

  test('addresses are host and port, or refused', async () => {
    assert.deepEqual(parseAddress('[::1]:80'), { host: '::1', port: 80 });
    assert.deepEqual(parseAddress('node-1.example:9095'), { host: 'node-1.example', port: 9_095 });
    const { a, world } = await pair();
    for (const address of ['', 'a', 'a:', 'a:0', 'a:65536', '::1:80', 'a b:1']) {
      assert.throws(() => parseAddress(address), rejectsWith('PEER_ADDRESS'));
      a.peers.setAddresses(new Map([['b', address]]));
      await assert.rejects(settled(world, a.peers.request('b', hello(), secondMs)), /PEER_ADDRESS/);
    }
    a.peers.setAddresses(new Map([['b', 'b:9095']]));
    await settled(world, a.peers.request('b', hello(), secondMs));
  });
});
