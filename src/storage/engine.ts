// The storage of one node in one thread: keeper, lane and one reader, joined by inline channels. For tests and simulation;
// the server puts the same three actors into workers.
import type { Channel } from '../ports/index.ts';
import type { Retention, StoragePorts } from './contracts.ts';
import { createInlineChannel } from './inline-channel.ts';
import { Keeper } from './keeper/keeper.ts';
import { Lane, type ReplicationOptions } from './lane/lane.ts';
import type { LaneLimits } from './lane/limits.ts';
import { Reader } from './reader/reader.ts';

export interface StorageOptions extends StoragePorts {
  readonly retention: Retention;
  readonly limits?: Partial<LaneLimits>;
  readonly replication?: ReplicationOptions;
  readonly onFatal?: (error: unknown) => void;
  /** Two connected ends; a simulation brings its own, with delays. */
  readonly createChannel?: () => [Channel, Channel];
}

export interface InlineStorage {
  readonly lane: Lane;
  readonly keeper: Keeper;
  readonly reader: Reader;
  close(): Promise<void>;
}

/** Opens the data directory, which it locks. The log of earlier runs is still being read: wait for `lane.replayed` to query. */
export async function openStorage(options: StorageOptions): Promise<InlineStorage> {
  const { retention, limits = {}, replication, onFatal = () => undefined, ...rest } = options;
  const { createChannel = createInlineChannel, ...ports } = rest;
  const lock = ports.disk.lock('lock');
  try {
    const [laneToKeeper, keeperToLane] = createChannel();
    const [readerToLane, laneToReader] = createChannel();
    const [readerToKeeper, keeperToReader] = createChannel();
    const isReplica = replication !== undefined;
    const keeper = await Keeper.open({ ...ports, retention, lanes: [keeperToLane], onFatal, isReplica });
    const laneOptions = { ...ports, keeper: laneToKeeper, onFatal, limits };
    const lane = await Lane.open(replication ? { ...laneOptions, replication } : laneOptions);
    lane.serve(laneToReader);
    keeper.serve(keeperToReader);
    const reader = await Reader.open({ ...ports, lane: readerToLane, keeper: readerToKeeper });
    return {
      lane,
      keeper,
      reader,
      close: async () => {
        reader.close();
        await lane.close();
        await keeper.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}
