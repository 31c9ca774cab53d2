// HTTP on a socket: the Http port over node:http. A body is read only when a handler wants it, so that a request can be
// refused before; an answer is streamed no faster than its client takes it. No framework: what one would add (body parsers,
// schemas, hooks) is what the write path must not have (decision 0004).
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorMessage, mib, minuteMs, secondMs, TimbalaError } from '../../base/index.ts';
import type { Http, HttpAnswer, HttpRequest, HttpRoute, HttpServer, Log } from '../../ports/index.ts';
import { Router } from './router.ts';

// Not imported: an import would read every export of node:http, and so load Node's fetch, 12 MB that nobody here uses.
const { createServer } = process.getBuiltinModule('node:http');

// Longer than the 60 s that load balancers and Go clients idle for: a server that closes first races with the next request.
const keepAliveTimeoutMs = 75 * secondMs;
// A request must have arrived whole by then; long enough for the largest body over a slow line.
const requestTimeoutMs = 5 * minuteMs;
const headersTimeoutMs = 30 * secondMs;
const idleSweepMs = 20;
// What is read beyond a refused body so that the connection can be used again; past that it is closed.
const discardedBodyBytesMax = 8 * mib;

class SocketRequest implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly queryText: string;
  readonly contentLength: number | undefined;
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(
    message: IncomingMessage,
    response: ServerResponse,
    target: RequestTarget,
    parameters: Readonly<Record<string, string>>,
  ) {
    this.method = message.method ?? 'GET';
    this.path = target.path;
    this.queryText = target.queryText;
    this.parameters = parameters;
    const length = message.headers['content-length'];
    this.contentLength = length === undefined ? undefined : Number(length);
    this.#message = message;
    this.#response = response;
  }

  header(name: string): string | undefined {
    const value = this.#message.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  onDisconnect(callback: () => void): void {
    this.#response.once('close', () => {
      if (!this.#response.writableFinished) callback();
    });
  }

  async readBody<Buffer extends Uint8Array>(bytesMax: number, allocate: (bytes: number) => Buffer): Promise<Buffer> {
    const { contentLength } = this;
    if (contentLength !== undefined && contentLength > bytesMax) throw bodyTooLarge(contentLength, bytesMax);
    return contentLength === undefined
      ? this.#readChunked(bytesMax, allocate)
      : this.#readInto(allocate(contentLength), contentLength);
  }

  /** The length is known: chunks go straight to their place. Events, not an iterator: this is the write path. */
  #readInto<Buffer extends Uint8Array>(target: Buffer, lengthBytes: number): Promise<Buffer> {
    const message = this.#message;
    let atBytes = 0;
    return new Promise((resolve, reject) => {
      message.on('data', (chunk: Uint8Array) => {
        target.set(chunk, atBytes);
        atBytes += chunk.length;
      });
      message.on('end', () => resolve(target));
      // Ends without 'end': the client has gone, or its body was shorter than it said. After 'end' this comes too, and is void.
      message.on('close', () => {
        if (atBytes < lengthBytes) reject(disconnected());
      });
      message.on('error', () => reject(disconnected()));
    });
  }

  async #readChunked<Buffer extends Uint8Array>(
    bytesMax: number,
    allocate: (bytes: number) => Buffer,
  ): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let lengthBytes = 0;
    try {
      for await (const chunk of this.#message as AsyncIterable<Uint8Array>) {
        lengthBytes += chunk.length;
        if (lengthBytes > bytesMax) throw bodyTooLarge(undefined, bytesMax);
        chunks.push(chunk);
      }
    } catch (error) {
      throw error instanceof TimbalaError ? error : disconnected();
    }
    const target = allocate(lengthBytes);
    let atBytes = 0;
    for (const chunk of chunks) {
      target.set(chunk, atBytes);
      atBytes += chunk.length;
    }
    return target;
  }
}

function bodyTooLarge(lengthBytes: number | undefined, bytesMax: number): TimbalaError {
  const size = lengthBytes === undefined ? '' : ` of ${lengthBytes} bytes`;
  return new TimbalaError('HTTP_BODY_TOO_LARGE', `request body${size} exceeds the limit of ${bytesMax} bytes`);
}

