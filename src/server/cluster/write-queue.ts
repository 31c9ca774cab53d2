// The way of writes in a cluster: the lane decodes a body, the coordinator sends its samples to their owners, and the client is
// answered when a quorum has them on disk.
import type { WriteBody, WriteResult } from '../../api/index.ts';
import { errorMessage } from '../../base/index.ts';
import { BodyQueue } from '../body-queue.ts';
import type { ClusterMember } from './member.ts';

export class ClusterWriteQueue extends BodyQueue {
  readonly #store: ClusterMember['write'];

  constructor(store: ClusterMember['write']) {
    super();
    this.#store = store;
  }

  async write({ buffer, lengthBytes }: WriteBody): Promise<WriteResult> {
    try {
      const { samplesCount, rejections } = await this.#store(new Uint8Array(buffer, 0, lengthBytes));
      // Owners know which samples they had; the coordinator does not ask.
      return { outcome: { samplesCount, duplicatesCount: 0, rejections } };
    } catch (error) {
      const errorCode = error instanceof Error && 'code' in error ? String(error.code) : 'INTERNAL';
      return { errorCode, errorMessage: errorMessage(error) };
    }
  }
}
