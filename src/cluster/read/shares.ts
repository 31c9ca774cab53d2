// What other nodes serve of a plan, told apart: what the asking node reads itself as well, and what it does not. Of the former
// a peer need only send what differs.
import type { NodeName, ReadSegment } from '../contracts.ts';
import type { ReadPlan } from './plan.ts';

/** One read of one node. */
export interface Share {
  readonly from: NodeName;
  readonly segments: readonly ReadSegment[];
  /** The asking node reads all of it itself, too. */
  readonly isShared: boolean;
}

/** The shares of all but `self`; none is empty, and a node has two at most. */
export function sharesOf(sources: ReadPlan['sources'], self: NodeName, own: readonly ReadSegment[]): Share[] {
  return [...sources].flatMap(([from, segments]) => {
    if (from === self) return [];
    const shared: ReadSegment[] = [];
    const rest: ReadSegment[] = [];
    for (const segment of segments) split(segment, own, shared, rest);
    return [
      { from, segments: rest, isShared: false },
      { from, segments: shared, isShared: true },
    ].filter((share) => share.segments.length > 0);
  });
}

function split(segment: ReadSegment, own: readonly ReadSegment[], shared: ReadSegment[], rest: ReadSegment[]): void {
  const { fromMs, toMs } = segment;
  let { partitions } = segment;
  for (const other of own) {
    const [beginMs, endMs] = [Math.max(fromMs, other.fromMs), Math.min(toMs, other.toMs)];
    if (beginMs > endMs) continue;
    const both = partitions.map((bits, i) => bits & (other.partitions[i] ?? 0));
    if (isEmpty(both)) continue;
    shared.push({ fromMs: beginMs, toMs: endMs, partitions: both });
    if (fromMs < beginMs) rest.push({ fromMs, toMs: beginMs - 1, partitions: both });
    if (endMs < toMs) rest.push({ fromMs: endMs + 1, toMs, partitions: both });
    partitions = partitions.map((bits, i) => bits & ~(both[i] ?? 0));
  }
  if (!isEmpty(partitions)) rest.push({ fromMs, toMs, partitions });
}

function isEmpty(bitmap: Uint8Array): boolean {
  return bitmap.every((bits) => bits === 0);
}