function disconnected(): TimbalaError {
  return new TimbalaError('HTTP_DISCONNECTED', 'the client went away before its request was complete');
}

const plainText = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' };

async function writeAnswer(message: IncomingMessage, response: ServerResponse, answer: HttpAnswer): Promise<void> {
  const { status, headers, body } = answer;
  if (!message.complete && !(Number(message.headers['content-length'] ?? Infinity) <= discardedBodyBytesMax)) {
    // The rest of a body that nobody wants is not read: the connection ends with this answer.
    response.setHeader('connection', 'close');
  }
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    const length = typeof body === 'string' ? Buffer.byteLength(body) : (body?.length ?? 0);
    response.writeHead(status, status === 204 ? headers : { ...headers, 'content-length': length });
    response.end(message.method === 'HEAD' ? undefined : body);
    return;
  }
  response.writeHead(status, headers);
  for await (const chunk of body) {
    if (response.destroyed) return;
    if (response.write(chunk)) continue;
    await drained(response);
  }
  response.end();
}

/** Resolves when the client has taken what was written, or has gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      response.off('drain', settle);
      response.off('close', settle);
      resolve();
    };
    response.on('drain', settle);
    response.on('close', settle);
  });
}

interface RequestTarget {
  readonly path: string;
  readonly queryText: string;
}

function requestTarget({ url = '/' }: IncomingMessage): RequestTarget {
  const queryStart = url.indexOf('?');
  if (queryStart < 0) return { path: url, queryText: '' };
  return { path: url.slice(0, queryStart), queryText: url.slice(queryStart + 1) };
}

async function answerRequest(router: Router, message: IncomingMessage, response: ServerResponse): Promise<HttpAnswer> {
  const target = requestTarget(message);
  const match = router.find(target.path);
  if (!match) return { status: 404, headers: plainText, body: '404 page not found\n' };
  const { methods, handler } = match.route;
  if (methods.includes(message.method ?? '')) {
    return handler(new SocketRequest(message, response, target, match.parameters));
  }
  // A known path with another method: 405, as Prometheus answers.
  const allow = [...methods].sort().join(', ');
  return { status: 405, headers: { ...plainText, allow }, body: 'Method Not Allowed\n' };
}

export class SocketHttp implements Http {
  readonly #log: Log;
  #isClosing = false;

  constructor(log: Log) {
    this.#log = log;
  }

  async listen(host: string, port: number, routes: readonly HttpRoute[]): Promise<HttpServer> {
    const router = new Router(routes);
    const server = createServer(
      { keepAliveTimeout: keepAliveTimeoutMs, requestTimeout: requestTimeoutMs, headersTimeout: headersTimeoutMs },
      (message, response) => void this.#serve(router, message, response),
    );
    await bind(server, host, port);
    const { address, port: boundPort } = server.address() as AddressInfo;
    return {
      address: { host: address, port: boundPort },
      close: (graceMs) => {
        this.#isClosing = true;
        return closeServer(server, graceMs);
      },
    };
  }

  async #serve(router: Router, message: IncomingMessage, response: ServerResponse): Promise<void> {
    // Or a connection that never rests would keep a closing server open.
    if (this.#isClosing) response.setHeader('connection', 'close');
    try {
      await writeAnswer(message, response, await answerRequest(router, message, response));
    } catch (error) {
      this.#log.error('http-handler-failed', { path: message.url, error });
      if (response.headersSent) response.destroy();
      else await writeAnswer(message, response, { status: 500, headers: plainText, body: `${errorMessage(error)}\n` });
    }
  }
}

/** Without a host: every interface, by IPv6 and IPv4; by IPv4 alone where there is no IPv6. */
function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new TimbalaError('HTTP_BIND_FAILED', `${host || '*'}:${port}: ${errorMessage(cause)}`, { cause }));
    });
    server.listen(host === '' ? { port } : { port, host }, resolve);
  });
}

function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    // A connection whose answer was under way becomes idle later.
    const sweep = setInterval(() => server.closeIdleConnections(), idleSweepMs);
    server.close(() => {
      clearTimeout(cut);
      clearInterval(sweep);
      resolve();
    });
  });
}
