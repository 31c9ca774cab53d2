// What a peer message costs on the transports that Node and well-kept packages offer: `node scripts/run.mjs bench/transports.ts
// [messages]`. Two processes on the loopback: one sends messages of samples, 32 of them on the way at a time, the other
// answers each with 16 bytes. Printed are messages per CPU second of both processes together, and how long a small request
// takes meanwhile. `ws` is measured where it is installed. Results and choice: docs/decisions/0010-peer-transport.md.
import { type ChildProcess, fork } from 'node:child_process';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { connect as connectTcp, createServer as createTcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { crc32 } from 'node:zlib';
import { Pool } from 'undici';
import { figure, machine, median } from './report.ts';

const ackBytes = 16;
const outstandingMax = 32;
const probeIntervalMs = 5;

/** A connection from one process to the other: `exchange` sends a message and resolves with its answer. */
interface Client {
  exchange(message: Uint8Array): Promise<unknown>;
  close(): void;
}

interface Transport {
  readonly name: string;
  /** Answers every message with `ackBytes`; resolves with the port. */
  serve(): Promise<number>;
  connect(port: number): Promise<Client>;
}

const ack = new Uint8Array(ackBytes).fill(7);

// node:net with frames of our own: length and CRC-32 before each. Answers come in order of arrival.
const headerBytes = 16;

function frame(payload: Uint8Array, checked: boolean): Uint8Array {
  const header = new Uint8Array(headerBytes);
  const view = new DataView(header.buffer);
  view.setUint32(0, payload.length, true);
  view.setUint32(4, checked ? crc32(payload) : 0, true);
  return header;
}

/** Calls `take` for each payload; pieces are joined only where a frame does not lie whole in what arrived. */
function readFrames(socket: Duplex, checked: boolean, take: (payload: Uint8Array) => void): void {
  let pieces: Buffer[] = [];
  let length = 0;
  let needed = headerBytes;
  socket.on('data', (bytes: Buffer) => {
    pieces.push(bytes);
    length += bytes.length;
    if (length < needed) return;
    const joined = pieces.length === 1 ? bytes : Buffer.concat(pieces, length);
    let at = 0;
    needed = headerBytes;
    while (joined.length - at >= headerBytes) {
      const end = at + headerBytes + joined.readUInt32LE(at);
      if (end > joined.length) {
        needed = end - at;
        break;
      }
      const payload = joined.subarray(at + headerBytes, end);
      if (checked && crc32(payload) !== joined.readUInt32LE(at + 4)) throw new Error('a damaged frame');
      take(payload);
      at = end;
    }
    pieces = at < joined.length ? [joined.subarray(at)] : [];
    length = joined.length - at;
  });
}

/** What one turn of the event loop sends goes by one system call. */
function send(socket: Duplex, payload: Uint8Array, checked: boolean): void {
  if (socket.writableCorked === 0) {
    socket.cork();
    process.nextTick(() => socket.uncork());
  }
  socket.write(frame(payload, checked));
  socket.write(payload);
}

const tcp = (name: string, checked: boolean): Transport => ({
  name,
  serve: () =>
    new Promise((resolve) => {
      const server = createTcpServer({ noDelay: true }, (socket) => {
        readFrames(socket, checked, () => send(socket, ack, checked));
        socket.on('error', () => {});
      });
      server.listen(0, '127.0.0.1', () => resolve(portOf(server.address())));
    }),
  connect: async (port) => {
    const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true });
    const waiting: ((answer: unknown) => void)[] = [];
    readFrames(socket, checked, (payload) => waiting.shift()?.(payload));
    return {
      exchange: (message) =>
        new Promise((resolve) => {
          waiting.push(resolve);
          send(socket, message, checked);
        }),
      close: () => socket.destroy(),
    };
  },
});

