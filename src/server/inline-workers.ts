// Workers without threads: every role runs in the calling thread, for tests and simulation. Messages arrive in a later
// microtask, in order and uncloned; a role that throws ends its worker as a thread would.
import type { Channel, WorkerHandle, Workers } from '../ports/index.ts';
import { createInlineChannel } from '../storage/index.ts';
import { startRole, type ThreadPorts } from './roles/index.ts';

export class InlineWorkers implements Workers {
  readonly #ports: ThreadPorts;

  constructor(ports: ThreadPorts) {
    this.#ports = ports;
  }

  spawn(role: string, start: unknown, channels: Readonly<Record<string, Channel>> = {}): WorkerHandle {
    const [ownEnd, workerEnd] = createInlineChannel();
    const { promise: ended, resolve: end } = Promise.withResolvers<unknown>();
    startRole(role, { start, channel: workerEnd, channels, ports: this.#ports, fail: end }).catch(end);
    return {
      channel: ownEnd,
      ended,
      async terminate() {
        workerEnd.close();
        end(undefined);
      },
    };
  }

  createChannel(): [Channel, Channel] {
    return createInlineChannel();
  }
}
