// Mutual TLS on streams: who has no certificate of the authority gets no byte through, in either direction. Certificates
// come from the openssl program; without it the tests are skipped.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import type { NetworkStream, StreamHandlers } from '../ports/index.ts';
import { handshakeMs, NodeNetwork, type StreamSecurity } from './network.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const directory = mkdtempSync(join(tmpdir(), 'timbala-tls-'));
after(() => rmSync(directory, { recursive: true }));

function openssl(...words: string[]): void {
  const { status, stderr } = spawnSync('openssl', words, { cwd: directory, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

/** An authority, and a node's key and certificate signed by it. */
function certify(name: string): StreamSecurity {
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  openssl(
    'req',
    '-x509',
    ...ec,
    '-subj',
    `/CN=${name} authority`,
    '-keyout',
    `${name}-ca.key`,
    '-out',
    `${name}-ca.crt`,
  );
  const authority = ['-CA', `${name}-ca.crt`, '-CAkey', `${name}-ca.key`];
  const whom = ['-subj', '/CN=node', '-addext', 'subjectAltName=DNS:node.example,IP:127.0.0.1'];
  openssl('req', '-x509', ...ec, ...authority, ...whom, '-keyout', `${name}.key`, '-out', `${name}.crt`);
  const read = (file: string): string => readFileSync(join(directory, file), 'utf8');
  return { key: read(`${name}.key`), certificate: read(`${name}.crt`), authority: read(`${name}-ca.crt`) };
}

const hosts = ['node.example', '127.0.0.1', 'other.example', '127.0.0.2'];

/** What a client of one network gets from a server of the other that sends back what it is sent. */
async function exchange(server: NodeNetwork, client: NodeNetwork) {
  const seen = { byServer: '', byClient: '', certified: new Set<string | undefined>() };
  const note = (stream: NetworkStream): void => {
    for (const host of hosts) seen.certified.add(stream.certifies(host) ? host : `${stream.certifies(host)}`);
  };
  const listener = await server.listen({ host: '127.0.0.1', port: 0 }, (stream): StreamHandlers => ({
    onBytes(bytes) {
      note(stream);
      seen.byServer += Buffer.from(bytes).toString();
      stream.write(bytes);
      stream.close();
    },
    onEnd: () => undefined,
  }));
  await new Promise<void>((resolve) => {
    const stream = client.connect(listener.address, {
      onBytes(bytes) {
        note(stream);
        seen.byClient += Buffer.from(bytes).toString();
      },
      onEnd: () => resolve(),
    });
    stream.write(Buffer.from('a question'));
  });
  listener.close();
  return seen;
}

suite('mutual TLS', { skip: hasOpenssl ? false : 'SKIPPED: no openssl' }, () => {
  test('carries streams between nodes of one authority', async () => {
    const network = await NodeNetwork.secured(certify('one'));
    const { byServer, byClient, certified } = await exchange(network, network);
    assert.deepEqual([byServer, byClient], ['a question', 'a question']);
    assert.deepEqual(certified, new Set(['node.example', '127.0.0.1', 'false']), 'on both sides');
  });

  test('knows of no certificate where there is none', async () => {
    const { certified } = await exchange(new NodeNetwork(), new NodeNetwork());
    assert.deepEqual(certified, new Set(['undefined']));
  });

  test('is not waited for for ever', async () => {
    const network = await NodeNetwork.secured(certify('five'));
    const listener = await network.listen({ host: '127.0.0.1', port: 0 }, () => assert.fail('nobody has come'));
    const startMs = performance.now();
    const silent = connect(listener.address.port, '127.0.0.1')
      .on('error', () => undefined)
      .resume();
    await new Promise((resolve) => silent.once('close', resolve));
    assert.ok(performance.now() - startMs < 2 * handshakeMs);
    listener.close();
  });

  test('refuses plain streams, and certificates of another authority, on either side', async () => {
    const [one, two] = [certify('three'), certify('four')];
    const mine = await NodeNetwork.secured(one);
    // Would accept our server, but is not accepted by it; and the other way round.
    const unknownToUs = await NodeNetwork.secured({ ...two, authority: one.authority });
    const trustsOthers = await NodeNetwork.secured({ ...one, authority: two.authority });
    for (const client of [new NodeNetwork(), unknownToUs, trustsOthers]) {
      const { byServer, byClient } = await exchange(mine, client);
      assert.deepEqual([byServer, byClient], ['', '']);
    }
  });
});