/** One long stream each way, with our frames in it: HTTP/2 then gives flow control and sharing of the connection alone. */
const http2Stream: Transport = {
  name: 'node:http2, own frames in one stream',
  serve: () =>
    new Promise((resolve) => {
      const server = createHttp2Server({ settings: { initialWindowSize: 4 << 20 } });
      server.on('session', (session) => session.setLocalWindowSize(16 << 20));
      server.on('stream', (stream) => {
        stream.respond({ ':status': 200 });
        stream.on('error', () => {});
        readFrames(stream, true, () => send(stream, ack, true));
      });
      server.listen(0, '127.0.0.1', () => resolve(portOf(server.address())));
    }),
  connect: async (port) => {
    const session: ClientHttp2Session = connectHttp2(`http://127.0.0.1:${port}`);
    const stream = session.request({ ':method': 'POST', ':path': '/peer' }, { endStream: false });
    const waiting: ((answer: unknown) => void)[] = [];
    readFrames(stream, true, (payload) => waiting.shift()?.(payload));
    return {
      exchange: (message) =>
        new Promise((resolve) => {
          waiting.push(resolve);
          send(stream, message, true);
        }),
      close: () => session.destroy(),
    };
  },
};

const http2: Transport = {
  name: 'node:http2, a stream a message',
  serve: () =>
    new Promise((resolve) => {
      const server = createHttp2Server({ settings: { initialWindowSize: 4 << 20, maxConcurrentStreams: 1_000 } });
      server.on('session', (session) => session.setLocalWindowSize(16 << 20));
      server.on('stream', (stream) => {
        stream.on('data', () => {});
        stream.on('error', () => {});
        stream.on('end', () => {
          stream.respond({ ':status': 200 });
          stream.end(ack);
        });
      });
      server.listen(0, '127.0.0.1', () => resolve(portOf(server.address())));
    }),
  connect: async (port) => {
    const session: ClientHttp2Session = connectHttp2(`http://127.0.0.1:${port}`);
    return {
      exchange: (message) =>
        new Promise((resolve, reject) => {
          const stream = session.request({ ':method': 'POST', ':path': '/write' });
          stream.on('data', () => {});
          stream.on('end', resolve);
          stream.on('error', reject);
          stream.end(message);
        }),
      close: () => session.destroy(),
    };
  },
};

const http1: Transport = {
  name: 'undici to node:http, a request a message',
  serve: () =>
    new Promise((resolve) => {
      const server = createHttpServer((request: IncomingMessage, response: ServerResponse) => {
        request.on('data', () => {});
        request.on('end', () => response.end(ack));
      });
      server.keepAliveTimeout = 60_000;
      server.listen(0, '127.0.0.1', () => resolve(portOf(server.address())));
    }),
  connect: async (port) => {
    const pool = new Pool(`http://127.0.0.1:${port}`, { connections: outstandingMax + 1 });
    return {
      exchange: async (message) => {
        const { body } = await pool.request({ method: 'POST', path: '/write', body: message });
        return body.arrayBuffer();
      },
      close: () => void pool.destroy(),
    };
  },
};

/** The part of ws that is used here, which is no dependency of ours. */
interface WebSocketLike {
  on(event: 'message' | 'open', listener: (data: Uint8Array) => void): void;
  send(data: Uint8Array): void;
  terminate(): void;
}
interface WebSocketPackage {
  readonly WebSocket: new (url: string, options: object) => WebSocketLike;
  readonly WebSocketServer: new (
    options: object,
    listening: () => void,
  ) => { on(event: 'connection', listener: (socket: WebSocketLike) => void): void; address(): unknown };
}

const webSocket = ({ WebSocket, WebSocketServer }: WebSocketPackage): Transport => ({
  name: 'ws',
  serve: () =>
    new Promise((resolve) => {
      const options = { port: 0, host: '127.0.0.1', perMessageDeflate: false };
      const server = new WebSocketServer(options, () => resolve(portOf(server.address())));
      server.on('connection', (socket) => socket.on('message', () => socket.send(ack)));
    }),
  connect: async (port) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
    const waiting: ((answer: unknown) => void)[] = [];
    socket.on('message', (data) => waiting.shift()?.(data));
    await new Promise<unknown>((resolve) => socket.on('open', resolve));
    return {
      exchange: (message) =>
        new Promise((resolve) => {
          waiting.push(resolve);
          socket.send(message);
        }),
      close: () => socket.terminate(),
    };
  },
});

