// The real network: UDP by node:dgram, TCP by node:net, TLS over it by node:tls. Sockets keep the process alive until they
// are closed.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect, createServer, isIP, isIPv6, type Server, type Socket as TcpSocket } from 'node:net';
import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { discard, errorMessage, TimbalaError } from '../base/index.ts';
import type {
  DatagramHandlers,
  DatagramSocket,
  Network,
  NetworkAddress,
  NetworkStream,
  StreamHandlers,
  StreamListener,
} from '../ports/index.ts';

/** Bursts of gossip outgrow the kernel's default, which is 212 KB on Linux. */
const receiveBufferBytes = 2 * 1024 * 1024;

/** So long a stream that was closed may take to send what was written; who takes none of it holds no socket for ever. */
export const lingerMs = 5_000;
/** Of streams to one listener; also of those whose TLS handshake has not ended, of which nobody else knows. */
const acceptedMax = 2_048;
/** A TLS handshake takes so long at most. */
export const handshakeMs = 5_000;

/** In PEM. Both sides of a stream must show a certificate that the authority has signed; for whom is asked by `certifies`. */
export interface StreamSecurity {
  readonly key: string;
  readonly certificate: string;
  readonly authority: string;
}

/** How sockets are made: node:net's way, or node:tls's. */
interface Sockets {
  connect(to: NetworkAddress): TcpSocket;
  createServer(onSocket: (socket: TcpSocket) => void): Server;
}

const plainSockets: Sockets = {
  connect: ({ host, port }) => connect({ host, port }),
  createServer: (onSocket) => createServer(onSocket),
};

async function securedSockets({ key, certificate: cert, authority: ca }: StreamSecurity): Promise<Sockets> {
  // Loaded here, since most nodes go without.
  const tls = await import('node:tls');
  const common = { key, cert, ca, minVersion: 'TLSv1.3' } as const;
  try {
    tls.createSecureContext(common);
  } catch (cause) {
    const message = `certificate, key and authority do not fit, or are no PEM: ${errorMessage(cause)}`;
    throw new TimbalaError('PEER_TLS', message, { cause });
  }
  return {
    // Peers are dialed by addresses; whether the certificate is the node's is judged when it has said its name.
    connect: ({ host, port }) => tls.connect({ ...common, host, port, checkServerIdentity: () => undefined }),
    createServer: (onSocket) => {
      const mutual = { requestCert: true, rejectUnauthorized: true, handshakeTimeout: handshakeMs };
      const server = tls.createServer({ ...common, ...mutual }, onSocket);
      // Node reports a handshake that takes too long, and leaves its socket open.
      return server.on('tlsClientError', (_error, socket) => socket.destroy());
    },
  };
}

function bindFailed(what: string, { host, port }: NetworkAddress, cause: unknown): TimbalaError {
  const message = `${what} ${host}:${port}: ${errorMessage(cause)}; choose another address`;
  return new TimbalaError('NETWORK_BIND_FAILED', message, { cause });
}

/** Addresses of a socket that takes both families come as ::ffff:a.b.c.d; peers know them as a.b.c.d. */
const plainHost = (host: string): string => (host.startsWith('::ffff:') ? host.slice(7) : host);

class UdpDatagrams implements DatagramSocket {
  readonly #socket: UdpSocket;
  readonly address: NetworkAddress;

  constructor(socket: UdpSocket) {
    this.#socket = socket;
    const { address, port } = socket.address();
    this.address = { host: address, port };
  }

  send(to: NetworkAddress, bytes: Uint8Array): void {
    // The callback takes errors (no route, no buffers): to the sender they are losses.
    this.#socket.send(bytes, to.port, to.host, () => {});
  }

  close(): void {
    this.#socket.close();
  }
}

