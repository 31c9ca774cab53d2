import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gossipAddressOf, peerAddressText } from './addresses.ts';

test('the peer protocol is one port above gossip, and back, for names, IPv4 and IPv6', () => {
  for (const host of ['a.example', '10.0.0.1', 'fd00::1']) {
    const gossip = { host, port: 7946 };
    assert.deepEqual(gossipAddressOf(peerAddressText(gossip)), gossip);
  }
  assert.equal(peerAddressText({ host: 'fd00::1', port: 7946 }), '[fd00::1]:7947');
});

test('a record may say what makes no sense to us', () => {
  for (const text of ['', 'fd00::1', 'a', 'a:1', 'a:70000']) assert.equal(gossipAddressOf(text), undefined, text);
});
