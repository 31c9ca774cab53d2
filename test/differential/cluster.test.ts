// Random queries to three nodes of a cluster and to a node that holds everything alone: the same text. The samples come in at
// any node, out of order and partly twice, while nodes stop and come back; one node that is away leaves no trace in an answer,
// two are named in its warnings.
//   TIMBALA_TEST_SEED=7 TIMBALA_TEST_QUERIES=2000 npm test -- test/differential/cluster.test.ts
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pool } from 'undici';
import { sendBody } from '../../bench/load/sender.ts';
import { SeededRandom } from '../../src/base/index.ts';
import { LocalCluster, type LocalNode } from '../support/local-cluster.ts';
import { removeDirectory, type ServerProcess, temporaryDirectory } from '../support/processes.ts';
import { startTimbala } from '../support/servers.ts';
import { dataBodies, dataEndMs, dataStartMs, makeData } from './data.ts';
import { QueryGenerator } from './query-generator.ts';
import { nextQuestion } from './question.ts';

const seed = Number(process.env['TIMBALA_TEST_SEED'] ?? 1);
/** In each of the situations. */
const queriesCount = Number(process.env['TIMBALA_TEST_QUERIES'] ?? 200) / 4;
const repeatedOneIn = 5;

class Comparison {
  readonly cluster: LocalCluster;
  readonly #reference: ServerProcess;
  readonly #random = new SeededRandom(seed);
  readonly #generator = new QueryGenerator(this.#random);
  #bodies: readonly Uint8Array[];

  constructor(cluster: LocalCluster, reference: ServerProcess) {
    this.cluster = cluster;
    this.#reference = reference;
    const bodies = [...dataBodies(makeData(seed))];
    const repeated = bodies.filter(() => this.#random.below(repeatedOneIn) === 0);
    const keys = new Map([...bodies, ...repeated].map((body, i) => [`${i}`, { body, at: this.#random.float() }]));
    this.#bodies = [...keys.values()].sort((a, b) => a.at - b.at).map(({ body }) => body);
  }

  node(index: number): LocalNode {
    const node = this.cluster.nodes[index];
    assert(node);
    return node;
  }

  /** Sends a share of what is left, each body to the reference and to one of the nodes that run. */
  async send(share: number): Promise<void> {
    const count = Math.ceil(this.#bodies.length * share);
    const running = this.cluster.running.map(({ url }) => new Pool(url));
    const reference = new Pool(this.#reference.url);
    for (const body of this.#bodies.slice(0, count)) {
      const node = running[this.#random.below(running.length)];
      assert(node);
      for (const to of [reference, node]) await sendBody(to, body);
    }
    this.#bodies = this.#bodies.slice(count);
    await Promise.all([reference, ...running].map((pool) => pool.close()));
  }

  async flush(url: string): Promise<void> {
    const answer = await fetch(`${url}/internal/flush`, { method: 'POST' });
    assert(answer.ok, await answer.text());
  }

  async assertEqual(situation: string): Promise<void> {
    const differences: string[] = [];
    const compare = async (what: string, path: string, form: Readonly<Record<string, string>>): Promise<void> => {
      const expected = await post(this.#reference.url, path, form);
      const nodes = this.cluster.running;
      const { url, label } = nodes[this.#random.below(nodes.length)] ?? assert.fail();
      const text = await post(url, path, form);
      if (text !== expected)
        differences.push(`${what} at ${label}:\n  ${text.slice(0, 500)}\n  ${expected.slice(0, 500)}`);
    };
    for (let i = 0; i < queriesCount; i++) {
      const { query, when, path, form } = nextQuestion(this.#generator, this.#random);
      await compare(`${query} ${when}`, path, form);
    }
    const range = { start: `${dataStartMs / 1000}`, end: `${dataEndMs / 1000}` };
    for (const selector of ['requests_total', '{job="web"}', '{instance=~"a.*|b.*",code!="500"}', 'nothing']) {
      for (const limit of ['', '3']) {
        await compare(`series ${selector} ${limit}`, 'series', { 'match[]': selector, limit, ...range });
        await compare(`labels ${selector} ${limit}`, 'labels', { 'match[]': selector, limit, ...range });
      }
    }
    assert.equal(
      differences.length,
      0,
      `${situation}: ${differences.length} differ:\n${differences.slice(0, 10).join('\n')}`,
    );
  }
}

async function post(url: string, path: string, form: Readonly<Record<string, string>>): Promise<string> {
  const response = await fetch(`${url}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(form) });
  return `${response.status} ${await response.text()}`;
}

test(`a cluster answers as one node does (seed ${seed})`, async (t) => {
  const directory = temporaryDirectory('differential-cluster');
  t.after(() => removeDirectory(directory));
  const cluster = await LocalCluster.start({ directory, nodesCount: 3 });
  t.after(() => cluster.kill());
  const reference = await startTimbala({ directory: `${directory}/reference` });
  t.after(() => reference.kill());
  const comparison = new Comparison(cluster, reference);
  const [a, b, c] = [comparison.node(0), comparison.node(1), comparison.node(2)];

  await comparison.send(0.4);
  await comparison.flush(b.url);
  await comparison.flush(reference.url);
  await comparison.assertEqual('all three are there');

  await c.stop();
  await comparison.send(0.5);
  await comparison.flush(a.url);
  await comparison.assertEqual('one is away');

  await c.spawn();
  await c.ready();
  await comparison.send(1);
  await comparison.assertEqual('it is back, and lacks much');

  await a.kill();
  await comparison.assertEqual('another one has died');

  await b.kill();
  const range = { time: `${dataEndMs / 1000}`, query: 'count(requests_total)' };
  const answer = await post(c.url, 'query', range);
  assert.match(answer, /^200 .*"warnings":\["not heard/);
  const strict = await post(c.url, 'query', { ...range, partial_response: 'false' });
  assert.match(strict, /^503 .*READ_INCOMPLETE/);
});
