// The Http port on a real socket, byte by byte where that matters.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpHandler, HttpServer, Log } from '../../ports/index.ts';
import { SocketHttp } from './server.ts';

interface Served {
  readonly server: HttpServer;
  readonly url: string;
  readonly errors: string[];
  open(text: string): Promise<{ socket: Socket; closed: Promise<string> }>;
}

async function serve(handlers: Readonly<Record<string, HttpHandler>>): Promise<Served> {
  const errors: string[] = [];
  const log: Log = {
    debug() {},
    info() {},
    warn() {},
    error: (event) => void errors.push(event),
    child: () => log,
  };
  const routes = Object.entries(handlers).map(([path, handler]) => ({ methods: ['GET', 'POST'], path, handler }));
  const server = await new SocketHttp(log).listen('127.0.0.1', 0, routes);
  const open = async (text: string): Promise<{ socket: Socket; closed: Promise<string> }> => {
    const socket = connect(server.address.port, '127.0.0.1');
    let received = '';
    socket.on('data', (data) => {
      received += data.toString('latin1');
    });
    socket.on('error', () => {});
    const closed = new Promise<string>((resolve) => socket.on('close', () => resolve(received)));
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write(text);
    return { socket, closed };
  };
  return { server, url: `http://127.0.0.1:${server.address.port}`, errors, open };
}

const ok = (body: string): { status: number; headers: Record<string, string>; body: string } => ({
  status: 200,
  headers: {},
  body,
});
const readText: HttpHandler = async (request) => {
  try {
    const body = await request.readBody(10, (bytes) => new Uint8Array(bytes));
    return ok(Buffer.from(body).toString());
  } catch (error) {
    return { status: 413, headers: {}, body: String(error) };
  }
};

test('bodies with a length and chunked bodies are read whole, and refused over the limit', async () => {
  const { server, url, open } = await serve({ '/': readText });
  const post = async (body: string): Promise<string> => (await fetch(url, { method: 'POST', body })).text();
  assert.equal(await post('0123456789'), '0123456789');
  assert.equal(await post(''), '');
  assert.match(
    await post('01234567890'),
    /HTTP_BODY_TOO_LARGE: request body of 11 bytes exceeds the limit of 10 bytes/,
  );
  const head = 'POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n';
  assert.match(await (await open(`${head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`)).closed, /\r\n\r\nabcde$/);
  const large = `${head}8\r\n01234567\r\n8\r\n01234567\r\n0\r\n\r\n`;
  assert.match(await (await open(large)).closed, /HTTP_BODY_TOO_LARGE: request body exceeds the limit of 10 bytes/);
  await server.close(100);
});

test('a client that leaves in the middle of its body is told to the handler', async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const { server, open } = await serve({
    '/': async (request) => {
      await request.readBody(100, (bytes) => new Uint8Array(bytes)).catch(resolve);
      return ok('');
    },
  });
  const { socket } = await open('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\nabc');
  await sleep(20);
  socket.destroy();
  assert.match(String(await promise), /HTTP_DISCONNECTED/);
  await server.close(100);
});

test('a stream is pulled no faster than the client takes it, and let go when the client leaves', async () => {
  let pulledCount = 0;
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: left, resolve: leave } = Promise.withResolvers<void>();
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        pulledCount++;
        yield new Uint8Array(64 * 1024);
      }
    } finally {
      release();
    }
  };
  const { server, open } = await serve({
    '/': (request) => {
      request.onDisconnect(leave);
      return { status: 200, headers: {}, body: endless() };
    },
  });
  const { socket } = await open('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  socket.pause();
  await sleep(200);
  const pulledBefore = pulledCount;
  await sleep(100);
  assert.equal(pulledCount, pulledBefore, 'nothing is pulled while the client does not read');
  assert.ok(pulledCount < 500, `${pulledCount} chunks in buffers`);
  socket.destroy();
  await Promise.all([released, left]);
  await server.close(100);
});

test('a handler that throws is answered with 500, a stream that throws is cut', async () => {
  const { server, url, errors, open } = await serve({
    '/throws': () => {
      throw new Error('at once');
    },
    '/breaks': () => ({
      status: 200,
      headers: {},
      body: (async function* () {
        yield new Uint8Array(10);
        throw new Error('later');
      })(),
    }),
  });
  const answer = await fetch(`${url}/throws`);
  assert.equal(answer.status, 500);
  assert.equal(await answer.text(), 'at once\n');
  const received = await (await open('GET /breaks HTTP/1.1\r\nhost: x\r\n\r\n')).closed;
  assert.doesNotMatch(received, /0\r\n\r\n$/, 'no last chunk: the client can tell');
  assert.deepEqual(errors, ['http-handler-failed', 'http-handler-failed']);
  await server.close(100);
});

test('a refused body is discarded so that the connection goes on, unless it is long', async () => {
  const { server, open } = await serve({ '/': () => ({ status: 503, headers: {}, body: 'no' }) });
  const { socket, closed } = await open('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nabcde');
  socket.write('POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  assert.equal((await closed).match(/HTTP\/1\.1 503/g)?.length, 2);
  const long = await open(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${100 * 1024 * 1024}\r\n\r\n`);
  assert.match(await long.closed, /connection: close/i);
  await server.close(100);
});

test('path parameters are decoded; what can’t be decoded is not found', async () => {
  const { server, url } = await serve({ '/label/:name/values': (request) => ok(request.parameters['name'] ?? '') });
  assert.equal(await (await fetch(`${url}/label/a%2Fb%C3%A9/values`)).text(), 'a/bé');
  assert.equal((await fetch(`${url}/label/%ff/values`)).status, 404);
  assert.equal((await fetch(`${url}/label/a/b/values`)).status, 404);
  await server.close(100);
});

test('closing finishes what is under way, then cuts what does not end', async () => {
  const slowEntered = Promise.withResolvers<void>();
  const neverEntered = Promise.withResolvers<void>();
  const { server, url, open } = await serve({
    '/slow': async () => {
      slowEntered.resolve();
      await sleep(100);
      return ok('done');
    },
    '/never': () => {
      neverEntered.resolve();
      return new Promise(() => {});
    },
  });
  const slow = fetch(`${url}/slow`);
  const never = await open('GET /never HTTP/1.1\r\nhost: x\r\n\r\n');
  await Promise.all([slowEntered.promise, neverEntered.promise]);
  const startedMs = performance.now();
  const closing = server.close(300);
  assert.equal(await (await slow).text(), 'done');
  await assert.rejects(fetch(`${url}/slow`));
  await closing;
  assert.equal(await never.closed, '');
  assert.ok(performance.now() - startedMs < 2000);
});

test('a port that is taken is an error that names it', async () => {
  const { server } = await serve({});
  const { port } = server.address;
  await assert.rejects(serveOn(port), new RegExp(`HTTP_BIND_FAILED: 127\\.0\\.0\\.1:${port}: .*EADDRINUSE`));
  await server.close(100);
});

function serveOn(port: number): Promise<HttpServer> {
  const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };
  return new SocketHttp(log).listen('127.0.0.1', port, []);
}
