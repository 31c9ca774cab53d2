// The compactor worker: the keeper of MANIFEST and parts. It flushes, merges and deletes behind everything else. With a
// channel `replica` it also serves the cluster's protocols.
import { present, RpcPeer } from '../../base/index.ts';
import { Keeper, serveReplicaKeeper } from '../../storage/index.ts';
import type { CompactorHandlers } from '../lane-protocol.ts';
import { ReaderConnections } from './readers.ts';
import { type RoleContext, type StorageStart, storagePorts } from './role.ts';

export async function startCompactorRole(role: RoleContext): Promise<void> {
  role.ports.lowerThreadPriority(10);
  const start = role.start as StorageStart;
  const keeper = await Keeper.open({
    ...storagePorts(role.ports, start),
    retention: start.retention,
    lanes: [present(role.channels['lane'], 'channel to the lane')],
    onFatal: role.fail,
    isReplica: role.channels['replica'] !== undefined,
  });
  const readers = new ReaderConnections((channel) => keeper.serve(channel));
  const { replica } = role.channels;
  if (replica) serveReplicaKeeper(replica, keeper);
  const handlers: CompactorHandlers = {
    connectReader: (connection) => readers.connect(connection),
    disconnectReader: ({ readerId }) => readers.disconnect(readerId),
    status: () => keeper.status(),
    applyRules: (rules) => keeper.applyRules(rules),
    compact: () => keeper.compactNow(),
    close: () => keeper.close(),
  };
  void new RpcPeer(role.channel, handlers);
}
