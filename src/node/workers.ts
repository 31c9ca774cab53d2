// Workers as threads, channels as MessagePorts. The threads' entry module reads its role and channels by `workerStart`.
// A Channel inside a message crosses as its port: it must be named in `transfer`, and is a Channel again when received.
import { MessageChannel, MessagePort, Worker, workerData } from 'node:worker_threads';
import type { ResourceLimits } from 'node:worker_threads';
import { TimbalaError } from '../base/index.ts';
import type { Channel, WorkerHandle, Workers } from '../ports/index.ts';

class PortChannel implements Channel {
  readonly port: MessagePort;
  #handler: ((message: unknown) => void) | undefined;

  constructor(port: MessagePort) {
    this.port = port;
  }

  post(message: unknown, transfer: readonly (ArrayBuffer | Channel)[] = []): void {
    if (transfer.length === 0) {
      this.port.postMessage(message);
      return;
    }
    const carriesChannels = transfer.some((item) => item instanceof PortChannel);
    const list = transfer.map((item) => (item instanceof PortChannel ? item.port : (item as ArrayBuffer)));
    this.port.postMessage(carriesChannels ? { withPorts: replaceChannels(message) } : message, list);
  }

  onMessage(handler: (message: unknown) => void): void {
    const isFirst = this.#handler === undefined;
    this.#handler = handler;
    // Attaching the listener starts the port, which has kept what came before.
    if (isFirst) this.port.on('message', (message: unknown) => this.#handler?.(receive(message)));
  }

  close(): void {
    this.port.close();
  }
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function mapPlain(value: unknown, leaf: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => mapPlain(item, leaf));
  if (!isPlain(value)) return leaf(value);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapPlain(item, leaf)]));
}

const replaceChannels = (message: unknown): unknown =>
  mapPlain(message, (value) => (value instanceof PortChannel ? value.port : value));

function receive(message: unknown): unknown {
  // Only messages that carry ports are walked; all others arrive as they were cloned.
  if (!isPlain(message) || !('withPorts' in message)) return message;
  return mapPlain(message['withPorts'], (value) => (value instanceof MessagePort ? new PortChannel(value) : value));
}

interface WorkerData {
  readonly role: string;
  readonly start: unknown;
  readonly port: MessagePort;
  readonly channels: Readonly<Record<string, MessagePort>>;
}

export class ThreadWorkers implements Workers {
  readonly #entry: URL;
  readonly #resourceLimits: Readonly<Record<string, ResourceLimits>>;

  /** `entry`: the module that every worker runs; `resourceLimits`: of the JavaScript heap, by role. */
  constructor(entry: URL, resourceLimits: Readonly<Record<string, ResourceLimits>> = {}) {
    this.#entry = entry;
    this.#resourceLimits = resourceLimits;
  }

  spawn(role: string, start: unknown, channels: Readonly<Record<string, Channel>> = {}): WorkerHandle {
    const [ownEnd, workerEnd] = this.createChannel() as [PortChannel, PortChannel];
    const ports = Object.fromEntries(
      Object.entries(channels).map(([name, channel]) => [name, (channel as PortChannel).port]),
    );
    const worker = new Worker(this.#entry, {
      name: role,
      workerData: { role, start, port: workerEnd.port, channels: ports } satisfies WorkerData,
      transferList: [workerEnd.port, ...Object.values(ports)],
      resourceLimits: this.#resourceLimits[role] ?? {},
    });
    let failure: unknown;
    let isTerminated = false;
    worker.on('error', (error) => {
      failure = error;
    });
    const ended = new Promise<unknown>((resolve) => {
      worker.on('exit', (status) => {
        ownEnd.close();
        if (isTerminated || (status === 0 && failure === undefined)) resolve(undefined);
        else resolve(failure ?? new TimbalaError('WORKER_ENDED', `worker ${role} ended with status ${status}`));
      });
    });
    return {
      channel: ownEnd,
      ended,
      async terminate() {
        isTerminated = true;
        await worker.terminate();
      },
    };
  }

  createChannel(): [Channel, Channel] {
    const { port1, port2 } = new MessageChannel();
    return [new PortChannel(port1), new PortChannel(port2)];
  }
}

export interface WorkerStart {
  readonly role: string;
  readonly start: unknown;
  /** To whoever spawned this worker. */
  readonly channel: Channel;
  readonly channels: Readonly<Record<string, Channel>>;
}

/** In a worker: what it was spawned with. */
export function workerStart(): WorkerStart {
  const { role, start, port, channels } = workerData as WorkerData;
  return {
    role,
    start,
    channel: new PortChannel(port),
    channels: Object.fromEntries(Object.entries(channels).map(([name, other]) => [name, new PortChannel(other)])),
  };
}
