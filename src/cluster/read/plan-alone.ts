// The plan of reads that add up what nodes hold, and so may count nothing twice: a stretch of time over which every partition is
// served by one owner alone, each by one node. It reaches as far as marks allow; what lies outside is read as samples.
import { TimbalaError } from '../../base/index.ts';
import type { StepReach } from '../../promql/index.ts';
import { type NodeName, type ReadSegment, type Selection, windowStartOf } from '../contracts.ts';
import {
  addTo,
  forEachPartition,
  ownersAlone,
  plansRemembered,
  type PlanInput,
  type ReadPlan,
  SegmentMemory,
  segmentsOf,
  type Teller,
  tellersOf,
} from './plan.ts';

/** By partition the owners, a bit each, that serve it alone; undefined where some partition has none. */
type Alone = Uint8Array | undefined;

/** A closed range and who serves it alone. */
interface Stretch {
  readonly fromMs: number;
  readonly toMs: number;
  readonly alone: Uint8Array;
}

export class AloneMemory extends SegmentMemory<Alone> {
  constructor() {
    super(aloneIn);
  }
}

function aloneIn(input: PlanInput, tellers: readonly Teller[]): Alone {
  const alone = new Uint8Array(input.partitionsCount);
  forEachPartition(
    input,
    tellers,
    (partition) => ownersAlone(input, partition, tellers),
    (partition, bits) => (alone[partition] = bits),
  );
  return alone.includes(0) ? undefined : alone;
}

/**
 * True where asking can be worth it: the window that is being written is marked nearly always, so the first step at least must
 * not reach into it.
 */
export function mayBeServedAlone({ startMs, afterMs }: StepReach, nowMs: number): boolean {
  return startMs + afterMs < windowStartOf(nowMs);
}

/** Of all steps, where samples have to be read for the rest anyway. */
const stepsShareMin = 0.25;

/** Narrows the selection to the stretch that holds most of the steps. Throws READ_NOT_SHARED where none holds many. */
export function planAlone(
  input: PlanInput,
  selection: Selection,
  reach: StepReach,
  memory = new AloneMemory(),
): ReadPlan {
  let best: Stretch | undefined;
  let bestStepsCount = 0;
  for (const stretch of stretchesOf(input, memory)) {
    const stepsCount = stepsIn(reach, stretch);
    if (stepsCount > bestStepsCount) {
      best = stretch;
      bestStepsCount = stepsCount;
    }
  }
  if (!best || bestStepsCount < stepsShareMin * reach.stepsCount) {
    throw new TimbalaError('READ_NOT_SHARED', 'few steps, if any, read only what single owners serve');
  }
  const { fromMs, toMs } = best;
  return { sources: sharesOf(input, best), ownerlessCount: 0, selection: { ...selection, fromMs, toMs } };
}

/** Segments are joined as long as every partition keeps an owner that serves all of them. */
function* stretchesOf(input: PlanInput, memory: AloneMemory): Generator<Stretch> {
  let current: Stretch | undefined;
  const segments = segmentsOf(input.fromMs, input.toMs, input.heard);
  // More would be worked out anew for every query.
  if (segments.length > plansRemembered) return;
  for (const [fromMs, toMs] of segments) {
    const alone = memory.of(input, tellersOf(input.heard, fromMs));
    const joined = current && alone && inBoth(current.alone, alone);
    if (current && !joined) yield current;
    current = alone && { fromMs: joined && current ? current.fromMs : fromMs, toMs, alone: joined ?? alone };
  }
  if (current) yield current;
}

function inBoth(a: Uint8Array, b: Uint8Array): Alone {
  if (a === b) return a;
  const both = new Uint8Array(a.length);
  for (let partition = 0; partition < a.length; partition++) {
    const bits = (a[partition] as number) & (b[partition] as number);
    if (bits === 0) return undefined;
    both[partition] = bits;
  }
  return both;
}

function stepsIn({ startMs, stepMs, stepsCount, beforeMs, afterMs }: StepReach, { fromMs, toMs }: Stretch): number {
  const first = Math.max(0, Math.ceil((fromMs + beforeMs - startMs) / stepMs));
  const end = Math.min(stepsCount, Math.floor((toMs - afterMs - startMs) / stepMs) + 1);
  return Math.max(0, end - first);
}

/** Of the owners that may, the first in the partition's order that did not fail lately: that spreads the work over all nodes. */
function sharesOf(
  { owners, partitionsCount, suspects }: PlanInput,
  { fromMs, toMs, alone }: Stretch,
): ReadPlan['sources'] {
  const sources = new Map<NodeName, ReadSegment[]>();
  const bitmaps = new Map<NodeName, Uint8Array>();
  for (let partition = 0; partition < partitionsCount; partition++) {
    const bits = alone[partition] as number;
    let name = owners(partition)[31 - Math.clz32(bits & -bits)] as NodeName;
    if (suspects.has(name)) {
      name = owners(partition).find((other, at) => (bits & (1 << at)) !== 0 && !suspects.has(other)) ?? name;
    }
    let partitions = bitmaps.get(name);
    if (!partitions) {
      partitions = new Uint8Array((partitionsCount + 7) >> 3);
      bitmaps.set(name, partitions);
      sources.set(name, [{ fromMs, toMs, partitions }]);
    }
    addTo(partitions, partition);
  }
  return sources;
}
