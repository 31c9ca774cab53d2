// HTTP on a socket: the Http port over fastify. Fastify routes and manages connections; it never parses a body and never
// writes an answer, so that a handler can refuse a request before its body is read and stream its answer with back-pressure.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { errorMessage, kib, mib, minuteMs, secondMs, TimbalaError } from '../../base/index.ts';
import type { Http, HttpAnswer, HttpRequest, HttpRoute, HttpServer, Log } from '../../ports/index.ts';

// Longer than the 60 s that load balancers and Go clients idle for: a server that closes first races with the next request.
const keepAliveTimeoutMs = 75 * secondMs;
// A request must have arrived whole by then; long enough for the largest body over a slow line.
const requestTimeoutMs = 5 * minuteMs;
const headersTimeoutMs = 30 * secondMs;
const stallTimeoutMs = minuteMs;
const idleSweepMs = 20;
/** Of a label name in a path, longer than any that can be stored. */
const pathPartLengthMax = 64 * kib;
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

  constructor(request: FastifyRequest, response: ServerResponse) {
    const message = request.raw;
    const url = message.url ?? '/';
    const queryStart = url.indexOf('?');
    this.method = message.method ?? 'GET';
    this.path = queryStart < 0 ? url : url.slice(0, queryStart);
    this.queryText = queryStart < 0 ? '' : url.slice(queryStart + 1);
    this.parameters = request.params as Record<string, string>;
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

/** Resolves when the client has taken what was written, or has gone; one that takes nothing for a minute is cut off. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    // A query's answer holds one of few places while it is read.
    const stalled = setTimeout(() => response.destroy(), stallTimeoutMs);
    const settle = (): void => {
      clearTimeout(stalled);
      response.off('drain', settle);
      response.off('close', settle);
      resolve();
    };
    response.on('drain', settle);
    response.on('close', settle);
  });
}

function answerNotFound(reply: FastifyReply): void {
  void reply.code(404).headers(plainText).send('404 page not found\n');
}

/** A known path with another method is answered with 405, as Prometheus does. */
async function answerRequest(route: HttpRoute, request: FastifyRequest, reply: FastifyReply): Promise<HttpAnswer> {
  if (route.methods.includes(request.method)) return route.handler(new SocketRequest(request, reply.raw));
  const allow = [...route.methods].sort().join(', ');
  return { status: 405, headers: { ...plainText, allow }, body: 'Method Not Allowed\n' };
}

export class SocketHttp implements Http {
  readonly #log: Log;
  #isClosing = false;

  constructor(log: Log) {
    this.#log = log;
  }

  async listen(host: string, port: number, routes: readonly HttpRoute[]): Promise<HttpServer> {
    const server = fastify({
      logger: false,
      keepAliveTimeout: keepAliveTimeoutMs,
      requestTimeout: requestTimeoutMs,
      http: { headersTimeout: headersTimeoutMs },
      routerOptions: { maxParamLength: pathPartLengthMax },
      // A path that can't be percent-decoded names nothing that is here.
      frameworkErrors: (_error, _request, reply) => answerNotFound(reply as unknown as FastifyReply),
    });
    server.removeAllContentTypeParsers();
    // Bodies stay in their sockets until a handler asks for them.
    server.addContentTypeParser('*', (_request, _payload, done) => done(null));
    server.setNotFoundHandler((_request, reply) => answerNotFound(reply));
    for (const route of routes) {
      server.all(route.path, async (request, reply) => {
        reply.hijack();
        await this.#serve(route, request, reply);
      });
    }
    await bind(server, host, port);
    return {
      address: boundAddress(server),
      close: (graceMs) => {
        this.#isClosing = true;
        return closeServer(server, graceMs);
      },
    };
  }

  async #serve(route: HttpRoute, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { raw: message } = request;
    const { raw: response } = reply;
    // Or a connection that never rests would keep a closing server open.
    if (this.#isClosing) response.setHeader('connection', 'close');
    try {
      await writeAnswer(message, response, await answerRequest(route, request, reply));
    } catch (error) {
      this.#log.error('http-handler-failed', { path: message.url, error });
      if (response.headersSent) response.destroy();
      else await writeAnswer(message, response, { status: 500, headers: plainText, body: `${errorMessage(error)}\n` });
    }
  }
}

async function bind(server: FastifyInstance, host: string, port: number): Promise<void> {
  try {
    // '::' takes IPv4 connections, too.
    await server.listen({ port, host: host === '' ? '::' : host });
  } catch (cause) {
    await server.close();
    throw new TimbalaError('HTTP_BIND_FAILED', `${host || '*'}:${port}: ${errorMessage(cause)}`, { cause });
  }
}

function boundAddress(server: FastifyInstance): HttpServer['address'] {
  const [address] = server.addresses();
  if (!address || typeof address === 'string') throw new TimbalaError('HTTP_BIND_FAILED', 'the server has no address');
  return { host: address.address, port: address.port };
}

async function closeServer(server: FastifyInstance, graceMs: number): Promise<void> {
  const cut = setTimeout(() => server.server.closeAllConnections(), graceMs);
  // A connection whose answer was under way becomes idle later.
  const sweep = setInterval(() => server.server.closeIdleConnections(), idleSweepMs);
  await server.close();
  clearTimeout(cut);
  clearInterval(sweep);
}
