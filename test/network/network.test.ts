// One contract for every implementation of the Network port: the real one, and the one in virtual time.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NodeNetwork } from '../../src/node/index.ts';
import type { Network, NetworkAddress, StreamHandlers } from '../../src/ports/index.ts';
import { SimNetwork } from '../../sim/network.ts';
import { SimWorld } from '../../sim/world.ts';

interface Setting {
  readonly network: Network;
  readonly host: string;
  /** Lets things happen until the condition holds; fails when it never does. */
  until(condition: () => boolean): Promise<void>;
}

function realSetting(): Setting {
  return {
    network: new NodeNetwork(),
    host: '127.0.0.1',
    async until(condition) {
      const endMs = performance.now() + 5_000;
      while (!condition()) {
        assert.ok(performance.now() < endMs, 'it happens in time');
        await sleep(2);
      }
    },
  };
}

function simulatedSetting(): Setting {
  const world = new SimWorld(1);
  return {
    network: new SimNetwork(world).at('10.0.0.1'),
    host: '10.0.0.1',
    async until(condition) {
      assert.ok(world.runUntil(condition, 5_000), 'it happens in time');
    },
  };
}

/** Handlers that keep what they are told. */
class Recorder implements StreamHandlers {
  text = '';
  ends = 0;
  error: Error | undefined;

  onBytes(bytes: Uint8Array): void {
    assert.equal(this.ends, 0, 'no bytes after the end');
    this.text += Buffer.from(bytes).toString('latin1');
  }

  onEnd(error?: Error): void {
    this.ends++;
    this.error = error;
  }
}

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

for (const [name, settingOf] of [
  ['the real network', realSetting],
  ['the simulated network', simulatedSetting],
] as const) {
  suite(name, () => {
    test('carries datagrams, and says from where', async () => {
      const { network, host, until } = settingOf();
      const received: { text: string; from: NetworkAddress }[] = [];
      const onDatagram = (bytes: Uint8Array, from: NetworkAddress): void => {
        received.push({ text: Buffer.from(bytes).toString(), from });
      };
      const a = await network.bindDatagrams({ host, port: 0 }, { onDatagram: () => {} });
      const b = await network.bindDatagrams({ host, port: 0 }, { onDatagram });
      a.send(b.address, bytesOf('hello'));
      assert.equal(received.length, 0, 'not from within the call');
      await until(() => received.length === 1);
      assert.deepEqual(received, [{ text: 'hello', from: a.address }]);
      a.close();
      b.close();
    });

    test('sending to nobody is a loss, not an error', async () => {
      const { network, host, until } = settingOf();
      const received: string[] = [];
      const onDatagram = (bytes: Uint8Array): void => void received.push(Buffer.from(bytes).toString());
      const closed = await network.bindDatagrams({ host, port: 0 }, { onDatagram });
      closed.close();
      const a = await network.bindDatagrams({ host, port: 0 }, { onDatagram });
      a.send(closed.address, bytesOf('lost'));
      a.send(a.address, bytesOf('to myself'));
      await until(() => received.length === 1);
      assert.deepEqual(received, ['to myself']);
      a.close();
    });

    test('an address is bound once, by each kind', async () => {
      const { network, host } = settingOf();
      const listener = await network.listen({ host, port: 0 }, () => new Recorder());
      const datagrams = await network.bindDatagrams(listener.address, { onDatagram: () => {} });
      await assert.rejects(
        network.listen(listener.address, () => new Recorder()),
        { code: 'NETWORK_BIND_FAILED' },
      );
      await assert.rejects(network.bindDatagrams(listener.address, { onDatagram: () => {} }), {
        code: 'NETWORK_BIND_FAILED',
      });
      listener.close();
      datagrams.close();
    });

    test('a stream carries bytes both ways in order, what was written before it was open too, and ends both', async () => {
      const { network, host, until } = settingOf();
      const server = new Recorder();
      const client = new Recorder();
      const listener = await network.listen({ host, port: 0 }, (stream) => ({
        onBytes(bytes) {
          server.onBytes(bytes);
          if (server.text.length < 300_006) return;
          stream.write(bytesOf('answer'));
          stream.close();
        },
        onEnd: (error) => server.onEnd(error),
      }));
      const stream = network.connect(listener.address, client);
      stream.write(bytesOf('one'));
      stream.write(bytesOf('two'));
      stream.write(bytesOf('x'.repeat(300_000)));
      await until(() => client.ends === 1);
      assert.equal(server.text, `onetwo${'x'.repeat(300_000)}`);
      assert.equal(client.text, 'answer');
      assert.equal(client.error, undefined);
      assert.equal(server.ends, 0, 'who closed is not told so');
      stream.close();
      listener.close();
    });

    test('closing before anything came ends the other side', async () => {
      const { network, host, until } = settingOf();
      const server = new Recorder();
      const listener = await network.listen({ host, port: 0 }, () => server);
      const client = new Recorder();
      const stream = network.connect(listener.address, client);
      stream.write(bytesOf('last words'));
      await until(() => server.text !== '');
      stream.close();
      await until(() => server.ends === 1);
      assert.equal(server.text, 'last words');
      assert.equal(client.ends, 0);
      listener.close();
    });

    test('aborting ends the other side, and calls nothing here', async () => {
      const { network, host, until } = settingOf();
      const server = new Recorder();
      const listener = await network.listen({ host, port: 0 }, () => server);
      const client = new Recorder();
      const stream = network.connect(listener.address, client);
      stream.write(bytesOf('x'));
      await until(() => server.text !== '');
      stream.abort();
      stream.write(bytesOf('y'));
      await until(() => server.ends === 1);
      assert.equal(server.text, 'x');
      assert.equal(client.ends, 0);
      listener.close();
    });

    test('a stream to a port where nobody listens ends with an error, once', async () => {
      const { network, host, until } = settingOf();
      const listener = await network.listen({ host, port: 0 }, () => new Recorder());
      listener.close();
      const client = new Recorder();
      const stream = network.connect(listener.address, client);
      stream.write(bytesOf('anyone?'));
      await until(() => client.ends > 0);
      assert.ok(client.error);
      stream.close();
      assert.equal(client.ends, 1);
    });

    test('an address resolves to itself', async () => {
      const { network, host } = settingOf();
      assert.deepEqual(await network.resolve(host), [host]);
    });
  });
}

