// What replicas ask for in one go may be all of a node: it is read in pieces of time and chunks of partitions, so that memory
// stays bounded and other work of the thread gets its turn.
import type { TimeInterval } from '../part/index.ts';
import type { ReadSession } from '../reader/session.ts';
import { windowWidthsMs } from '../windows.ts';

const pieceMs = windowWidthsMs[3] as number;
/** A million series have 15 a partition: a chunk is a frame of the head's copies (sources.ts). */
const chunkPartitions = 64;

/** The pieces of a range (inclusive) that anything lies in, ascending. */
export async function piecesOf(session: ReadSession, range: TimeInterval): Promise<TimeInterval[]> {
  const starts = await session.windowStarts(pieceMs);
  return starts
    .map((startMs) => ({
      startMs: Math.max(startMs, range.startMs),
      endMs: Math.min(startMs + pieceMs - 1, range.endMs),
    }))
    .filter(({ startMs, endMs }) => startMs <= endMs);
}

export function* chunksOf(partitions: Uint32Array): Generator<Uint32Array> {
  for (let from = 0; from < partitions.length; from += chunkPartitions) {
    yield partitions.subarray(from, from + chunkPartitions);
  }
}
