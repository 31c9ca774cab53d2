// The node's own storage as the cluster's protocols use it, put together across threads: lane and compactor serve it on
// channels of their own, a worker of its own reads for it, and main holds the object that calls them.
import { RpcPeer } from '../../base/index.ts';
import type { Channel, Clock, WorkerHandle, Workers } from '../../ports/index.ts';
import {
  connectReplicaKeeper,
  connectReplicaLane,
  connectReplicaReader,
  ReplicaStore,
  type StoreIdentity,
} from '../../storage/index.ts';
import type { CompactorHandlers, LaneHandlers } from '../lane-protocol.ts';
import type { StorageStart } from '../roles/index.ts';
import { LaneGate } from './lane-gate.ts';

/** Query workers count from 1. */
const readerId = 0;

/** The actors of storage, and main's ends of the channels on which they serve the protocols. */
export interface StorageActors {
  readonly lane: RpcPeer<LaneHandlers>;
  readonly compactor: RpcPeer<CompactorHandlers>;
  readonly replicaLane: Channel;
  readonly replicaKeeper: Channel;
  /** Own clients keep the node busy: it then takes no hints and no copies of others. */
  readonly hasClientsWaiting: () => boolean;
}

export interface OpenedStore {
  readonly store: ReplicaStore;
  readonly identity: StoreIdentity;
  readonly gate: LaneGate;
  /** The worker that reads for the protocols. */
  readonly reader: WorkerHandle;
}

/** Resolves when the lane says which store the directory is; its log may still be read. Throws STATE_CORRUPT. */
export async function openReplicaStore(
  actors: StorageActors,
  start: StorageStart,
  workers: Workers,
  clock: Clock,
): Promise<OpenedStore> {
  const { lane, compactor, replicaLane, replicaKeeper, hasClientsWaiting } = actors;
  const [laneEnd, readerOfLane] = workers.createChannel();
  const [compactorEnd, readerOfKeeper] = workers.createChannel();
  lane.notify('connectReader', { readerId, channel: laneEnd }, [laneEnd]);
  compactor.notify('connectReader', { readerId, channel: compactorEnd }, [compactorEnd]);
  const reader = workers.spawn('replica', start, { lane: readerOfLane, keeper: readerOfKeeper });
  const opened = Promise.withResolvers<ReplicaStore>();
  opened.promise.catch(() => undefined); // the lane asks it for marks; whoever opens sees the error
  try {
    const gate = new LaneGate(connectReplicaLane(replicaLane, async () => (await opened.promise).marksForLogCut()));
    const identity = await lane.call('identify', undefined);
    const store = new ReplicaStore({
      id: identity.id,
      clock,
      lane: gate.lane,
      keeper: connectReplicaKeeper(replicaKeeper),
      reader: connectReplicaReader(reader.channel),
      isBusy: () => gate.isOverHalf || hasClientsWaiting(),
    });
    opened.resolve(store);
    return { store, identity, gate, reader };
  } catch (error) {
    opened.reject(error);
    await reader.terminate();
    throw error;
  }
}
