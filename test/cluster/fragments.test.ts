// Aggregations over a cluster of five whole nodes in one thread, over real sockets: what they aggregate each for itself and put
// together is what one node answers that has everything. Of five nodes none owns all partitions, so samples or states travel.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom, secondMs } from '../../src/base/index.ts';
import { postWrite, startTestNode, type TestNode } from '../../src/server/test-node.ts';
import { SimDisk } from '../../sim/disk.ts';
import { dataBodies, dataEndMs, dataStartMs, makeData } from '../differential/data.ts';
import { QueryGenerator } from '../differential/query-generator.ts';
import { dataDifference } from '../support/compare-answers.ts';
import { type ApiAnswer, PrometheusApi, type QueryData } from '../support/prometheus-api.ts';

const seed = Number(process.env['TIMBALA_TEST_SEED'] ?? 1);
const queriesCount = Number(process.env['TIMBALA_TEST_QUERIES'] ?? 150);
const names = [28_761, 28_763, 28_765, 28_767, 28_769].map((port) => `127.0.0.1:${port}`);
const nodes: TestNode[] = [];
let alone: TestNode;
// The clock's timers do not keep a process alive.
const keepAlive = setInterval(() => undefined, 100);

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const giveUpMs = Date.now() + 120 * secondMs;
  while (!(await condition())) {
    assert(Date.now() < giveUpMs, what);
    await sleep(100);
  }
}

const isReady = async ({ url }: TestNode): Promise<boolean> => (await fetch(`${url}/-/ready`)).status === 200;

async function metric({ url }: TestNode, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1] ?? NaN);
}

/** Questions that came to something. */
async function sharedCount(of: readonly TestNode[]): Promise<number> {
  let count = 0;
  for (const node of of) {
    count += await metric(node, 'timbala_cluster_read_shared_total');
    count -= await metric(node, 'timbala_cluster_read_not_shared_total');
  }
  return count;
}

before(async () => {
  const start = (name: string): Promise<TestNode> =>
    startTestNode(new SimDisk(), { 'gossip-bind-addr': name, peers: names.join() });
  nodes.push(...(await Promise.all(names.map(start))));
  alone = await startTestNode(new SimDisk());
  await until(async () => (await Promise.all([...nodes, alone].map(isReady))).every(Boolean), 'all are ready');
  let next = 0;
  for (const body of dataBodies(makeData(seed))) {
    const node = nodes[next++ % nodes.length] as TestNode;
    for (const { url } of [node, alone]) {
      assert.equal((await postWrite(url, body as Uint8Array<ArrayBuffer>)).status, 204);
    }
  }
});

after(async () => {
  clearInterval(keepAlive);
  await Promise.all([...nodes, alone].map(({ node }) => node.close()));
});

type Ask = (api: PrometheusApi) => Promise<ApiAnswer<QueryData>>;

function nextAsk(random: SeededRandom, query: string): Ask {
  const timeMs = dataStartMs + random.below(dataEndMs - dataStartMs);
  if (random.below(2) === 0) return (api) => api.query({ query, timeMs });
  const endMs = timeMs + 60_000 * random.below(40);
  return (api) => api.queryRange({ query, startMs: timeMs, endMs, stepMs: 60_000 });
}

function differenceOf(found: ApiAnswer<QueryData>, expected: ApiAnswer<QueryData>): string | undefined {
  if (!found.data || !expected.data) return found.error === expected.error ? undefined : String(found.error);
  const [notes, expectedNotes] = [found, expected].map(({ warnings = [], infos = [] }) =>
    [...warnings, ...infos].toSorted().join('\n'),
  );
  if (notes !== expectedNotes) return `${notes} instead of ${expectedNotes}`;
  return dataDifference(found.data, expected.data, 1e-12);
}

function nextQuery(random: SeededRandom, generator: QueryGenerator): string {
  const operator = ['sum', 'avg', 'min', 'max', 'count', 'group', 'topk', 'bottomk'][random.below(8)] as string;
  const grouping = ['', 'by (instance)', 'without (instance)', 'by (job, code)'][random.below(4)] as string;
  const parameter = operator.endsWith('k') ? '2, ' : '';
  return `${operator} ${grouping} (${parameter}${generator.next(1 + random.below(2))})`;
}

/** Random aggregations, each at one of `asked` and at the single node; how many were shared. */
async function compare(asked: readonly TestNode[], count: number, random: SeededRandom): Promise<number> {
  const apis = asked.map(({ url }) => new PrometheusApi(url));
  const single = new PrometheusApi(alone.url);
  const generator = new QueryGenerator(random);
  const sharedBefore = await sharedCount(asked);
  for (let i = 0; i < count; i++) {
    const query = nextQuery(random, generator);
    const ask = nextAsk(random, query);
    const expected = await ask(single);
    const api = apis[random.below(apis.length)] as PrometheusApi;
    assert.equal(differenceOf(await ask(api), expected), undefined, query);
  }
  return (await sharedCount(asked)) - sharedBefore;
}

test(`random aggregations at any of five nodes are those of a single one (seed ${seed})`, async (t) => {
  await until(async () => {
    const before = await sharedCount(nodes);
    await new PrometheusApi((nodes[0] as TestNode).url).query({ query: 'sum(requests_total)', timeMs: dataEndMs });
    return (await sharedCount(nodes)) > before;
  }, 'all owners have confirmed what they have');
  const shared = await compare(nodes, queriesCount, new SeededRandom(seed));
  t.diagnostic(`${shared} aggregations of ${queriesCount} queries were shared`);
  assert(shared > queriesCount / 4);
});

test('they are the same while one node is away, and are shared by the others', async () => {
  const [gone, ...others] = nodes;
  await gone?.node.close();
  const shared = await compare(others, queriesCount >> 2, new SeededRandom(seed + 1));
  assert(shared > queriesCount >> 5);
});
