// Who is read for what, from the marks that members have told of: an owner alone where every mark of others lists it (or
// there is none), otherwise one owner and all who mark. Pure: the reader (`reader.ts`) asks and reads.
//
// Why it is complete: a sample is acknowledged when at least two stores hold it marked. A mark goes only when all owners have
// confirmed. So, with one store left out at most, either a heard node marks the sample's pair (it is read, or it lists the
// owner, which then has the sample), or none does, and every owner has it.
import { type NodeName, type ReadSegment, type Selection, windowMs } from '../contracts.ts';
import type { OwnerToken } from '../decisions.ts';
import type { HeardLayer } from '../marks/index.ts';

/** A node's marks in a range, by window (undefined: of whole partitions). */
export type HeardMarks = ReadonlyMap<number | undefined, HeardLayer>;

export interface PlanInput {
  readonly fromMs: number;
  readonly toMs: number;
  readonly partitionsCount: number;
  /** Members that were heard, with their marks. */
  readonly heard: ReadonlyMap<NodeName, HeardMarks>;
  /** The same array for partitions with the same owners. */
  owners(partition: number): readonly NodeName[];
  token(name: NodeName): OwnerToken;
  /** Owners are tried in this order; the first is the cheapest to read. */
  rank(name: NodeName): number;
  /** One who marks may go unread for each pair: nothing else is left out. */
  readonly maySpare: boolean;
  /** Never spared: nobody else may have what it holds. */
  readonly unsparable: ReadonlySet<NodeName>;
  /** They failed lately while they were read: read only where others will not do. */
  readonly suspects: ReadonlySet<NodeName>;
}

export interface ReadPlan {
  readonly sources: ReadonlyMap<NodeName, readonly ReadSegment[]>;
  /** Partitions none of whose owners was heard. */
  readonly ownerlessCount: number;
  /** Where less than was asked for is read: its range lies within. */
  readonly selection?: Selection;
}

/** Of segments: after an outage of days as many windows are marked, and each query looks at all of them. */
export const plansRemembered = 128;

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

/** What one member has told that matters in a segment. */
export interface Teller {
  readonly name: NodeName;
  readonly whole: HeardLayer | undefined;
  readonly window: HeardLayer | undefined;
}

export function tellersOf(heard: ReadonlyMap<NodeName, HeardMarks>, beginMs: number): Teller[] {
  const windowStartMs = Math.floor(beginMs / windowMs) * windowMs;
  return [...heard].map(([name, marks]) => ({
    name,
    whole: marks.get(undefined),
    window: marks.get(windowStartMs),
  }));
}

type Markers = ReadonlyMap<NodeName, readonly (readonly OwnerToken[])[]>;

/** Who marks a partition in one segment, and whom these marks list. */
function markersOf(partition: number, tellers: readonly Teller[]): Markers {
  const markers = new Map<NodeName, (readonly OwnerToken[])[]>();
  for (const { name, whole, window } of tellers) {
    const lists: (readonly OwnerToken[])[] = [];
    for (const layer of [whole, window]) {
      const number = layer?.lists[partition] ?? 0;
      if (number > 0) lists.push(layer?.owners[number] ?? []);
    }
    if (lists.length > 0) markers.set(name, lists);
  }
  return markers;
}

/** Every mark of others lists it, so it has all that was acknowledged. */
function isAlone(owner: NodeName, markers: Markers, input: PlanInput): boolean {
  return [...markers].every(
    ([name, lists]) => name === owner || lists.every((list) => list.includes(input.token(owner))),
  );
}

/** The nodes to be read for a partition in one segment. */
function sourcesOf(input: PlanInput, partition: number, tellers: readonly Teller[]): readonly NodeName[] {
  const isSuspect = (name: NodeName): boolean => input.suspects.has(name);
  const markers = markersOf(partition, tellers);
  const owners = input
    .owners(partition)
    .filter((name) => input.heard.has(name))
    .sort((a, b) => Number(isSuspect(a)) - Number(isSuspect(b)) || input.rank(a) - input.rank(b));
  const alone = owners.find((owner) => isAlone(owner, markers, input));
  if (alone !== undefined && !isSuspect(alone)) return [alone];
  const [chosen] = owners;
  const others = [...markers.keys()].filter((name) => name !== chosen);
  const sparable = input.maySpare ? others.filter((name) => !input.unsparable.has(name)) : [];
  const spared = sparable.find(isSuspect) ?? sparable[0];
  // An owner that marks is among those who mark: sparing another leaves enough only where two at least do.
  const read = markers.size >= 2 ? others.filter((name) => name !== spared) : others;
  const several = chosen === undefined ? others : [chosen, ...read];
  return alone !== undefined && several.some(isSuspect) ? [alone] : several;
}

/** Those of a partition's owners, a bit each by their position, that were heard and could serve it alone in one segment. */
export function ownersAlone(input: PlanInput, partition: number, tellers: readonly Teller[]): number {
  const markers = markersOf(partition, tellers);
  return input
    .owners(partition)
    .reduce(
      (bits, owner, at) => (input.heard.has(owner) && isAlone(owner, markers, input) ? bits | (1 << at) : bits),
      0,
    );
}

/** Who serves which partitions in one segment. */
interface SegmentPlan {
  readonly partitions: ReadonlyMap<NodeName, Uint8Array>;
  readonly ownerlessCount: number;
}

