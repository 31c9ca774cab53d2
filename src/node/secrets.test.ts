import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { NodeNetwork } from './network.ts';
import { readGossipKeys, readStreamSecurity } from './secrets.ts';

const directory = mkdtempSync(join(tmpdir(), 'timbala-secrets-'));
after(() => rmSync(directory, { recursive: true }));

function file(content: string): string {
  const path = join(directory, 'file');
  writeFileSync(path, content);
  return path;
}

const base64 = (length: number, fill: number): string => Buffer.alloc(length, fill).toString('base64');

test('keys of gossip come one a line, in order, of each length that AES has', () => {
  const path = file(`${base64(32, 1)}\n\n  ${base64(16, 2)}\r\n${base64(24, 3)}`);
  assert.deepEqual(
    readGossipKeys(path).map((key) => [key.length, key[0]]),
    [
      [32, 1],
      [16, 2],
      [24, 3],
    ],
  );
});

test('what is no key is refused with file and line, and not shown', () => {
  for (const wrong of [base64(31, 7), 'secret!!', `${base64(32, 1)} x`, `${base64(32, 1)}=`]) {
    const path = file(`${base64(32, 1)}\n${wrong}\n`);
    assert.throws(
      () => readGossipKeys(path),
      ({ message }) => /^GOSSIP_KEY: .*file, line 2: .*openssl rand/.test(message) && !message.includes(wrong),
    );
  }
  assert.throws(() => readGossipKeys(file('\n')), /GOSSIP_KEY: .* holds no key/);
  assert.throws(() => readGossipKeys(join(directory, 'none')), /GOSSIP_KEY: .*none can't be read: ENOENT/);
});

test('certificates that are not there, or make no sense, are refused before anything is bound', async () => {
  const missing = join(directory, 'none');
  const files = { certificate: missing, key: missing, authority: missing };
  assert.throws(() => readStreamSecurity(files), /PEER_TLS: .*none can't be read: ENOENT/);
  const senseless = { certificate: 'x', key: 'y', authority: 'z' };
  await assert.rejects(NodeNetwork.secured(senseless), /PEER_TLS: certificate, key and authority .*PEM/);
});
