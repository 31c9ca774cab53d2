// The lane worker: takes bodies of writes, decodes them, logs them, keeps the head. A failure that its log can't survive is
// thrown on, so that the thread and with it the process ends.
import type { WriteBody, WriteResult } from '../../api/index.ts';
import { errorMessage, present, RpcPeer } from '../../base/index.ts';
import { Lane } from '../../storage/index.ts';
import type { LaneHandlers } from '../lane-protocol.ts';
import { ReaderConnections } from './readers.ts';
import { type RoleContext, type StorageStart, storagePorts } from './role.ts';

export async function startLaneRole(role: RoleContext): Promise<void> {
  const lane = await Lane.open({
    ...storagePorts(role.ports, role.start as StorageStart),
    keeper: present(role.channels['keeper'], 'channel to the keeper'),
    onFatal: role.fail,
  });
  const readers = new ReaderConnections((channel) => lane.serve(channel));

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
    status: () => lane.status(),
    metadata: ({ metric }) => lane.metadata(metric),
    flush: () => lane.flushNow(),
    close: () => lane.close(),
  };
  void new RpcPeer(role.channel, handlers);
}
