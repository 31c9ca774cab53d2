export type { AesGcm } from './cipher.ts';
export type { Clock, Timer } from './clock.ts';
export type { Disk, DiskEntry, DiskFile, DiskLock } from './disk.ts';
export type { Http, HttpAnswer, HttpHandler, HttpRequest, HttpRoute, HttpServer } from './http.ts';
export type { Log, LogFields } from './log.ts';
export type {
  DatagramHandlers,
  DatagramSocket,
  Network,
  NetworkAddress,
  NetworkStream,
  StreamHandlers,
  StreamListener,
} from './network.ts';
export type { ProcessUsage } from './process.ts';
export type { Random } from './random.ts';
export type { Channel, WorkerHandle, Workers } from './workers.ts';
