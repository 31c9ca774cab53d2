// The storage of a cluster's node in one thread: the engine, the store's identity, and the replica store over them. For
// tests and simulation; a server puts lane, keeper and reader into workers and calls across.
import { TimbalaError } from '../../base/index.ts';
import { type InlineStorage, openStorage, type StorageOptions } from '../engine.ts';
import type { Lane } from '../lane/lane.ts';
import { identifyStore, type StoreIdentity } from '../state/store-identity.ts';
import { PairReader } from './pair-reader.ts';
import { type ReplicaLane, ReplicaStore } from './replica-store.ts';

export interface ReplicaStorage {
  readonly storage: InlineStorage;
  readonly store: ReplicaStore;
  readonly identity: StoreIdentity;
}

/** Writes are hints' at most while so much waits for the log. */
const busyBytesMin = 32 * 1024 * 1024;

/** Errors as openStorage, and STATE_CORRUPT. A log that turns out to have lost synced records is fatal: the next start is a new store's. */
export async function openReplicaStorage(options: Omit<StorageOptions, 'replication'>): Promise<ReplicaStorage> {
  const { disk, clock, random, onFatal = () => undefined } = options;
  const opened = Promise.withResolvers<ReplicaStore>();
  opened.promise.catch(() => undefined); // nobody may have asked when opening fails
  const replication = { onLogCut: async (): Promise<Uint8Array> => (await opened.promise).marksForLogCut() };
  const storage = await openStorage({ ...options, replication });
  try {
    const { lane, keeper } = storage;
    const identity = identifyStore(lane.state, random, disk.identity(), []);
    const store = new ReplicaStore({
      id: identity.id,
      clock,
      lane: laneForReplica(lane),
      keeper,
      reader: new PairReader(storage.reader),
      isBusy: () => lane.status().pendingBytes > busyBytesMin,
    });
    opened.resolve(store);
    void watchReplay(storage, options, onFatal);
    return { storage, store, identity };
  } catch (error) {
    opened.reject(error);
    await storage.close();
    throw error;
  }
}

async function watchReplay(
  { lane }: InlineStorage,
  { disk, random }: Pick<StorageOptions, 'disk' | 'random'>,
  onFatal: (error: unknown) => void,
): Promise<void> {
  const report = await lane.replayed.catch(() => undefined); // the lane itself says what is wrong
  if (!report) return;
  try {
    const { reason } = identifyStore(lane.state, random, disk.identity(), report.damage);
    if (reason === undefined) return;
    onFatal(
      new TimbalaError(
        'STORE_LOST_RECORDS',
        'the log lost records that were acknowledged; the process must end, to start again as a new store that peers fill',
      ),
    );
  } catch (error) {
    onFatal(error);
  }
}

/** What replication asks of a lane, in the lane's thread. */
export function laneForReplica(lane: Lane): ReplicaLane {
  const { replication, state } = lane;
  return {
    replayedPairs: () => lane.replayedPairs(),
    setGroups: (groups) => replication.setGroups(groups),
    decode: (body) => replication.decode(body),
    payloadOf: (writeId, groups) => replication.payloadOf(writeId, groups),
    appendKept: (writeId, groups) => replication.appendKept(writeId, groups),
    release: (writeId) => replication.release(writeId),
    register: (definitions) => replication.register(definitions),
    definitionsOf: (dictionary, refs) => replication.definitionsOf(dictionary, refs),
    appendReceived: (samples, origin) => replication.appendReceived(samples, origin),
    abandonStore: (code, reason) => lane.abandonStore(code, reason),
    dropPartitions: (partitions) => lane.dropPartitions(partitions),
    saveState: (name, bytes) => state.save(name, bytes),
    loadState: (name) => state.load(name),
  };
}
