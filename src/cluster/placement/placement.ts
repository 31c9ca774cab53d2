// Which nodes own a partition: weighted rendezvous hashing (Thaler and Ravishankar 1998; weights by exponential draws) of
// 65,536 partitions × names, one owner per zone where there are zones enough. docs/formats/placement.md defines it.
//
// - The result depends on the set of members alone, not on their order or history: nodes that know the same members agree.
// - A member that comes takes partitions only for itself, one that goes gives up only its own: no change moves less.
// - A look-up is one read of a table of 65,536 × replicas entries; `change` derives the next table from this one.
import { assert, TimbalaError } from '../../base/index.ts';
import { compareUtf8 } from '../../model/index.ts';
import { type DrawKey, drawCost, drawKey } from './draw.ts';

export const partitionsCount = 65_536;

/** A node that takes its share of the data. */
export interface PlacedMember {
  readonly name: string;
  /** Where it can fail together with others (a rack, a data centre); '' is a zone like any other. */
  readonly zone: string;
  /** Its share relative to others; finite, above 0. */
  readonly weight: number;
}

interface Candidate extends PlacedMember {
  readonly key: DrawKey;
  /** Number of its zone among the zones at hand. */
  readonly zoneNumber: number;
}

/** More than any index of a member: no owner (fewer members than replicas). */
const nobody = 0xffff;

export class Placement {
  /** Sorted by the UTF-8 bytes of their names; the table holds positions in it. */
  readonly members: readonly PlacedMember[];
  readonly replicasCount: number;
  readonly #candidates: readonly Candidate[];
  /** At least as many zones as replicas: owners are the best of each of the best zones. */
  readonly #zonesSuffice: boolean;
  readonly #hasOneZone: boolean;
  /** Owners of partition p, the first choice first: p × replicasCount and following. */
  readonly #owners: Uint16Array;
  /** The costs of those owners, in the same places. */
  readonly #costs: Float64Array;

