// Three real nodes that encrypt their gossip and speak TLS to each other, with certificates of one authority: they are a cluster
// like any other, keys are exchanged while it works, and nobody without key and certificate gets in.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { encodeWriteRequest, wrapSnappy } from '../../src/wire/index.ts';
import { freeGossipPort, LocalCluster, LocalNode } from '../support/local-cluster.ts';
import { PrometheusApi } from '../support/prometheus-api.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const directory = mkdtempSync(join(tmpdir(), 'timbala-secured-'));
after(() => rmSync(directory, { recursive: true, force: true }));

/** An authority, a key, and a certificate for this machine's own address; as arguments of a node. */
function certify(name: string): string[] {
  const openssl = (...words: string[]): void => {
    const { status, stderr } = spawnSync('openssl', words, { cwd: directory, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  };
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const authority = ['-keyout', `${name}-ca.key`, '-out', `${name}-ca.crt`];
  openssl('req', '-x509', ...ec, '-subj', `/CN=${name} authority`, ...authority);
  const signed = ['-CA', `${name}-ca.crt`, '-CAkey', `${name}-ca.key`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  openssl('req', '-x509', ...ec, ...signed, '-subj', '/CN=node', '-keyout', `${name}.key`, '-out', `${name}.crt`);
  const at = (file: string): string => join(directory, file);
  return [
    `--peer-tls-cert=${at(`${name}.crt`)}`,
    `--peer-tls-key=${at(`${name}.key`)}`,
    `--peer-tls-ca=${at(`${name}-ca.crt`)}`,
  ];
}

const keyFile = join(directory, 'gossip.keys');
const key = (fill: number): string => Buffer.alloc(32, fill).toString('base64');
const writeKeys = (...fills: number[]): void => writeFileSync(keyFile, `${fills.map(key).join('\n')}\n`);

async function write(node: LocalNode, series: number): Promise<number> {
  const labels = ['__name__', 'secured', 'series', `${series}`];
  const sample = { labels, timestampsMs: [Date.now()], values: Float64Array.of(series) };
  const response = await fetch(`${node.url}/api/v1/write`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
    body: wrapSnappy(encodeWriteRequest([sample])),
  });
  return response.status;
}

async function count(node: LocalNode): Promise<unknown> {
  const { data, warnings = [] } = await new PrometheusApi(node.url).call<{ result: { value: [number, string] }[] }>(
    'query',
    { query: 'count(secured)' },
  );
  return [data?.result[0]?.value[1], warnings];
}

async function logged(node: LocalNode, what: RegExp): Promise<void> {
  const dueMs = performance.now() + 20_000;
  while (!what.test(node.process.logTail(1_000_000))) {
    assert.ok(performance.now() < dueMs, `${what} in the log:\n${node.process.logTail()}`);
    await sleep(50);
  }
}

/** Starts a node beside the cluster, which does not get in. */
async function keepOut(cluster: LocalCluster, label: string, extraArguments: readonly string[]): Promise<void> {
  mkdirSync(join(directory, label));
  const node = await LocalNode.prepare({
    label,
    directory: join(directory, label),
    gossipPort: await freeGossipPort(),
    peers: cluster.nodes.map(({ gossipAddress }) => gossipAddress),
    extraArguments,
  });
  await node.spawn();
  try {
    await logged(node, /CLUSTER_NOT_FOUND.*cluster-not-joined/);
    assert.equal(await node.status(), undefined, 'it is no member');
  } finally {
    await node.kill();
  }
}

const skip = hasOpenssl ? false : 'SKIPPED: no openssl program, so that no certificates can be made';

test(
  'nodes with keys and certificates are a cluster, which others stay out of',
  { timeout: 180_000, skip },
  async () => {
    writeKeys(1);
    const tls = certify('ours');
    const keys = `--gossip-key-file=${keyFile}`;
    const cluster = await LocalCluster.start({ directory, nodesCount: 3, extraArguments: [keys, ...tls] });
    try {
      for (const [index, node] of cluster.nodes.entries()) assert.equal(await write(node, index), 204);
      const areAllAlive = (): Promise<boolean> =>
        cluster.until(30_000, (statuses) => statuses.every(({ members }) => members.every(({ isAlive }) => isAlive)));
      assert.ok(await areAllAlive());
      for (const node of cluster.nodes) assert.deepEqual(await count(node), ['3', []]);

      // A new key on all nodes, step by step; in the end the first one counts for nothing.
      for (const [step, fills] of [[1, 2], [2, 1], [2]].entries()) {
        writeKeys(...fills);
        for (const node of cluster.nodes) process.kill(node.process.pid, 'SIGHUP');
        for (const node of cluster.nodes) await logged(node, new RegExp(`(?:gossip-keys-read[^]*){${step + 1}}`));
        assert.ok(await areAllAlive());
      }
      writeFileSync(keyFile, 'no key\n');
      const [first] = cluster.nodes as [LocalNode];
      process.kill(first.process.pid, 'SIGHUP');
      await logged(first, /keys, line 1: .*gossip-keys-not-read/);

      // Neither a plain connection nor a certificate of somebody else is let in; nor is who has no key heard.
      const [, port] = first.gossipAddress.split(':');
      await new Promise((resolve) => {
        const socket = connect({ host: '127.0.0.1', port: Number(port) + 1, rejectUnauthorized: false });
        socket.on('error', resolve).on('close', resolve).resume();
      });
      writeKeys(2);
      await keepOut(cluster, 'plain', []);
      await keepOut(cluster, 'other', [keys, ...certify('theirs')]);
      await logged(first, /gossip-not-decrypted/);
      const statuses = await Promise.all(cluster.nodes.map((node) => node.status()));
      for (const status of statuses) assert.equal(status?.members.length, 3);

      // A member that goes and comes is one again.
      await first.kill();
      await first.spawn();
      await first.ready();
      assert.ok(await areAllAlive());
      assert.equal(await write(first, 3), 204);
      for (const node of cluster.nodes) assert.deepEqual(await count(node), ['4', []]);
    } finally {
      await cluster.kill();
    }
  },
);
