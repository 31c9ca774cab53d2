// What every role of a worker is given: who started it, with what, its channels, and the ports of its own thread.
import type { AesGcm, Channel, Clock, Disk, Log, Network, Random } from '../../ports/index.ts';
import type { KernelModules, Retention, StoragePorts } from '../../storage/index.ts';

/** Ports that each thread makes for itself. */
export interface ThreadPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly network: Network;
  readonly cipher: AesGcm;
  /** The disk of a data directory. */
  openDisk(directory: string): Disk;
  /** Lets the calling thread run behind others: queries and compaction must not hold up the log. */
  lowerThreadPriority(niceness: number): void;
}

export interface RoleContext {
  readonly start: unknown;
  /** To the thread that started this role. */
  readonly channel: Channel;
  readonly channels: Readonly<Record<string, Channel>>;
  readonly ports: ThreadPorts;
  /** Ends the worker with this error: what it holds can't be trusted any more. */
  readonly fail: (error: unknown) => void;
}

/** The start data of every role that touches storage. Survives structured clone. */
export interface StorageStart {
  readonly dataDirectory: string;
  readonly retention: Retention;
  readonly modules: KernelModules;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

export interface QueryStart extends StorageStart {
  /** What all queries of this worker may take together. */
  readonly queryMemoryBytesMax: number;
}

export function storagePorts(ports: ThreadPorts, { dataDirectory, modules }: StorageStart): StoragePorts {
  const { clock, random, log } = ports;
  return { clock, random, log, modules, disk: ports.openDisk(dataDirectory) };
}
