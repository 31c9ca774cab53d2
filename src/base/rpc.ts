// Calls between workers over an ordered channel, both ways on one channel. A call carries one argument and gives one result;
// errors cross with their code and message. Nothing here copies: what is to move without a clone is named in `transfer`.
import { errorMessage, TimbalaError } from './errors.ts';

/** What RPC needs of a channel; ports/workers.ts's Channel is one. */
export interface MessageChannelLike<Transferable = unknown> {
  post(message: unknown, transfer?: readonly Transferable[]): void;
  onMessage(handler: (message: unknown) => void): void;
}

// A handler's argument is checked by the types of both ends, which are compiled together, not at run time.
type Handler = (argument: never) => unknown;
export type Handlers = Readonly<Record<string, Handler>>;

type Message =
  | { readonly kind: 'call'; readonly id: number; readonly method: string; readonly argument: unknown }
  | { readonly kind: 'notice'; readonly method: string; readonly argument: unknown }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly code: string; readonly message: string };

/** A handler's result together with the buffers that go over to the caller. */
export class Transferred<Value> {
  readonly value: Value;
  readonly transfer: readonly unknown[];

  constructor(value: Value, transfer: readonly unknown[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

type Result<Method> = Method extends (argument: never) => infer R
  ? Awaited<R> extends Transferred<infer Value>
    ? Value
    : Awaited<R>
  : never;
type Argument<Method> = Method extends (argument: infer A) => unknown ? A : never;

/** One end: serves `handlers`, and calls those of the other end, whose type is `Remote`. */
export class RpcPeer<Remote extends Handlers> {
  readonly #channel: MessageChannelLike;
  readonly #pending = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  readonly #handlers: Handlers;
  #nextId = 1;
  #closed: TimbalaError | undefined;

  constructor(channel: MessageChannelLike, handlers: Handlers = {}) {
    this.#channel = channel;
    this.#handlers = handlers;
    channel.onMessage((message) => this.#receive(message as Message));
  }

  call<Method extends keyof Remote & string>(
    method: Method,
    argument: Argument<Remote[Method]>,
    transfer: readonly unknown[] = [],
  ): Promise<Result<Remote[Method]>> {
    if (this.#closed) return Promise.reject(this.#closed);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#channel.post({ kind: 'call', id, method, argument } satisfies Message, transfer);
    });
  }

  /** A call without an answer; an error in it is the other end's to report. */
  notify<Method extends keyof Remote & string>(
    method: Method,
    argument: Argument<Remote[Method]>,
    transfer: readonly unknown[] = [],
  ): void {
    if (this.#closed) return;
    this.#channel.post({ kind: 'notice', method, argument } satisfies Message, transfer);
  }

  /** Fails every open call, and all later ones, with RPC_CLOSED: the other end has died. */
  close(reason: string): void {
    this.#closed = new TimbalaError('RPC_CLOSED', reason);
    for (const { reject } of this.#pending.values()) reject(this.#closed);
    this.#pending.clear();
  }

  #receive(message: Message): void {
    if (message.kind === 'call') {
      void this.#answer(message.id, message.method, message.argument);
    } else if (message.kind === 'notice') {
      this.#handler(message.method)(message.argument as never);
    } else {
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if (message.kind === 'result') pending?.resolve(message.value);
      else pending?.reject(revive(message.code, message.message));
    }
  }

  #handler(method: string): Handler {
    const handler = this.#handlers[method];
    if (!handler) throw new TimbalaError('RPC_UNKNOWN_METHOD', method);
    return handler;
  }

  async #answer(id: number, method: string, argument: unknown): Promise<void> {
    try {
      const result = await this.#handler(method)(argument as never);
      if (result instanceof Transferred) {
        this.#channel.post({ kind: 'result', id, value: result.value } satisfies Message, result.transfer);
      } else {
        this.#channel.post({ kind: 'result', id, value: result } satisfies Message);
      }
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'INTERNAL';
      this.#channel.post({ kind: 'error', id, code, message: errorMessage(error) } satisfies Message);
    }
  }
}

function revive(code: string, message: string): TimbalaError {
  const prefix = `${code}: `;
  return new TimbalaError(code, message.startsWith(prefix) ? message.slice(prefix.length) : message);
}
