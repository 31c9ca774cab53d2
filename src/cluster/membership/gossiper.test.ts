// The driver around the step: what it binds, whom it answers, and that nothing from outside stops it. On the simulated network.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { SimNetwork } from '../../../sim/network.ts';
import { SimRandom } from '../../../sim/random.ts';
import { SimWorld } from '../../../sim/world.ts';
import { SeededRandom } from '../../base/index.ts';
import { NodeAesGcm } from '../../node/index.ts';
import type { Log, Network, NetworkAddress, NetworkStream } from '../../ports/index.ts';
import { Gossiper, type GossiperOptions } from './gossiper.ts';
import { Keyring } from './keyring.ts';
import { encodeMessage, messageTypes } from './messages.ts';
import { MessageWriter } from './msgpack.ts';

const port = 7946;

class Bench {
  readonly world = new SimWorld(1);
  readonly network = new SimNetwork(this.world);
  readonly logged: string[] = [];

  start(
    name: string,
    host: string,
    options: Partial<GossiperOptions> = {},
    network: Network = this.network.at(host),
  ): Promise<Gossiper> {
    const note = (event: string): void => void this.logged.push(event);
    const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
    const ports = { clock: this.world.clock, network, random: new SimRandom(host.length), log };
    return Gossiper.start(ports, { name, bind: { host, port }, ...options });
  }

  /** Lets promises settle, then time pass. */
  async run(durationMs: number): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.world.run(durationMs);
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** A stream from a stranger, with what came back on it. */
  open(to: NetworkAddress): { stream: NetworkStream; bytes: number; ends: number } {
    const seen = { bytes: 0, ends: 0 };
    const stream = this.network.at('9.9.9.9').connect(to, {
      onBytes: (bytes) => void (seen.bytes += bytes.length),
      onEnd: () => void seen.ends++,
    });
    return Object.assign(seen, { stream });
  }
}

/** The beginning of a message that announces so many bytes of user state. */
function pushPullOfUserState(userStateBytes: number): Uint8Array {
  const writer = new MessageWriter();
  writer.byte(messageTypes.pushPull);
  writer.map({ Nodes: 0, UserStateLen: userStateBytes, Join: true });
  return writer.copy();
}

