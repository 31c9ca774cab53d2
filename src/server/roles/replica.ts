// The replica worker: reads the own parts and head for the cluster's protocols and for peers, apart from queries, so that
// neither waits for the other.
import { present } from '../../base/index.ts';
import { PairReader, Reader, serveReplicaReader } from '../../storage/index.ts';
import { type RoleContext, storagePorts, type StorageStart } from './role.ts';

/** Its channel is served by serveReplicaReader; for connectReplicaReader. */
export async function startReplicaRole({ ports, start, channels, channel }: RoleContext): Promise<void> {
  ports.lowerThreadPriority(5);
  const reader = await Reader.open({
    ...storagePorts(ports, start as StorageStart),
    lane: present(channels['lane'], 'channel to the lane'),
    keeper: present(channels['keeper'], 'channel to the keeper'),
  });
  serveReplicaReader(channel, new PairReader(reader));
}
