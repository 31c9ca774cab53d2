// Streams whose other side does not do its part: it takes nothing, or says nothing. Neither may hold a socket for ever.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, test } from 'node:test';
import type { NetworkStream } from '../ports/index.ts';
import { lingerMs, NodeNetwork } from './network.ts';

const silent = { onBytes: () => undefined, onEnd: () => undefined };

/** A stream that was accepted from a client that reads nothing. */
async function unread() {
  const accepted = Promise.withResolvers<NetworkStream>();
  const listener = await new NodeNetwork().listen({ host: '127.0.0.1', port: 0 }, (stream) => {
    accepted.resolve(stream);
    return silent;
  });
  const client = connect(listener.address.port, '127.0.0.1');
  client.pause();
  client.on('error', () => undefined); // a reset is what some of them get
  after(() => {
    client.destroy();
    listener.close();
  });
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  return { stream: await accepted.promise, client, closed };
}

const writtenBytes = 32 << 20;

/** Bytes that the client gets when it reads in the end. */
async function readAll(client: Socket, closed: Promise<void>): Promise<number> {
  let bytesCount = 0;
  client.on('data', (bytes) => {
    bytesCount += bytes.length;
  });
  client.resume();
  await closed;
  return bytesCount;
}

test('a stream that is closed while nobody takes what was written is let go after a while', async (t) => {
  const { stream, client, closed } = await unread();
  stream.write(new Uint8Array(writtenBytes));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(stream.unsentBytes > 0, 'the system has not taken all of it');
  t.mock.timers.enable({ apis: ['setTimeout'] });
  stream.close();
  t.mock.timers.tick(lingerMs);
  t.mock.timers.reset();
  assert.ok((await readAll(client, closed)) < writtenBytes);
});

test('a stream that is closed sends what was written', async () => {
  const { stream, client, closed } = await unread();
  stream.write(new Uint8Array(writtenBytes));
  stream.close();
  assert.equal(await readAll(client, closed), writtenBytes);
});
