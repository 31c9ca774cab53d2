// The lane worker: takes bodies of writes, decodes them, logs them, keeps the head. A failure that its log can't survive is
// thrown on, so that the thread and with it the process ends. With a channel `replica` it also serves the cluster's protocols.
import type { WriteBody, WriteResult } from '../../api/index.ts';
import { errorMessage, present, RpcPeer, TimbalaError } from '../../base/index.ts';
import {
  identifyStore,
  Lane,
  laneForReplica,
  type ReplicationOptions,
  serveReplicaLane,
  type StoragePorts,
  type StoreIdentity,
} from '../../storage/index.ts';
import type { LaneHandlers } from '../lane-protocol.ts';
import { ReaderConnections } from './readers.ts';
import { type RoleContext, type StorageStart, storagePorts } from './role.ts';

export async function startLaneRole(role: RoleContext): Promise<void> {
  const storage = storagePorts(role.ports, role.start as StorageStart);
  const { replica } = role.channels;
  // Who asks the protocols for their marks is known once the lane is there.
  const marks = Promise.withResolvers<() => Promise<Uint8Array>>();
  const replication: ReplicationOptions = { onLogCut: async () => (await marks.promise)() };
  const lane = await Lane.open({
    ...storage,
    keeper: present(role.channels['keeper'], 'channel to the keeper'),
    onFatal: role.fail,
    ...(replica ? { replication } : {}),
  });
  const readers = new ReaderConnections((channel) => lane.serve(channel));
  let identity: StoreIdentity | undefined;
  if (replica) {
    identity = identifyStore(lane.state, storage.random, storage.disk.identity(), []);
    marks.resolve(serveReplicaLane(replica, laneForReplica(lane)));
    void watchLosses(lane, storage, role.fail);
  }

  const writeOne = async ({ buffer, lengthBytes }: WriteBody): Promise<WriteResult> => {
    try {
      return { outcome: await lane.write(new Uint8Array(buffer, 0, lengthBytes)) };
    } catch (error) {
      const errorCode = error instanceof Error && 'code' in error ? String(error.code) : 'INTERNAL';
      return { errorCode, errorMessage: errorMessage(error) };
    }
  };

  const handlers: LaneHandlers = {
    write: (bodies) => Promise.all(bodies.map(writeOne)),
    connectReader: (connection) => readers.connect(connection),
    disconnectReader: ({ readerId }) => readers.disconnect(readerId),
    replayed: () => lane.replayed,
    identify: () => present(identity, 'store of a cluster'),
    status: () => lane.status(),
    metadata: ({ metric }) => lane.metadata(metric),
    flush: () => lane.flushNow(),
    close: () => lane.close(),
  };
  void new RpcPeer(role.channel, handlers);
}

/** Peers count on what a store has acknowledged, so one whose log turns out to have lost some must become another store. */
async function watchLosses(lane: Lane, { random, disk }: StoragePorts, fail: (error: unknown) => void): Promise<void> {
  const report = await lane.replayed.catch(() => undefined); // the lane itself says what is wrong
  if (!report) return;
  try {
    if (identifyStore(lane.state, random, disk.identity(), report.damage).reason === undefined) return;
    const text = 'the log lost records that were acknowledged; started again, this is a new store that its peers fill';
    fail(new TimbalaError('STORE_LOST_RECORDS', text));
  } catch (error) {
    fail(error);
  }
}
