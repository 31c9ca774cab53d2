// Queries over a cluster of three whole nodes in one thread, over real sockets: any node answers for all, does without one
// silently, without two with warnings. Random data and queries on real processes are in test/cluster.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { secondMs } from '../base/index.ts';
import { SimDisk } from '../../sim/disk.ts';
import { oneSample, postWrite, startTestNode, type TestNode, writeBody } from './test-node.ts';

const names = [28_751, 28_753, 28_755].map((port) => `127.0.0.1:${port}`);
const seriesCount = 30;
const stepsCount = 12;
const endMs = Math.floor(Date.now() / 15_000) * 15_000;
const startMs = endMs - (stepsCount - 1) * 15_000;
const nodes: TestNode[] = [];
const alone: TestNode[] = [];
// The clock's timers do not keep a process alive.
const keepAlive = setInterval(() => undefined, 100);

function nodeAt(index: number): TestNode {
  const node = nodes[index];
  assert.ok(node);
  return node;
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const giveUpMs = Date.now() + 20 * secondMs;
  while (!(await condition())) {
    assert.ok(Date.now() < giveUpMs, what);
    await sleep(50);
  }
}

const isReady = async ({ url }: TestNode): Promise<boolean> => (await fetch(`${url}/-/ready`)).status === 200;

before(async () => {
  const start = (name: string): Promise<TestNode> =>
    startTestNode(new SimDisk(), { 'gossip-bind-addr': name, peers: names.join() });
  nodes.push(...(await Promise.all(names.map(start))));
  alone.push(await startTestNode(new SimDisk()));
  await until(async () => (await Promise.all([...nodes, ...alone].map(isReady))).every(Boolean), 'all are ready');
  for (let step = 0; step < stepsCount; step++) {
    const timeMs = startMs + step * 15_000;
    const body = writeBody(
      Array.from({ length: seriesCount }, (_, i) =>
        oneSample({ __name__: 'asked', i: `${i}`, group: `${i % 4}` }, timeMs, step * i),
      ),
    );
    for (const { url } of [nodeAt(step % 3), ...alone]) assert.equal((await postWrite(url, body)).status, 204);
  }
});

after(async () => {
  clearInterval(keepAlive);
  await Promise.all([...nodes, ...alone].map(({ node }) => node.close()));
});

const paths = [
  `query?query=asked&time=${endMs / 1000}`,
  `query?query=sum by (group) (rate(asked[1m]))&time=${endMs / 1000}`,
  `query?query=asked[2m]&time=${endMs / 1000}`,
  `query_range?query=sum by (group) (asked) / count by (group) (asked)&start=${startMs / 1000}&end=${endMs / 1000}&step=15`,
  `query_range?query=asked - asked offset 1m&start=${startMs / 1000}&end=${endMs / 1000}&step=30`,
  `series?match[]=asked{group="1"}&start=${startMs / 1000}&end=${endMs / 1000}`,
  `series?match[]=asked&limit=5&start=${startMs / 1000}&end=${endMs / 1000}`,
  `labels?match[]=asked`,
  `label/i/values?match[]=asked`,
  `label/i/values?match[]=asked&limit=3`,
  `label/none/values`,
];

async function ask({ url }: TestNode, path: string): Promise<string> {
  return (await fetch(`${url}/api/v1/${encodeURI(path)}`)).text();
}

async function assertAnswersEqual(asked: readonly TestNode[]): Promise<void> {
  const [reference] = alone;
  assert.ok(reference);
  for (const path of paths) {
    const expected = await ask(reference, path);
    assert.match(expected, /^\{"status":"success"/);
    for (const node of asked) assert.equal(await ask(node, path), expected, path);
  }
}

test('every node answers as a single node that holds everything', () => assertAnswersEqual(nodes));

test('a delete at any node holds at all of them, also for what comes later', async () => {
  const range = `start=${(startMs + 30_000) / 1000}&end=${(startMs + 60_000) / 1000}`;
  const late = writeBody([oneSample({ __name__: 'asked', i: '7', group: '3' }, startMs + 45_001, 7)]);
  for (const { url } of [nodeAt(1), ...alone]) {
    const path = `${url}/api/v1/admin/tsdb/delete_series?match[]=asked{group="3"}&match[]=asked{i="8"}&${range}`;
    assert.equal((await fetch(encodeURI(path), { method: 'POST' })).status, 204);
    await postWrite(url, late);
  }
  const [reference] = alone;
  assert.ok(reference);
  const remaining = await ask(
    reference,
    `query?query=count(count_over_time(asked[31s]))&time=${(startMs + 60_000) / 1000}`,
  );
  assert.match(remaining, /"22"/);
  // The others hear of it with the next exchange of records.
  await until(async () => {
    const answers = await Promise.all(nodes.map((node) => ask(node, `query?query=asked[10m]&time=${endMs / 1000}`)));
    const expected = await ask(reference, `query?query=asked[10m]&time=${endMs / 1000}`);
    return answers.every((answer) => answer === expected);
  }, 'all have the delete');
  await assertAnswersEqual(nodes);
});

test('a query that can not wait longer ends with a timeout', async () => {
  const text = await ask(nodeAt(0), `query?query=asked&timeout=0.000001`);
  assert.match(text, /"errorType":"timeout"/);
});

test('without one node answers are complete, without two they say what may be missing', async () => {
  await nodeAt(2).node.close();
  await assertAnswersEqual([nodeAt(0), nodeAt(1)]);
  await nodeAt(1).node.close();
  for (const path of paths) {
    const answer = JSON.parse(await ask(nodeAt(0), path));
    assert.equal(answer.status, 'success', path);
    assert.ok(
      answer.warnings.some((text: string) => text.includes(names[1] ?? '')),
      `${path}: ${answer.warnings}`,
    );
    const strictPath = `${path}${path.includes('?') ? '&' : '?'}partial_response=false`;
    const strict = await fetch(`${nodeAt(0).url}/api/v1/${encodeURI(strictPath)}`);
    assert.equal(strict.status, 503, path);
    assert.match(await strict.text(), /READ_INCOMPLETE/);
  }
});
