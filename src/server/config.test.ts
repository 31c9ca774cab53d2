import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dayMs, gib, hourMs, yearMs } from '../base/index.ts';
import { formatHostPort, parseConfig } from './config.ts';
import { environmentName } from './options.ts';

test('defaults: port 9080 on every interface, ten years, advertised under the host name', () => {
  const config = parseConfig({}, 'box');
  assert.deepEqual(config, {
    dataDirectory: 'data',
    httpBind: { host: '', port: 9080 },
    httpAdvertise: { host: 'box', port: 9080 },
    logLevel: 'info',
    retention: { timeMs: 10 * yearMs, sizeBytes: undefined, namesTime: true },
    cluster: undefined,
    given: {},
  });
});

test('peers, or a gossip address alone, make a node one of a cluster', () => {
  const clusterOf = (given: Parameters<typeof parseConfig>[0]) => parseConfig(given, 'box').cluster;
  assert.deepEqual(clusterOf({ peers: 'a, b:7950,[::1]:7951', zone: 'z' }), {
    gossipBind: { host: '', port: 7946 },
    gossipAdvertise: { host: 'box', port: 7946 },
    peers: [
      { host: 'a', port: 7946 },
      { host: 'b', port: 7950 },
      { host: '::1', port: 7951 },
    ],
    zone: 'z',
    gossipKeyFile: undefined,
    peerTls: undefined,
  });
  const alone = clusterOf({ 'gossip-bind-addr': '127.0.0.1:7946', 'gossip-advertise-addr': 'me:80' });
  assert.deepEqual(alone?.gossipAdvertise, { host: 'me', port: 80 });
  assert.deepEqual(alone?.peers, []);
  assert.equal(clusterOf({ peers: '', zone: 'z', 'gossip-advertise-addr': 'me:80' }), undefined);
});

test('a node is called by its own address among the peers, unless it is told another, or binds another', () => {
  const hostOf = (given: Parameters<typeof parseConfig>[0], own: readonly string[]) =>
    parseConfig({ peers: '10.0.0.1,10.0.0.2', ...given }, 'box', own).cluster?.gossipAdvertise.host;
  assert.equal(hostOf({}, ['127.0.0.1', '10.0.0.2']), '10.0.0.2');
  assert.equal(hostOf({}, ['10.0.0.3']), 'box');
  assert.equal(hostOf({ 'gossip-bind-addr': ':7950' }, ['10.0.0.2']), 'box', 'of another port');
  assert.equal(hostOf({ 'gossip-bind-addr': '10.0.0.9:7946' }, ['10.0.0.2']), '10.0.0.9');
  assert.equal(hostOf({ 'gossip-advertise-addr': 'me:7946' }, ['10.0.0.2']), 'me');
});

test('keys and certificates are named by their files, those of TLS all or none', () => {
  const given = { peers: 'a', 'gossip-key-file': 'k', 'peer-tls-cert': 'c', 'peer-tls-key': 'p', 'peer-tls-ca': 'a' };
  const { gossipKeyFile, peerTls } = parseConfig(given, 'box').cluster ?? {};
  assert.deepEqual([gossipKeyFile, peerTls], ['k', { certificate: 'c', key: 'p', authority: 'a' }]);
  for (const name of ['peer-tls-cert', 'peer-tls-key', 'peer-tls-ca'] as const) {
    assert.throws(() => parseConfig({ ...given, [name]: '' }, 'box'), /OPTION_INVALID: .*give all three, or none/);
    assert.throws(() => parseConfig({ [name]: 'x' }, 'box'), /OPTION_INVALID/, 'of a single node, too');
  }
});

test('retention is a time, a size, or both', () => {
  const retention = (text: string) => parseConfig({ retention: text }, 'box').retention;
  assert.deepEqual(retention('1d12h'), { timeMs: dayMs + 12 * hourMs, sizeBytes: undefined, namesTime: true });
  assert.deepEqual(retention('500GB'), { timeMs: 10 * yearMs, sizeBytes: 500 * gib, namesTime: false });
  assert.deepEqual(retention('2y, 3TiB'), { timeMs: 2 * yearMs, sizeBytes: 3072 * gib, namesTime: true });
});

test('what an option refuses is named with the option, its text and the remedy', () => {
  const refused: [string, string, RegExp][] = [
    ['retention', '10', /OPTION_INVALID: --retention "10": expected a time such as 10y/],
    ['retention', '1y,2y', /expected a time/],
    ['retention', '1h', /at least 2h/],
    ['retention', '1MB', /at least 1GB/],
    ['http-bind-addr', '9080', /expected HOST:PORT/],
    ['http-bind-addr', 'a:70000', /expected HOST:PORT/],
    ['gossip-bind-addr', 'x', /expected HOST:PORT/],
    ['log-level', 'loud', /expected debug, info, warn or error/],
    ['gossip-bind-addr', 'a:65535', /expected a port from 1 to 65534/],
    ['gossip-advertise-addr', 'a:0', /expected a port from 1 to 65534/],
    ['peers', 'a:1,b:c', /"b:c": expected HOST or HOST:PORT/],
    ['peers', 'a:65535', /expected HOST/],
    ['data-directory', '', /a directory is needed/],
  ];
  for (const [name, text, message] of refused) {
    assert.throws(() => parseConfig({ [name]: text }, 'box'), message, `${name}=${text}`);
  }
});

test('addresses keep IPv6 hosts apart from their port', () => {
  const config = parseConfig({ 'http-bind-addr': '[::1]:0' }, 'box');
  assert.deepEqual(config.httpAdvertise, { host: '::1', port: 0 });
  assert.equal(formatHostPort(config.httpBind), '[::1]:0');
});

test('environment variables carry the names of options', () => {
  assert.equal(environmentName('http-bind-addr'), 'TIMBALA_HTTP_BIND_ADDR');
});
