export type { Clock, Timer } from './clock.ts';
export type { Disk, DiskEntry, DiskFile, DiskLock } from './disk.ts';
export type { Log, LogFields } from './log.ts';
export type { Random } from './random.ts';
export type { Channel, WorkerHandle, Workers } from './workers.ts';
