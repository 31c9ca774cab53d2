// The entry of every worker thread: gives its role the ports of this thread. What fails here ends the thread with its error;
// whoever spawned it decides what that means.
import { flushCompileCache } from 'node:module';
import {
  lowerThreadPriority,
  NodeAesGcm,
  NodeDisk,
  NodeNetwork,
  PinoLog,
  SystemClock,
  SystemRandom,
  workerStart,
} from '../node/index.ts';
import { startRole, type StorageStart, type ThreadPorts } from '../server/roles/index.ts';

const { role, start, channel, channels } = workerStart();
const ports: ThreadPorts = {
  clock: new SystemClock(),
  random: new SystemRandom(),
  log: PinoLog.open((start as StorageStart).logLevel, { worker: role }),
  network: new NodeNetwork(),
  cipher: new NodeAesGcm(),
  openDisk: (directory) => new NodeDisk(directory),
  lowerThreadPriority,
};
const fail = (error: unknown): void => {
  // Outside every promise, so that nothing catches it and the thread ends.
  queueMicrotask(() => {
    throw error;
  });
};
await startRole(role, { start, channel, channels, ports, fail });
// A worker is terminated, not ended, so what it compiled is kept now.
flushCompileCache();
