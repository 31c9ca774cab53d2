// Bounds the bytes that wait in the lane for the sake of peers: payloads that are being appended lie in this process's
// memory, and a disk that is slower than its peers must say so before that fills. Refusals are LANE_BUSY (STORE_BUSY to the
// protocols), and nothing is stored. What is merely copied between nodes gives way before what clients write.
import { TimbalaError } from '../../base/index.ts';
import type { ReplicaLane } from '../../storage/index.ts';
import { peerAppendBytesMax } from '../limits.ts';

export class LaneGate {
  readonly lane: ReplicaLane;
  #waitingBytes = 0;
  #refusedCount = 0;

  constructor(lane: ReplicaLane) {
    const appendReceived: ReplicaLane['appendReceived'] = async (samples, origin) => {
      const bytesMax = origin === 'written' ? peerAppendBytesMax : peerAppendBytesMax / 2;
      const { length } = samples.bytes;
      // A payload larger than the bound gets its chance when nothing else waits.
      if (this.#waitingBytes > 0 && this.#waitingBytes + length > bytesMax) {
        this.#refusedCount++;
        const text = `${this.#waitingBytes} bytes of peers wait for the disk; send it again later`;
        throw new TimbalaError('LANE_BUSY', text);
      }
      this.#waitingBytes += length;
      try {
        return await lane.appendReceived(samples, origin);
      } finally {
        this.#waitingBytes -= length;
      }
    };
    this.lane = { ...lane, appendReceived };
  }

  /** Of payloads that are being appended. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get refusedCount(): number {
    return this.#refusedCount;
  }

  get isOverHalf(): boolean {
    return this.#waitingBytes > peerAppendBytesMax / 2;
  }
}
