import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { hourMs, yearMs } from '../base/index.ts';
import { runClusterCommand, statusText } from './cluster.ts';

const member = {
  address: 'a:7947',
  store: 's',
  state: 'active',
  zone: '',
  weight: 1_000,
  isSelf: false,
  mayHoldAlone: false,
} as const;
const nobody = { members: [], losses: [], underWay: [], gossip: [], connections: [] };

test('the status names members, what is under way, and lost stores', () => {
  const text = statusText({
    ...nobody,
    name: 'a:7946',
    state: 'active',
    isReady: true,
    clusterId: 'c1',
    retentionMs: 2 * yearMs,
    marks: { marksCount: 7, pairsCount: 7, partitionsCount: 0, dueCount: 3 },
    copyBytesPerSecondMax: 1,
    partitions: { owned: 100, held: 40, foreign: 0 },
    members: [
      { ...member, name: 'a:7946', isSelf: true, isAlive: true },
      { ...member, name: 'b', zone: 'z', isAlive: false },
      { ...member, name: 'c', isAlive: undefined },
    ],
    losses: [{ store: 's9', waitsFor: ['b'], isHealed: false }],
    underWay: ['7 marks wait for b, which is believed dead'],
  });
  assert.deepEqual(text.split('\n'), [
    'node      a:7946: active',
    'cluster   c1',
    'retention 730 days',
    'holds     40 partitions, owns 100; 7 marks, 3 due',
    '',
    'NODE      STATE   GOSSIP   ZONE  PEER ADDRESS',
    'a:7946 *  active  alive    -     a:7947',
    'b         active  dead?    z     a:7947',
    'c         active  unknown  -     a:7947',
    '',
    '- 7 marks wait for b, which is believed dead',
    '1 lost stores are not made up for yet: do not lose another',
    '',
  ]);
});

test('a node whose store is no member any more is told to be emptied, and short retention is told in hours', () => {
  const page = { ...nobody, name: 'n', isReady: false, retentionMs: 2 * hourMs };
  const partitions = { owned: 0, held: 5, foreign: 5 };
  assert.match(
    statusText({ ...page, state: 'removed', partitions }),
    /retention 2 hours[^]*hands over 5 partitions first/,
  );
  assert.match(
    statusText({ ...page, state: 'replaced', partitions: { ...partitions, held: 0 } }),
    /holds nothing any more/,
  );
  assert.match(statusText({ ...page, state: 'left' }), /delete its data directory/);
  assert.doesNotMatch(statusText({ ...page, state: 'leaving', partitions }), /delete/);
});

test('a node that stands alone, or looks for its cluster, says so', () => {
  assert.match(statusText({ ...nobody, name: '', state: 'standalone', isReady: true }), /stands alone/);
  const searching = statusText({ ...nobody, name: 'n', state: 'searching', isReady: false, underWay: ['it looks'] });
  assert.match(searching, /n: searching, not ready\n\n- it looks\n/);
});

test('a refusal is told by its text, a node that is not there by its address', async () => {
  const server = createServer((request, response) => {
    response.statusCode = 422;
    response.end(JSON.stringify({ status: 'error', error: `CLUSTER_ALIVE: ${request.method} ${request.url}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const httpAddress = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const command = { kind: 'cluster', action: 'remove', node: 'a:1', httpAddress, isForced: false } as const;
  await assert.rejects(runClusterCommand(command), {
    message: 'CLUSTER_REFUSED: CLUSTER_ALIVE: POST /api/v1/admin/cluster/remove?node=a%3A1',
  });
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(runClusterCommand(command), /CLUSTER_NOT_REACHED: .*ECONNREFUSED.*--http-addr/);
});

test('a node that does not answer, and a server that is another one, are told apart from a node', async () => {
  const server = createServer((request, response) => {
    if (request.method === 'GET') response.end('<html>welcome</html>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const httpAddress = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const command = { kind: 'cluster', node: '', httpAddress, isForced: false } as const;
  await assert.rejects(runClusterCommand({ ...command, action: 'status' }), /CLUSTER_REFUSED: .* is no Timbala/);
  await assert.rejects(
    runClusterCommand({ ...command, action: 'decommission' }, 50),
    /CLUSTER_NOT_REACHED: .*timeout.*--http-addr/,
  );
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
