// Who is read for what, from the marks that members have told of: an owner alone where every mark of others lists it (or
// there is none), otherwise one owner and all who mark. Pure: the reader (`reader.ts`) asks and reads.
//
// Why it is complete: a sample is acknowledged when at least two stores hold it marked. A mark goes only when all owners have
// confirmed. So, with one store left out at most, either a heard node marks the sample's pair (it is read, or it lists the
// owner, which then has the sample), or none does, and every owner has it.
import { type NodeName, type ReadSegment, windowMs } from '../contracts.ts';
import type { OwnerToken } from '../decisions.ts';

/** A node's marks in a range: by window (undefined: all windows) and partition the owners listed. */
export type HeardMarks = ReadonlyMap<number | undefined, ReadonlyMap<number, readonly OwnerToken[]>>;

export interface PlanInput {
  readonly fromMs: number;
  readonly toMs: number;
  readonly partitionsCount: number;
  /** Members that were heard, with their marks. */
  readonly heard: ReadonlyMap<NodeName, HeardMarks>;
  owners(partition: number): readonly NodeName[];
  token(name: NodeName): OwnerToken;
  /** Owners are tried in this order; the first is the cheapest to read. */
  rank(name: NodeName): number;
  /** One who marks may go unread for each pair: nothing else is left out. */
  readonly maySpare: boolean;
  /** Never spared: nobody else may have what it holds. */
  readonly unsparable: ReadonlySet<NodeName>;
}

export interface ReadPlan {
  readonly sources: ReadonlyMap<NodeName, readonly ReadSegment[]>;
  /** Partitions none of whose owners was heard. */
  readonly ownerlessCount: number;
}

/** Cuts the range where marks begin and end: windows with marks apart, what lies between them together. */
export function segmentsOf(fromMs: number, toMs: number, heard: ReadonlyMap<NodeName, HeardMarks>): [number, number][] {
  const starts = new Set<number>();
  for (const marks of heard.values()) {
    for (const windowStartMs of marks.keys()) if (windowStartMs !== undefined) starts.add(windowStartMs);
  }
  const cuts = new Set<number>();
  for (const start of starts) {
    if (start > fromMs && start <= toMs) cuts.add(start);
    if (start + windowMs > fromMs && start + windowMs <= toMs) cuts.add(start + windowMs);
  }
  const begins = [fromMs, ...[...cuts].sort((a, b) => a - b)];
  return begins.map((begin, index) => [begin, (begins[index + 1] ?? toMs + 1) - 1]);
}

/** The nodes to be read for one partition in one segment. */
function sourcesOf(input: PlanInput, partition: number, beginMs: number): readonly NodeName[] {
  const markers = new Map<NodeName, (readonly OwnerToken[])[]>();
  const windowStartMs = Math.floor(beginMs / windowMs) * windowMs;
  for (const [name, marks] of input.heard) {
    const lists = [marks.get(undefined)?.get(partition), marks.get(windowStartMs)?.get(partition)].filter(
      (list) => list !== undefined,
    );
    if (lists.length > 0) markers.set(name, lists);
  }
  const owners = input
    .owners(partition)
    .filter((name) => input.heard.has(name))
    .sort((a, b) => input.rank(a) - input.rank(b));
  const alone = owners.find((owner) =>
    [...markers].every(([name, lists]) => name === owner || lists.every((list) => list.includes(input.token(owner)))),
  );
  if (alone !== undefined) return [alone];
  const [chosen] = owners;
  const others = [...markers.keys()].filter((name) => name !== chosen);
  const spared = input.maySpare ? others.find((name) => !input.unsparable.has(name)) : undefined;
  // An owner that marks is among those who mark: sparing another leaves enough only where two at least do.
  const read = markers.size >= 2 ? others.filter((name) => name !== spared) : others;
  return chosen === undefined ? others : [chosen, ...read];
}

export function planRead(input: PlanInput): ReadPlan {
  const sources = new Map<NodeName, ReadSegment[]>();
  let ownerlessCount = 0;
  const bytesCount = (input.partitionsCount + 7) >> 3;
  for (const [fromMs, toMs] of segmentsOf(input.fromMs, input.toMs, input.heard)) {
    const bitmaps = new Map<NodeName, Uint8Array>();
    for (let partition = 0; partition < input.partitionsCount; partition++) {
      const read = sourcesOf(input, partition, fromMs);
      if (!input.owners(partition).some((name) => input.heard.has(name))) ownerlessCount++;
      for (const name of read) {
        let bitmap = bitmaps.get(name);
        if (!bitmap) {
          bitmap = new Uint8Array(bytesCount);
          bitmaps.set(name, bitmap);
        }
        bitmap[partition >> 3] = (bitmap[partition >> 3] ?? 0) | (1 << (partition & 7));
      }
    }
    for (const [name, partitions] of bitmaps) {
      sources.set(name, [...(sources.get(name) ?? []), { fromMs, toMs, partitions }]);
    }
  }
  return { sources, ownerlessCount };
}

/** The plan that is always right: everything from everyone. The oracle of every other. */
export function planEverything(input: PlanInput): ReadPlan {
  const partitions = new Uint8Array((input.partitionsCount + 7) >> 3).fill(0xff);
  const segment = { fromMs: input.fromMs, toMs: input.toMs, partitions };
  return { sources: new Map([...input.heard.keys()].map((name) => [name, [segment]])), ownerlessCount: 0 };
}

export function* partitionsIn(bitmap: Uint8Array): Generator<number> {
  for (const [index, byte] of bitmap.entries()) {
    for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) yield index * 8 + bit;
  }
}
