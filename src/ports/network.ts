// The network as the cluster sees it: datagrams that may be lost, doubled or reordered, and streams of bytes that arrive in
// order or break. By callbacks, not promises: a simulated world then runs thousands of nodes without a microtask between two
// events. Handlers are never called from within the call that caused them.

/** Where to reach or bind to. `host` is an IP address (no name); port 0 lets the system choose where one is bound. */
export interface NetworkAddress {
  readonly host: string;
  readonly port: number;
}

export interface DatagramHandlers {
  /** `bytes` is the receiver's to keep. */
  onDatagram(bytes: Uint8Array, from: NetworkAddress): void;
}

export interface DatagramSocket {
  readonly address: NetworkAddress;
  /** Sends and forgets: what can't be sent is as good as lost. `bytes` must not change afterwards. */
  send(to: NetworkAddress, bytes: Uint8Array): void;
  close(): void;
}

export interface StreamHandlers {
  /** `bytes` is the receiver's to keep. */
  onBytes(bytes: Uint8Array): void;
  /** Once, last: the other side has ended the stream (no error), or it broke or could not be opened. Not after `close`. */
  onEnd(error?: Error): void;
}

export interface NetworkStream {
  /**
   * Whether the certificate that the other side has shown is for this host (a name or an IP address); undefined where the
   * network has no certificates. To be asked once bytes have come.
   */
  certifies(host: string): boolean | undefined;
  /** Sends bytes, queued until the stream is open. They must not change afterwards. */
  write(bytes: Uint8Array): void;
  /** As `write`; the bytes and their buffer are the stream's from now on, which frees them when they have left. */
  give(bytes: Uint8Array<ArrayBuffer>): void;
  /** Bytes that were written and that the system has not taken: more and more, where the other side does not read. */
  readonly unsentBytes: number;
  /** The same in calls of `write` and `give`, each of which takes memory of its own while it waits. */
  readonly unsentWrites: number;
  /** Sends what was written, as far as it is taken soon, then ends both directions; no handler is called any more. */
  close(): void;
  /** As `close`, but drops what has not been sent: for a stream whose other side does not take it. */
  abort(): void;
}

export interface StreamListener {
  readonly address: NetworkAddress;
  /** Stops accepting; streams that are open stay. */
  close(): void;
}

export interface Network {
  /** Throws NETWORK_BIND_FAILED. */
  bindDatagrams(address: NetworkAddress, handlers: DatagramHandlers): Promise<DatagramSocket>;
  /** Throws NETWORK_BIND_FAILED. `onStream` returns the handlers of a stream that was accepted. */
  listen(
    address: NetworkAddress,
    onStream: (stream: NetworkStream, from: NetworkAddress) => StreamHandlers,
  ): Promise<StreamListener>;
  /** Opens a stream; a failure ends it. */
  connect(to: NetworkAddress, handlers: StreamHandlers): NetworkStream;
  /** The IP addresses of a host name (of an address: itself), in no particular order. Throws NETWORK_NAME_UNKNOWN. */
  resolve(host: string): Promise<string[]>;
}