function portOf(address: unknown): number {
  if (typeof address === 'object' && address && 'port' in address) return Number(address.port);
  throw new Error('the server has no port');
}

async function transports(): Promise<Transport[]> {
  const found = [
    tcp('node:net, own frames', false),
    tcp('node:net, own frames with CRC-32', true),
    http2Stream,
    http2,
    http1,
  ];
  try {
    const name = process.env['WS_PACKAGE'] ?? 'ws';
    found.push(webSocket((await import(name)) as WebSocketPackage));
  } catch {
    console.error('SKIPPED: ws is not installed');
  }
  return found;
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const ask = (child: ChildProcess, question: string): Promise<unknown> =>
  new Promise((resolve) => {
    child.once('message', resolve);
    child.send(question);
  });

async function measure(transport: Transport, index: number, messageBytes: number, messagesCount: number) {
  const child = fork(import.meta.filename, ['serve', String(index)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const port = Number(await ask(child, 'port'));
  const client = await transport.connect(port);
  const message = Uint8Array.from({ length: messageBytes }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 24);
  const latenciesMs: number[] = [];
  let left = Math.ceil(messagesCount / 4);
  const worker = async (): Promise<void> => {
    while (left-- > 0) await client.exchange(message);
  };
  const workers = (): Promise<void[]> => Promise.all(Array.from({ length: outstandingMax }, worker));
  await workers(); // warms both ends up
  const startMs = performance.now();
  const startCpuMs = cpuMs() + Number(await ask(child, 'cpu'));
  left = messagesCount;
  const run = { isOver: false };
  const probes = (async () => {
    while (!run.isOver) {
      const sentMs = performance.now();
      await client.exchange(ack);
      latenciesMs.push(performance.now() - sentMs);
      await new Promise((resolve) => setTimeout(resolve, probeIntervalMs));
    }
  })();
  await workers();
  const seconds = (performance.now() - startMs) / 1000;
  run.isOver = true;
  await probes;
  const cpuSeconds = (cpuMs() + Number(await ask(child, 'cpu')) - startCpuMs) / 1000;
  client.close();
  child.kill();
  latenciesMs.sort((a, b) => a - b);
  return {
    perCpuSecond: messagesCount / cpuSeconds,
    perSecond: messagesCount / seconds,
    probeMs: median(latenciesMs),
    probe99Ms: latenciesMs[Math.floor(latenciesMs.length * 0.99)] ?? Number.NaN,
  };
}

if (process.argv[2] === 'serve') {
  const transport = (await transports())[Number(process.argv[3])];
  if (!transport) throw new Error('no such transport');
  const port = await transport.serve();
  process.on('message', (question) => process.send?.(question === 'port' ? port : cpuMs()));
} else {
  const messagesCount = Number(process.argv[2] ?? 4_000);
  console.log(`${machine()}\n`);
  console.log('| transport | message | messages per CPU-s | MB per CPU-s | MB/s | small request, median / p99 |');
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const messageBytes of [60_000, 1_000]) {
    for (const [index, transport] of (await transports()).entries()) {
      const result = await measure(transport, index, messageBytes, messagesCount);
      const megabytes = (rate: number): string => figure((rate * messageBytes) / 1e6);
      const rates = `${figure(result.perCpuSecond)} | ${megabytes(result.perCpuSecond)} | ${megabytes(result.perSecond)}`;
      const latency = `${figure(result.probeMs)} / ${figure(result.probe99Ms)} ms`;
      console.log(`| ${transport.name} | ${messageBytes} B | ${rates} | ${latency} |`);
    }
  }
}