  /** Placement of `members` (any order, names unique; at most 65,534). Throws PLACEMENT_INVALID. */
  constructor(members: Iterable<PlacedMember>, replicasCount = 3) {
    const sorted = [...members].sort((a, b) => compareUtf8(a.name, b.name));
    validate(sorted, replicasCount);
    const zones = new Map<string, number>();
    for (const { zone } of sorted) if (!zones.has(zone)) zones.set(zone, zones.size);
    this.members = sorted;
    this.replicasCount = replicasCount;
    this.#candidates = sorted.map((member) => ({
      name: member.name,
      zone: member.zone,
      weight: member.weight,
      key: drawKey(member.name),
      zoneNumber: zones.get(member.zone) ?? 0,
    }));
    this.#zonesSuffice = zones.size >= replicasCount;
    this.#hasOneZone = zones.size <= 1;
    this.#owners = new Uint16Array(partitionsCount * replicasCount).fill(nobody);
    this.#costs = new Float64Array(partitionsCount * replicasCount).fill(Number.POSITIVE_INFINITY);
  }

  static build(members: Iterable<PlacedMember>, replicasCount = 3): Placement {
    const placement = new Placement(members, replicasCount);
    placement.#fill();
    return placement;
  }

  /** The owner of a partition by rank (0: first choice) as a position in `members`; undefined where members are too few. */
  ownerAt(partition: number, rank: number): number | undefined {
    assert(
      partition >= 0 && partition < partitionsCount && rank < this.replicasCount,
      'partition and rank are in range',
    );
    const index = this.#owners[partition * this.replicasCount + rank] ?? nobody;
    return index === nobody ? undefined : index;
  }

  /** The owners of a partition, the first choice first; fewer than `replicasCount` where members are fewer. */
  owners(partition: number): PlacedMember[] {
    const owners: PlacedMember[] = [];
    for (let rank = 0; rank < this.replicasCount; rank++) {
      const index = this.ownerAt(partition, rank);
      const member = index === undefined ? undefined : this.members[index];
      if (member) owners.push(member);
    }
    return owners;
  }

  /** All members in a partition's order: its owners, then who stands in for them, next first. Worked out at each call. */
  order(partition: number): PlacedMember[] {
    return this.#orderOf(partition).map(({ candidate }) => ({
      name: candidate.name,
      zone: candidate.zone,
      weight: candidate.weight,
    }));
  }

  /**
   * The placement of other members. Where only a few came or went it draws for those who came, and anew for the partitions of
   * those who went: a fraction of the work of `build`, and always the same result.
   */
  change(members: Iterable<PlacedMember>): Placement {
    const next = new Placement(members, this.replicasCount);
    // Where zones are too few the rule looks at all members of a partition at once; nothing can be derived.
    const isDerivable =
      (this.#hasOneZone && next.#hasOneZone) || (this.#zonesSuffice && next.#zonesSuffice && !this.#hasOneZone);
    const enoughMembers = this.members.length >= this.replicasCount && next.members.length >= this.replicasCount;
    if (isDerivable && enoughMembers) next.#derive(this);
    else next.#fill();
    return next;
  }

  /** Candidates by cost; of equal cost (unheard of) the first by name. */
  #byCost(partition: number): { candidate: Candidate; index: number; cost: number }[] {
    return this.#candidates
      .map((candidate, index) => ({ candidate, index, cost: drawCost(candidate.key, partition, candidate.weight) }))
      .sort((a, b) => a.cost - b.cost || a.index - b.index);
  }

  /** By cost, but the best of each zone first: who stands in for an owner is in another zone too while there is one. */
  #orderOf(partition: number): { candidate: Candidate; index: number; cost: number }[] {
    const byCost = this.#byCost(partition);
    if (this.#hasOneZone) return byCost;
    const zones = new Set<number>();
    const first = byCost.filter(({ candidate }) => {
      if (zones.has(candidate.zoneNumber)) return false;
      zones.add(candidate.zoneNumber);
      return true;
    });
    const chosen = new Set(first);
    return [...first, ...byCost.filter((entry) => !chosen.has(entry))];
  }

  #fill(): void {
    if (this.#hasOneZone || this.#zonesSuffice) {
      for (const index of this.#candidates.keys()) this.#offerEverywhere(index);
      return;
    }
    for (let partition = 0; partition < partitionsCount; partition++) this.#choose(partition);
  }

  #derive(previous: Placement): void {
    const positions = new Map(previous.#candidates.map((candidate, index) => [candidate.name, index]));
    const stayed = new Uint16Array(previous.members.length).fill(nobody);
    const came: number[] = [];
    for (const [index, { name, zone, weight }] of this.#candidates.entries()) {
      const position = positions.get(name);
      const before = position === undefined ? undefined : previous.#candidates[position];
      if (position !== undefined && before?.zone === zone && before.weight === weight) stayed[position] = index;
      else came.push(index);
    }
    this.#costs.set(previous.#costs);
    const orphaned = new Set<number>();
    for (let slot = 0; slot < this.#owners.length; slot++) {
      const index = stayed[previous.#owners[slot] ?? 0] ?? nobody;
      this.#owners[slot] = index;
      if (index === nobody) orphaned.add(Math.floor(slot / this.replicasCount));
    }
    for (const partition of orphaned) this.#choose(partition);
    for (const index of came) this.#offerEverywhere(index, orphaned);
  }

  /** Chooses the owners of one partition among all members. */
  #choose(partition: number): void {
    const start = partition * this.replicasCount;
    const order = this.#orderOf(partition);
    for (let rank = 0; rank < this.replicasCount; rank++) {
      this.#owners[start + rank] = order[rank]?.index ?? nobody;
      this.#costs[start + rank] = order[rank]?.cost ?? Number.POSITIVE_INFINITY;
    }
  }

  /** Lets one member take its place among the owners chosen so far, in every partition but the excepted. */
  #offerEverywhere(index: number, except?: ReadonlySet<number>): void {
    const candidate = this.#candidates[index];
    assert(candidate, 'the index is of a member');
    const { key, weight } = candidate;
    for (let partition = 0; partition < partitionsCount; partition++) {
      if (except?.has(partition)) continue;
      this.#offer(partition, index, candidate.zoneNumber, drawCost(key, partition, weight));
    }
  }

  #offer(partition: number, index: number, zoneNumber: number, cost: number): void {
    const start = partition * this.replicasCount;
    const isBefore = (slot: number): boolean => {
      const other = this.#costs[slot] ?? 0;
      return cost < other || (cost === other && index < (this.#owners[slot] ?? nobody));
    };
    // The slot that falls free: that of the zone's own owner if it has one, otherwise the last.
    let free = start + this.replicasCount - 1;
    if (!this.#hasOneZone) {
      for (let slot = start; slot < start + this.replicasCount; slot++) {
        if (this.#candidates[this.#owners[slot] ?? nobody]?.zoneNumber === zoneNumber) free = slot;
      }
    }
    if (!isBefore(free)) return;
    while (free > start && isBefore(free - 1)) {
      this.#owners[free] = this.#owners[free - 1] ?? nobody;
      this.#costs[free] = this.#costs[free - 1] ?? 0;
      free--;
    }
    this.#owners[free] = index;
    this.#costs[free] = cost;
  }
}

function validate(sorted: readonly PlacedMember[], replicasCount: number): void {
  const invalid = (what: string): never => {
    throw new TimbalaError('PLACEMENT_INVALID', `${what}; no placement was made`);
  };
  if (!Number.isInteger(replicasCount) || replicasCount < 1) invalid(`${replicasCount} replicas`);
  if (sorted.length >= nobody) invalid(`${sorted.length} members, at most ${nobody - 1}`);
  for (const [index, { name, weight }] of sorted.entries()) {
    if (!(weight > 0 && Number.isFinite(weight))) invalid(`member ${name} has weight ${weight}`);
    if (sorted[index + 1]?.name === name) invalid(`member ${name} is there twice`);
  }
}
