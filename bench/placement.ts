// P1: how evenly partitions are spread, and how many copies move when a node joins or goes, against the least possible; our
// placement beside the two that it was chosen over. `node scripts/run.mjs bench/placement.ts` prints the tables.
// - Jump hash (Lamping and Veach 2014), as in the talk: buckets numbered in the order of joining, which all must remember; a
//   removal renumbers those behind. Replicas by further hashes, passing over buckets that were chosen.
// - Karger's ring (Karger et al. 1997) with 160 points a node; owners are the next distinct nodes.
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { partitionsCount, type PlacedMember, Placement } from '../src/cluster/index.ts';

const replicasCount = 3;
const pointsPerNode = 160;

/** For each partition its owners' names, one after another. */
type Table = string[];

/** A 64-bit hash of two numbers or a text, for the competitors: splitmix64's finalizer over FNV-1a. */
function hash64(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n);
  }
  hash = BigInt.asUintN(64, (hash ^ (hash >> 30n)) * 0xbf58476d1ce4e5b9n);
  hash = BigInt.asUintN(64, (hash ^ (hash >> 27n)) * 0x94d049bb133111ebn);
  return hash ^ (hash >> 31n);
}

function jumpBucket(hash: bigint, bucketsCount: number): number {
  let key = hash;
  let bucket = -1;
  for (let next = 0; next < bucketsCount;) {
    bucket = next;
    key = BigInt.asUintN(64, key * 2862933555777941757n + 1n);
    next = Math.floor((bucket + 1) * (2147483648 / (Number(key >> 33n) + 1)));
  }
  return bucket;
}

function jumpTable(names: readonly string[]): Table {
  const table: Table = [];
  for (let partition = 0; partition < partitionsCount; partition++) {
    const chosen = new Set<number>();
    for (let attempt = 0; chosen.size < replicasCount; attempt++) {
      chosen.add(jumpBucket(hash64(`${partition}/${attempt}`), names.length));
    }
    for (const bucket of chosen) table.push(names[bucket] ?? '');
  }
  return table;
}

function ringTable(names: readonly string[]): Table {
  const points = names
    .flatMap((name) => Array.from({ length: pointsPerNode }, (_, i) => ({ name, at: hash64(`${name}#${i}`) })))
    .sort((a, b) => (a.at < b.at ? -1 : 1));
  const positions = BigUint64Array.from(points, ({ at }) => at);
  const table: Table = [];
  for (let partition = 0; partition < partitionsCount; partition++) {
    const at = hash64(`partition ${partition}`);
    let low = 0;
    let high = positions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((positions[middle] ?? 0n) < at) low = middle + 1;
      else high = middle;
    }
    const chosen = new Set<string>();
    for (let i = low; chosen.size < replicasCount; i++) chosen.add(points[i % points.length]?.name ?? '');
    table.push(...chosen);
  }
  return table;
}

const placedMember = (name: string): PlacedMember => ({ name, zone: '', weight: 1 });

function rendezvousTable(names: readonly string[]): Table {
  const placement = Placement.build(names.map(placedMember), replicasCount);
  const table: Table = [];
  for (let partition = 0; partition < partitionsCount; partition++) {
    for (const { name } of placement.owners(partition)) table.push(name);
  }
  return table;
}

function counts(table: Table): Map<string, number> {
  const counted = new Map<string, number>();
  for (const name of table) counted.set(name, (counted.get(name) ?? 0) + 1);
  return counted;
}

/** Standard deviation and greatest excess of the nodes' shares, in per cent of the mean. */
function spread(table: Table, size: number): { deviation: number; excess: number } {
  const mean = table.length / size;
  const shares = [...counts(table).values()].map((count) => count / mean - 1);
  return {
    deviation: 100 * Math.sqrt(shares.reduce((sum, share) => sum + share * share, 0) / size),
    excess: 100 * Math.max(...shares),
  };
}

/** Copies that have to be made to come from one table to another. */
function movedCopies(before: Table, after: Table): number {
  let moved = 0;
  for (let start = 0; start < before.length; start += replicasCount) {
    const had = before.slice(start, start + replicasCount);
    for (const name of after.slice(start, start + replicasCount)) if (!had.includes(name)) moved++;
  }
  return moved;
}

const line = (...cells: (string | number)[]): void => console.log(`| ${cells.join(' | ')} |`);

function measureMoves(build: (names: readonly string[]) => Table, size: number): string[] {
  const names = Array.from({ length: size }, (_, i) => `timbala-${i}`);
  const table = build(names);
  const grown = build([...names, `timbala-${size}`]);
  const middle = size >> 1;
  const shrunk = build(names.toSpliced(middle, 1));
  // Least: with even shares, what the newcomer should have, and what the leaver had.
  const joinLeast = table.length / (size + 1);
  const leaveLeast = counts(table).get(names[middle] ?? '') ?? 0;
  const { deviation, excess } = spread(table, size);
  return [
    `${deviation.toFixed(2)} %`,
    `${excess.toFixed(1)} %`,
    `${(movedCopies(table, grown) / joinLeast).toFixed(3)} ×`,
    `${(movedCopies(table, shrunk) / leaveLeast).toFixed(3)} ×`,
  ];
}

function measureTimes(size: number): void {
  const members = Array.from({ length: size }, (_, i) => placedMember(`timbala-${i}`));
  const time = <Result>(work: () => Result): { ms: string; result: Result } => {
    const startMs = performance.now();
    const result = work();
    return { ms: `${(performance.now() - startMs).toFixed(0)} ms`, result };
  };
  const built = time(() => Placement.build(members, replicasCount));
  const joined = time(() => built.result.change([...members, placedMember('newcomer')]));
  const left = time(() => joined.result.change(members));
  const lookUps = 10_000_000;
  let sum = 0;
  const startMs = performance.now();
  for (let i = 0; i < lookUps; i++) sum += built.result.ownerAt((i * 40_503) & 65_535, 0) ?? 0;
  const lookUpNs = ((performance.now() - startMs) * 1e6) / lookUps;
  line(size, built.ms, joined.ms, left.ms, `${lookUpNs.toFixed(1)} ns${sum < 0 ? '!' : ''}`);
}

/** Prints the tables; `sizes` are numbers of nodes. */
export function benchPlacement(sizes: readonly number[] = [5, 19, 100]): void {
  console.log(
    `P1: ${partitionsCount} partitions, ${replicasCount} replicas. Targets: deviation ≤ 3 %, moved ≤ 1.02 ×.\n`,
  );
  line('placement', 'nodes', 'std. deviation', 'fullest node', 'moved by a join', 'moved by a removal from the middle');
  line(...Array.from({ length: 6 }, () => '---'));
  for (const [name, build] of [
    ['weighted rendezvous', rendezvousTable],
    ['jump hash', jumpTable],
    ['Karger’s ring', ringTable],
  ] as const) {
    for (const size of sizes) line(name, size, ...measureMoves(build, size));
  }
  console.log('');
  line('nodes', 'table built', 'changed by a join', 'by a removal', 'look-up');
  line(...Array.from({ length: 5 }, () => '---'));
  Placement.build([placedMember('warm'), placedMember('up')]);
  for (const size of sizes) measureTimes(size);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) benchPlacement();
