// What docs/operating/cluster.md tells operators to do, done to real processes: a single node grows into a cluster with its data,
// a node leaves, one moves to another address, one comes back from a copy of its directory, all are killed at once. After
// each step every sample is there, at every node, without a warning.
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Checks } from '../../demo/checks.ts';
import { Load } from '../../demo/load.ts';
import { secondMs } from '../../src/base/index.ts';
import type { ClusterStatus } from '../../src/cluster/index.ts';
import { freeGossipPort, LocalNode } from '../support/local-cluster.ts';
import { removeDirectory, temporaryDirectory } from '../support/processes.ts';
import { startTimbala } from '../support/servers.ts';

const writingMs = 1500;
const stepTimeoutMs = 60 * secondMs;
const pollMs = 100;

const isAtRest = ({ marks, members, losses, partitions }: ClusterStatus): boolean =>
  marks.dueCount === 0 &&
  partitions.foreign === 0 &&
  losses.every(({ isHealed }) => isHealed) &&
  members.every(({ state, mayHoldAlone }) => (state === 'active' || state === 'left') && !mayHoldAlone);

class Operator {
  readonly nodes = new Map<string, LocalNode>();
  readonly #root: string;

  constructor(t: TestContext) {
    this.#root = temporaryDirectory('operating');
    t.after(async () => {
      for (const node of this.nodes.values()) await node.kill();
      removeDirectory(this.#root);
    });
  }

  directory(label: string): string {
    return join(this.#root, label);
  }

  node(label: string): LocalNode {
    return this.nodes.get(label) ?? assert.fail(`there is no node ${label}`);
  }

  /** Starts a node on its directory, whatever is there, at a new address. */
  async start(label: string, peers: readonly string[]): Promise<LocalNode> {
    const node = await LocalNode.prepare({
      label,
      directory: this.directory(label),
      gossipPort: await freeGossipPort(),
      peers,
    });
    this.nodes.set(label, node);
    await node.spawn();
    await node.ready();
    return node;
  }

  async restart(label: string): Promise<void> {
    const node = this.node(label);
    await node.spawn();
    await node.ready();
  }

  /** Until every running node is of a mind that `isDone`. */
  async until(what: string, isDone: (status: ClusterStatus) => boolean): Promise<void> {
    const deadlineMs = performance.now() + stepTimeoutMs;
    for (;;) {
      const running = [...this.nodes.values()].filter(({ isRunning }) => isRunning);
      const statuses = await Promise.all(running.map((node) => node.status()));
      if (statuses.every((status) => status && isDone(status))) return;
      const said = statuses.map((status) => JSON.stringify({ ...status, members: status?.members.length }));
      assert.ok(performance.now() < deadlineMs, `${what}: ${said.join('\n')}`);
      await sleep(pollMs);
    }
  }
}

test('a cluster takes what its operators do to it', async (t) => {
  const operator = new Operator(t);
  const alone = await startTimbala({ directory: operator.directory('A') });
  t.after(() => alone.kill());
  const load = new Load([{ label: 'A', url: alone.url }], Date.now());
  const writing = load.run();
  await sleep(writingMs);
  load.stop();
  await writing;
  await alone.stop();
  const checks = new Checks(load);
  const complete = async (step: string): Promise<void> => {
    for (const node of operator.nodes.values()) {
      if (node.isRunning) assert.equal((await checks.everything(node)).lostCount, 0, `${step}: lost at ${node.label}`);
    }
    assert.deepEqual(checks.problems, [], step);
    t.diagnostic(`complete: ${step}`);
  };

  const first = await operator.start('A', []);
  const peers = [first.gossipAddress];
  await operator.start('B', peers);
  await operator.start('C', peers);
  await operator.until('the first node hands its data to those that joined', isAtRest);
  await first.kill();
  await complete('without the node that was alone');
  await operator.restart('A');

  await operator.start('D', peers);
  await operator.until('a fourth node is filled', isAtRest);
  const leaving = operator.node('C');
  const answer = await fetch(`${leaving.url}/api/v1/admin/cluster/decommission`, { method: 'POST' });
  assert.equal(answer.status, 204, await answer.text());
  await operator.until(
    'a node leaves',
    (status) => isAtRest(status) && status.members.some(({ state }) => state === 'left'),
  );
  await leaving.stop();
  await complete('after a node has left');

  await operator.node('B').stop();
  await operator.start('B', []);
  await operator.until('a node has moved to another address', isAtRest);
  await complete('after a node has moved');

  const data = join(operator.directory('D'), 'data');
  await operator.node('D').stop();
  cpSync(data, `${data}-copy`, { recursive: true });
  removeDirectory(data);
  cpSync(`${data}-copy`, data, { recursive: true });
  await operator.restart('D');
  await operator.until('a directory is back from its copy', (status) => isAtRest(status) && status.losses.length === 1);
  await complete('after a directory was restored');

  const members = ['A', 'B', 'D'].map((label) => operator.node(label));
  await Promise.all(members.map((node) => node.kill()));
  await Promise.all(['A', 'B', 'D'].map((label) => operator.restart(label)));
  await complete('after all were killed');
});