suite('the real network only', () => {
  test('resolves names, and says which it does not know', async () => {
    const network = new NodeNetwork();
    assert.ok((await network.resolve('localhost')).length > 0);
    await assert.rejects(network.resolve('no-such-host.invalid'), { code: 'NETWORK_NAME_UNKNOWN' });
  });
});

suite('the simulated network only', () => {
  async function stream() {
    const world = new SimWorld(4);
    const network = new SimNetwork(world);
    const server = new Recorder();
    const client = new Recorder();
    await network.at('b').listen({ host: 'b', port: 1 }, () => server);
    const near = network.at('a').connect({ host: 'b', port: 1 }, client);
    near.write(bytesOf('1'));
    world.run(10);
    return { world, network, server, client, near };
  }

  test('streams wait while their link is cut, keep their order, and are given up after a time', async () => {
    const { world, network, server, client, near } = await stream();
    network.cut('a', 'b');
    near.write(bytesOf('2'));
    near.write(bytesOf('3'));
    world.run(10_000);
    assert.equal(server.text, '1');
    network.heal();
    world.run(300);
    assert.equal(server.text, '123');
    network.cut('a', 'b');
    near.write(bytesOf('4'));
    world.run(120_000);
    assert.equal(client.ends, 1);
    assert.equal(server.text, '123');
  });

  test('streams are forgotten by a machine that lost power, and reset once it is back', async () => {
    const { world, network, server, client, near } = await stream();
    network.crash('b');
    near.write(bytesOf('2'));
    world.run(5_000);
    assert.equal(client.ends, 0);
    network.restart('b');
    world.run(5_000);
    assert.equal(client.ends, 1);
    assert.equal(server.text, '1');
    assert.equal(server.ends, 0);
  });

  test('loses, doubles and reorders as told', async () => {
    const world = new SimWorld(3);
    const network = new SimNetwork(world);
    Object.assign(network.conditions, { lossShare: 0.3, duplicateShare: 0.2, delayMsMin: 1, delayMsMax: 50 });
    const received: number[] = [];
    const to = await network
      .at('b')
      .bindDatagrams({ host: 'b', port: 1 }, { onDatagram: ([n = 0]) => void received.push(n) });
    const from = await network.at('a').bindDatagrams({ host: 'a', port: 1 }, { onDatagram: () => {} });
    for (let i = 0; i < 200; i++) {
      from.send(to.address, Uint8Array.of(i));
      world.run(1);
    }
    world.run(100);
    const lost = 200 - new Set(received).size;
    assert.ok(lost > 30 && lost < 90, `${lost} of 200 lost`);
    assert.ok(received.length > new Set(received).size, 'some came twice');
    assert.ok(
      received.some((n, i) => n < (received[i - 1] ?? 0)),
      'some overtook others',
    );
  });

  test('carries nothing over a cut link or to a machine that is down', async () => {
    const world = new SimWorld(4);
    const network = new SimNetwork(world);
    const received: string[] = [];
    const socketOf = (host: string) =>
      network
        .at(host)
        .bindDatagrams({ host, port: 1 }, { onDatagram: (_, from) => void received.push(`${from.host} to ${host}`) });
    const [a, b] = [await socketOf('a'), await socketOf('b')];
    const exchange = (): string[] => {
      received.length = 0;
      a.send(b.address, Uint8Array.of(1));
      b.send(a.address, Uint8Array.of(1));
      world.run(10);
      return received.slice().sort();
    };
    network.cut('a', 'b');
    assert.deepEqual(exchange(), ['b to a']);
    network.heal();
    assert.deepEqual(exchange(), ['a to b', 'b to a']);
    network.crash('b');
    assert.deepEqual(exchange(), []);
    network.restart('b');
    assert.deepEqual(exchange(), ['b to a'], 'its sockets are gone');
  });
});
