// Looks into the stores of nodes that have ended: which copies are where, and whether owners hold equal ones. This needs no
// answer of a running node, so it shows what queries can't: a copy that is missing though another one answers for it.
import { join } from 'node:path';
import { mib } from '../../src/base/index.ts';
import {
  allOf,
  ClusterRecord,
  partitionsCount,
  Placement,
  windowMs,
  type LocalStore,
} from '../../src/cluster/index.ts';
import { NodeDisk, SystemClock, SystemRandom } from '../../src/node/index.ts';
import type { Log } from '../../src/ports/index.ts';
import { openReplicaStorage } from '../../src/storage/index.ts';
import { loadTestModule } from '../../src/wasm/test-modules.ts';

/** A node whose process has ended. */
export interface EndedNode {
  readonly name: string;
  readonly dataDirectory: string;
}

const replicasCount = 3;
const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };

/** Samples and digest by window, by partition. */
type Holdings = ReadonlyMap<number, ReadonlyMap<number, { readonly samplesCount: number; readonly sum: bigint }>>;

export interface Copies {
  /** What is not as it should be, in words. */
  readonly problems: readonly string[];
  /** Samples in ended windows, by node. */
  readonly samplesByNode: ReadonlyMap<string, number>;
  /** Samples in ended windows, each counted once. */
  readonly samplesCount: number;
}

async function holdingsOf(store: LocalStore, endMs: number): Promise<Holdings> {
  const holdings = new Map<number, Map<number, { samplesCount: number; sum: bigint }>>();
  for (const partition of await store.heldPartitions()) {
    const [digests = []] = await store.digests(allOf([partition]));
    const ended = digests.filter(
      ({ windowStartMs, samplesCount }) => windowStartMs + windowMs <= endMs && samplesCount > 0,
    );
    if (ended.length > 0) holdings.set(partition, new Map(ended.map((digest) => [digest.windowStartMs, digest])));
  }
  return holdings;
}

async function readStore(node: EndedNode, endMs: number): Promise<{ holdings: Holdings; record: ClusterRecord }> {
  const { storage, store } = await openReplicaStorage({
    disk: new NodeDisk(node.dataDirectory),
    clock: new SystemClock(),
    random: new SystemRandom(),
    log: silent,
    modules: { wire: loadTestModule('wire'), head: loadTestModule('head'), pages: loadTestModule('pages') },
    limits: { headBytesMax: 256 * mib },
    retention: { timeMs: Number.MAX_SAFE_INTEGER },
  });
  try {
    await store.ready();
    const record = await store.loadState('record');
    if (!record) throw new Error(`${node.name}: no record in ${join(node.dataDirectory)}`);
    return { holdings: await holdingsOf(store, endMs), record: ClusterRecord.decode(record) };
  } finally {
    await storage.close();
  }
}

/**
 * Compares the stores of all members, which have ended. Windows that ended before `endMs` have to be equal at their owners and
 * absent elsewhere.
 */
export async function compareCopies(members: readonly EndedNode[], endMs: number): Promise<Copies> {
  const problems: string[] = [];
  const byNode = new Map<string, Holdings>();
  let record: ClusterRecord | undefined;
  for (const node of members) {
    const { holdings, record: own } = await readStore(node, endMs);
    byNode.set(node.name, holdings);
    if (record && record.hash !== own.hash) problems.push(`${node.name} has another record`);
    record ??= own;
  }
  const placed = (record?.actives ?? []).map(({ name, zone, weight }) => ({ name, zone, weight: weight / 1000 }));
  const placement = Placement.build(placed);
  let samplesCount = 0;
  for (let partition = 0; partition < partitionsCount; partition++) {
    const owners = placement
      .owners(partition)
      .slice(0, replicasCount)
      .map(({ name }) => name);
    const windows = new Set([...byNode.values()].flatMap((holdings) => [...(holdings.get(partition)?.keys() ?? [])]));
    for (const window of windows) {
      const digests = owners.map((owner) => byNode.get(owner)?.get(partition)?.get(window));
      samplesCount += digests[0]?.samplesCount ?? 0;
      if (new Set(digests.map((digest) => digest?.sum)).size > 1) {
        const counts = owners.map((owner, index) => `${owner}: ${digests[index]?.samplesCount ?? 0}`);
        problems.push(
          `partition ${partition}, window ${new Date(window).toISOString()}: owners differ (${counts.join(', ')})`,
        );
      }
      for (const [name, holdings] of byNode) {
        if (owners.includes(name) || !holdings.get(partition)?.has(window)) continue;
        problems.push(`partition ${partition}: ${name} holds a window but owns nothing of it`);
      }
    }
  }
  const held = (holdings: Holdings): number =>
    [...holdings.values()]
      .flatMap((windows) => [...windows.values()])
      .reduce((sum, digest) => sum + digest.samplesCount, 0);
  return {
    problems,
    samplesByNode: new Map([...byNode].map(([name, holdings]) => [name, held(holdings)])),
    samplesCount,
  };
}
