// What replicas ask for in one go may be all of a node: it is read in pieces of time and chunks of partitions, so that memory
// stays bounded and other work of the thread gets its turn.
import type { TimeInterval } from '../part/index.ts';
import type { ReadSession } from '../reader/session.ts';
import { windowWidthsMs } from '../windows.ts';

const pieceMs = windowWidthsMs[3] as number;
/** Series of a chunk: a frame of the head's copies (sources.ts). Each chunk costs some calls to the lane, one after another. */
const chunkSeries = 1024;
const partitionsCount = 65_536;
const chunkPartitionsMax = 4096;

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

/** How many partitions make a chunk where so many series lie in all of them; fingerprints spread evenly. */
export function chunkPartitions(seriesCount: number): number {
  const partitions = Math.floor((chunkSeries * partitionsCount) / Math.max(1, seriesCount));
  return Math.min(Math.max(partitions, 1), chunkPartitionsMax);
}

export function* chunksOf(partitions: Uint32Array, chunkLength: number): Generator<Uint32Array> {
  for (let from = 0; from < partitions.length; from += chunkLength) {
    yield partitions.subarray(from, from + chunkLength);
  }
}