/** Visits all partitions. Those alike in owners and in what was told of them are worked out once. */
export function forEachPartition<T>(
  input: PlanInput,
  tellers: readonly Teller[],
  workOut: (partition: number) => T,
  visit: (partition: number, found: T) => void,
): void {
  const told = toldOfPartitions(input.partitionsCount, tellers);
  const byOwners = new Map<readonly NodeName[], Map<number, { readonly found: T }>>();
  for (let partition = 0; partition < input.partitionsCount; partition++) {
    const owners = input.owners(partition);
    let known = byOwners.get(owners);
    if (!known) {
      known = new Map();
      byOwners.set(owners, known);
    }
    let same = known.get(told[partition] as number);
    if (!same) {
      same = { found: workOut(partition) };
      known.set(told[partition] as number, same);
    }
    visit(partition, same.found);
  }
}

/** A number for each partition, equal where all layers have told the same of it: the layers' list numbers as digits of one. */
function toldOfPartitions(partitionsCount: number, tellers: readonly Teller[]): Float64Array {
  const told = new Float64Array(partitionsCount);
  let numbersCount = 1;
  for (const layer of tellers.flatMap(({ whole, window }) => [whole, window])) {
    if (!layer) continue;
    const { lists, owners } = layer;
    if (numbersCount * owners.length > Number.MAX_SAFE_INTEGER) numbersCount = renumber(told);
    numbersCount *= owners.length;
    for (let partition = 0; partition < partitionsCount; partition++) {
      told[partition] = (told[partition] as number) * owners.length + (lists[partition] ?? 0);
    }
  }
  return told;
}

/** Gives equal numbers the same small one; gives their count. */
function renumber(numbers: Float64Array): number {
  const known = new Map<number, number>();
  for (const [index, number] of numbers.entries()) {
    let small = known.get(number);
    if (small === undefined) {
      small = known.size;
      known.set(number, small);
    }
    numbers[index] = small;
  }
  return known.size;
}

export function addTo(bitmap: Uint8Array, partition: number): void {
  bitmap[partition >> 3] = (bitmap[partition >> 3] ?? 0) | (1 << (partition & 7));
}

function planSegment(input: PlanInput, tellers: readonly Teller[]): SegmentPlan {
  const bitmaps = new Map<NodeName, Uint8Array>();
  const bitmapOf = (name: NodeName): Uint8Array => {
    const bitmap = bitmaps.get(name) ?? new Uint8Array((input.partitionsCount + 7) >> 3);
    bitmaps.set(name, bitmap);
    return bitmap;
  };
  let ownerlessCount = 0;
  forEachPartition(
    input,
    tellers,
    (partition) => ({
      bitmaps: sourcesOf(input, partition, tellers).map(bitmapOf),
      isOwnerless: !input.owners(partition).some((name) => input.heard.has(name)),
    }),
    (partition, { bitmaps: read, isOwnerless }) => {
      for (const bitmap of read) addTo(bitmap, partition);
      if (isOwnerless) ownerlessCount++;
    },
  );
  return { partitions: bitmaps, ownerlessCount };
}

/**
 * Remembers what was worked out of segments: while nobody's marks change, one query is planned as the one before was. Marks are
 * known by the identity of their layers. Of one view and one reading node; make another when the view changes.
 */
export class SegmentMemory<T> {
  readonly #workOut: (input: PlanInput, tellers: readonly Teller[]) => T;
  readonly #known: { readonly key: readonly unknown[]; readonly plan: T }[] = [];

  constructor(workOut: (input: PlanInput, tellers: readonly Teller[]) => T) {
    this.#workOut = workOut;
  }

  of(input: PlanInput, tellers: readonly Teller[]): T {
    const key = [
      input.maySpare,
      [...input.unsparable].join('\n'),
      [...input.suspects].join('\n'),
      ...tellers.flatMap(({ name, whole, window }) => [name, whole, window]),
    ];
    const isSame = (other: readonly unknown[]): boolean =>
      other.length === key.length && other.every((part, index) => part === key[index]);
    const found = this.#known.find((entry) => isSame(entry.key));
    if (found) return found.plan;
    const plan = this.#workOut(input, tellers);
    this.#known.unshift({ key, plan });
    this.#known.length = Math.min(this.#known.length, plansRemembered);
    return plan;
  }
}

export class PlanMemory extends SegmentMemory<SegmentPlan> {
  constructor() {
    super(planSegment);
  }
}

export function planRead(input: PlanInput, memory: PlanMemory = new PlanMemory()): ReadPlan {
  const sources = new Map<NodeName, ReadSegment[]>();
  let ownerlessCount = 0;
  let last: { plan: SegmentPlan; fromMs: number; toMs: number } | undefined;
  const end = (): void => {
    if (!last) return;
    const { plan, fromMs, toMs } = last;
    for (const [name, partitions] of plan.partitions) {
      const segments = sources.get(name) ?? [];
      segments.push({ fromMs, toMs, partitions });
      sources.set(name, segments);
    }
    ownerlessCount += plan.ownerlessCount;
  };
  for (const [fromMs, toMs] of segmentsOf(input.fromMs, input.toMs, input.heard)) {
    const plan = memory.of(input, tellersOf(input.heard, fromMs));
    if (last?.plan === plan) {
      last.toMs = toMs;
      continue;
    }
    end();
    last = { plan, fromMs, toMs };
  }
  end();
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
