export { NodeAesGcm } from './aes-gcm.ts';
export { SystemClock } from './clock.ts';
export { NodeDisk } from './disk.ts';
export { loadKernels } from './kernels.ts';
export { type LogLevel, PinoLog } from './log.ts';
export { NodeNetwork, type StreamSecurity } from './network.ts';
export {
  hostName,
  lowerThreadPriority,
  memoryBytes,
  onReloadSignal,
  onTerminationSignal,
  onUncaughtError,
  ownAddresses,
  packageVersion,
  processorsCount,
  processUsage,
} from './process.ts';
export { SystemRandom } from './random.ts';
export { readGossipKeys, readStreamSecurity } from './secrets.ts';
export { ThreadWorkers, type WorkerStart, workerStart } from './workers.ts';