class TcpStream implements NetworkStream {
  readonly #socket: TcpSocket;
  #isClosed = false;
  #unsentWrites = 0;
  readonly #onWritten = (): void => {
    this.#unsentWrites--;
  };

  constructor(socket: TcpSocket) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  /** Apart from the constructor, since an accepted stream is handed over before its handlers are known. */
  attach(handlers: StreamHandlers): void {
    let failure: Error | undefined;
    this.#socket.on('data', (bytes: Buffer) => {
      if (!this.#isClosed) handlers.onBytes(bytes);
    });
    this.#socket.on('error', (error) => {
      failure = error;
    });
    const end = (): void => {
      if (this.#isClosed) return;
      this.#isClosed = true;
      this.#endSoon();
      handlers.onEnd(failure);
    };
    this.#socket.on('end', end);
    this.#socket.on('close', end);
  }

  write(bytes: Uint8Array): void {
    this.#send(bytes, this.#onWritten);
  }

  give(bytes: Uint8Array<ArrayBuffer>): void {
    this.#send(bytes, () => {
      this.#onWritten();
      discard(bytes);
    });
  }

  #send(bytes: Uint8Array, onWritten: () => void): void {
    if (this.#isClosed) return;
    // What one turn of the event loop writes goes by one system call: for small messages that is most of their cost.
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    this.#unsentWrites++;
    this.#socket.write(bytes, onWritten);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#socket.connecting) this.#socket.destroy();
    else this.#endSoon();
  }

  /** Sends what was written, but does not wait for ever until the other side takes it. */
  #endSoon(): void {
    this.#socket.destroySoon();
    if (this.#socket.destroyed) return;
    const timer = setTimeout(() => this.#socket.destroy(), lingerMs);
    timer.unref();
    this.#socket.once('close', () => clearTimeout(timer));
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  get unsentWrites(): number {
    return this.#unsentWrites;
  }

  certifies(host: string): boolean | undefined {
    if (!('getPeerX509Certificate' in this.#socket)) return undefined;
    const certificate = (this.#socket as TLSSocket).getPeerX509Certificate();
    if (!certificate) return false;
    return (isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined;
  }

  abort(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }
}

export class NodeNetwork implements Network {
  readonly #sockets: Sockets;

  constructor(sockets = plainSockets) {
    this.#sockets = sockets;
  }

  /** With mutual TLS on every stream; datagrams stay plain. Throws PEER_TLS. */
  static async secured(security: StreamSecurity): Promise<NodeNetwork> {
    return new NodeNetwork(await securedSockets(security));
  }

  async bindDatagrams(address: NetworkAddress, handlers: DatagramHandlers): Promise<DatagramSocket> {
    const type = isIPv6(address.host) ? 'udp6' : 'udp4';
    const socket = createSocket({ type, recvBufferSize: receiveBufferBytes });
    socket.on('message', (bytes, from) => {
      handlers.onDatagram(bytes, { host: plainHost(from.address), port: from.port });
    });
    try {
      socket.bind(address.port, address.host);
      await once(socket, 'listening');
    } catch (cause) {
      throw bindFailed('UDP', address, cause);
    }
    // An error of a datagram that was sent earlier (its port was closed) is a loss like any other.
    socket.on('error', () => {});
    return new UdpDatagrams(socket);
  }

  async listen(
    address: NetworkAddress,
    onStream: (stream: NetworkStream, from: NetworkAddress) => StreamHandlers,
  ): Promise<StreamListener> {
    const server = this.#sockets.createServer((socket) => {
      const stream = new TcpStream(socket);
      const from = { host: plainHost(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
      stream.attach(onStream(stream, from));
    });
    server.maxConnections = acceptedMax;
    try {
      server.listen(address.port, address.host);
      await once(server, 'listening');
    } catch (cause) {
      throw bindFailed('TCP', address, cause);
    }
    server.on('error', () => {}); // accepting failed (no descriptors left): the next may succeed
    const bound = server.address();
    const port = typeof bound === 'object' && bound ? bound.port : address.port;
    return { address: { host: address.host, port }, close: () => void server.close() };
  }

  connect(to: NetworkAddress, handlers: StreamHandlers): NetworkStream {
    const stream = new TcpStream(this.#sockets.connect(to));
    stream.attach(handlers);
    return stream;
  }

  async resolve(host: string): Promise<string[]> {
    if (isIP(host)) return [host];
    try {
      const found = await lookup(host, { all: true });
      return found.map(({ address }) => address);
    } catch (cause) {
      throw new TimbalaError('NETWORK_NAME_UNKNOWN', `${host}: ${errorMessage(cause)}`, { cause });
    }
  }
}
