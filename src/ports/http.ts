// HTTP as the server room sees it: routes of handlers that take a request whose body is not read yet and give an answer.
// In production node/http serves it on a socket; tests may call the handlers without one.

export interface HttpRequest {
  readonly method: string;
  /** Still percent-encoded, without the query string. */
  readonly path: string;
  /** The route's `:name` parts, percent-decoded; a part that is not valid UTF-8 when decoded is given as it came. */
  readonly parameters: Readonly<Record<string, string>>;
  /** What follows `?`, still percent-encoded; '' where there is none. */
  readonly queryText: string;
  /** Undefined for a chunked body. */
  readonly contentLength: number | undefined;
  /** By lower-case name. */
  header(name: string): string | undefined;
  /**
   * Reads the body to its end into a buffer that `allocate` gives (called once, with the exact length; it must be the
   * caller's own memory). Throws HTTP_BODY_TOO_LARGE over `bytesMax` and HTTP_DISCONNECTED. At most once per request; a
   * handler that answers without reading leaves the body to be discarded.
   */
  readBody<Buffer extends Uint8Array>(bytesMax: number, allocate: (lengthBytes: number) => Buffer): Promise<Buffer>;
  /** Runs `callback` once if the client goes away before it has the whole answer. */
  onDisconnect(callback: () => void): void;
}

export interface HttpAnswer {
  readonly status: number;
  /** Lower-case names. Content-length is added where the body is no stream. */
  readonly headers: Readonly<Record<string, string>>;
  /** A stream is pulled no faster than the client takes it; when it throws, the connection is cut. */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
}

/** A handler that throws is answered with 500; it has handled the errors that it knows. */
export type HttpHandler = (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;

export interface HttpRoute {
  /** Other methods get 405. HEAD is not implied by GET. */
  readonly methods: readonly string[];
  /** `/fixed/:parameter/path`. */
  readonly path: string;
  readonly handler: HttpHandler;
}

export interface HttpServer {
  /** What was bound: with port 0, the port that the system chose. */
  readonly address: { readonly host: string; readonly port: number };
  /** Stops accepting, lets requests in flight finish for at most `graceMs`, then cuts what is left. */
  close(graceMs: number): Promise<void>;
}

export interface Http {
  /** Throws HTTP_BIND_FAILED. `host` '' means every interface. */
  listen(host: string, port: number, routes: readonly HttpRoute[]): Promise<HttpServer>;
}