suite('the gossip driver', () => {
  test('joins by any of several addresses, and says how many answered', async () => {
    const bench = new Bench();
    const [a, b] = [await bench.start('a', '1.0.0.1'), await bench.start('b', '1.0.0.2')];
    const seeds = ['1.0.0.1', '1.0.0.2', '1.0.0.3'].map((host) => ({ host, port }));
    const joined = b.join(seeds);
    await bench.run(11_000);
    assert.equal(await joined, 1, 'itself does not count, nor who is not there');
    assert.deepEqual(
      a
        .members()
        .map(({ name }) => name)
        .sort(),
      ['a', 'b'],
    );
    assert.ok(bench.logged.includes('peer-not-reached'));
  });

  test('takes no more from all streams together than it has room for, and is there for others afterwards', async () => {
    const bench = new Bench();
    const a = await bench.start('a', '1.0.0.1');
    const streams = Array.from({ length: 8 }, () => bench.open({ host: '1.0.0.1', port }));
    for (const { stream } of streams) {
      stream.write(pushPullOfUserState(15 << 20));
      stream.write(new Uint8Array(14 << 20));
    }
    await bench.run(50);
    assert.equal(streams.filter(({ ends }) => ends > 0).length, 4);
    assert.equal(a.status().counters.streamsRefused, 4);
    await bench.run(11_000);
    const b = await bench.start('b', '1.0.0.2');
    const joined = b.join([{ host: '1.0.0.1', port }]);
    await bench.run(100);
    assert.equal(await joined, 1);
  });

  test('resolves names again, for peers that are not known yet or move', async () => {
    const bench = new Bench();
    const resolved = new Map<string, string[]>();
    const network: Network = {
      ...bench.network.at('1.0.0.1'),
      resolve: async (host) => resolved.get(host) ?? Promise.reject(new Error(`${host} is not known`)),
    };
    const [a, b] = [await bench.start('a', '1.0.0.1', {}, network), await bench.start('b', '1.0.0.2')];
    const joined = a.join([{ host: 'timbala.example', port }]);
    await bench.run(10_000);
    assert.equal(await joined, 0);
    resolved.set('timbala.example', ['1.0.0.1', '1.0.0.2']);
    await bench.run(30_000);
    await bench.run(30_000);
    assert.deepEqual([a.members().length, b.members().length], [2, 2]);
    a.stop();
  });

  test('needs an address to advertise where it binds every one', async () => {
    const bench = new Bench();
    await assert.rejects(bench.start('a', '0.0.0.0'), { code: 'GOSSIP_ADDRESS' });
    const node = await bench.start('a', '0.0.0.0', { advertise: { host: '1.0.0.1', port } });
    assert.deepEqual(node.advertised, { host: '1.0.0.1', port }, 'and the failed start freed the ports');
    await assert.rejects(bench.start('b', '0.0.0.0', { advertise: { host: '1.0.0.1', port } }), {
      code: 'NETWORK_BIND_FAILED',
    });
  });

  test('binds TCP and UDP to one port where the system chooses it', async () => {
    const bench = new Bench();
    const [a, b] = [
      await bench.start('a', '1.0.0.1', { bind: { host: '1.0.0.1', port: 0 } }),
      await bench.start('b', '1.0.0.2'),
    ];
    const joined = b.join([a.advertised]);
    await bench.run(20_000);
    assert.equal(await joined, 1);
    assert.equal(a.members().length, 2);
    assert.equal(b.members().find(({ name }) => name === 'a')?.state, 'alive', 'datagrams get there too');
  });

  test('drops garbage in packets and streams, and goes on', async () => {
    const bench = new Bench();
    const [a, b] = [await bench.start('a', '1.0.0.1'), await bench.start('b', '1.0.0.2')];
    void b.join([a.advertised]);
    await bench.run(1_000);
    const random = new SeededRandom(5);
    const garbage = (): Uint8Array => {
      const bytes = Uint8Array.from({ length: 1 + random.below(200) }, () => random.below(256));
      bytes[0] = random.below(14);
      return bytes;
    };
    const socket = await bench.network
      .at('9.9.9.9')
      .bindDatagrams({ host: '9.9.9.9', port: 1 }, { onDatagram: () => {} });
    for (let i = 0; i < 3_000; i++) socket.send(a.advertised, garbage());
    const streams = Array.from({ length: 100 }, () => {
      const opened = bench.open(a.advertised);
      opened.stream.write(garbage());
      return opened;
    });
    await bench.run(30_000);
    assert.ok(a.counters.packetsRefused > 1_000);
    assert.ok(a.counters.streamsRefused > 10);
    assert.ok(
      streams.every(({ ends }) => ends === 1),
      'every stream is closed, if only by its time',
    );
    assert.deepEqual(
      a
        .members()
        .map(({ name, state }) => `${name} ${state}`)
        .sort(),
      ['a alive', 'b alive'],
    );
  });

  test('gives strangers a bounded number of streams, for a bounded time', async () => {
    const bench = new Bench();
    const a = await bench.start('a', '1.0.0.1');
    const streams = Array.from({ length: 200 }, () => bench.open(a.advertised));
    await bench.run(1_000);
    assert.equal(a.counters.streamsAccepted, 128);
    assert.equal(streams.filter(({ ends }) => ends === 0).length, 128);
    await bench.run(10_000);
    assert.ok(streams.every(({ ends }) => ends === 1));
    const late = bench.open(a.advertised);
    late.stream.write(encodeMessage({ kind: 'ping', sequence: 1, node: 'a', source: undefined }));
    await bench.run(100);
    assert.ok(late.bytes > 0, 'and room again afterwards');
  });

  test('has left when the others know, or when the time is over', async () => {
    for (const isHeard of [true, false]) {
      const bench = new Bench();
      const [a, b] = [await bench.start('a', '1.0.0.1'), await bench.start('b', '1.0.0.2')];
      void b.join([a.advertised]);
      await bench.run(1_000);
      if (!isHeard) bench.network.split(['1.0.0.1'], ['1.0.0.2']);
      let isOver = false;
      const left = b.leave(500).finally(() => {
        isOver = true;
      });
      await bench.run(499);
      // News to one other node is sent four times, 200 ms apart: that takes longer than the time given here.
      assert.equal(isOver, false);
      await bench.run(1);
      await left;
      await bench.run(2_000);
      await b.leave(5_000);
      b.stop();
      assert.deepEqual(
        a
          .members()
          .map(({ name }) => name)
          .sort(),
        isHeard ? ['a'] : ['a', 'b'],
      );
    }
  });

  test('logs what others can repeat at will once in a while', async () => {
    const bench = new Bench();
    const a = await bench.start('a', '1.0.0.1');
    const socket = await bench.network
      .at('9.9.9.9')
      .bindDatagrams({ host: '9.9.9.9', port: 1 }, { onDatagram: () => {} });
    for (let i = 0; i < 100; i++) {
      socket.send(a.advertised, encodeMessage({ kind: 'dead', node: 'a', incarnation: 10_000 + i * 100, from: 'b' }));
      await bench.run(150);
    }
    assert.equal(bench.logged.filter((event) => event === 'death-refuted').length, 2, '100 accusations in 15 seconds');
  });

  test('tells operators that somebody has no key of ours, or another one', async () => {
    const bench = new Bench();
    const keyring = (fill: number): { keyring: Keyring } => ({
      keyring: new Keyring(new NodeAesGcm(), new SimRandom(fill), [new Uint8Array(32).fill(fill)]),
    });
    await bench.start('a', '1.0.0.1', keyring(1));
    for (const [host, options] of [
      ['1.0.0.2', {}],
      ['1.0.0.3', keyring(2)],
    ] as const) {
      const stranger = await bench.start(host, host, options);
      const joined = stranger.join([{ host: '1.0.0.1', port }]);
      await bench.run(11_000);
      assert.equal(await joined, 0);
      assert.ok(bench.logged.splice(0).includes('gossip-not-decrypted'), host);
    }
  });

  test('stopping ends what is under way', async () => {
    const bench = new Bench();
    const a = await bench.start('a', '1.0.0.1');
    const joined = a.join([{ host: '1.0.0.9', port }]);
    await bench.run(100);
    a.stop();
    assert.equal(await joined, 0);
    const before = { ...a.counters };
    await bench.run(60_000);
    assert.deepEqual(a.counters, before, 'nothing is sent any more');
    assert.equal(await a.join([{ host: '1.0.0.9', port }]), 0);
  });
});
