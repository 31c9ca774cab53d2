// Three whole nodes in one thread, over real sockets: they find each other, take writes anywhere, show their state, and do
// without one. What needs processes, faults and load is in test/cluster.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { secondMs } from '../base/index.ts';
import { SimDisk } from '../../sim/disk.ts';
import type { ClusterStatusPage } from './index.ts';
import { oneSample, postWrite, startTestNode, type TestNode, writeBody } from './test-node.ts';

const gossipPorts = [28_741, 28_743, 28_745];
const names = gossipPorts.map((port) => `127.0.0.1:${port}`);
const nodes: TestNode[] = [];
// The clock's timers do not keep a process alive.
const keepAlive = setInterval(() => undefined, 100);

const start = (index: number, disk = new SimDisk()): Promise<TestNode> =>
  startTestNode(disk, { 'gossip-bind-addr': names[index] ?? '', peers: names.join() });

function nodeAt(index: number): TestNode {
  const node = nodes[index];
  assert.ok(node);
  return node;
}

before(async () => {
  nodes.push(...(await Promise.all(names.map((_, index) => start(index)))));
});

after(async () => {
  clearInterval(keepAlive);
  await Promise.all(nodes.map(({ node }) => node.close()));
});

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const endMs = Date.now() + 20 * secondMs;
  while (!(await condition())) {
    assert.ok(Date.now() < endMs, what);
    await sleep(50);
  }
}

async function status({ url }: TestNode): Promise<ClusterStatusPage> {
  const response = await fetch(`${url}/api/v1/status/cluster`);
  return ((await response.json()) as { data: ClusterStatusPage }).data;
}

const isReady = async ({ url }: TestNode): Promise<boolean> => (await fetch(`${url}/-/ready`)).status === 200;

async function metric({ url }: TestNode, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length),
  );
}

async function post({ url }: TestNode, path: string): Promise<[number, string]> {
  const response = await fetch(url + path, { method: 'POST' });
  return [response.status, await response.text()];
}

test('nodes that know of each other form one cluster, and are ready when they are active', async () => {
  await until(async () => (await Promise.all(nodes.map(isReady))).every(Boolean), 'all are ready');
  const know = async (): Promise<number[]> =>
    (await Promise.all(nodes.map(status))).map(({ members }) => members.length);
  await until(async () => (await know()).every((count) => count === 3), 'all know all');
  const pages = await Promise.all(nodes.map(status));
  assert.equal(new Set(pages.map(({ clusterId }) => clusterId)).size, 1);
  for (const [index, page] of pages.entries()) {
    assert.equal(page.name, names[index]);
    assert.deepEqual(
      page.members.map(({ name, address, isSelf }) => [name, address, isSelf]),
      names.map((name, i) => [name, `127.0.0.1:${(gossipPorts[i] ?? 0) + 1}`, i === index]),
    );
  }
});

test('any node takes a write, and 204 means that two nodes at least have it', async () => {
  const nowMs = Date.now();
  const ingested = (): Promise<number[]> =>
    Promise.all(nodes.map((node) => metric(node, 'timbala_cluster_writes_acknowledged_total')));
  const before = await ingested();
  for (const [index, { url }] of nodes.entries()) {
    const body = writeBody([oneSample({ __name__: 'a', node: `${index}` }, nowMs, index)]);
    assert.equal((await postWrite(url, body)).status, 204);
  }
  for (const [index, count] of (await ingested()).entries()) assert.ok(count > (before[index] ?? 0));
});

test('what is invalid of a write is told with 400 when the rest is acknowledged', async () => {
  const nowMs = Date.now();
  const good = oneSample({ __name__: 'good' }, nowMs, 1);
  const early = oneSample({ __name__: 'early' }, nowMs + 3_600_000, 1);
  const response = await postWrite(nodeAt(1).url, writeBody([good, early]));
  assert.equal(response.status, 400);
  assert.match(await response.text(), /early/);
});

test('who lives is not removed, nor oneself, nor a stranger, and three nodes stay three unless forced', async () => {
  const refusals: [string, number, RegExp][] = [
    [`remove?node=${names[1]}`, 422, /CLUSTER_ALIVE/],
    [`remove?node=${names[0]}`, 400, /CLUSTER_REMOVE_SELF/],
    ['remove?node=nobody', 404, /CLUSTER_UNKNOWN_NODE/],
    ['remove', 400, /node is missing/],
    ['decommission', 422, /CLUSTER_TOO_SMALL/],
  ];
  for (const [path, expected, text] of refusals) {
    const [code, body] = await post(nodeAt(0), `/api/v1/admin/cluster/${path}`);
    assert.equal(code, expected, path);
    assert.match(body, text);
  }
});

test('writes go on while one node is away; it comes back under its name, with its store', async () => {
  const { name, store } = await status(nodeAt(2));
  await nodeAt(2).node.close();
  const nowMs = Date.now();
  for (const { url } of nodes.slice(0, 2)) {
    const body = writeBody(Array.from({ length: 20 }, (_, i) => oneSample({ __name__: 'b', i: `${i}` }, nowMs, i)));
    assert.equal((await postWrite(url, body)).status, 204);
  }
  nodes[2] = await start(2, nodeAt(2).disk);
  await until(() => isReady(nodeAt(2)), 'it is ready again');
  const page = await status(nodeAt(2));
  assert.deepEqual([page.name, page.store, page.state], [name, store, 'active']);
  assert.deepEqual(page.losses, []);
});

test('the directory of a member is not started alone by mistake', async () => {
  const { node, disk } = nodeAt(2);
  await node.close();
  await assert.rejects(startTestNode(disk), /CLUSTER_EXPECTED: .*--peers/);
  nodes[2] = await start(2, disk);
});

test('a node alone says so, and decides nothing for a cluster', async () => {
  const alone = await startTestNode();
  try {
    assert.equal((await status(alone)).state, 'standalone');
    const [code, body] = await post(alone, '/api/v1/admin/cluster/decommission');
    assert.equal(code, 400);
    assert.match(body, /CLUSTER_STANDALONE/);
  } finally {
    await alone.node.close();
  }
});
